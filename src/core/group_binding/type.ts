// The types of expr-lang 1.17 (checker/nature) as far as an expression on a list of groups can have them.

export type Type =
  /** Nothing is known; `isAny` where Go says `interface {}` and not nothing at all. */
  | { readonly is: 'unknown'; readonly isAny: boolean }
  | { readonly is: 'nil' | 'bool' | 'int' | 'float' | 'string' | 'map' }
  /** `goElement` is what Go declares, `element` what the checker found out beside it. */
  | { readonly is: 'array'; readonly element: Type; readonly goElement: 'string' | 'any' }

export const UNKNOWN: Type = { is: 'unknown', isAny: false }
export const ANY: Type = { is: 'unknown', isAny: true }
export const NIL: Type = { is: 'nil' }
export const BOOL: Type = { is: 'bool' }
export const INT: Type = { is: 'int' }
export const FLOAT: Type = { is: 'float' }
export const STRING: Type = { is: 'string' }
export const MAP: Type = { is: 'map' }
/** Go's []string: what `groups` is. */
export const STRINGS: Type = { is: 'array', element: STRING, goElement: 'string' }
export const ANYTHINGS: Type = { is: 'array', element: ANY, goElement: 'any' }

export function arrayOf(element: Type): Type {
  return { is: 'array', element, goElement: 'any' }
}

export function isUnknown(type: Type): boolean {
  return type.is === 'unknown'
}

export function isNumber(type: Type): boolean {
  return type.is === 'int' || type.is === 'float'
}

export function isArrayOrUnknown(type: Type): boolean {
  return type.is === 'array' || type.is === 'unknown'
}

/** As Go prints it. */
export function typeName(type: Type): string {
  switch (type.is) {
    case 'unknown':
      return type.isAny ? 'interface {}' : 'unknown'
    case 'nil':
      return 'unknown'
    case 'float':
      return 'float64'
    case 'map':
      return 'map[string]interface {}'
    case 'array':
      return type.goElement === 'string' ? '[]string' : '[]interface {}'
    case 'bool':
    case 'int':
    case 'string':
      return type.is
  }
}

/** Whether Go lets one be put where the other is wanted. */
export function isAssignable(from: Type, to: Type): boolean {
  if (from.is === 'nil') return to.is === 'array' || to.is === 'map' || isAnyType(to)
  if (isNothing(from) || isNothing(to)) return false
  if (isAnyType(to)) return true
  if (from.is === 'array' && to.is === 'array') return from.goElement === to.goElement
  return from.is === to.is
}

export function isComparable(left: Type, right: Type): boolean {
  if (isUnknown(left) || isUnknown(right) || left.is === 'nil' || right.is === 'nil') return true
  if (isNumber(left) && isNumber(right)) return true
  if (left.is === 'array' && right.is === 'array') return true
  return isAssignable(left, right)
}

/** Nothing known of one, and the other one of those: it may turn out well. */
export function mayBe(left: Type, right: Type, ...wanted: readonly Type['is'][]): boolean {
  if (isUnknown(left)) return isUnknown(right) || wanted.includes(right.is)
  return isUnknown(right) && wanted.includes(left.is)
}

/** `a ? b : c` and `a ?? b`: the type of both, or nothing known. */
export function joined(yes: Type, no: Type): Type {
  if (yes.is === 'nil') return no
  if (no.is === 'nil') return yes
  if (!isAssignable(yes, no)) return UNKNOWN
  if (yes.is !== 'array' || no.is !== 'array') return yes
  const isSame = isAssignable(yes.element, no.element) && isAssignable(no.element, yes.element)
  return isSame ? yes : ANYTHINGS
}

function isAnyType(type: Type): boolean {
  return type.is === 'unknown' && type.isAny
}

function isNothing(type: Type): boolean {
  return type.is === 'unknown' && !type.isAny
}
