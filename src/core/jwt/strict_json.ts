// Strict JSON for bytes that strangers wrote: bytes in, null-prototype objects out. Refuses what JSON.parse lets through
// and two readers may read differently: a BOM, invalid UTF-8, lone surrogates, a name that comes twice (compared
// unescaped), numbers that a double cannot hold, and depth or size beyond a limit. RFC 8259 §4, §8.2; RFC 8725 §2.4.
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'

export type JsonLimits = {
  /** Arrays and objects inside each other; a flat object has depth 1. */
  readonly maxDepth: number
  /** Member names of all objects together. */
  readonly maxNames: number
  /** Items of one array. */
  readonly maxItems: number
}

/** Limits for the parts of a token: far above what any issuer sends, far below what costs. */
export const TOKEN_JSON_LIMITS: JsonLimits = { maxDepth: 16, maxNames: 256, maxItems: 1000 }

/** Reads one JSON text. The denial is a phrase that says what is wrong; it never quotes a value. */
export function readStrictJson(bytes: Buffer, limits: JsonLimits): Result<JsonValue, string> {
  const text = bytes.toString('utf8')
  // An invalid sequence becomes U+FFFD; only a text that has one needs the slower proof that it stood there already.
  if (text.includes('\uFFFD') && !Buffer.from(text, 'utf8').equals(bytes)) return no('invalid UTF-8')
  const plain = readPlain(text, limits)
  if (plain !== undefined) return { ok: true, value: plain }
  const reader = new Reader(text, limits)
  const value = reader.document()
  return value === undefined ? no(reader.problem) : { ok: true, value }
}

/**
 * The short way for what issuers really send, in half the time. Without a backslash every quote begins or ends a string,
 * and no character hides: then a text that has as many quotes as the names and strings of its value has no name twice,
 * because JSON.parse keeps one of two. `undefined` sends the text to the reader, which knows what is wrong with it, if
 * anything is.
 */
function readPlain(text: string, limits: JsonLimits): JsonValue | undefined {
  if (text.includes('\\')) return undefined
  try {
    const value: JsonValue = JSON.parse(text)
    const count = { names: 0, strings: 0 }
    if (!strip(value, limits, 1, count)) return undefined
    return quotesIn(text) === 2 * (count.names + count.strings) ? value : undefined
  } catch {
    // Not JSON, or nested deeper than the stack: the reader says which.
    return undefined
  }
}

function quotesIn(text: string): number {
  let quotes = 0
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at + 1)) quotes += 1
  return quotes
}

type Count = { names: number; strings: number }

/** Takes the prototype from every object, counts, and says whether all limits are kept. */
function strip(value: JsonValue, limits: JsonLimits, depth: number, count: Count): boolean {
  if (typeof value === 'string') {
    count.strings += 1
    return true
  }
  if (typeof value === 'number') return Math.abs(value) <= Number.MAX_SAFE_INTEGER
  if (typeof value !== 'object' || value === null) return true
  if (depth > limits.maxDepth) return false
  if (isArray(value)) {
    return value.length <= limits.maxItems && value.every((item) => strip(item, limits, depth + 1, count))
  }
  Object.setPrototypeOf(value, null)
  for (const name in value) {
    count.names += 1
    const member = value[name]
    if (count.names > limits.maxNames || member === undefined) return false
    // Nearly every member of a token.
    if (typeof member === 'string') count.strings += 1
    else if (!strip(member, limits, depth + 1, count)) return false
  }
  return true
}

/** Reads one JSON text that must be an object. */
export function readStrictJsonObject(bytes: Buffer, limits: JsonLimits): Result<JsonObject, string> {
  const read = readStrictJson(bytes, limits)
  if (!read.ok) return read
  if (typeof read.value !== 'object' || read.value === null || isArray(read.value)) return no('not an object')
  return { ok: true, value: read.value }
}

