// Functions on optionals; `or` and `orValue`, which need not evaluate their argument, stand in evaluator.ts.
import { cannot, elementsAt, failure, list, optional } from './value.ts'
import type { CelFunction, CelValue } from './value.ts'

export const OPTIONAL_FUNCTIONS: readonly (readonly [string, CelFunction])[] = [
  ['optional.of', ([value]) => optional(value)],
  ['optional.none', () => optional(undefined)],
  [
    'optional.ofNonZeroValue',
    ([value]) => optional(value === undefined || isZero(value) ? undefined : value),
  ],
  [
    'hasValue',
    ([value]) => ({ kind: 'bool', value: value?.kind === 'optional' && value.value !== undefined }),
  ],
  ['value', ([value]) => inside(value)],
  ['first', (args) => optional(elementsAt(args, 0).at(0))],
  ['last', (args) => optional(elementsAt(args, 0).at(-1))],
  ['optional.unwrap', unwrap],
  ['unwrapOpt', unwrap],
]

function inside(value: CelValue | undefined): CelValue {
  if (value?.kind !== 'optional') return failure('no such overload')
  return value.value ?? failure('optional.none() dereference')
}

function unwrap(args: readonly CelValue[]): CelValue {
  const elements = elementsAt(args, 0)
  if (elements.some((element) => element.kind !== 'optional')) return cannot('unwrapping what is no optional')
  return list(
    elements.flatMap((each) => (each.kind === 'optional' && each.value !== undefined ? [each.value] : [])),
  )
}

function isZero(value: CelValue): boolean {
  switch (value.kind) {
    case 'null':
      return true
    case 'bool':
      return !value.value
    case 'int':
    case 'uint':
    case 'duration':
      return value.value === 0n
    case 'double':
      return value.value === 0
    case 'string':
    case 'bytes':
      return value.value.length === 0
    case 'list':
      return value.elements.length === 0
    case 'map':
      return value.entries.size === 0
    // The zero of Go's time is the year 1.
    case 'timestamp':
      return value.value === -62_135_596_800_000_000_000n
    case 'error':
    case 'variable':
    case 'optional':
    case 'type':
      return false
  }
}
