// CEL expressions for comparing our checker and evaluator with the apiserver's: one for each function and macro, and some
// grown from a seed along the types, with a mistake now and then.
import { FUNCTIONS } from '../../src/core/kube/cel/declarations.ts'
import { formatType } from '../../src/core/kube/cel/type.ts'
import type { CelType } from '../../src/core/kube/cel/type.ts'

/** Mulberry32: the same numbers for the same seed, everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = Math.trunc(state + 0x6d2b79f5)
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

const LITERALS: Readonly<Record<string, readonly string[]>> = {
  bool: ['true', 'false', 'has(claims.sub)', 'has(claims.missing)'],
  int: ['0', '1', '-1', '7', '9223372036854775807', '0x1F'],
  uint: ['0u', '1u', '0xFFu'],
  double: ['0.0', '1.5', '-2.5', '1e3', '.5'],
  string: [
    '""',
    '"a"',
    "'b,c'",
    '"repo:acme/app:ref:refs/heads/main"',
    String.raw`r"\d+"`,
    '"""x"y"""',
    String.raw`"\u00e9\n"`,
    '"10"',
  ],
  bytes: ['b"a"', String.raw`b'\xff'`],
  'list(string)': ['[]', '["a"]', '["a", "b", ""]', '["b", "a"]'],
  'list(int)': ['[]', '[1, 2, 3]', '[3, 1, 2]'],
  'map(string, int)': ['{}', '{"a": 1}', '{"a": 1, "b": 2}'],
  any: [
    'claims.sub',
    'claims.email',
    'claims.groups',
    'claims.exp',
    'claims.missing',
    'claims["sub"]',
    'claims.nested.a',
    'claims.flag',
  ],
  dyn: ['dyn(claims.groups)', 'dyn(1)', 'dyn("a")', 'dyn(null)', 'dyn([1])'],
  null: ['null'],
  timestamp: ['timestamp("2026-01-02T03:04:05Z")', 'timestamp(0)'],
  duration: ['duration("1h")', 'duration("-1.5s")'],
  url: ['url("https://a.example:8080/p%20q?x=1&x=2#f")'],
  ip: ['ip("10.0.0.1")', 'ip("::1")'],
  cidr: ['cidr("10.0.0.0/8")'],
  quantity: ['quantity("1Gi")', 'quantity("100m")'],
  semver: ['semver("1.2.3")'],
  format: ['format.dns1123Label()'],
  optional: [
    'claims.?sub',
    'claims.?missing',
    'optional.of(1)',
    'optional.none()',
    '{"a": 1}[?"b"]',
    'optional.of("a")',
  ],
  type: ['int', 'string', 'type(1)', 'list'],
}

const KINDS = Object.keys(LITERALS)
const KUBE_KINDS: ReadonlyMap<string, string> = new Map([
  ['kubernetes.URL', 'url'],
  ['kubernetes.Quantity', 'quantity'],
  ['kubernetes.Semver', 'semver'],
  ['kubernetes.NamedFormat', 'format'],
  ['net.IP', 'ip'],
  ['net.CIDR', 'cidr'],
  ['optional_type', 'optional'],
])

const INFIX: ReadonlySet<string> = new Set(
  '_==_ _!=_ _<_ _<=_ _>_ _>=_ _+_ _-_ _*_ _/_ _%_ _&&_ _||_'.split(' '),
)

/** A call of `name` in the form that its declaration has; `undefined` of what cannot be written. */
function callText(name: string, isMember: boolean, args: readonly string[]): string | undefined {
  const [a = '', b = '', c = ''] = args
  if (INFIX.has(name)) return `(${a} ${name.slice(1, -1)} ${b})`
  const written: Readonly<Record<string, string>> = {
    '_?_:_': `(${a} ? ${b} : ${c})`,
    '!_': `!(${a})`,
    '-_': `-(${a})`,
    '_[_]': `${a}[${b}]`,
    '_[?_]': `${a}[?${b}]`,
    '@in': `(${a} in ${b})`,
    '_?._': `${a}.?sub`,
  }
  const operator = written[name]
  if (operator !== undefined || name.includes('@')) return operator
  return isMember ? `${a}.${name}(${args.slice(1).join(', ')})` : `${name}(${args.join(', ')})`
}

const MACROS: readonly string[] = [
  'X.all(v, P)',
  'X.exists(v, P)',
  'X.exists_one(v, P)',
  'X.existsOne(v, P)',
  'X.map(v, E)',
  'X.map(v, P, E)',
  'X.filter(v, P)',
  'X.all(k, v, P)',
  'X.exists(k, v, P)',
  'X.existsOne(k, v, P)',
  'X.exists_one(k, v, P)',
  'X.transformList(k, v, E)',
  'X.transformList(k, v, P, E)',
  'X.transformMap(k, v, E)',
  'X.transformMap(k, v, P, E)',
  'X.transformMapEntry(k, v, {v: k})',
  'X.transformMapEntry(k, v, P, {string(k): E})',
  'X.sortBy(v, E)',
  'X.optMap(v, E)',
  'X.optFlatMap(v, optional.of(E))',
  'X.optFlatMap(v, E)',
  'has(X.a)',
]
const RANGES = [
  '["a", "b"]',
  '[1, 2, 3]',
  '[]',
  '{"a": 1, "b": 2}',
  '{}',
  'claims',
  'claims.groups',
  'dyn(claims.groups)',
  'claims.?groups',
  'optional.of([1])',
  '"a"',
]
const PREDICATES = [
  'true',
  'v == "a"',
  'v > 1',
  'size(v) > 0',
  'v',
  'v in claims.groups',
  'v.startsWith("a")',
  'k == 0',
  'claims.flag',
]
const BODIES = ['v', 'v + "x"', 'v + 1', 'string(v)', '[v]', '{"x": v}', 'claims.sub', 'size(v)', '1', 'k']

