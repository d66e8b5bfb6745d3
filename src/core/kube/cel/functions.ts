// Calls a function of the environment on values: finds the overload by the values' types, as cel-go v0.26 does at run
// time, and the code that stands for it. A function without code here gives a clear refusal, never a guess.
import { FUNCTIONS } from './declarations.ts'
import { LIST_FUNCTIONS } from './list_functions.ts'
import { BINARY_OPERATORS, UNARY_OPERATORS } from './operators.ts'
import { OPTIONAL_FUNCTIONS } from './optional_functions.ts'
import { TEXT_FUNCTIONS } from './text_functions.ts'
import { TIME_FUNCTIONS } from './time_functions.ts'
import { convert, isConversion } from './conversions.ts'
import { cannot, failure, typeNameOf } from './value.ts'
import { parameterOf } from './type.ts'
import type { CelType } from './type.ts'
import type { CelFunction, CelValue } from './value.ts'

const IMPLEMENTED: ReadonlyMap<string, CelFunction> = new Map([
  ...TEXT_FUNCTIONS,
  ...LIST_FUNCTIONS,
  ...OPTIONAL_FUNCTIONS,
  ...TIME_FUNCTIONS,
])

/** Functions that look at their arguments themselves: cel-go binds one piece of code to all their overloads. */
const UNGUARDED: ReadonlySet<string> = new Set([
  'size',
  'matches',
  'contains',
  'startsWith',
  'endsWith',
  'sort',
  '@sortByAssociatedKeys',
  'flatten',
])

/** `name(args)`, where a receiver is the first argument. No argument is an error. */
export function callFunction(name: string, args: readonly CelValue[]): CelValue {
  const [first, second] = args
  if (first !== undefined && args.length === 1) {
    const unary = UNARY_OPERATORS.get(name)
    if (unary !== undefined) return unary(first)
    if (isConversion(name)) return convert(name, first)
  }
  if (first !== undefined && second !== undefined) {
    const binary = BINARY_OPERATORS.get(name)
    if (binary !== undefined) return binary(first, second)
  }
  const implementation = IMPLEMENTED.get(name)
  if (implementation === undefined) return cannot(`${name}()`)
  if (!UNGUARDED.has(name) && !hasOverload(name, args)) {
    return failure(`no such overload: ${name}(${args.map(typeNameOf).join(', ')})`)
  }
  return implementation(args)
}

function hasOverload(name: string, args: readonly CelValue[]): boolean {
  const overloads = FUNCTIONS.get(name) ?? []
  return overloads.some(
    ({ arguments: wanted }) =>
      wanted.length === args.length &&
      wanted.every((type, index) => {
        const argument = args[index]
        return argument !== undefined && isOf(type, argument)
      }),
  )
}

/** Types are erased at run time: of lists and maps only the first element is looked at. */
function isOf(type: CelType, value: CelValue): boolean {
  if (type.kind === 'dyn' || type.kind === 'any' || type.kind === 'param') return true
  if (type.name !== typeNameOf(value)) return false
  if (value.kind === 'list' && type.kind === 'list') {
    const [element] = value.elements
    return element === undefined || isOf(parameterOf(type, 0), element)
  }
  if (value.kind === 'map' && type.kind === 'map') {
    const [entry] = value.entries.values()
    if (entry === undefined) return true
    return isOf(parameterOf(type, 0), entry[0]) && isOf(parameterOf(type, 1), entry[1])
  }
  return true
}
