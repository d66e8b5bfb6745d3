// The functions of expr-lang 1.17 (builtin/builtin.go): which take a predicate, what the others want and give, and which
// are not evaluated here.
import {
  ANY,
  ANYTHINGS,
  FLOAT,
  INT,
  MAP,
  STRING,
  STRINGS,
  isArrayOrUnknown,
  isAssignable,
  isNumber,
  isUnknown,
  typeName,
} from './type.ts'
import type { Type } from './type.ts'

export type PredicateArguments = readonly ('expression' | 'predicate' | 'expression?' | 'predicate?')[]

const ONE_PREDICATE: PredicateArguments = ['expression', 'predicate']

export const PREDICATES: ReadonlyMap<string, PredicateArguments> = new Map([
  ...[
    'all',
    'none',
    'any',
    'one',
    'filter',
    'map',
    'find',
    'findIndex',
    'findLast',
    'findLastIndex',
    'groupBy',
  ].map((name) => [name, ONE_PREDICATE] as const),
  ['count', ['expression', 'predicate?']],
  ['sum', ['expression', 'predicate?']],
  ['sortBy', ['expression', 'predicate', 'expression?']],
  ['reduce', ['expression', 'predicate', 'expression?']],
])

/** Who reads what does not depend on the hour, and groups are no JSON, no base64 and no bits. */
export const UNSUPPORTED: ReadonlySet<string> = new Set(
  (
    'now duration date timezone toJSON fromJSON toBase64 fromBase64 ' +
    'bitand bitor bitxor bitnand bitnot bitshl bitshr bitushr'
  ).split(' '),
)

/** Why a call cannot be made; `argument` where one of them is to blame. */
type CallRefusal = { readonly is: 'refused'; readonly message: string; readonly argument?: number }

type Call = (given: readonly Type[]) => Type | CallRefusal

function refused(message: string, argument?: number): CallRefusal {
  return { is: 'refused', message, ...(argument === undefined ? {} : { argument }) }
}

/** The overloads of a function: each the types it wants and the one it gives. */
function overloads(name: string, ...all: readonly (readonly [readonly Type[], Type])[]): Call {
  return (given) => {
    let why = refused(`no matching overload for ${name}`)
    for (const [wanted, result] of all) {
      const problem = mismatch(name, given, wanted)
      if (problem === undefined) return result
      why = problem
    }
    return why
  }
}

function mismatch(name: string, given: readonly Type[], wanted: readonly Type[]): CallRefusal | undefined {
  if (given.length > wanted.length) return refused(`too many arguments to call ${name}`)
  if (given.length < wanted.length) return refused(`not enough arguments to call ${name}`)
  for (const [index, want] of wanted.entries()) {
    const got = given[index] ?? ANY
    if (want.is === 'float' && got.is === 'int') continue
    if (got.is === 'nil' && !isUnknown(want))
      return refused(`cannot use nil as argument (type ${typeName(want)}) to call ${name}`, index)
    if (!isUnknown(got) && !isAssignable(got, want))
      return refused(
        `cannot use ${typeName(got)} as argument (type ${typeName(want)}) to call ${name}`,
        index,
      )
  }
  return undefined
}

/** One argument of these types. */
function one(takes: (type: Type) => boolean, gives: (type: Type) => Type, refusal: string): Call {
  return (given) => {
    const [only] = given
    if (given.length !== 1 || only === undefined)
      return refused(`invalid number of arguments (expected 1, got ${given.length})`)
    return takes(only) ? gives(only) : refused(refusal.replace('%', typeName(only)))
  }
}

const isNumberOrUnknown = (type: Type): boolean => isNumber(type) || isUnknown(type)
const isConvertible = (type: Type): boolean => isNumberOrUnknown(type) || type.is === 'string'
const isMapOrUnknown = (type: Type): boolean => type.is === 'map' || isUnknown(type)
const hasLength = (type: Type): boolean => isArrayOrUnknown(type) || type.is === 'string' || type.is === 'map'

/** Go knows of []interface {} no more than that its elements are anything. */
function elementAsGo(type: Type): Type {
  return type.is === 'array' && type.goElement === 'string' ? STRING : ANY
}

function asGo(type: Type): Type {
  return type.is === 'array' && type.goElement === 'any' ? ANYTHINGS : type
}

function aggregate(name: string): Call {
  return (given) => {
    const [first] = given
    if (first === undefined) return refused(`not enough arguments to call ${name}`)
    for (const type of given) {
      if (isArrayOrUnknown(type)) return ANY
      if (!isNumber(type)) return refused(`invalid argument for ${name} (type ${typeName(type)})`)
    }
    return first
  }
}

