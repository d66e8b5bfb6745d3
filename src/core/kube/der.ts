// DER as golang.org/x/crypto/cryptobyte reads it: low tags, minimal lengths, minimal integers. Everything that is
// malformed is one exception, which the reader of a certificate turns into a value.

export class MalformedDer extends Error {}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** Tag of a context-specific element. */
export function contextTag(number: number, isConstructed: boolean): number {
  return 0x80 | number | (isConstructed ? 0x20 : 0)
}

export type Element = { readonly tag: number; readonly content: Der; readonly whole: Buffer }

/** Elements one after another; reading takes them from the front. */
export class Der {
  #rest: Buffer
  constructor(bytes: Buffer) {
    this.#rest = bytes
  }

  get isEmpty(): boolean {
    return this.#rest.length === 0
  }

  get bytes(): Buffer {
    return this.#rest
  }

  isNext(tag: number): boolean {
    return this.#rest[0] === tag
  }

  any(): Element {
    const [tag, first] = this.#rest
    if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new MalformedDer('tag')
    const { header, length } = first < 0x80 ? { header: 2, length: first } : this.#longLength(first & 0x7f)
    const end = header + length
    if (end > this.#rest.length) throw new MalformedDer('length')
    const whole = this.#rest.subarray(0, end)
    this.#rest = this.#rest.subarray(end)
    return { tag, content: new Der(whole.subarray(header)), whole }
  }

  read(tag: number): Der {
    return this.element(tag).content
  }

  element(tag: number): Element {
    if (!this.isNext(tag)) throw new MalformedDer(`tag ${tag}`)
    return this.any()
  }

  optional(tag: number): Der | undefined {
    return this.isNext(tag) ? this.read(tag) : undefined
  }

  /** The bytes of a minimal integer. */
  integer(tag: number = TAG.integer): Buffer {
    const { bytes } = this.read(tag)
    const [first, second] = bytes
    if (first === undefined) throw new MalformedDer('integer')
    const isPadded = second !== undefined && (first === 0 ? second < 0x80 : first === 0xff && second >= 0x80)
    if (isPadded) throw new MalformedDer('integer')
    return bytes
  }

  /** An integer that a Go int64 holds. */
  smallInteger(tag: number = TAG.integer): bigint {
    const bytes = this.integer(tag)
    if (bytes.length > 8) throw new MalformedDer('integer')
    return BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
  }

  boolean(): boolean {
    const { bytes } = this.read(TAG.boolean)
    if (bytes.length !== 1 || (bytes[0] !== 0 && bytes[0] !== 0xff)) throw new MalformedDer('boolean')
    return bytes[0] === 0xff
  }

  /** The value in hexadecimal: good to compare. */
  oid(): string {
    const { bytes } = this.read(TAG.oid)
    // each part: no leading 0x80, 31 bits, and an end
    let digits = 0
    let value = 0
    for (const byte of bytes) {
      if ((digits === 0 && byte === 0x80) || digits === 5 || value >= 2 ** 24) throw new MalformedDer('oid')
      value = byte < 0x80 ? 0 : value * 128 + (byte & 0x7f)
      digits = byte < 0x80 ? 0 : digits + 1
    }
    if (bytes.length === 0 || digits !== 0) throw new MalformedDer('oid')
    return bytes.toString('hex')
  }

  bitString(): { readonly bits: Buffer; readonly padding: number } {
    const { bytes } = this.read(TAG.bitString)
    const [padding, ...rest] = bytes
    const last = rest.at(-1)
    if (padding === undefined || padding > 7) throw new MalformedDer('bit string')
    if (last === undefined ? padding !== 0 : (last & ((1 << padding) - 1)) !== 0) {
      throw new MalformedDer('bit string')
    }
    return { bits: bytes.subarray(1), padding }
  }

  #longLength(count: number): { header: number; length: number } {
    const bytes = this.#rest.subarray(2, 2 + count)
    if (count === 0 || count > 4 || bytes.length < count) throw new MalformedDer('length')
    const length = bytes.readUIntBE(0, count)
    if (length < 0x80 || bytes[0] === 0) throw new MalformedDer('length')
    return { header: 2 + count, length }
  }
}
