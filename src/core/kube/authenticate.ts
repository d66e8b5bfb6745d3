// Whether a kube-apiserver with a given AuthenticationConfiguration would take a token, as whom, and if not, in which
// words it would say so. The order is its own: kubernetes 1.36 oidc.go `AuthenticateToken`, go-oidc v2.5 `Verify`.
import { isJsonObject } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import type { AuthenticationConfiguration, JwtAuthenticator } from './authentication_configuration.ts'
import { Trace, verifyOrder } from './authentication_trace.ts'
import type { Authentication, KubeRefusal } from './authentication_trace.ts'
import {
  audienceWayOut,
  expiryWayOut,
  issuerWayOut,
  notBeforeWayOut,
  typeWayOut,
} from './authentication_way_out.ts'
import type { BearerToken } from './bearer_token.ts'
import { claimOf, goTime, readIdToken } from './go_claims.ts'
import type { IdToken } from './go_claims.ts'
import { goQuoted, goQuotedList, toJsonValue } from './go_json.ts'
import { checkUser, mapUser } from './map_user.ts'

/** What became of the signature: the caller has asked the issuer, or a file, or nobody. */
export type SignatureAnswer =
  | { readonly kind: 'holds'; readonly by: string }
  | {
      readonly kind: 'fails'
      readonly code: 'signature_not_verified' | 'keys_not_readable'
      /** The apiserver's words behind `failed to verify signature: `. */
      readonly reason: string
      readonly wayOut: string
    }
  /** Discovery failed: the authenticator waits and refuses everything. */
  | { readonly kind: 'not initialized'; readonly detail: string; readonly wayOut: string }
  | { readonly kind: 'unchecked'; readonly why: string }

export type AuthenticateInput = {
  readonly config: AuthenticationConfiguration
  /** As `readBearerToken` gave it; its denial when it is no JWT. */
  readonly token: Result<BearerToken, string>
  readonly signature: SignatureAnswer
  /** The apiserver's clock, milliseconds. */
  readonly now: number
}

/** The algorithms that kube-apiserver takes with a configuration file, in the order in which it lists them. */
const KUBE_ALGORITHMS: readonly string[] = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
]

/** What `findAuthenticator` finds: issuers are compared letter by letter, and each stands in the file once. */
export function findAuthenticator(
  config: AuthenticationConfiguration,
  issuer: string,
): { readonly jwt: JwtAuthenticator; readonly index: number } | undefined {
  const index = config.jwt.findIndex((jwt) => jwt.issuer.url === issuer)
  const jwt = config.jwt[index]
  return jwt === undefined ? undefined : { jwt, index }
}

/** Walks the token through the configuration. */
export function authenticate(input: AuthenticateInput): Authentication {
  const { config, token } = input
  const trace = new Trace()
  if (!token.ok) {
    trace.note('no', token.denial)
    return refused(trace, undefined, {
      code: 'token_not_jwt',
      reason: 'invalid bearer token',
      wayOut: `it is no JWT (${token.denial}); send the access_token of the exchange, whole and alone`,
    })
  }
  trace.note('yes', 'a JWT')
  const found = findAuthenticator(config, token.value.issuer)
  if (found === undefined) {
    trace.note('no', token.value.issuer)
    return refused(trace, undefined, {
      code: 'issuer_not_configured',
      reason: 'invalid bearer token',
      wayOut: issuerWayOut(config, token.value),
    })
  }
  trace.note('yes', `jwt[${found.index}], issuer ${found.jwt.issuer.url}`)
  trace.follow(found.jwt, found.index)
  const user = walk({ ...input, token: token.value, trace, ...found })
  return user.ok
    ? {
        authenticator: found.index,
        steps: trace.steps(),
        outcome: { kind: 'authenticated', user: user.value },
      }
    : refused(trace, found.index, user.denial)
}

