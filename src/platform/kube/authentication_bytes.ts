// From the bytes of a file to its text, as kube-apiserver takes them: UTF-8, or UTF-16 with a byte order mark (what
// PowerShell writes). Where bytes are neither, a JavaScript text cannot tell; here that is kept.
import { isUtf8 } from 'node:buffer'

export type DecodedText = {
  readonly text: string
  /** Offset in `text` of the first U+FFFD that stands for bytes, and those bytes (hexadecimal). */
  readonly broken: { readonly offset: number; readonly bytes: string } | undefined
}

export function decodeText(bytes: Uint8Array): DecodedText {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [first, second] = buffer
  if (first === 0xff && second === 0xfe) return decodeUtf16(buffer, 'utf-16le')
  if (first === 0xfe && second === 0xff) return decodeUtf16(buffer, 'utf-16be')
  const text = buffer.toString('utf8')
  return { text, broken: isUtf8(buffer) ? undefined : firstBroken(buffer, text) }
}

/** An unpaired surrogate counts as broken; a U+FFFD that is written so cannot be told from one, and hardly ever is. */
function decodeUtf16(buffer: Buffer, encoding: 'utf-16le' | 'utf-16be'): DecodedText {
  const text = new TextDecoder(encoding).decode(buffer)
  const offset = text.indexOf(REPLACEMENT)
  return { text, broken: offset === -1 ? undefined : { offset, bytes: 'half a character' } }
}

const REPLACEMENT = '\uFFFD'
const REPLACEMENT_BYTES = 3
/** As long as a character of UTF-8 can be. */
const SHOWN_BYTES = 4

function firstBroken(buffer: Buffer, text: string): DecodedText['broken'] {
  let at = 0
  let offset = -1
  for (;;) {
    const next = text.indexOf(REPLACEMENT, offset + 1)
    if (next === -1) return undefined
    at += Buffer.byteLength(text.slice(offset + 1, next))
    if (buffer.toString('hex', at, at + REPLACEMENT_BYTES) !== 'efbfbd') {
      return { offset: next, bytes: shown(buffer.subarray(at)) }
    }
    at += REPLACEMENT_BYTES
    offset = next
  }
}

/** The bytes up to the next one of ASCII. */
function shown(bytes: Buffer): string {
  const length = bytes.findIndex((byte) => byte < 0x80)
  const part = bytes.subarray(0, Math.min(length === -1 ? bytes.length : length, SHOWN_BYTES))
  return [...part].map((byte) => `0x${byte.toString(16)}`).join(' ')
}