function rounding(name: string): Call {
  return one(isNumberOrUnknown, () => FLOAT, `invalid argument for ${name} (type %)`)
}

function concat(given: readonly Type[]): Type | CallRefusal {
  if (given.length === 0) return refused('invalid number of arguments (expected at least 1, got 0)')
  const bad = given.find((type) => !isArrayOrUnknown(type))
  return bad === undefined ? ANYTHINGS : refused(`cannot concat ${typeName(bad)}`)
}

function take(given: readonly Type[]): Type | CallRefusal {
  const [from, count] = given
  if (given.length !== 2 || from === undefined || count === undefined)
    return refused(`invalid number of arguments (expected 2, got ${given.length})`)
  if (!isArrayOrUnknown(from)) return refused(`cannot take from ${typeName(from)}`)
  if (count.is !== 'int' && !isUnknown(count)) return refused(`cannot take ${typeName(count)} elements`)
  return asGo(from)
}

const text = [STRING, STRING] as const

/** `get` is the checker's own: it reads like `a[b]`. */
export const BUILTINS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['len', one(hasLength, () => INT, 'invalid argument for len (type %)')],
  ['type', overloads('type', [[ANY], STRING])],
  ['abs', one(isNumberOrUnknown, (type) => type, 'invalid argument for abs (type %)')],
  ['ceil', rounding('ceil')],
  ['floor', rounding('floor')],
  ['round', rounding('round')],
  ['int', one(isConvertible, () => INT, 'invalid argument for int (type %)')],
  ['float', one(isConvertible, () => FLOAT, 'invalid argument for float (type %)')],
  ['string', overloads('string', [[ANY], STRING])],
  ['trim', overloads('trim', [[STRING], STRING], [text, STRING])],
  ['trimPrefix', overloads('trimPrefix', [text, STRING], [[STRING], STRING])],
  ['trimSuffix', overloads('trimSuffix', [text, STRING], [[STRING], STRING])],
  ['upper', overloads('upper', [[STRING], STRING])],
  ['lower', overloads('lower', [[STRING], STRING])],
  ['split', overloads('split', [text, STRINGS], [[STRING, STRING, INT], STRINGS])],
  ['splitAfter', overloads('splitAfter', [text, STRINGS], [[STRING, STRING, INT], STRINGS])],
  [
    'replace',
    overloads('replace', [[STRING, STRING, STRING, INT], STRING], [[STRING, STRING, STRING], STRING]),
  ],
  ['repeat', overloads('repeat', [[STRING, INT], STRING])],
  [
    'join',
    overloads(
      'join',
      [[STRINGS, STRING], STRING],
      [[ANYTHINGS, STRING], STRING],
      [[ANYTHINGS], STRING],
      [[STRINGS], STRING],
    ),
  ],
  ['indexOf', overloads('indexOf', [text, INT])],
  ['lastIndexOf', overloads('lastIndexOf', [text, INT])],
  ['hasPrefix', overloads('hasPrefix', [text, { is: 'bool' }])],
  ['hasSuffix', overloads('hasSuffix', [text, { is: 'bool' }])],
  ['max', aggregate('max')],
  ['min', aggregate('min')],
  ['mean', aggregate('mean')],
  ['median', aggregate('median')],
  ['first', one(isArrayOrUnknown, elementAsGo, 'cannot get first element from %')],
  ['last', one(isArrayOrUnknown, elementAsGo, 'cannot get last element from %')],
  ['get', () => ANY],
  ['take', take],
  ['keys', one(isMapOrUnknown, () => ANYTHINGS, 'cannot get keys from %')],
  ['values', one(isMapOrUnknown, () => ANYTHINGS, 'cannot get values from %')],
  ['toPairs', one(isMapOrUnknown, () => ANYTHINGS, 'cannot transform % to pairs')],
  ['fromPairs', one(isArrayOrUnknown, () => MAP, 'cannot transform % from pairs')],
  ['reverse', one(isArrayOrUnknown, () => ANYTHINGS, 'cannot reverse %')],
  ['uniq', one(isArrayOrUnknown, () => ANYTHINGS, 'cannot uniq %')],
  ['concat', concat],
  ['flatten', one(isArrayOrUnknown, () => ANYTHINGS, 'cannot flatten %')],
  [
    'sort',
    overloads(
      'sort',
      [[ANYTHINGS, STRING], ANYTHINGS],
      [[STRINGS, STRING], ANYTHINGS],
      [[ANYTHINGS], ANYTHINGS],
      [[STRINGS], ANYTHINGS],
    ),
  ],
])
