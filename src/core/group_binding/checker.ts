// Which expression has a type, as expr-lang 1.17 decides (checker/checker.go), with one variable: `groups`, a list of texts.
import { RE2JS } from 're2js'
import { BUILTINS } from './builtins.ts'
import { patternSize } from './pattern_size.ts'
import { ExpressionFault } from './syntax.ts'
import type { Binary, Node } from './syntax.ts'
import {
  ANY,
  ANYTHINGS,
  BOOL,
  FLOAT,
  INT,
  MAP,
  NIL,
  STRING,
  STRINGS,
  UNKNOWN,
  arrayOf,
  isArrayOrUnknown,
  isAssignable,
  isComparable,
  isNumber,
  isUnknown,
  joined,
  mayBe,
  typeName,
} from './type.ts'
import type { Type } from './type.ts'

/** What names mean here: variables of `let`, and what `#` is in each predicate around, the innermost last. */
type Scope = {
  readonly variables: ReadonlyMap<string, Type>
  readonly predicates: readonly PredicateScope[]
  /** Steps that patterns may still have. */
  readonly room: { steps: number }
}

/** Of all patterns of one expression: half a million take two seconds and 400 MB, and Go takes three. */
const MAX_STEPS = 20_000

type PredicateScope = { readonly collection: Type; readonly pointers: ReadonlyMap<string, Type> }

/** @throws ExpressionFault */
export function typeOf(node: Node): Type {
  return visit(node, { variables: new Map(), predicates: [], room: { steps: MAX_STEPS } })
}

function visit(node: Node, scope: Scope): Type {
  switch (node.is) {
    case 'nil':
      return NIL
    case 'bool':
      return BOOL
    case 'int':
      return INT
    case 'float':
      return FLOAT
    case 'string':
      return STRING
    case 'name':
      return nameType(node.name, node, scope)
    case 'unary':
      return unaryType(node.operator, visit(node.operand, scope), node)
    case 'binary':
      return binaryType(node, scope)
    case 'member':
      return memberType(node, scope)
    case 'slice':
      return sliceType(node, scope)
    case 'call':
      return callType(node, scope)
    case 'builtin':
      return builtinType(node, scope)
    case 'predicate':
      return visit(node.body, scope)
    case 'pointer':
      return pointerType(node.name, node, scope)
    case 'let':
      return letType(node, scope)
    case 'sequence':
      return node.parts.map((part) => visit(part, scope)).at(-1) ?? UNKNOWN
    case 'conditional':
      return conditionalType(node, scope)
    case 'array':
      return arrayType(node.elements.map((element) => visit(element, scope)))
    case 'map':
      for (const [key, value] of node.pairs) {
        visit(key, scope)
        visit(value, scope)
      }
      return MAP
  }
}

function fault(node: Node, message: string): never {
  throw new ExpressionFault(message, node.at)
}

function nameType(name: string, node: Node, { variables }: Scope): Type {
  const variable = variables.get(name)
  if (variable !== undefined) return variable
  if (name === 'groups') return STRINGS
  // The whole environment; nothing is known of what it has under a name that is computed.
  if (name === '$env') return UNKNOWN
  // A function that nobody calls has a type of its own, which fits nowhere.
  if (BUILTINS.has(name)) fault(node, `${name} is a function: call it`)
  return fault(node, `unknown name ${name}`)
}

function unaryType(operator: string, operand: Type, node: Node): Type {
  const isLogical = operator === '!' || operator === 'not'
  if (isUnknown(operand)) return isLogical ? BOOL : UNKNOWN
  if (isLogical && operand.is === 'bool') return BOOL
  if (!isLogical && isNumber(operand)) return operand
  return fault(node, `invalid operation: ${operator} (mismatched type ${typeName(operand)})`)
}

function binaryType(node: Binary, scope: Scope): Type {
  const left = visit(node.left, scope)
  const right = visit(node.right, scope)
  const { operator } = node
  if (operator === 'matches' && node.right.is === 'string') checkPattern(node.right.value, node, scope)
  const type =
    operator === 'in' ? membership(left, right, node) : OPERATORS.get(operator)?.(left, right, node)
  if (type !== undefined) return type
  return fault(
    node,
    `invalid operation: ${operator} (mismatched types ${typeName(left)} and ${typeName(right)})`,
  )
}

