// How plain data is read in this folder: a value, or one sentence about what is wrong. Fields that no rule reads are
// passed over; a field that one reads has the right type or the object is refused.
import { ok } from '#core/result.ts'
import type { Denied, Result } from '#core/result.ts'

export type Reading<T> = Result<T, string>
export { ok }

export function deny(sentence: string): Denied<string> {
  return { ok: false, denial: sentence }
}

/** Runs `read` over `value`; the first field of the wrong type becomes the denial. */
export function reading<T>(value: unknown, read: (root: FieldReader) => T): Reading<T> {
  const problems: string[] = []
  const result = read(fieldReader(value, '', problems))
  const [problem] = problems
  return problem === undefined ? ok(result) : deny(problem)
}

type Fields = Readonly<Record<string, unknown>>

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fieldReader(value: unknown, path: string, problems: string[]): FieldReader {
  if (isFields(value)) return new FieldReader(value, path, problems)
  if (value !== undefined && value !== null) problems.push(`${path || 'the object'} is not a mapping`)
  return new FieldReader({}, path, problems)
}

/** Reads one mapping and notes what has the wrong type. null counts as absent, as in Kubernetes. */
export class FieldReader {
  readonly #fields: Fields
  /** `spec.moduleConfig`; '' of the object itself. */
  readonly #path: string
  readonly #problems: string[]

  constructor(fields: Fields, path: string, problems: string[]) {
    this.#fields = fields
    this.#path = path
    this.#problems = problems
  }

  /** As it stands; `undefined` when absent. What Object.prototype has is no field. */
  raw(key: string): unknown {
    return Object.hasOwn(this.#fields, key) ? (this.#fields[key] ?? undefined) : undefined
  }

  /** Everything else, as it stands. */
  without(key: string): unknown {
    return Object.fromEntries(Object.entries(this.#fields).filter(([name]) => name !== key))
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined
  }

  keys(): readonly string[] {
    return Object.keys(this.#fields)
  }

  /** '' when absent. */
  text(key: string): string {
    const value = this.raw(key)
    if (typeof value === 'string') return value
    if (value !== undefined) this.#wrong(key, 'a string')
    return ''
  }

  /** false when absent. */
  flag(key: string): boolean {
    const value = this.raw(key)
    if (value !== undefined && typeof value !== 'boolean') this.#wrong(key, 'true or false')
    return value === true
  }

  integer(key: string): number | undefined {
    const value = this.raw(key)
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value
    if (value !== undefined) this.#wrong(key, 'a whole number')
    return undefined
  }

  /** Empty when absent. */
  mapping(key: string): FieldReader {
    return fieldReader(this.raw(key), this.#at(key), this.#problems)
  }

  /** Empty when absent. */
  mappings(key: string): readonly FieldReader[] {
    const value = this.raw(key)
    if (value === undefined) return []
    if (Array.isArray(value)) {
      return value.map((inner, index) => fieldReader(inner, `${this.#at(key)}[${index}]`, this.#problems))
    }
    this.#wrong(key, 'a list')
    return []
  }

  /** Empty when absent. */
  textList(key: string): readonly string[] {
    const value = this.raw(key)
    if (value === undefined) return []
    if (Array.isArray(value) && value.every((text) => typeof text === 'string')) return value
    this.#wrong(key, 'a list of strings')
    return []
  }

  /** Labels, annotations: every value a string. */
  texts(key: string): ReadonlyMap<string, string> {
    const inner = this.mapping(key)
    return new Map(inner.keys().map((name) => [name, inner.text(name)]))
  }

  #wrong(key: string, wanted: string): void {
    this.#problems.push(`${this.#at(key)} is not ${wanted}`)
  }

  #at(key: string): string {
    return this.#path === '' ? key : `${this.#path}.${key}`
  }
}

/** Equal content, whatever the order of keys. As deep as the data, whose depth the edge limits. */
export function isSameValue(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((inner, index) => isSameValue(inner, right[index]))
  }
  if (!isFields(left) || !isFields(right)) return false
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every((key) => Object.hasOwn(right, key) && isSameValue(left[key], right[key]))
}
