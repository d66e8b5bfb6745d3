// The macros of kube-apiserver's CEL: calls that the parser turns into presence tests and comprehensions before anything
// is checked. cel-go v0.26 parser/macro.go, ext/comprehensions.go, ext/lists.go and the optional types of cel/library.go.
import type { CelExpression, CelLiteral, ComprehensionNode, Place } from './syntax.ts'

type MacroCall = {
  readonly place: Place
  readonly target: CelExpression | undefined
  readonly arguments: readonly CelExpression[]
  /** A copy of a tree with the macro's own place, since no node may stand in two places. */
  readonly copy: (node: CelExpression) => CelExpression
}

type MacroExpansion =
  | { readonly ok: true; readonly node: CelExpression }
  | { readonly ok: false; readonly place: Place; readonly message: string }

type Expander = (call: MacroCall) => MacroExpansion

/** What a comprehension accumulates in. `@` cannot be written, so no expression reaches or shadows it. */
const ACCUMULATOR = '@result'
const SORT_INPUT = '@__sortBy_input__'
const UNUSED = '#unused'

/** Macros with two variables. By `name/arity`, with a receiver `_.name/arity`. */
const PAIRS: readonly (readonly [string, Expander])[] = [
  ['_.all/3', (call) => expandPairs(call, ALL)],
  ['_.exists/3', (call) => expandPairs(call, EXISTS)],
  ['_.existsOne/3', (call) => expandPairs(call, EXISTS_ONE)],
  ['_.exists_one/3', (call) => expandPairs(call, EXISTS_ONE)],
  ['_.transformList/3', (call) => expandTransform(call, TO_LIST)],
  ['_.transformList/4', (call) => expandTransform(call, TO_LIST)],
  ['_.transformMap/3', (call) => expandTransform(call, TO_MAP)],
  ['_.transformMap/4', (call) => expandTransform(call, TO_MAP)],
  ['_.transformMapEntry/3', (call) => expandTransform(call, TO_MAP_ENTRY)],
  ['_.transformMapEntry/4', (call) => expandTransform(call, TO_MAP_ENTRY)],
]

const MACROS: ReadonlyMap<string, Expander> = new Map([
  ['has/1', expandHas],
  ['_.all/2', (call) => expandQuantifier(call, ALL)],
  ['_.exists/2', (call) => expandQuantifier(call, EXISTS)],
  ['_.exists_one/2', (call) => expandQuantifier(call, EXISTS_ONE)],
  ['_.map/2', expandMap],
  ['_.map/3', expandMap],
  ['_.filter/2', expandFilter],
  ...PAIRS,
  ['_.optMap/2', (call) => expandOptional(call, 'optMap')],
  ['_.optFlatMap/2', (call) => expandOptional(call, 'optFlatMap')],
  ['_.sortBy/2', expandSortBy],
])

/** Of what was not there from the beginning, the release of Kubernetes that brought it. */
const BROUGHT_BY: ReadonlyMap<string, number> = new Map([
  ...PAIRS.map(([key]): [string, number] => [key, 32]),
  ['_.sortBy/2', 34],
])

/** The macro that a call means, if any, in Kubernetes 1.`minor`. */
export function macroFor(
  name: string,
  arity: number,
  hasTarget: boolean,
  minor: number,
): Expander | undefined {
  const key = `${hasTarget ? '_.' : ''}${name}/${arity}`
  return minor >= (BROUGHT_BY.get(key) ?? 0) ? MACROS.get(key) : undefined
}

function expandHas(call: MacroCall): MacroExpansion {
  const [argument] = call.arguments
  if (argument?.kind === 'select') return { ok: true, node: { ...argument, place: call.place, isTest: true } }
  return refuse(argument, call, 'invalid argument to has() macro')
}

type Fold = Pick<ComprehensionNode, 'initial' | 'condition' | 'step' | 'result'>
type FoldOf = (at: Place, body: CelExpression) => Fold

const ALL: FoldOf = (at, body) => ({
  initial: literal(at, { kind: 'bool', value: true }),
  condition: operator(at, '@not_strictly_false', accumulated(at)),
  step: operator(at, '_&&_', accumulated(at), body),
  result: accumulated(at),
})