type Operation = (left: Type, right: Type, node: Binary) => Type | undefined

const equality: Operation = (left, right) => (isComparable(left, right) ? BOOL : undefined)
const logical: Operation = (left, right) =>
  (left.is === 'bool' && right.is === 'bool') || mayBe(left, right, 'bool') ? BOOL : undefined
const ordering: Operation = (left, right) =>
  (isNumber(left) && isNumber(right)) ||
  (left.is === 'string' && right.is === 'string') ||
  mayBe(left, right, 'int', 'float', 'string')
    ? BOOL
    : undefined
const arithmetic: Operation = (left, right) => {
  if (isNumber(left) && isNumber(right)) return left.is === 'float' || right.is === 'float' ? FLOAT : INT
  return mayBe(left, right, 'int', 'float') ? UNKNOWN : undefined
}
const addition: Operation = (left, right, node) => {
  if (left.is === 'string' && right.is === 'string') return STRING
  return mayBe(left, right, 'string') ? UNKNOWN : arithmetic(left, right, node)
}
const division: Operation = (left, right, node) =>
  arithmetic(left, right, node) === undefined ? undefined : FLOAT
const ofText: Operation = (left, right) =>
  (left.is === 'string' && right.is === 'string') || mayBe(left, right, 'string') ? BOOL : undefined
const ofIntegers: Operation = (left, right) =>
  (left.is === 'int' && right.is === 'int') || mayBe(left, right, 'int') ? INT : undefined
const range: Operation = (left, right, node) =>
  ofIntegers(left, right, node) === undefined ? undefined : arrayOf(INT)
const coalesced: Operation = (left, right) => {
  if (left.is === 'nil') return right
  if (right.is === 'nil') return left
  return isAssignable(right, left) ? left : UNKNOWN
}

const OPERATORS: ReadonlyMap<string, Operation> = new Map([
  ['==', equality],
  ['!=', equality],
  ['or', logical],
  ['||', logical],
  ['and', logical],
  ['&&', logical],
  ['<', ordering],
  ['>', ordering],
  ['<=', ordering],
  ['>=', ordering],
  ['-', arithmetic],
  ['*', arithmetic],
  ['/', division],
  ['**', division],
  ['^', division],
  ['%', ofIntegers],
  ['+', addition],
  ['matches', ofText],
  ['contains', ofText],
  ['startsWith', ofText],
  ['endsWith', ofText],
  ['..', range],
  ['??', coalesced],
])

function membership(left: Type, right: Type, node: Binary): Type | undefined {
  if (right.is === 'map') {
    if (!isUnknown(left) && left.is !== 'string')
      fault(node, `cannot use ${typeName(left)} as type string in map key`)
    return BOOL
  }
  if (right.is === 'array') {
    if (!isComparable(left, right.element))
      fault(node, `cannot use ${typeName(left)} as type ${typeName(right.element)} in array`)
    return BOOL
  }
  return isUnknown(right) || (isUnknown(left) && right.is === 'string') ? BOOL : undefined
}

/** Go's regexp and RE2JS read the same language. */
function checkPattern(pattern: string, node: Node, { room }: Scope): void {
  room.steps -= patternSize(pattern)
  if (room.steps < 0)
    fault(node, `with their counts written out the patterns are longer than ${MAX_STEPS} steps`)
  try {
    RE2JS.compile(pattern)
  } catch (error) {
    fault(node, error instanceof Error ? error.message : 'the pattern cannot be read')
  }
}