function fill(macro: string, range: string, predicate: string, body: string): string {
  return macro
    .replace('X', () => range)
    .replace('P', () => predicate)
    .replace(/\bE\b/, () => body)
}

class Grower {
  readonly #random: () => number
  readonly #all = [...FUNCTIONS].flatMap(([name, overloads]) =>
    overloads.map((overload) => ({ name, overload })),
  )

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  happens(chance: number): boolean {
    return this.#random() < chance
  }

  below(count: number): number {
    return Math.floor(this.#random() * count)
  }

  pick(from: readonly string[]): string {
    return from[this.below(from.length)] ?? ''
  }

  literal(kind: string): string {
    return this.pick(LITERALS[kind] ?? LITERALS['any'] ?? [])
  }

  anyKind(): string {
    return this.pick(KINDS)
  }

  /** How a declared argument is filled: the key of LITERALS for a type. */
  kindFor(type: CelType): string {
    const known = KUBE_KINDS.get(type.name)
    if (known !== undefined) return known
    if (type.kind === 'param') {
      return this.pick(['string', 'int', 'any', 'list(string)', 'optional', 'dyn'])
    }
    if (type.kind === 'list') return this.pick(['list(string)', 'list(int)', 'dyn', 'any'])
    return type.kind === 'map' ? 'map(string, int)' : formatType(type)
  }

  /** An expression of about this kind, at most `depth` calls deep. */
  grow(kind: string, depth: number): string {
    if (this.happens(0.06)) return this.grow(this.anyKind(), depth)
    if (depth === 0 || this.happens(0.2)) return this.literal(kind)
    if (this.happens(0.15)) return this.#macro(depth)
    const fitting = this.#all.filter(({ overload }) => fits(kind, overload.result))
    const chosen = fitting[this.below(fitting.length)] ?? this.#all[this.below(this.#all.length)]
    if (chosen === undefined) return this.literal(kind)
    const { name, overload } = chosen
    const args = overload.arguments.map((argument) => this.grow(this.kindFor(argument), depth - 1))
    return callText(name, overload.isMember, args) ?? this.literal(kind)
  }

  #macro(depth: number): string {
    const range = this.happens(0.5) ? this.pick(RANGES) : this.grow('list(string)', depth - 1)
    const body = this.happens(0.5)
      ? this.pick(BODIES)
      : this.grow(this.pick(['string', 'int', 'bool']), depth - 1)
    return fill(this.pick(MACROS), range, this.pick(PREDICATES), body)
  }

  /** One character gone, doubled or another in its place. */
  broken(text: string): string {
    const at = this.below(text.length)
    const characters = '()[]{}.,?:!"\'\\&|=<>+-*/%x1 \n`@'
    const other = characters.charAt(this.below(characters.length))
    if (this.happens(0.34)) return text.slice(0, at) + text.slice(at + 1)
    return text.slice(0, at) + other + text.slice(this.happens(0.5) ? at : at + 1)
  }
}

function fits(kind: string, result: CelType): boolean {
  if (result.kind === 'param') return true
  if (kind === 'optional') return result.name === 'optional_type'
  return kind === formatType(result) || (kind.startsWith('list') && result.kind === 'list')
}

/** Calls of each overload of each function: right, with another first argument, on claims alone, one argument short. */
export function eachFunction(): readonly string[] {
  const grower = new Grower(1)
  return [...FUNCTIONS].flatMap(([name, overloads]) =>
    overloads.flatMap((overload) => {
      const right = overload.arguments.map((argument) => grower.literal(grower.kindFor(argument)))
      const nearly = [grower.literal(grower.anyKind()), ...right.slice(1)]
      const claims = right.map(() => 'claims.sub')
      const variants = right.length === 0 ? [right] : [right, nearly, claims, right.slice(1)]
      return variants.flatMap((args) => callText(name, overload.isMember, args) ?? [])
    }),
  )
}

/** Each macro over each range. */
export function eachMacro(): readonly string[] {
  return MACROS.flatMap((macro, at) =>
    RANGES.map((range, index) => {
      const predicate = PREDICATES[(at + index) % PREDICATES.length] ?? ''
      return fill(macro, range, predicate, BODIES[(at * 3 + index) % BODIES.length] ?? '')
    }),
  )
}

/** `count` expressions grown from `seed`. */
export function grownExpressions(seed: number, count: number): readonly string[] {
  const grower = new Grower(seed)
  const kinds = ['bool', 'bool', 'string', 'list(string)', 'any', 'int', 'optional']
  return Array.from({ length: count }, () => {
    const text = grower.grow(grower.pick(kinds), 1 + grower.below(4))
    return grower.happens(0.12) ? grower.broken(text) : text
  })
}