/** `reason` as TokenReview's `status.error` and the log have it. */
export function tokenReviewError({ code, reason }: KubeRefusal): string {
  return code === 'token_not_jwt' || code === 'issuer_not_configured'
    ? reason
    : `[invalid bearer token, ${reason}]`
}

type Walk = Omit<AuthenticateInput, 'token'> & {
  readonly token: BearerToken
  readonly jwt: JwtAuthenticator
  readonly index: number
  readonly trace: Trace
}

function walk(on: Walk): ReturnType<typeof checkUser> {
  // 1. the authenticator has its issuer's discovery document, or it refuses everything
  const { signature, trace } = on
  if (signature.kind === 'not initialized') {
    trace.note('no', signature.detail)
    return no('issuer_not_reached', 'oidc: authenticator not initialized', signature.wayOut)
  }
  trace.note('yes', on.token.issuer)
  // 2. go-oidc: header, algorithm, signature, and only then what the token says
  const signed = checkSignature(on, signature)
  if (!signed.ok) return signed
  const verified = checkIdToken(on)
  if (!verified.ok) return verified
  // 3. claims to a user, claims against the rules, the user against the rules
  const claims = toJsonValue(on.token.payload)
  if (!isJsonObject(claims)) throw new Error('a bearer token whose payload is no object')
  const mapping = { ...on, claims, payload: on.token.payload }
  const user = mapUser(mapping)
  return user.ok ? checkUser(mapping, user.value) : user
}

type Asked = Exclude<SignatureAnswer, { kind: 'not initialized' }>

function checkSignature({ token, trace }: Walk, signature: Asked): Result<undefined, KubeRefusal> {
  if (token.isUnsigned) {
    const why = signature.kind === 'unchecked' ? signature.why : 'a claim set has no signature'
    for (const value of ['', '', why]) trace.note('unchecked', value)
    return { ok: true, value: undefined }
  }
  if (!token.header.ok) {
    trace.note('no', token.header.denial)
    return no(
      'token_header_malformed',
      `oidc: verify token: oidc: malformed jwt: ${token.header.denial}`,
      'the token was damaged on its way: take it anew',
    )
  }
  const { alg, kid } = token.header.value
  trace.note('yes', kid === '' ? 'no kid: every key is tried' : `kid ${kid}`)
  if (!KUBE_ALGORITHMS.includes(alg)) {
    trace.note('no', alg)
    const expected = goQuotedList(KUBE_ALGORITHMS)
    return no(
      'algorithm_not_accepted',
      `oidc: verify token: oidc: id token signed with unsupported algorithm, expected ${expected} got ${goQuoted(alg)}`,
      'let the issuer sign with ES256 or RS256: kube-apiserver knows neither EdDSA nor HMAC',
    )
  }
  trace.note('yes', alg)
  switch (signature.kind) {
    case 'fails':
      trace.note('no', signature.reason)
      return no(
        signature.code,
        `oidc: verify token: failed to verify signature: ${signature.reason}`,
        signature.wayOut,
      )
    case 'unchecked':
      trace.note('unchecked', signature.why)
      return { ok: true, value: undefined }
    case 'holds':
      trace.note('yes', signature.by)
      return { ok: true, value: undefined }
  }
}

/** go-oidc's `Verify` behind the signature, then the apiserver's own look at several audiences. */
function checkIdToken(on: Walk): Result<undefined, KubeRefusal> {
  const { token, trace } = on
  const read = readIdToken(token.payload)
  if (!read.ok) {
    trace.note('no', read.denial)
    return no(
      'claim_of_wrong_type',
      `oidc: verify token: oidc: failed to unmarshal claims: ${read.denial}`,
      typeWayOut(read.denial),
    )
  }
  const distributed = distributedProblem(read.value)
  if (distributed !== undefined) {
    trace.note('no', distributed)
    return no(
      'distributed_claim',
      `oidc: verify token: oidc: ${distributed}`,
      'let the issuer put the groups into the token itself',
    )
  }
  trace.note('yes', `sub ${shownClaim(on, 'sub')}`)
  for (const check of verifyOrder(on.jwt)) {
    const checked = CHECKS[check](on, read.value)
    if (!checked.ok) return checked
  }
  return { ok: true, value: undefined }
}