function memberType(node: Extract<Node, { is: 'member' }>, scope: Scope): Type {
  const { of, property } = node
  if (of.is === 'name' && of.name === '$env' && !scope.variables.has('$env')) {
    if (property.is !== 'string') return UNKNOWN
    if (property.value === 'groups') return STRINGS
    return node.isOptional ? UNKNOWN : fault(node, `unknown name ${property.value}`)
  }
  const base = visit(of, scope)
  const index = visit(property, scope)
  if (isUnknown(base)) return UNKNOWN
  if (base.is === 'nil' && property.is === 'string') fault(node, `type nil has no field ${property.value}`)
  if (base.is === 'map') {
    if (index.is !== 'string' && !isUnknown(index))
      fault(property, `cannot use ${typeName(index)} to get an element from ${typeName(base)}`)
    return ANY
  }
  if (base.is === 'array') {
    if (index.is !== 'int' && !isUnknown(index))
      fault(property, `array elements can only be selected using an integer (got ${typeName(index)})`)
    return base.element
  }
  if (property.is === 'string')
    fault(node, `type ${typeName(base)} has no ${node.isMethod ? 'method' : 'field'} ${property.value}`)
  return fault(node, `type ${typeName(base)}[${typeName(index)}] is undefined`)
}

function sliceType(node: Extract<Node, { is: 'slice' }>, scope: Scope): Type {
  const type = visit(node.of, scope)
  if (isUnknown(type)) return UNKNOWN
  if (type.is !== 'string' && type.is !== 'array') fault(node, `cannot slice ${typeName(type)}`)
  for (const end of [node.from, node.to]) {
    if (end === undefined) continue
    const index = visit(end, scope)
    if (index.is !== 'int' && !isUnknown(index)) fault(end, `non-integer slice index ${typeName(index)}`)
  }
  return type
}

function callType(node: Extract<Node, { is: 'call' }>, scope: Scope): Type {
  if (node.callee.is === 'name' && node.callee.name === '$env') fault(node, '$env is not callable')
  const callee = visit(node.callee, scope)
  // Nothing is known of what it gives, and its arguments are not looked at.
  if (isUnknown(callee)) return UNKNOWN
  return fault(node, `${typeName(callee)} is not callable`)
}

function builtinType(node: Extract<Node, { is: 'builtin' }>, scope: Scope): Type {
  const { name, given } = node
  const shape = PREDICATE_RESULTS.get(name)
  if (shape !== undefined) return shape(node, scope)
  if (name === 'get') return getType(node, scope)
  const types = given.map((argument) => visit(argument, scope))
  const result = BUILTINS.get(name)?.(types) ?? fault(node, `unknown builtin ${name}`)
  return result.is === 'refused' ? fault(given[result.argument ?? -1] ?? node, result.message) : result
}

function getType(node: Extract<Node, { is: 'builtin' }>, scope: Scope): Type {
  const [of, property] = node.given
  if (node.given.length !== 2 || of === undefined || property === undefined)
    return fault(node, `invalid number of arguments (expected 2, got ${node.given.length})`)
  const base = visit(of, scope)
  const index = visit(property, scope)
  if (isUnknown(base)) return UNKNOWN
  if (base.is === 'array') {
    if (index.is !== 'int' && !isUnknown(index)) fault(property, `non-integer slice index ${typeName(index)}`)
    return base.element
  }
  if (base.is !== 'map') return fault(of, `type ${typeName(base)} does not support indexing`)
  if (index.is !== 'string' && !isUnknown(index))
    fault(property, `cannot use ${typeName(index)} to get an element from ${typeName(base)}`)
  return ANY
}

type BuiltinNode = Extract<Node, { is: 'builtin' }>
type PredicateResult = (node: BuiltinNode, scope: Scope) => Type

/** Of a function that goes through a list: the list, and what the predicate gives; `undefined` where there is none. */
function walked(
  node: BuiltinNode,
  scope: Scope,
  pointers: ReadonlyMap<string, Type> = new Map(),
): { readonly collection: Type; readonly result: Type | undefined } {
  const [list, predicate, rest] = node.given
  const collection = list === undefined ? UNKNOWN : visit(list, scope)
  if (list !== undefined && !isArrayOrUnknown(collection))
    fault(list, `builtin ${node.name} takes only array (got ${typeName(collection)})`)
  if (predicate === undefined) return { collection, result: undefined }
  const inner = { ...scope, predicates: [...scope.predicates, { collection, pointers }] }
  const result = visit(predicate, inner)
  if (result.is === 'nil') fault(predicate, 'predicate should has one input and one output param')
  if (rest !== undefined) checkThird(node.name, rest, scope)
  return { collection, result }
}

