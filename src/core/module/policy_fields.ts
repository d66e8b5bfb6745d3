// One mapping of a policy as it is read: what only policies have beside the fields of any object. Every field that nobody asked
// for is a problem, since an API server would drop it and a typing error would loosen the policy.
import { quoted } from './printable.ts'
import type { FieldReader } from './reading.ts'

export type TextsOf = {
  readonly pattern?: RegExp
  /** As in `is not ${wanted}`. */
  readonly wanted: string
  readonly most: number
}

export class PolicyFields {
  readonly #fields: FieldReader
  readonly #path: string
  readonly #problems: string[]

  constructor(fields: FieldReader, path: string, problems: string[]) {
    this.#fields = fields
    this.#path = path
    this.#problems = problems
  }

  /** The fields that there are. */
  only(names: readonly string[]): this {
    const unknown = this.#fields.keys().filter((key) => !names.includes(key))
    for (const key of unknown) this.#problems.push(`${this.#path} has no field ${quoted(key)}`)
    return this
  }

  wrong(key: string, wanted: string): void {
    this.#problems.push(`${this.#path}.${key} is not ${wanted}`)
  }

  has(key: string): boolean {
    return this.#fields.has(key)
  }

  keys(): readonly string[] {
    return this.#fields.keys()
  }

  text(key: string): string {
    return this.#fields.text(key)
  }

  textMap(key: string): ReadonlyMap<string, string> {
    return this.#fields.texts(key)
  }

  inner(key: string, names?: readonly string[]): PolicyFields {
    const inner = new PolicyFields(this.#fields.mapping(key), `${this.#path}.${key}`, this.#problems)
    return names === undefined ? inner : inner.only(names)
  }

  list(key: string, names: readonly string[]): readonly PolicyFields[] {
    return this.#fields
      .mappings(key)
      .map((item, index) =>
        new PolicyFields(item, `${this.#path}.${key}[${index}]`, this.#problems).only(names),
      )
  }

  /** Empty when absent; one that is there and empty is refused, since it reads as "nobody" and means "anybody". */
  texts(key: string, { pattern, wanted, most }: TextsOf): readonly string[] {
    const value = this.#fields.raw(key)
    if (value === undefined) return []
    const isList = Array.isArray(value) && value.length > 0
    if (!isList || !value.every((text) => typeof text === 'string' && text !== '')) {
      this.wrong(key, 'a list of texts with something in it')
      return []
    }
    if (value.length > most) this.wrong(key, `a list of at most ${most}`)
    const odd = value.findIndex((text) => pattern !== undefined && !pattern.test(text))
    if (odd >= 0) this.wrong(`${key}[${odd}]`, wanted)
    return value
  }

  /** The first when absent. */
  choice<const Choice extends string>(key: string, choices: readonly [Choice, ...Choice[]]): Choice {
    if (!this.has(key)) return choices[0]
    const text = this.text(key)
    const chosen = choices.find((choice) => choice === text)
    if (chosen === undefined) this.wrong(key, choices.join(' or '))
    return chosen ?? choices[0]
  }
}