type IdTokenCheck = (on: Walk, idToken: IdToken) => Result<undefined, KubeRefusal>

const CHECKS = {
  audience: checkAudience,
  expiry: checkExpiry,
  'not before': checkNotBefore,
} satisfies Record<ReturnType<typeof verifyOrder>[number], IdTokenCheck>

function distributedProblem({ claimNames, claimSources }: IdToken): string | undefined {
  for (const source of claimNames.values()) {
    if (source === '') return 'failed to obtain source from claim name'
    if (!claimSources.has(source)) return 'source does not exist'
  }
  return undefined
}

/** go-oidc knows one audience; several are the apiserver's own doing, with a text of its own. */
function checkAudience(on: Walk, { audience }: IdToken): Result<undefined, KubeRefusal> {
  const { audiences } = on.jwt.issuer
  const holds = audiences.some((accepted) => audience.includes(accepted))
  on.trace.note(holds ? 'yes' : 'no', [...audience])
  if (holds) return { ok: true, value: undefined }
  const expected =
    audiences.length > 1 ? `in ${goQuotedList(audiences.toSorted())}` : goQuoted(audiences[0] ?? '')
  return no(
    'audience_not_accepted',
    `oidc: verify token: oidc: expected audience ${expected} got ${goQuotedList(audience)}`,
    audienceWayOut(audiences, on.token.payload),
  )
}

/** `exp` has no leeway at all; the clock is compared to the millisecond. */
function checkExpiry(on: Walk, idToken: IdToken): Result<undefined, KubeRefusal> {
  const { expiry } = idToken
  const holds = expiry !== undefined && expiry * 1000n >= BigInt(Math.trunc(on.now))
  on.trace.note(holds ? 'yes' : 'no', expiry === undefined ? undefined : goTime(expiry))
  if (holds) return { ok: true, value: undefined }
  return no(
    'token_expired',
    `oidc: verify token: oidc: token is expired (Token Expiry: ${goTime(expiry)})`,
    expiryWayOut(idToken, on.now),
  )
}

const NOT_BEFORE_LEEWAY_MS = 60_000n

function checkNotBefore(on: Walk, { notBefore }: IdToken): Result<undefined, KubeRefusal> {
  const now = BigInt(Math.trunc(on.now))
  const holds = notBefore === undefined || now + NOT_BEFORE_LEEWAY_MS >= notBefore * 1000n
  on.trace.note(holds ? 'yes' : 'no', notBefore === undefined ? undefined : goTime(notBefore))
  if (holds || notBefore === undefined) return { ok: true, value: undefined }
  return no(
    'token_not_yet_valid',
    `oidc: verify token: oidc: current time ${goTime(now / 1000n)} before the nbf (not before) time: ${goTime(notBefore)}`,
    notBeforeWayOut(notBefore, on.now),
  )
}

function shownClaim({ token }: Walk, name: string): string {
  const value = claimOf(token.payload, name)
  return value === undefined ? 'absent' : JSON.stringify(toJsonValue(value))
}

function refused(trace: Trace, authenticator: number | undefined, refusal: KubeRefusal): Authentication {
  const { code, reason, wayOut } = refusal
  if (code === 'not_known_here')
    return { authenticator, steps: trace.steps(), outcome: { kind: 'unknown', why: reason, wayOut } }
  return { authenticator, steps: trace.steps(), outcome: { kind: 'refused', refusal } }
}

function no(code: KubeRefusal['code'], reason: string, wayOut: string): Result<never, KubeRefusal> {
  return { ok: false, denial: { code, reason, wayOut } }
}
