// Step 7: mint. Builds the claims of the target's profile, signs them with the current key, and says what the answer of
// the token endpoint holds. Fresh claims only; nothing of the subject token is spread into them.
import type { AudienceProfile, Target } from '#core/audience.ts'
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Client } from '#core/client.ts'
import type { Clock, RandomBytes } from '#core/clock.ts'
import { epochSeconds } from '#core/clock.ts'
import { goJson } from '#core/dex/go_text.ts'
import type { Scopes } from '#core/dex/scopes.ts'
import type { Identity } from '#core/identity.ts'
import type { SourceFacts } from '#core/issuer/preset.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE } from '#core/oauth/names.ts'
import type { TokenType } from '#core/oauth/names.ts'
import type { PolicyGrant } from '#core/policy/trust_policy.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { tokenClaims, tokenTimes } from '#core/token/claims.ts'
import type { TokenContents, TokenSubject } from '#core/token/claims.ts'
import { atHash, randomHash } from '#core/token/at_hash.ts'
import { jwsHeader } from '#core/token/jws_header.ts'
import { uuidV4 } from '#core/token/uuid.ts'
import type { SigningKey } from '#platform/keys/key_ring.ts'
import { SignerFailure } from '#platform/remote_signer/remote_signer.ts'
import { signerDenial } from './signer_denial.ts'

/** What a grant asks to be minted. */
export type TokenOrder = {
  readonly client: Client
  readonly grant: 'token-exchange' | 'client_credentials'
  readonly target: Target
  /** `''` for client_credentials. */
  readonly connector: string
  readonly subject: TokenSubject
  readonly identity: Identity
  readonly scopes: Scopes
  readonly nonce: string
  readonly policy: PolicyGrant | undefined
  readonly facts: SourceFacts
  readonly tokenType: TokenType
  /** A second, ID token beside the access token (Dex client_credentials with `openid`). */
  readonly withIdToken: boolean
}

/** The answer of the token endpoint, in Dex's member order. */
export type Issued = {
  readonly accessToken: string
  readonly issuedTokenType: TokenType | undefined
  /** Whole seconds until exp by the wall clock. */
  readonly expiresInSeconds: number
  readonly idToken: string | undefined
}

export type IssueDeps = {
  readonly issuer: string
  readonly defaultTtlSeconds: number
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly signingKey: () => SigningKey
}

/** kube-apiserver keeps trusting a token until it expires, whatever happens here; so these live at most this long. */
const KUBERNETES_MAX_TTL_SECONDS = 15 * 60

export async function issueToken(
  order: TokenOrder,
  facts: DecisionFacts,
  deps: IssueDeps,
): Promise<Result<Issued>> {
  const key = deps.signingKey()
  const contents = contentsOf(order, deps)
  const accessHash = order.tokenType === ID_TOKEN_TYPE ? undefined : randomHash(deps.randomBytes)
  try {
    const accessToken = await sign({ ...contents, atHash: dexOnly(order, accessHash) }, key)
    const idToken = order.withIdToken
      ? await sign(
          { ...contents, jti: uuidV4(deps.randomBytes), atHash: atHash(accessToken, key.algorithm) },
          key,
        )
      : undefined
    facts.issued = {
      jti: contents.jti,
      kid: key.kid,
      sub: order.target.profile === 'dex' ? order.subject.dex : order.subject.plain,
      exp: contents.times.exp,
    }
    return ok({
      accessToken,
      issuedTokenType: order.grant === 'token-exchange' ? issuedType(order) : undefined,
      expiresInSeconds: Math.floor(contents.times.exp - deps.clock() / 1000),
      idToken,
    })
  } catch (error) {
    if (error instanceof SignerFailure) return deny(signerDenial(error))
    return deny({ reason: 'signing_failed', detail: error instanceof Error ? error.message : 'unknown' })
  }
}

/** The lifetime in seconds: what the policy says, else the default, made shorter by client, audience and profile. */
function lifetimeOf(order: TokenOrder, defaultTtlSeconds: number): number {
  const { policy, client, target } = order
  const wanted = policy?.ttlSeconds ?? client.ttlSeconds ?? defaultTtlSeconds
  const byProfile = target.profile === 'kubernetes' ? KUBERNETES_MAX_TTL_SECONDS : wanted
  return Math.min(wanted, client.ttlSeconds ?? wanted, target.maxTtlSeconds ?? wanted, byProfile)
}

/** What would stand in the token; explain shows it unsigned. */
export function contentsOf(order: TokenOrder, deps: Omit<IssueDeps, 'signingKey'>): TokenContents {
  const { policy, target } = order
  return {
    issuer: deps.issuer,
    client: order.client.id,
    grant: order.grant,
    target,
    subject: order.subject,
    identity: order.identity,
    connector: order.connector,
    scopes: policy?.scopes === undefined ? order.scopes : narrow(order.scopes, policy.scopes),
    allowedScopes: policy?.scopes,
    nonce: order.nonce,
    policy: policy?.policy,
    username: policy?.username,
    facts: order.facts,
    extra: policy?.claims ?? {},
    times: tokenTimes(target.profile, epochSeconds(deps.clock), lifetimeOf(order, deps.defaultTtlSeconds)),
    jti: uuidV4(deps.randomBytes),
    atHash: undefined,
  }
}

function narrow(scopes: Scopes, allowed: readonly string[]): Scopes {
  return {
    ...scopes,
    email: scopes.email && allowed.includes('email'),
    profile: scopes.profile && allowed.includes('profile'),
    groups: scopes.groups && allowed.includes('groups'),
    federatedId: scopes.federatedId && allowed.includes('federated:id'),
  }
}

function dexOnly(order: TokenOrder, hash: string | undefined): string | undefined {
  return order.target.profile === 'dex' ? hash : undefined
}

/** RFC 8693 §2.2.1: what the token is, which for an RFC 9068 audience is an access token whatever was asked for. */
function issuedType(order: TokenOrder): TokenType {
  return order.target.profile === 'rfc9068' ? ACCESS_TOKEN_TYPE : order.tokenType
}

async function sign(contents: TokenContents, key: SigningKey): Promise<string> {
  const payload = Buffer.from(goJson(tokenClaims(contents)), 'utf8').toString('base64url')
  const input = `${headerOf(key, contents.target.profile)}.${payload}`
  const signature = await key.sign(input)
  return `${input}.${signature}`
}

/** A key's header is the same for every token of a profile; gone with the key. */
const headers = new WeakMap<SigningKey, Map<AudienceProfile, string>>()

function headerOf(key: SigningKey, profile: AudienceProfile): string {
  const known = headers.get(key) ?? new Map<AudienceProfile, string>()
  const header = known.get(profile) ?? jwsHeader(key, profile)
  if (!known.has(profile)) headers.set(key, known.set(profile, header))
  return header
}
