// Reads what declarations.ts writes: `list(A).(A) -> int` as an overload.
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  STRING,
  TIMESTAMP,
  UINT,
  listOf,
  mapOf,
  opaque,
  optionalOf,
  struct,
  typeOf,
  typeParameter,
} from './type.ts'
import type { CelType } from './type.ts'

export type Overload = {
  /** The type it is called on comes first among the arguments. */
  readonly isMember: boolean
  readonly arguments: readonly CelType[]
  readonly result: CelType
  readonly typeParameters: readonly string[]
  /** The releases that have it: Kubernetes 1.`from` on, up to and not with 1.`before`. */
  readonly from: number
  readonly before: number
}

export const IP = opaque('net.IP')
export const CIDR = opaque('net.CIDR')

const NAMED: ReadonlyMap<string, CelType> = new Map([
  ['bool', BOOL],
  ['bytes', BYTES],
  ['double', DOUBLE],
  ['duration', DURATION],
  ['dyn', DYN],
  ['int', INT],
  ['string', STRING],
  ['timestamp', TIMESTAMP],
  ['uint', UINT],
  ['ip', IP],
  ['cidr', CIDR],
  ['url', struct('kubernetes.URL')],
  ['quantity', struct('kubernetes.Quantity')],
  ['semver', struct('kubernetes.Semver')],
  ['format', struct('kubernetes.NamedFormat')],
  ['authorizer', struct('kubernetes.authorization.Authorizer')],
  ['path_check', struct('kubernetes.authorization.PathCheck')],
  ['group_check', struct('kubernetes.authorization.GroupCheck')],
  ['resource_check', struct('kubernetes.authorization.ResourceCheck')],
  ['decision', struct('kubernetes.authorization.Decision')],
])

/** `text` is one of ours: a mistake in it is a broken invariant. */
export function signature(text: string, from: number, before: number): Overload {
  const [left = '', right = ''] = text.split(' -> ')
  const opening = left.startsWith('(') ? 0 : left.indexOf('.(') + 1
  const member = left.slice(0, Math.max(opening - 1, 0))
  const inside = left.slice(opening + 1, -1)
  const args = [...(member === '' ? [] : [member]), ...splitList(inside)].map(readType)
  const result = readType(right)
  const typeParameters = [...new Set([...args, result].flatMap(parametersOf))]
  return { isMember: member !== '', arguments: args, result, typeParameters, from, before }
}

function readType(text: string): CelType {
  const named = NAMED.get(text)
  if (named !== undefined) return named
  if (/^[A-Z]$/.test(text)) return typeParameter(text)
  const [, name = '', inside = ''] = /^(list|map|optional|type)\((.*)\)$/.exec(text) ?? []
  const [first = DYN, second = DYN] = splitList(inside).map(readType)
  switch (name) {
    case 'list':
      return listOf(first)
    case 'map':
      return mapOf(first, second)
    case 'optional':
      return optionalOf(first)
    case 'type':
      return typeOf(first)
    default:
      throw new TypeError(`no such type: ${text}`)
  }
}

/** At the commas outside of parentheses. */
function splitList(text: string): readonly string[] {
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (const [index, character] of `${text},`.split('').entries()) {
    if (character === '(') depth += 1
    if (character === ')') depth -= 1
    if (character !== ',' || depth > 0) continue
    parts.push(text.slice(from, index).trim())
    from = index + 1
  }
  return parts.filter((part) => part !== '')
}

function parametersOf(type: CelType): readonly string[] {
  return type.kind === 'param' ? [type.name] : type.parameters.flatMap(parametersOf)
}
