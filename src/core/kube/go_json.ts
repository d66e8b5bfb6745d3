// JSON as Go's encoding/json reads it, for what kube-apiserver decodes: names that come twice, numbers as they are
// written, and the scanner's own words about broken text. Go 1.26 encoding/json, scanner.go.
import type { JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'

/** Members of an object are kept in order, a name that comes twice twice. A number keeps its spelling. */
export type GoJson =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'array'; readonly items: readonly GoJson[] }
  | { readonly kind: 'object'; readonly members: readonly GoMember[] }

type GoMember = readonly [name: string, value: GoJson]

/** Go allows 10000; nothing that a token or a key set says is nested deeper than this. */
const MAX_DEPTH = 100
const NUMBER_CHARACTER = /[0-9]/

/** Reads one JSON text. The denial is Go's error text. */
export function readGoJson(bytes: Buffer): Result<GoJson, string> {
  const reader = new Reader(bytes.toString('latin1'))
  const value = reader.document()
  return value === undefined ? { ok: false, denial: reader.problem } : { ok: true, value }
}

/** The last member of this very name, as a Go map keeps it. */
export function goMember(value: GoJson, name: string): GoJson | undefined {
  if (value.kind !== 'object') return undefined
  return value.members.findLast(([key]) => key === name)?.[1]
}

/** The first name that an object has twice, which go-jose refuses. */
export function repeatedGoName(value: GoJson): string | undefined {
  const seen = new Set<string>()
  for (const [name] of value.kind === 'object' ? value.members : []) {
    if (seen.has(name)) return name
    seen.add(name)
  }
  return undefined
}

/** As Go decodes into `any`: numbers are doubles, the last of two equal names stays. */
export function toJsonValue(value: GoJson): JsonValue {
  switch (value.kind) {
    case 'string':
      return value.text
    case 'number':
      return Number(value.text)
    case 'bool':
      return value.value
    case 'null':
      return null
    case 'array':
      return value.items.map(toJsonValue)
    case 'object': {
      const object: Record<string, JsonValue> = Object.create(null)
      for (const [name, member] of value.members) object[name] = toJsonValue(member)
      return object
    }
  }
}

/** Recursive descent over bytes as Latin-1. Methods return `undefined` when they refuse; `problem` then says why. */
class Reader {
  problem = ''
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  document(): GoJson | undefined {
    const value = this.#value(1)
    if (value === undefined) return undefined
    this.#space()
    return this.#at === this.#text.length ? value : this.#refuse('after top-level value')
  }

