// Functions on lists, maps and sets: cel-go v0.26's lists and sets libraries and Kubernetes' own.
import { add, compare, isEqual, keyOf } from './operators.ts'
import { indexInText, lastIndexInText } from './text_functions.ts'
import { bool, cannot, elementsAt, failure, int, list, numberAt, plainText } from './value.ts'
import type { CelFunction, CelValue } from './value.ts'

const NO_OVERLOAD = failure('no such overload')
/** A list longer than any that an expression can use within the apiserver's cost limit. */
const MAX_RANGE = 100_000

export const LIST_FUNCTIONS: readonly (readonly [string, CelFunction])[] = [
  ['size', ([value]) => size(value)],
  ['indexOf', (args) => (args[0]?.kind === 'list' ? int(indexIn(args)) : indexInText(args))],
  ['lastIndexOf', (args) => (args[0]?.kind === 'list' ? int(lastIndexIn(args)) : lastIndexInText(args))],
  ['isSorted', (args) => isSorted(elementsAt(args, 0))],
  ['sum', (args) => sum(elementsAt(args, 0))],
  ['min', (args) => extreme('min', elementsAt(args, 0), (order) => order > 0)],
  ['max', (args) => extreme('max', elementsAt(args, 0), (order) => order < 0)],
  ['slice', slice],
  ['flatten', flatten],
  ['sort', ([value]) => sortBy(value, value)],
  ['@sortByAssociatedKeys', ([value, keys]) => sortBy(value, keys)],
  ['lists.range', range],
  ['reverse', (args) => list(elementsAt(args, 0).toReversed())],
  ['distinct', ([value]) => distinct(value)],
  ['sets.contains', (args) => bool(containsAll(elementsAt(args, 0), elementsAt(args, 1)))],
  ['sets.equivalent', (args) => bool(areEquivalent(elementsAt(args, 0), elementsAt(args, 1)))],
  ['sets.intersects', (args) => bool(elementsAt(args, 0).some((each) => has(elementsAt(args, 1), each)))],
  ['cel.@mapInsert', insert],
]

function size(value: CelValue | undefined): CelValue {
  switch (value?.kind) {
    case 'string':
      return int(Array.from(value.value).length)
    case 'bytes':
      return int(value.value.length)
    case 'list':
      return int(value.elements.length)
    case 'map':
      return int(value.entries.size)
    case 'timestamp':
    case 'duration':
      return NO_OVERLOAD
    case undefined:
    case 'bool':
    case 'double':
    case 'error':
    case 'int':
    case 'null':
    case 'variable':
    case 'optional':
    case 'type':
    case 'uint':
      return failure('no such overload: size')
  }
}

function indexIn(args: readonly CelValue[]): number {
  const wanted = args[1]
  return wanted === undefined ? -1 : elementsAt(args, 0).findIndex((element) => isEqual(element, wanted))
}

function lastIndexIn(args: readonly CelValue[]): number {
  const wanted = args[1]
  return wanted === undefined ? -1 : elementsAt(args, 0).findLastIndex((element) => isEqual(element, wanted))
}

function isSorted(elements: readonly CelValue[]): CelValue {
  for (const [index, element] of elements.entries()) {
    const next = elements[index + 1]
    const order = next === undefined ? 0 : compare(element, next)
    if (typeof order === 'number' && order > 0) return bool(false)
  }
  return bool(true)
}

function sum(elements: readonly CelValue[]): CelValue {
  const [first, ...rest] = elements
  if (first === undefined) return int(0)
  return rest.reduce((total, element) => (total.kind === 'error' ? NO_OVERLOAD : add(total, element)), first)
}

function extreme(
  name: string,
  elements: readonly CelValue[],
  isBetter: (order: number) => boolean,
): CelValue {
  let best: CelValue | undefined
  for (const element of elements) {
    const order = best === undefined ? 0 : compare(best, element)
    if (best === undefined || (typeof order === 'number' && isBetter(order))) best = element
  }
  return best ?? failure(`${name} called on empty list`)
}

