// From the claims of a verified token to a Kubernetes user, and the rules about both. kubernetes 1.36 oidc.go:
// getUsername, getGroups, getUID, getExtra, then required claims, claim rules and user rules.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import type { ClaimOrExpression, JwtAuthenticator } from './authentication_configuration.ts'
import type { KubeRefusal, Trace } from './authentication_trace.ts'
import { claimWayOut, expressionWayOut, ruleWayOut, typeWayOut } from './authentication_way_out.ts'
import { checkExpression } from './cel/check_expression.ts'
import type { ExpressionUse } from './cel/check_expression.ts'
import { evaluateExpression } from './cel/evaluate_expression.ts'
import { claimOf, goFlag, goText, goTextOrTexts } from './go_claims.ts'
import type { GoJson } from './go_json.ts'
import type { KubeUser } from './kube_user.ts'
import { CREDENTIAL_ID_KEY } from './source_extra.ts'

type Mapping = {
  readonly jwt: JwtAuthenticator
  readonly claims: JsonObject
  readonly payload: GoJson
  readonly trace: Trace
}

const AUTHENTICATED = 'system:authenticated'

/** The user before any rule looked at it, without `system:authenticated`. */
export function mapUser(on: Mapping): Result<KubeUser, KubeRefusal> {
  const username = readUsername(on)
  if (!username.ok) return username
  on.trace.note('yes', username.value)
  const groups = readGroups(on)
  if (!groups.ok) return groups
  const uid = readUid(on)
  if (!uid.ok) return uid
  const extra = readExtra(on)
  if (!extra.ok) return extra
  return {
    ok: true,
    value: { username: username.value, groups: groups.value, uid: uid.value, extra: extra.value },
  }
}

/** The user as requests will have it, if the rules let it pass. */
export function checkUser(on: Mapping, user: KubeUser): Result<KubeUser, KubeRefusal> {
  const required = checkRequiredClaims(on)
  if (!required.ok) return required
  const claimRules = on.jwt.claimValidationRules.filter(({ expression }) => expression !== '')
  const byClaims = checkRules(on, claimRules, 'claim_validation', { claims: on.claims })
  if (!byClaims.ok) return byClaims
  const byUser = checkRules(on, on.jwt.userValidationRules, 'user_validation', { user })
  if (!byUser.ok) return byUser
  const isAdded = !user.groups.includes(AUTHENTICATED) && !user.groups.includes('system:unauthenticated')
  return { ok: true, value: isAdded ? { ...user, groups: [...user.groups, AUTHENTICATED] } : user }
}

function readUsername(on: Mapping): Result<string, KubeRefusal> {
  const { claim, expression, prefix } = on.jwt.claimMappings.username
  if (expression !== '') {
    const words = 'oidc: error evaluating username claim expression: '
    const value = evaluate(on, expression, 'username', words)
    if (!value.ok) return value
    if (typeof value.value !== 'string')
      return refuse(
        on,
        value.value,
        'expression_of_wrong_type',
        `${words}username claim expression must return a string`,
        typeWayOut(expression),
      )
    return value.value === ''
      ? refuse(
          on,
          '',
          'username_empty',
          'oidc: empty username via CEL expression is not allowed',
          'let the issuer fill the claims that the expression reads, or put a fixed prefix into it',
        )
      : { ok: true, value: value.value }
  }
  const text = readClaim(on, claim, goText, `oidc: parse username claims ${JSON.stringify(claim)}`)
  if (!text.ok) return text
  const verified = claim === 'email' ? checkEmailVerified(on) : text
  return verified.ok ? { ok: true, value: `${prefix ?? ''}${text.value}` } : verified
}

/** OpenID Connect Core §5.1: an address that the issuer does not vouch for names nobody. Absent counts as true. */
function checkEmailVerified(on: Mapping): Result<unknown, KubeRefusal> {
  if (claimOf(on.payload, 'email_verified') === undefined) return { ok: true, value: undefined }
  const verified = readClaim(on, 'email_verified', goFlag, "oidc: parse 'email_verified' claim")
  if (!verified.ok || verified.value) return verified
  return refuse(
    on,
    'email_verified: false',
    'email_not_verified',
    'oidc: email not verified',
    'verify the address at the issuer, or map another claim',
  )
}

