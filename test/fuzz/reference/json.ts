// JSON by the grammar of RFC 8259, one character at a time: slow, and short enough to be seen to be right. It also knows
// what our scanner refuses on top: names that come twice, lone surrogates, numbers beyond 2^53, and three limits.
import type { JsonValue } from '../../../src/core/claims.ts'
import type { JsonLimits } from '../../../src/core/jwt/strict_json.ts'
import { utf8Text } from './text.ts'

class Refused extends Error {}

/** The value of the one JSON text in `bytes`, or `undefined` when it must be refused. */
export function slowJson(bytes: Uint8Array, limits: JsonLimits): JsonValue | undefined {
  const text = utf8Text(bytes)
  if (text === undefined) return undefined
  try {
    return new SlowReader(text, limits).document()
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
}

class SlowReader {
  #rest: string
  #names = 0
  readonly #limits: JsonLimits

  constructor(text: string, limits: JsonLimits) {
    this.#rest = text
    this.#limits = limits
  }

  document(): JsonValue {
    const value = this.#value(1)
    this.#space()
    if (this.#rest !== '') throw new Refused()
    return value
  }

  #space(): void {
    this.#rest = this.#rest.replace(/^[ \t\r\n]+/, '')
  }

  /** Takes what the pattern finds at the beginning. */
  #take(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.#rest)?.[0]
    if (found !== undefined) this.#rest = this.#rest.slice(found.length)
    return found
  }

  #need(pattern: RegExp): string {
    const found = this.#take(pattern)
    if (found === undefined) throw new Refused()
    return found
  }

  #value(depth: number): JsonValue {
    this.#space()
    if (this.#take(/^true/) !== undefined) return true
    if (this.#take(/^false/) !== undefined) return false
    if (this.#take(/^null/) !== undefined) return null
    if (this.#rest.startsWith('"')) return this.#string()
    if (this.#rest.startsWith('[')) return this.#array(depth)
    if (this.#rest.startsWith('{')) return this.#object(depth)
    const number = Number(this.#need(/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/))
    if (Math.abs(number) > Number.MAX_SAFE_INTEGER) throw new Refused()
    return number
  }

  #string(): string {
    this.#need(/^"/)
    let value = ''
    while (this.#take(/^"/) === undefined) {
      const escape = this.#take(/^\\(["\\/bfnrt]|u[0-9a-fA-F]{4})/)
      if (escape === undefined) value += this.#plainCharacter()
      else if (escape.startsWith('\\u')) value += String.fromCharCode(Number.parseInt(escape.slice(2), 16))
      else value += { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[escape.slice(1)] ?? escape.slice(1)
    }
    if (!value.isWellFormed()) throw new Refused()
    return value
  }

  #plainCharacter(): string {
    const character = this.#need(/^[^\\]/)
    if (character < ' ') throw new Refused()
    return character
  }

  #array(depth: number): readonly JsonValue[] {
    this.#enter(/^\[/, depth)
    const items: JsonValue[] = []
    if (this.#take(/^\]/) !== undefined) return items
    for (;;) {
      items.push(this.#value(depth + 1))
      if (items.length > this.#limits.maxItems) throw new Refused()
      this.#space()
      if (this.#need(/^[,\]]/) === ']') return items
    }
  }

  #object(depth: number): JsonValue {
    this.#enter(/^\{/, depth)
    const members = new Map<string, JsonValue>()
    if (this.#take(/^\}/) === undefined) {
      for (;;) {
        this.#space()
        const name = this.#string()
        if (members.has(name)) throw new Refused()
        this.#names += 1
        if (this.#names > this.#limits.maxNames) throw new Refused()
        this.#space()
        this.#need(/^:/)
        members.set(name, this.#value(depth + 1))
        this.#space()
        if (this.#need(/^[,}]/) === '}') break
      }
    }
    const object: Record<string, JsonValue> = Object.create(null)
    for (const [name, value] of members) object[name] = value
    return object
  }

  #enter(bracket: RegExp, depth: number): void {
    if (depth > this.#limits.maxDepth) throw new Refused()
    this.#need(bracket)
    this.#space()
  }
}