const EXISTS: FoldOf = (at, body) => ({
  initial: literal(at, { kind: 'bool', value: false }),
  condition: operator(at, '@not_strictly_false', operator(at, '!_', accumulated(at))),
  step: operator(at, '_||_', accumulated(at), body),
  result: accumulated(at),
})

const EXISTS_ONE: FoldOf = (at, body) => ({
  initial: literal(at, { kind: 'int', value: 0n }),
  condition: literal(at, { kind: 'bool', value: true }),
  step: operator(
    at,
    '_?_:_',
    body,
    operator(at, '_+_', accumulated(at), literal(at, { kind: 'int', value: 1n })),
    accumulated(at),
  ),
  result: operator(at, '_==_', accumulated(at), literal(at, { kind: 'int', value: 1n })),
})

function expandQuantifier(call: MacroCall, fold: FoldOf): MacroExpansion {
  const [variable, body] = call.arguments
  const name = variableOf(variable, call, 'argument must be a simple name')
  if (!name.ok) return name
  return body === undefined ? name.refusal : comprehension(call, [name.name], fold(call.place, body))
}

function expandMap(call: MacroCall): MacroExpansion {
  const [variable, ...rest] = call.arguments
  const name = variableOf(variable, call, 'argument is not an identifier')
  if (!name.ok) return name
  const [filter, body] = rest.length === 2 ? rest : [undefined, rest[0]]
  if (body === undefined) return name.refusal
  return comprehension(call, [name.name], collecting(call.place, body, filter))
}

function expandFilter(call: MacroCall): MacroExpansion {
  const [variable, filter] = call.arguments
  const name = variableOf(variable, call, 'argument is not an identifier')
  if (!name.ok) return name
  if (variable === undefined) return name.refusal
  return comprehension(call, [name.name], collecting(call.place, variable, filter))
}

/** Appends `body` to a list in each round, where `filter` holds. */
function collecting(at: Place, body: CelExpression, filter: CelExpression | undefined): Fold {
  const step = operator(at, '_+_', accumulated(at), listOf(at, [body]))
  return gathering(at, listOf(at, []), step, filter)
}

function gathering(
  at: Place,
  initial: CelExpression,
  step: CelExpression,
  filter: CelExpression | undefined,
): Fold {
  return {
    initial,
    condition: literal(at, { kind: 'bool', value: true }),
    step: filter === undefined ? step : operator(at, '_?_:_', filter, step, accumulated(at)),
    result: accumulated(at),
  }
}

function expandPairs(call: MacroCall, fold: FoldOf): MacroExpansion {
  const names = pairOf(call)
  if (!names.ok) return names
  const body = call.arguments[2]
  return body === undefined ? names.refusal : comprehension(call, names.names, fold(call.place, body))
}

type Transform = (
  at: Place,
  key: string,
  body: CelExpression,
) => { initial: CelExpression; step: CelExpression }

const TO_LIST: Transform = (at, _key, body) => ({
  initial: listOf(at, []),
  step: operator(at, '_+_', accumulated(at), listOf(at, [body])),
})

const TO_MAP: Transform = (at, key, body) => ({
  initial: { kind: 'map', place: at, entries: [] },
  step: operator(at, 'cel.@mapInsert', accumulated(at), identifier(at, key), body),
})

const TO_MAP_ENTRY: Transform = (at, _key, body) => ({
  initial: { kind: 'map', place: at, entries: [] },
  step: operator(at, 'cel.@mapInsert', accumulated(at), body),
})

function expandTransform(call: MacroCall, transform: Transform): MacroExpansion {
  const names = pairOf(call)
  if (!names.ok) return names
  const rest = call.arguments.slice(2)
  const [filter, body] = rest.length === 2 ? rest : [undefined, rest[0]]
  if (body === undefined) return names.refusal
  const { initial, step } = transform(call.place, names.names[0], body)
  return comprehension(call, names.names, gathering(call.place, initial, step, filter))
}

