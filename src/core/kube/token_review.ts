// TokenReview (authentication.k8s.io/v1) as a kube-apiserver asks and is answered: what it wants to know, who a token of
// ours is in that cluster, and the answer. Signature, issuer and expiry were checked by whoever calls `reviewedUser`.
import type { Claims, JsonObject } from '#core/claims.ts'
import { isJsonObject } from '#core/claims.ts'
import type { JsonLimits } from '#core/jwt/strict_json.ts'
import { readStrictJson } from '#core/jwt/strict_json.ts'
import { reservedPrefix } from '#core/policy/outputs.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { KubeUser } from './kube_user.ts'
import { CREDENTIAL_ID_KEY, SOURCE_CLAIMS, extraKeyOf } from './source_extra.ts'

const API_GROUP = 'authentication.k8s.io'
const API_VERSION = `${API_GROUP}/v1`
const KIND = 'TokenReview'
/** A review is `kind`, `metadata`, `spec` with token and audiences, and an empty `status`. */
const REVIEW_LIMITS: JsonLimits = { maxDepth: 8, maxNames: 64, maxItems: 64 }

/** The cluster that asks: whose tokens it may have reviewed, and what stands before its names. */
export type ReviewingCluster = {
  readonly audience: string
  readonly usernamePrefix: string
  readonly groupsPrefix: string
}

/** The token that is to be reviewed. `spec.audiences` is the apiserver's own affair: see `reviewAnswer`. */
export function readTokenReview(body: string): Result<string> {
  const read = readStrictJson(Buffer.from(body, 'utf8'), REVIEW_LIMITS)
  if (!read.ok) return malformed(read.denial)
  const review = read.value
  if (!isJsonObject(review)) return malformed('not an object')
  const { apiVersion, kind, spec } = review
  if (kind !== KIND || typeof apiVersion !== 'string') return malformed(`not of kind ${KIND}`)
  if (apiVersion !== API_VERSION) return deny({ reason: 'review_version_unsupported', got: apiVersion })
  const token = isJsonObject(spec) ? spec['token'] : undefined
  return typeof token === 'string' && token !== '' ? ok(token) : malformed('no spec.token')
}

function malformed(detail: string): Result<never> {
  return deny({ reason: 'review_malformed', detail })
}

/**
 * Who the bearer of `claims` is in that cluster: the names that `sallyport kube auth-config` gives by claims and rules.
 * Denied: another kind of token, another audience or one more, an empty name, a name that is Kubernetes' own.
 */
export function reviewedUser(claims: Claims, cluster: ReviewingCluster): Result<KubeUser> {
  const { token_use: use, aud, sub, uid } = claims
  if (use !== 'kube') return deny({ reason: 'review_token_use', got: typeof use === 'string' ? use : 'none' })
  const audiences = textList(aud)
  if (audiences?.length !== 1 || audiences[0] !== cluster.audience)
    return deny({ reason: 'subject_audience_mismatch', expected: [cluster.audience], got: audiences ?? [] })
  const name = claims['username']
  if (!isText(sub)) return invalid('sub')
  if (!isText(name)) return invalid('username')
  if (!isText(uid)) return invalid('uid')
  const groups = textList(claims['groups'] ?? [])
  if (groups === undefined) return invalid('groups')
  const user = {
    username: `${cluster.usernamePrefix}${name}`,
    uid,
    groups: groups.filter((group) => group !== '').map((group) => `${cluster.groupsPrefix}${group}`),
    extra: extraOf(claims),
  }
  const reserved = [user.username, ...user.groups].find((one) => reservedPrefix(one) !== undefined)
  return reserved === undefined ? ok(user) : deny({ reason: 'review_name_reserved', name: reserved })
}

function invalid(claim: string): Result<never> {
  return deny({ reason: 'subject_claim_invalid', claim, detail: 'missing, empty or of another type' })
}

function extraOf(claims: Claims): Readonly<Record<string, readonly string[]>> {
  const named = SOURCE_CLAIMS.map((claim) => [extraKeyOf(claim), claims[claim]] as const)
  const { jti } = claims
  const credential = isText(jti) ? [[CREDENTIAL_ID_KEY, `JTI=${jti}`] as const] : []
  const present = [...named, ...credential].flatMap(([key, value]) => (isText(value) ? [[key, [value]]] : []))
  return Object.fromEntries(present)
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function textList(value: unknown): readonly string[] | undefined {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.every((item) => typeof item === 'string') ? list : undefined
}

/**
 * The review's answer. `undefined`: nobody, and for every token alike. `status.audiences` stays away: the apiserver then
 * takes the token for its own API alone, and for nobody who asks it with other audiences.
 */
export function reviewAnswer(user: KubeUser | undefined): JsonObject {
  const status: JsonObject =
    user === undefined
      ? { authenticated: false, error: REFUSED }
      : { authenticated: true, user: { ...user, extra: { ...user.extra } } }
  return { apiVersion: API_VERSION, kind: KIND, metadata: { creationTimestamp: null }, status }
}

const REFUSED = 'the token was not accepted'

/** A `Status` of the Kubernetes API: what client-go turns into a sentence of its log. */
export function statusAnswer(code: number, reason: string, message: string): JsonObject {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
}