function checkThird(name: string, argument: Node, scope: Scope): void {
  const type = visit(argument, scope)
  if (name === 'sortBy' && type.is !== 'string' && !isUnknown(type))
    fault(argument, `sortBy order argument must be a string (got ${typeName(type)})`)
}

/** The same for a predicate that says yes or no. */
function asked(node: BuiltinNode, scope: Scope): Type {
  const { collection, result } = walked(node, scope)
  if (result !== undefined && result.is !== 'bool' && !isUnknown(result))
    fault(node.given[1] ?? node, `predicate should return boolean (got ${typeName(result)})`)
  return collection
}

function elementOf(collection: Type): Type {
  return collection.is === 'array' ? collection.element : UNKNOWN
}

const yesOrNo: PredicateResult = (node, scope) => {
  asked(node, scope)
  return BOOL
}
const position: PredicateResult = (node, scope) => {
  asked(node, scope)
  return INT
}
const found: PredicateResult = (node, scope) => elementOf(asked(node, scope))
const filtered: PredicateResult = (node, scope) => {
  const collection = asked(node, scope)
  return isUnknown(collection) ? ANYTHINGS : arrayOf(elementOf(collection))
}
const mapped: PredicateResult = (node, scope) =>
  arrayOf(walked(node, scope, new Map([['index', INT]])).result ?? UNKNOWN)
const summed: PredicateResult = (node, scope) => {
  const { collection, result } = walked(node, scope)
  return result ?? elementOf(collection)
}
const grouped: PredicateResult = (node, scope) => {
  walked(node, scope)
  return MAP
}
const sorted: PredicateResult = (node, scope) => walked(node, scope).collection
const reduced: PredicateResult = (node, scope) =>
  walked(
    node,
    scope,
    new Map([
      ['index', INT],
      ['acc', UNKNOWN],
    ]),
  ).result ?? UNKNOWN

const PREDICATE_RESULTS: ReadonlyMap<string, PredicateResult> = new Map([
  ['all', yesOrNo],
  ['none', yesOrNo],
  ['any', yesOrNo],
  ['one', yesOrNo],
  ['filter', filtered],
  ['map', mapped],
  ['count', position],
  ['sum', summed],
  ['find', found],
  ['findLast', found],
  ['findIndex', position],
  ['findLastIndex', position],
  ['groupBy', grouped],
  ['sortBy', sorted],
  ['reduce', reduced],
])

function pointerType(name: string, node: Node, { predicates }: Scope): Type {
  const innermost = predicates.at(-1)
  if (innermost === undefined) return fault(node, 'cannot use pointer accessor outside predicate')
  if (name === '') return elementOf(innermost.collection)
  return innermost.pointers.get(name) ?? fault(node, `unknown pointer #${name}`)
}

function letType(node: Extract<Node, { is: 'let' }>, scope: Scope): Type {
  const { name } = node
  if (name === 'groups') fault(node, `cannot redeclare ${name}`)
  if (BUILTINS.has(name) || PREDICATE_RESULTS.has(name)) fault(node, `cannot redeclare builtin ${name}`)
  if (scope.variables.has(name)) fault(node, `cannot redeclare variable ${name}`)
  const value = visit(node.value, scope)
  return visit(node.body, { ...scope, variables: new Map([...scope.variables, [name, value]]) })
}

function conditionalType(node: Extract<Node, { is: 'conditional' }>, scope: Scope): Type {
  const condition = visit(node.condition, scope)
  if (condition.is !== 'bool' && !isUnknown(condition))
    fault(node.condition, `non-bool expression (type ${typeName(condition)}) used as condition`)
  return joined(visit(node.yes, scope), visit(node.no, scope))
}

function arrayType(elements: readonly Type[]): Type {
  const [first] = elements
  const isUniform = elements.every((element) => element.is === first?.is)
  return isUniform ? arrayOf(elements.at(-1) ?? UNKNOWN) : ANYTHINGS
}