function slice(args: readonly CelValue[]): CelValue {
  const elements = elementsAt(args, 0)
  const [start, end] = [numberAt(args, 1), numberAt(args, 2)]
  const what = `cannot slice(${start}, ${end})`
  if (start < 0 || end < 0) return failure(`${what}, negative indexes not supported`)
  if (start > end) return failure(`${what}, start index must be less than or equal to end index`)
  if (elements.length < end) return failure(`${what}, list is length ${elements.length}`)
  return list(elements.slice(start, end))
}

/** cel-go counts the depth as work, and at some depth calls it too much. */
const MAX_DEPTH = 1000

function flatten(args: readonly CelValue[]): CelValue {
  const [value] = args
  if (value?.kind !== 'list') return cannot('flatten() of something else than a list')
  const depth = args.length > 1 ? numberAt(args, 1) : 1
  if (depth < 0) return failure('level must be non-negative')
  if (depth > MAX_DEPTH) return cannot(`flatten() to a depth above ${MAX_DEPTH}`)
  return list(flat(value.elements, depth))
}

function flat(elements: readonly CelValue[], depth: number): readonly CelValue[] {
  if (depth === 0) return elements
  return elements.flatMap((each) => (each.kind === 'list' ? flat(each.elements, depth - 1) : [each]))
}

const SORTABLE: ReadonlySet<CelValue['kind']> = new Set([
  'bool',
  'bytes',
  'double',
  'duration',
  'int',
  'string',
  'timestamp',
  'uint',
])

function sortBy(value: CelValue | undefined, keys: CelValue | undefined): CelValue {
  if (value?.kind !== 'list' || keys?.kind !== 'list') return cannot('sorting something else than a list')
  const [first] = keys.elements
  if (value.elements.length !== keys.elements.length) return cannot('sorting by keys of another number')
  if (first === undefined) return value
  if (!SORTABLE.has(first.kind)) return failure('list elements must be comparable')
  if (keys.elements.length > 1 && keys.elements.some((key) => key.kind !== first.kind)) {
    return failure('list elements must have the same type')
  }
  const pairs = value.elements.map((element, index) => ({ element, key: keys.elements[index] ?? first }))
  // Go's sort is not stable: with equal keys, whose order shows, the apiserver's order is not known here.
  const places = pairs.map((pair) => keyOf(pair.key))
  if (value !== keys && new Set(places).size < places.length && places.length > 12) {
    return cannot('sortBy() of more than 12 elements with equal keys')
  }
  const sorted = pairs.toSorted((a, b) => Number(compare(a.key, b.key)))
  return list(sorted.map(({ element }) => element))
}

function range(args: readonly CelValue[]): CelValue {
  const length = numberAt(args, 0)
  if (length > MAX_RANGE) return cannot(`lists.range(${length})`)
  return list(Array.from({ length: Math.max(0, length) }, (_, index) => int(index)))
}

function distinct(value: CelValue | undefined): CelValue {
  if (value?.kind !== 'list') return NO_OVERLOAD
  if (value.elements.length === 0) return value
  const unique: CelValue[] = []
  for (const element of value.elements) if (!has(unique, element)) unique.push(element)
  return list(unique)
}

function has(elements: readonly CelValue[], wanted: CelValue): boolean {
  return elements.some((element) => isEqual(wanted, element))
}

function containsAll(elements: readonly CelValue[], wanted: readonly CelValue[]): boolean {
  return wanted.every((each) => has(elements, each))
}

function areEquivalent(left: readonly CelValue[], right: readonly CelValue[]): boolean {
  return containsAll(left, right) && containsAll(right, left)
}

/** Adds a key and its value, or all those of a second map; a key may come once only. */
function insert([target, key, value]: readonly CelValue[]): CelValue {
  if (target?.kind !== 'map' || key === undefined) return NO_OVERLOAD
  const added: readonly (readonly [CelValue, CelValue])[] =
    value === undefined ? (key.kind === 'map' ? [...key.entries.values()] : []) : [[key, value]]
  const entries = new Map(target.entries)
  for (const [name, content] of added) {
    const place = keyOf(name)
    if (place === 'none') return cannot(`a map with a key of type ${name.kind}`)
    if (entries.has(place)) return failure(`insert failed: key ${plainText(name)} already exists`)
    entries.set(place, [name, content])
  }
  return { kind: 'map', entries, unescapes: false }
}