/** `x.optMap(v, e)` is `x.hasValue() ? optional.of(e with v = x.value()) : optional.none()`. */
function expandOptional(call: MacroCall, macro: 'optMap' | 'optFlatMap'): MacroExpansion {
  const {
    place,
    target,
    arguments: [variable, body],
  } = call
  if (variable?.kind !== 'identifier' || target === undefined || body === undefined) {
    return refuse(variable, call, `${macro}() variable name must be a simple identifier`)
  }
  const bound = binding(place, variable.name, member(place, call.copy(target), 'value'), body)
  const mapped = macro === 'optMap' ? operator(place, 'optional.of', bound) : bound
  const node = operator(
    place,
    '_?_:_',
    member(place, target, 'hasValue'),
    mapped,
    operator(place, 'optional.none'),
  )
  return { ok: true, node }
}

function expandSortBy(call: MacroCall): MacroExpansion {
  const { place, target } = call
  if (
    target === undefined ||
    !['list', 'select', 'identifier', 'comprehension', 'call'].includes(target.kind)
  ) {
    const message =
      'sortBy can only be applied to a list, identifier, comprehension, call or select expression'
    return refuse(target, call, message)
  }
  const keys = expandMap({ ...call, target: identifier(place, SORT_INPUT) })
  if (!keys.ok) return keys
  const sorted = member(place, identifier(place, SORT_INPUT), '@sortByAssociatedKeys', keys.node)
  return { ok: true, node: binding(place, SORT_INPUT, target, sorted) }
}

/** `let name = value in result`: a comprehension over nothing, whose accumulator is the variable. */
function binding(at: Place, name: string, value: CelExpression, result: CelExpression): CelExpression {
  return {
    kind: 'comprehension',
    place: at,
    range: listOf(at, []),
    variable: UNUSED,
    secondVariable: undefined,
    accumulator: name,
    initial: value,
    condition: literal(at, { kind: 'bool', value: false }),
    step: identifier(at, name),
    result,
  }
}

function comprehension(call: MacroCall, names: readonly string[], fold: Fold): MacroExpansion {
  const [variable, secondVariable] = names
  if (call.target === undefined || variable === undefined) return refuse(call.target, call, 'no range')
  const { place, target: range } = call
  const node: CelExpression = {
    kind: 'comprehension',
    place,
    range,
    variable,
    secondVariable,
    accumulator: ACCUMULATOR,
    ...fold,
  }
  return { ok: true, node }
}

type Refusal = { readonly ok: false; readonly place: Place; readonly message: string }
type Variable = { readonly ok: true; readonly name: string; readonly refusal: Refusal } | Refusal
type Pair =
  | { readonly ok: true; readonly names: readonly [string, string]; readonly refusal: Refusal }
  | Refusal

function variableOf(node: CelExpression | undefined, call: MacroCall, message: string): Variable {
  if (node?.kind !== 'identifier') return refuse(node, call, message)
  if (node.name === '__result__') {
    return refuse(node, call, 'iteration variable overwrites accumulator variable')
  }
  return { ok: true, name: node.name, refusal: refuse(node, call, message) }
}

function pairOf(call: MacroCall): Pair {
  const [left, right] = call.arguments
  const message = 'argument must be a simple name'
  if (left?.kind !== 'identifier') return refuse(left, call, message)
  if (right?.kind !== 'identifier') return refuse(right, call, message)
  if (left.name === right.name) return refuse(right, call, `duplicate variable name: ${left.name}`)
  const first = variableOf(left, call, message)
  if (!first.ok) return first
  const second = variableOf(right, call, message)
  return second.ok ? { ok: true, names: [first.name, second.name], refusal: second.refusal } : second
}

function refuse(node: CelExpression | undefined, call: MacroCall, message: string): Refusal {
  return { ok: false, place: node?.place ?? call.place, message }
}

function literal(place: Place, value: CelLiteral): CelExpression {
  return { kind: 'literal', place, literal: value }
}

function identifier(place: Place, name: string): CelExpression {
  return { kind: 'identifier', place, name }
}

function accumulated(place: Place): CelExpression {
  return identifier(place, ACCUMULATOR)
}

function listOf(place: Place, elements: readonly CelExpression[]): CelExpression {
  return { kind: 'list', place, elements: elements.map((value) => ({ value, isOptional: false })) }
}

function operator(place: Place, name: string, ...args: readonly CelExpression[]): CelExpression {
  return { kind: 'call', place, name, target: undefined, arguments: args }
}

function member(
  place: Place,
  target: CelExpression,
  name: string,
  ...args: readonly CelExpression[]
): CelExpression {
  return { kind: 'call', place, name, target, arguments: args }
}