function readGroups(on: Mapping): Result<readonly string[], KubeRefusal> {
  const { claim, expression, prefix } = on.jwt.claimMappings.groups
  if (claim === '' && expression === '') return { ok: true, value: [] }
  if (expression !== '') {
    const words = 'oidc: error evaluating group claim expression: '
    const value = evaluate(on, expression, 'groups', words)
    if (!value.ok) return value
    const groups = textsOf(value.value)
    if (groups === undefined) return refuseTexts(on, words, expression)
    on.trace.note('yes', groups)
    return { ok: true, value: groups }
  }
  if (claimOf(on.payload, claim) === undefined) {
    const distributed = distributedGroups(on, claim)
    if (distributed !== undefined) return distributed
    on.trace.note('yes', undefined)
    return { ok: true, value: [] }
  }
  const groups = readClaim(on, claim, goTextOrTexts, `oidc: parse groups claim ${JSON.stringify(claim)}`)
  if (!groups.ok) return groups
  const prefixed = groups.value.map((group) => `${prefix ?? ''}${group}`)
  on.trace.note('yes', prefixed)
  return { ok: true, value: prefixed }
}

/** OpenID Connect Core §5.6.2: the apiserver would fetch the groups from elsewhere. This command follows no such pointer. */
function distributedGroups(on: Mapping, claim: string): Result<never, KubeRefusal> | undefined {
  const names = on.claims['_claim_names']
  if (!isJsonObject(names) || typeof names[claim] !== 'string') return undefined
  return refuse(
    on,
    'a distributed claim',
    'not_known_here',
    `${claim}: the token points elsewhere for it (_claim_names), which this command does not follow`,
    'ask the apiserver itself: --kubeconfig; or let the issuer put the groups into the token',
  )
}

function readUid(on: Mapping): Result<string, KubeRefusal> {
  const { claim, expression }: ClaimOrExpression = on.jwt.claimMappings.uid
  if (claim === '' && expression === '') return { ok: true, value: '' }
  if (claim !== '') {
    const text = readClaim(on, claim, goText, `oidc: parse uid claim ${JSON.stringify(claim)}`)
    if (text.ok) on.trace.note('yes', text.value)
    return text
  }
  const words = 'oidc: error evaluating uid claim expression: '
  const value = evaluate(on, expression, 'uid', words)
  if (!value.ok) return value
  if (typeof value.value !== 'string')
    return refuse(
      on,
      value.value,
      'expression_of_wrong_type',
      `${words}uid claim expression must return a string`,
      typeWayOut(expression),
    )
  on.trace.note('yes', value.value)
  return { ok: true, value: value.value }
}

/** All expressions are evaluated before the first value is looked at. */
function readExtra(on: Mapping): Result<KubeUser['extra'], KubeRefusal> {
  const extra: Record<string, readonly string[]> = {}
  const jti = claimOf(on.payload, 'jti')
  // A jti that is no text is passed over.
  const id = jti?.kind === 'string' && jti.text !== '' ? `JTI=${jti.text}` : undefined
  on.trace.note('yes', id)
  if (id !== undefined) extra[CREDENTIAL_ID_KEY] = [id]
  const values: (JsonValue | undefined)[] = []
  for (const { valueExpression } of on.jwt.claimMappings.extra) {
    const value = evaluateBare(on, valueExpression, 'extra', '', () => noteTexts(on, values))
    if (!value.ok) return value
    values.push(value.value)
  }
  for (const [n, { key, valueExpression }] of on.jwt.claimMappings.extra.entries()) {
    const texts = textsOf(values[n])
    if (texts === undefined)
      return refuseTexts(
        on,
        `oidc: error evaluating extra claim expression: ${valueExpression}: `,
        valueExpression,
      )
    on.trace.note('yes', texts)
    if (texts.length > 0) extra[key] = texts
  }
  return { ok: true, value: extra }
}

function noteTexts(on: Mapping, values: readonly (JsonValue | undefined)[]): void {
  for (const value of values) on.trace.note('yes', value ?? NO_TEXTS)
}

/** A text, a list of texts, or null; empty texts count as absent. `undefined` for anything else. */
function textsOf(value: JsonValue | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined
  if (value === null) return []
  const list = Array.isArray(value) ? (value as readonly JsonValue[]) : [value]
  const texts = list.filter((item) => typeof item === 'string')
  return texts.length === list.length ? texts.filter((text) => text !== '') : undefined
}

const NO_TEXTS = 'neither a text nor a list of texts'

function refuseTexts(on: Mapping, words: string, expression: string): Result<never, KubeRefusal> {
  return refuse(
    on,
    NO_TEXTS,
    'expression_of_wrong_type',
    `${words}expression must return a string or a list of strings`,
    typeWayOut(expression),
  )
}

