// How values are reached into: fields, indexes, and what a comprehension goes through. Kubernetes' lazy maps are neither
// maps nor lists here. cel-go v0.26 interpreter/attributes.go; k8s.io/apiserver 1.36 pkg/cel/lazy.
import { unescapeName } from './escaping.ts'
import { keyOf } from './operators.ts'
import { cannot, failure, int, plainText, typeNameOf } from './value.ts'
import type { CelError, CelList, CelValue } from './value.ts'

export type Items = readonly (readonly [CelValue, CelValue])[]

/** What a comprehension goes through: element or key, and for two variables index or key and element or value. */
export function itemsOf(range: CelValue, hasTwo: boolean): Items | CelValue {
  if (range.kind === 'list') {
    return range.elements.map((element, index) => (hasTwo ? [int(index), element] : [element, element]))
  }
  if (range.kind === 'map') return [...range.entries.values()]
  if (range.kind === 'variable') {
    if (hasTwo) return cannot(`two variables over all of ${range.typeName}`)
    // Kubernetes' lazy map gives its values where every other map gives its keys.
    return [...range.entries.values()].map((value) => [value, value])
  }
  const goType = GO_TYPES[range.kind] ?? range.kind
  return failure(
    hasTwo ? `unsupported comprehension range type: ${goType}` : `got '${goType}', expected iterable type`,
  )
}

const GO_TYPES: Readonly<Record<string, string>> = {
  null: 'types.Null',
  bool: 'types.Bool',
  int: 'types.Int',
  uint: 'types.Uint',
  double: 'types.Double',
  string: 'types.String',
  bytes: 'types.Bytes',
  timestamp: 'types.Timestamp',
  duration: 'types.Duration',
  type: '*types.Type',
  optional: '*types.Optional',
}

/** What stands under `key`; `undefined` when nothing does, an error when that cannot be asked. */
export function find(operand: CelValue, key: CelValue): CelValue | undefined {
  switch (operand.kind) {
    case 'map':
      return findInMap(operand, key)
    case 'list':
      return findInList(operand, key)
    case 'variable':
      return findInVariable(operand.entries, key)
    case 'bool':
    case 'bytes':
    case 'double':
    case 'duration':
    case 'error':
    case 'int':
    case 'null':
    case 'optional':
    case 'string':
    case 'timestamp':
    case 'type':
    case 'uint':
      return undefined
  }
}

function findInMap(map: Extract<CelValue, { readonly kind: 'map' }>, key: CelValue): CelValue | undefined {
  const name = map.unescapes && key.kind === 'string' ? (unescapeName(key.value) ?? key.value) : undefined
  const wanted: CelValue = name === undefined ? key : { kind: 'string', value: name }
  return map.entries.get(keyOf(wanted))?.[1]
}

function findInList(range: CelList, key: CelValue): CelValue | undefined {
  if (key.kind !== 'int' && key.kind !== 'uint' && key.kind !== 'double') {
    return failure(`unsupported index type '${typeNameOf(key)}' in list`)
  }
  const index = Number(key.value)
  if (!Number.isInteger(index)) return failure(`unsupported index value ${index} in list`)
  return index < 0 ? undefined : range.elements[index]
}

function findInVariable(entries: ReadonlyMap<string, CelValue>, key: CelValue): CelValue | undefined {
  if (key.kind !== 'string') return failure('no such overload')
  const name = unescapeName(key.value)
  return name === undefined ? undefined : entries.get(name)
}

export function missing(operand: CelValue, key: CelValue): CelError {
  const name = plainText(key)
  return failure(operand.kind === 'list' ? `index out of bounds: ${name}` : `no such key: ${name}`)
}