/** `Array.isArray` does not narrow readonly arrays. */
function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function no(problem: string): Result<never, string> {
  return { ok: false, denial: problem }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
/** What JSON.parse takes between quotes, so that it cannot throw below. */
const ESCAPED = /^(?:[^\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*$/

/** A recursive descent over one text. Every method returns `undefined` when it refuses; `problem` then says why. */
class Reader {
  problem = 'not JSON'
  readonly #text: string
  readonly #limits: JsonLimits
  #at = 0
  #names = 0

  constructor(text: string, limits: JsonLimits) {
    this.#text = text
    this.#limits = limits
  }

  document(): JsonValue | undefined {
    if (this.#text.charCodeAt(0) === 0xfeff) return this.#refuse('byte order mark')
    const value = this.#value(1)
    if (value === undefined) return undefined
    if (!Number.isNaN(this.#peek())) return this.#refuse('text after the value')
    return value
  }

  #value(depth: number): JsonValue | undefined {
    switch (this.#peek()) {
      case QUOTE:
        return this.#string()
      case 0x7b:
        return this.#object(depth)
      case 0x5b:
        return this.#array(depth)
      case 0x74:
        return this.#word('true', true)
      case 0x66:
        return this.#word('false', false)
      case 0x6e:
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(depth: number): JsonObject | undefined {
    if (depth > this.#limits.maxDepth) return this.#refuse('nested too deep')
    const object: Record<string, JsonValue> = Object.create(null)
    this.#at += 1
    if (this.#skip(0x7d)) return object
    for (;;) {
      if (this.#peek() !== QUOTE) return this.#refuse('not JSON')
      const name = this.#string()
      if (name === undefined) return undefined
      // A JSON value is never `undefined`, and there is no prototype: one look-up tells.
      if (object[name] !== undefined) return this.#refuse('a name that comes twice')
      this.#names += 1
      if (this.#names > this.#limits.maxNames) return this.#refuse('too many names')
      if (!this.#skip(0x3a)) return this.#refuse('not JSON')
      const value = this.#value(depth + 1)
      if (value === undefined) return undefined
      object[name] = value
      if (this.#skip(0x2c)) continue
      return this.#skip(0x7d) ? object : this.#refuse('not JSON')
    }
  }

  #array(depth: number): readonly JsonValue[] | undefined {
    if (depth > this.#limits.maxDepth) return this.#refuse('nested too deep')
    const items: JsonValue[] = []
    this.#at += 1
    if (this.#skip(0x5d)) return items
    for (;;) {
      if (items.length >= this.#limits.maxItems) return this.#refuse('too many items')
      const value = this.#value(depth + 1)
      if (value === undefined) return undefined
      items.push(value)
      if (this.#skip(0x2c)) continue
      return this.#skip(0x5d) ? items : this.#refuse('not JSON')
    }
  }

  /** A string without escapes, which is nearly every one, is a slice of the text. */
  #string(): string | undefined {
    const text = this.#text
    const from = this.#at + 1
    for (let at = from; at < text.length; at += 1) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) {
        this.#at = at + 1
        return text.slice(from, at)
      }
      if (code === BACKSLASH) return this.#escapedString(from)
      if (code < 0x20) return this.#refuse('control character in a string')
    }
    return this.#refuse('not JSON')
  }

  #escapedString(from: number): string | undefined {
    const text = this.#text
    let at = from
    while (at < text.length && text.charCodeAt(at) !== QUOTE) {
      if (text.charCodeAt(at) < 0x20) return this.#refuse('control character in a string')
      at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
    }
    if (at >= text.length) return this.#refuse('not JSON')
    if (!ESCAPED.test(text.slice(from, at))) return this.#refuse('unknown escape in a string')
    this.#at = at + 1
    const value: unknown = JSON.parse(text.slice(from - 1, at + 1))
    if (typeof value !== 'string') return this.#refuse('not JSON')
    // `"\ud800"` and `"\ud801"` become one subject wherever they are written as UTF-8.
    return value.isWellFormed() ? value : this.#refuse('lone surrogate')
  }

  #number(): number | undefined {
    NUMBER.lastIndex = this.#at
    if (!NUMBER.test(this.#text)) return this.#refuse('not JSON')
    const value = Number(this.#text.slice(this.#at, NUMBER.lastIndex))
    this.#at = NUMBER.lastIndex
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return this.#refuse('number out of range')
    return value
  }

  #word<T extends JsonValue>(word: string, value: T): T | undefined {
    if (!this.#text.startsWith(word, this.#at)) return this.#refuse('not JSON')
    this.#at += word.length
    return value
  }

  /** Skips white space; true, and one further, when `code` comes next. */
  #skip(code: number): boolean {
    if (this.#peek() !== code) return false
    this.#at += 1
    return true
  }

  /** Skips white space; the next character, NaN at the end. */
  #peek(): number {
    const text = this.#text
    let code = text.charCodeAt(this.#at)
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      this.#at += 1
      code = text.charCodeAt(this.#at)
    }
    return code
  }

  #refuse(problem: string): undefined {
    this.problem = problem
    return undefined
  }
}