function checkRequiredClaims(on: Mapping): Result<undefined, KubeRefusal> {
  for (const { claim, requiredValue } of on.jwt.claimValidationRules) {
    if (claim === '') continue
    if (claimOf(on.payload, claim) === undefined)
      return refuse(
        on,
        undefined,
        'claim_missing',
        `oidc: required claim ${claim} not present in ID token`,
        claimWayOut(claim, on.payload),
      )
    const text = readClaim(on, claim, goText, `oidc: parse claim ${claim}`)
    if (!text.ok) return text
    if (text.value !== requiredValue)
      return refuse(
        on,
        text.value,
        'required_claim_differs',
        `oidc: required claim ${claim} value does not match. Got = ${text.value}, want = ${requiredValue}`,
        ruleWayOut(claim, on.payload),
      )
    on.trace.note('yes', text.value)
  }
  return { ok: true, value: undefined }
}

type Rule = { readonly expression: string; readonly message: string }

/** Every rule is evaluated, and only then the first that does not hold refuses. */
function checkRules(
  on: Mapping,
  rules: readonly Rule[],
  use: 'claim_validation' | 'user_validation',
  variables: Variables,
): Result<undefined, KubeRefusal> {
  const words = `oidc: error evaluating ${use === 'claim_validation' ? 'claim validation expression' : 'user info validation rule'}: `
  let refusal: KubeRefusal | undefined
  for (const { expression, message } of rules) {
    const value = evaluateWith(on, expression, use, words, variables)
    if (!value.ok) return value
    on.trace.note(value.value === true ? 'yes' : 'no', value.value)
    if (value.value === true) continue
    refusal ??= {
      code: use === 'claim_validation' ? 'claim_rule_failed' : 'user_rule_failed',
      reason: `${words}validation expression '${expression}' failed: ${message}`,
      wayOut: ruleWayOut(expression, on.payload),
    }
  }
  return refusal === undefined ? { ok: true, value: undefined } : { ok: false, denial: refusal }
}

type Variables = { readonly claims: JsonObject } | { readonly user: KubeUser }

/** `undefined`: a value, but none for this use. */
type Evaluated = Result<JsonValue | undefined, KubeRefusal>

function evaluate(on: Mapping, expression: string, use: ExpressionUse, words: string): Evaluated {
  return evaluateWith(on, expression, use, words, { claims: on.claims })
}

function evaluateBare(
  on: Mapping,
  expression: string,
  use: ExpressionUse,
  words: string,
  before: () => void,
): Evaluated {
  return evaluateWith(on, expression, use, words, { claims: on.claims }, before)
}

/** `before` notes what went well so far, where nothing is noted until all have been evaluated. */
function evaluateWith(
  on: Mapping,
  expression: string,
  use: ExpressionUse,
  words: string,
  variables: Variables,
  before: () => void = () => undefined,
): Evaluated {
  const checked = checkExpression(expression, use)
  if (!checked.ok) {
    before()
    return refuse(
      on,
      checked.denial.message,
      'configuration_refused',
      checked.denial.message,
      `the apiserver does not load this file: ${checked.denial.wayOut}`,
    )
  }
  const value = evaluateExpression(checked.value, variables)
  if (value.ok) return value
  if (value.denial.kind === 'result') return { ok: true, value: undefined }
  before()
  if (value.denial.kind === 'unknown')
    return refuse(
      on,
      value.denial.message,
      'not_known_here',
      `'${expression}': ${value.denial.message}`,
      'ask the apiserver itself: --kubeconfig',
    )
  return refuse(
    on,
    value.denial.message,
    'expression_failed',
    `${words}expression '${expression}' resulted in error: ${value.denial.message}`,
    expressionWayOut(expression, value.denial.message, on.payload),
  )
}

function readClaim<T>(
  on: Mapping,
  claim: string,
  decode: (value: GoJson) => Result<T, string>,
  words: string,
): Result<T, KubeRefusal> {
  const value = claimOf(on.payload, claim)
  if (value === undefined)
    return refuse(
      on,
      undefined,
      'claim_missing',
      `${words}: claim not present`,
      claimWayOut(claim, on.payload),
    )
  const decoded = decode(value)
  if (decoded.ok) return decoded
  return refuse(
    on,
    on.claims[claim],
    'claim_of_wrong_type',
    `${words}: ${decoded.denial}`,
    typeWayOut(decoded.denial),
  )
}

function refuse(
  on: Mapping,
  value: JsonValue | undefined,
  code: KubeRefusal['code'],
  reason: string,
  wayOut: string,
): Result<never, KubeRefusal> {
  on.trace.note('no', value)
  return { ok: false, denial: { code, reason, wayOut } }
}
