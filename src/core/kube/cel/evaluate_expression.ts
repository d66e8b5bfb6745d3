// The door to evaluation: what does kube-apiserver get when it evaluates this checked expression on these claims, or on
// this user? Says when it does not know, rather than guess.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Result } from '#core/result.ts'
import { Evaluator } from './evaluator.ts'
import { NULL_VALUE, bool, cannot, list, plainText, text, texts, typeNameOf } from './value.ts'
import type { CheckedExpression } from './check_expression.ts'
import type { CelError, CelList, CelValue } from './value.ts'

export type ExpressionVariables = { readonly claims: JsonObject } | { readonly user: KubeUser }

export type EvaluationFailure = {
  /** As the apiserver says it: `no such key: x`; or `cannot be evaluated here: ip()`. */
  readonly message: string
  /** `unknown`: the apiserver may well get a value; we do not know which. `result`: it gets one that is not for this use. */
  readonly kind: 'error' | 'unknown' | 'result'
}

/** Claims nested deeper than this are not evaluated. */
const MAX_DEPTH = 64

/**
 * Evaluates `checked`. Numbers come out as JSON numbers. Bytes, times, types and optionals are a failure of kind `result`,
 * as is a list for groups or extra that the apiserver cannot read texts from.
 */
export function evaluateExpression(
  checked: CheckedExpression,
  variables: ExpressionVariables,
): Result<JsonValue, EvaluationFailure> {
  const value = new Evaluator(checked.typed, variablesOf(variables)).run()
  if (value.kind === 'error') return failed(value)
  const isForTexts = checked.use === 'groups' || checked.use === 'extra'
  const json = isForTexts && value.kind === 'list' ? textsOf(value) : toJson(value, 0)
  if (json !== undefined) return { ok: true, value: json }
  const message = isForTexts ? NO_TEXTS : `${typeNameOf(value)} is no JSON`
  return { ok: false, denial: { message, kind: 'result' } }
}

function failed(error: CelError): Result<never, EvaluationFailure> {
  return { ok: false, denial: { message: error.message, kind: error.isFatal ? 'unknown' : 'error' } }
}

function variablesOf(variables: ExpressionVariables): ReadonlyMap<string, CelValue> {
  if ('claims' in variables) {
    const claims = Object.entries(variables.claims).map(([name, value]): [string, CelValue] => [
      name,
      fromJson(value, 0),
    ])
    return new Map([
      ['claims', { kind: 'variable', typeName: 'kubernetes.claims', entries: new Map(claims) }],
    ])
  }
  const { username, uid, groups, extra } = variables.user
  const entries = Object.entries(extra).map(([name, values]): [string, readonly [CelValue, CelValue]] => [
    `s${name}`,
    [text(name), texts(values)],
  ])
  const state = new Map<string, CelValue>([
    ['username', text(username)],
    ['uid', text(uid)],
    ['groups', texts(groups)],
    ['extra', { kind: 'map', entries: new Map(entries), unescapes: true }],
  ])
  return new Map([['user', { kind: 'variable', typeName: 'kubernetes.UserInfo', entries: state }]])
}

/** As Go reads JSON into CEL: every number is a double. */
function fromJson(value: JsonValue, depth: number): CelValue {
  if (depth > MAX_DEPTH) return cannot('claims nested that deep')
  if (value === null) return NULL_VALUE
  if (typeof value === 'string') return text(value)
  if (typeof value === 'boolean') return bool(value)
  if (typeof value === 'number') return { kind: 'double', value }
  if (!isJsonObject(value))
    return list(
      value.map((element) => fromJson(element, depth + 1)),
      'json',
    )
  const entries = Object.entries(value).map(([name, member]): [string, readonly [CelValue, CelValue]] => [
    `s${name}`,
    [text(name), fromJson(member, depth + 1)],
  ])
  return { kind: 'map', entries: new Map(entries), unescapes: true }
}

const NO_TEXTS = 'expression must return a string or a list of strings'

/** What groups and extra may be. What split() gives is no list of texts to the apiserver: it is a `[]string` of Go. */
function textsOf(value: CelList): JsonValue | undefined {
  if (value.origin === 'strings') return undefined
  const found = value.elements.map((element) => goString(element, value.origin === 'json'))
  const strings = found.filter((each) => each !== undefined)
  return strings.length === found.length ? strings : undefined
}

/** Go asks for the value inside: an optional text and the name of a type pass too, unless they come from JSON. */
function goString(value: CelValue, isJson: boolean): string | undefined {
  if (value.kind === 'string') return value.value
  if (isJson) return undefined
  if (value.kind === 'type') return value.name
  return value.kind === 'optional' && value.value !== undefined ? goString(value.value, false) : undefined
}

/** `undefined` of what JSON has no word for, or nests deeper than the limit. */
function toJson(value: CelValue, depth: number): JsonValue | undefined {
  if (depth > MAX_DEPTH) return undefined
  switch (value.kind) {
    case 'null':
      return null
    case 'bool':
    case 'string':
      return value.value
    case 'int':
    case 'uint':
    case 'double':
      return Number(value.value)
    case 'list': {
      const items = value.elements.map((element) => toJson(element, depth + 1))
      const known = items.filter((item) => item !== undefined)
      return known.length === items.length ? known : undefined
    }
    case 'map': {
      const members = [...value.entries.values()].map(
        ([key, member]) => [plainText(key), toJson(member, depth + 1)] as const,
      )
      const known = members.filter((member): member is [string, JsonValue] => member[1] !== undefined)
      return known.length === members.length ? Object.fromEntries(known) : undefined
    }
    case 'bytes':
    case 'duration':
    case 'error':
    case 'optional':
    case 'timestamp':
    case 'type':
    case 'variable':
      return undefined
  }
}