  #value(depth: number): GoJson | undefined {
    this.#space()
    const first = this.#text.charAt(this.#at)
    if (first === '{' || first === '[') {
      if (depth > MAX_DEPTH) return this.#fail('exceeded max depth')
      this.#at += 1
      return first === '{' ? this.#object(depth) : this.#array(depth)
    }
    if (first === '"') {
      const text = this.#string()
      return text === undefined ? undefined : { kind: 'string', text }
    }
    if (first === '-' || NUMBER_CHARACTER.test(first)) return this.#number()
    if (first === 't') return this.#word('true', { kind: 'bool', value: true })
    if (first === 'f') return this.#word('false', { kind: 'bool', value: false })
    if (first === 'n') return this.#word('null', { kind: 'null' })
    return this.#refuse('looking for beginning of value')
  }

  #object(depth: number): GoJson | undefined {
    const members: GoMember[] = []
    if (this.#skip('}')) return { kind: 'object', members }
    for (;;) {
      this.#space()
      if (this.#text.charAt(this.#at) !== '"')
        return this.#refuse('looking for beginning of object key string')
      const name = this.#string()
      if (name === undefined) return undefined
      if (!this.#skip(':')) return this.#refuse('after object key')
      const value = this.#value(depth + 1)
      if (value === undefined) return undefined
      members.push([name, value])
      if (this.#skip(',')) continue
      return this.#skip('}') ? { kind: 'object', members } : this.#refuse('after object key:value pair')
    }
  }

  #array(depth: number): GoJson | undefined {
    const items: GoJson[] = []
    if (this.#skip(']')) return { kind: 'array', items }
    for (;;) {
      const value = this.#value(depth + 1)
      if (value === undefined) return undefined
      items.push(value)
      if (this.#skip(',')) continue
      return this.#skip(']') ? { kind: 'array', items } : this.#refuse('after array element')
    }
  }

  #string(): string | undefined {
    const from = this.#at
    this.#at += 1
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (Number.isNaN(code) || code < 0x20) return this.#refuse('in string literal')
      this.#at += 1
      if (code === 0x22) return decode(this.#text.slice(from, this.#at))
      if (code === 0x5c && !this.#escape()) return undefined
    }
  }

  #escape(): boolean {
    const escaped = this.#text.charAt(this.#at)
    if (escaped === '' || !'"\\/bfnrtu'.includes(escaped)) {
      this.#refuse('in string escape code')
      return false
    }
    this.#at += 1
    for (let left = escaped === 'u' ? 4 : 0; left > 0; left -= 1) {
      if (!/[0-9a-fA-F]/.test(this.#text.charAt(this.#at))) {
        this.#refuse(String.raw`in \u hexadecimal character escape`)
        return false
      }
      this.#at += 1
    }
    return true
  }

  #number(): GoJson | undefined {
    const from = this.#at
    if (this.#text.charAt(this.#at) === '-') this.#at += 1
    if (this.#text.charAt(this.#at) === '0') this.#at += 1
    else if (!this.#digits()) return this.#refuse('in numeric literal')
    if (this.#text.charAt(this.#at) === '.') {
      this.#at += 1
      if (!this.#digits()) return this.#refuse('after decimal point in numeric literal')
    }
    if (/[eE]/.test(this.#text.charAt(this.#at))) {
      this.#at += 1
      if (/[+-]/.test(this.#text.charAt(this.#at))) this.#at += 1
      if (!this.#digits()) return this.#refuse('in exponent of numeric literal')
    }
    return { kind: 'number', text: this.#text.slice(from, this.#at) }
  }

  #digits(): boolean {
    const from = this.#at
    while (NUMBER_CHARACTER.test(this.#text.charAt(this.#at))) this.#at += 1
    return this.#at > from
  }

  #word(word: string, value: GoJson): GoJson | undefined {
    for (const expected of word) {
      if (this.#text.charAt(this.#at) !== expected)
        return this.#refuse(`in literal ${word} (expecting '${expected}')`)
      this.#at += 1
    }
    return value
  }

  #skip(character: string): boolean {
    this.#space()
    if (this.#text.charAt(this.#at) !== character) return false
    this.#at += 1
    return true
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text.charAt(this.#at))) this.#at += 1
  }

  #refuse(context: string): undefined {
    const found = this.#text.charAt(this.#at)
    return this.#fail(
      found === '' ? 'unexpected end of JSON input' : `invalid character ${quote(found)} ${context}`,
    )
  }

  #fail(problem: string): undefined {
    this.problem = problem
    return undefined
  }
}

/** A string literal with its quotes; invalid UTF-8 and lone surrogates become U+FFFD. */
function decode(literal: string): string {
  const text = Buffer.from(literal, 'latin1').toString('utf8')
  const value: unknown = text.includes('\\') ? JSON.parse(text) : text.slice(1, -1)
  return typeof value === 'string' ? value.toWellFormed() : ''
}

/** As Go quotes the character it stumbled over. */
function quote(character: string): string {
  if (character === "'") return String.raw`'\''`
  if (character === '"') return `'"'`
  return `'${goQuoted(character).slice(1, -1)}'`
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['\u0007', String.raw`\a`],
  ['\b', String.raw`\b`],
  ['\f', String.raw`\f`],
  ['\n', String.raw`\n`],
  ['\r', String.raw`\r`],
  ['\t', String.raw`\t`],
  ['\u000b', String.raw`\v`],
  ['"', String.raw`\"`],
  ['\\', '\\\\'],
])

/** As Go's `%q` writes a text. */
export function goQuoted(text: string): string {
  return `"${text.replaceAll(/["\\\p{C}\p{Z}]/gu, (character) => ESCAPES.get(character) ?? printable(character))}"`
}

function printable(character: string): string {
  if (character === ' ') return character
  const code = character.codePointAt(0) ?? 0
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  return code > 0xffff
    ? `\\U${code.toString(16).padStart(8, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}

/** As Go's `%q` writes a list of texts. */
export function goQuotedList(texts: readonly string[]): string {
  return `[${texts.map(goQuoted).join(' ')}]`
}
