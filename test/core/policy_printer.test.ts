// What runs is a rewritten text. Random expressions of the profile must mean the same as the engine makes of the original.
import { Environment } from '@marcbachmann/cel-js'
import t from 'tap'
import type { Claims } from '../../src/core/claims.ts'
import { compileCondition } from '../../src/core/policy/cel.ts'
import { toCelClaims } from '../../src/core/policy/cel_input.ts'

const claims: Claims = {
  s: 'main',
  t: 'a,b',
  n: 5,
  d: 2.5,
  b: true,
  z: null,
  l: ['a', 'b', 'main'],
  ll: [['a'], ['b']],
  ln: [1, 2, 5],
  m: { k: 'v', l: ['a'] },
  u: 'x\u{1f600}y',
}

/** Expressions of each type, grown from a seed; `depth` bounds them. */
class Grammar {
  #seed: number
  #variables = 0
  constructor(seed: number) {
    this.#seed = seed
  }

  below(limit: number): number {
    this.#seed = (this.#seed * 1103515245 + 12345) & 0x7fffffff
    return (this.#seed >> 8) % limit
  }

  #pick(choices: readonly string[]): string {
    return choices[this.below(choices.length)] ?? ''
  }

  #grow(choices: readonly (() => string)[]): string {
    return choices[this.below(choices.length)]?.() ?? ''
  }

  text(depth: number): string {
    if (depth <= 0)
      return this.#pick([
        'claims.s',
        '"a"',
        '"main"',
        'claims.t',
        'client',
        'claims.m.k',
        'claims.q',
        'claims.n',
        'claims["s"]',
      ])
    const d = depth - 1
    return this.#grow([
      () => `${this.text(d)} + ${this.text(d)}`,
      () => `(${this.bool(d)} ? ${this.text(d)} : ${this.text(d)})`,
      () => `${this.list(d)}.join(",")`,
      () => `${this.list(d)}[${this.number(0)}]`,
    ])
  }

  number(depth: number): string {
    if (depth <= 0)
      return this.#pick([
        '1',
        '2',
        '0',
        'claims.n',
        '2.5',
        '0.12345678901234',
        '1e30',
        'claims.d',
        '-1',
        '0x1F',
      ])
    const d = depth - 1
    const operator = this.#pick(['+', '-', '*', '/', '%'])
    return this.#grow([
      () => `${this.number(d)} ${operator} ${this.number(d)}`,
      () => `${this.number(d)} ${operator} (${this.number(d)} - ${this.number(d)})`,
      () => `size(${this.text(d)})`,
      () => `${this.list(d)}.size()`,
      () => `int(${this.number(d)})`,
    ])
  }

  list(depth: number): string {
    if (depth <= 0)
      return this.#pick([
        'claims.l',
        '["a", "b"]',
        'claims.ln',
        '[1, 2]',
        '[]',
        'claims.ll',
        'claims.m',
        'claims.z',
      ])
    const d = depth - 1
    this.#variables += 1
    const x = `x${this.#variables}`
    return this.#grow([
      () => `${this.list(d)}.map(${x}, ${this.#grow([() => x, () => this.text(d), () => this.number(d)])})`,
      () => `${this.list(d)}.filter(${x}, ${x} == "a" || ${this.bool(d)})`,
      () => `${this.text(d)}.split(",")`,
      () => `${this.list(d)} + ${this.list(d)}`,
    ])
  }

  bool(depth: number): string {
    if (depth <= 0)
      return this.#pick([
        'claims.b == true',
        'true',
        'has(claims.z)',
        'has(claims.q)',
        '"a" in claims.l',
        'claims.z == null',
        '"k" in claims.m',
        '"a" in claims.s',
      ])
    const d = depth - 1
    this.#variables += 1
    const y = `y${this.#variables}`
    return this.#grow([
      () => `${this.bool(d)} && ${this.bool(d)}`,
      () => `${this.bool(d)} || ${this.bool(d)}`,
      () => `!(${this.bool(d)})`,
      () => `${this.text(d)} == ${this.text(d)}`,
      () => `${this.number(d)} ${this.#pick(['==', '!=', '<', '>='])} ${this.number(d)}`,
      () => `${this.list(d)} != ${this.list(d)}`,
      () => `${this.text(d)} in ${this.list(d)}`,
      () => `${this.list(d)}.exists(${y}, ${y} == ${this.text(d)})`,
      () => `${this.list(d)}.all(${y}, ${this.bool(d)})`,
      () => `${this.list(d)}.exists_one(${y}, ${this.bool(d)})`,
      () => `${this.text(d)}.startsWith(${this.text(d)})`,
      () => `${this.text(d)}.contains(${this.text(d)})`,
    ])
  }
}

t.test('rewriting a condition for the engine never changes whether it holds', async (t) => {
  const engine = new Environment()
    .registerVariable('claims', 'map<string, dyn>')
    .registerVariable('client', 'string')
    .registerVariable('connector', 'string')
  const context = { claims: toCelClaims(claims, undefined), client: 'ci', connector: 'x' }
  const original = (text: string): boolean => {
    try {
      return engine.parse(text)(context) === true
    } catch {
      return false
    }
  }
  const grammar = new Grammar(20261121)
  const counts = { compared: 0, held: 0 }
  for (let i = 0; i < 2000; i += 1) {
    const text = grammar.bool(1 + grammar.below(4))
    const compiled = compileCondition(text)
    if (!compiled.ok) continue
    const { held } = compiled.value.holds({ claims, client: 'ci', connector: 'x' })
    counts.compared += 1
    if (held) counts.held += 1
    if (held !== original(text)) t.fail(text)
  }
  t.ok(counts.compared > 1000 && counts.held > 150, JSON.stringify(counts))
})
