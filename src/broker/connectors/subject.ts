// What a subject token proves: verified claims, the identity they mean, the job's facts. JWTs are verified here, opaque
// access tokens by one GET at the issuer's userinfo when the connector says so.
import type { DecisionFacts } from '#core/audit_event.ts'
import type { Claims } from '#core/claims.ts'
import type { Connector } from '#core/connector.ts'
import { mapIdentity } from '#core/dex/map_identity.ts'
import type { Identity } from '#core/identity.ts'
import type { SourceFacts } from '#core/issuer/preset.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { looksLikeJwt } from '#core/jwt/compact.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import { ACCESS_TOKEN_TYPE } from '#core/oauth/names.ts'
import type { TokenType } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { checkTokenClass } from '#core/token/token_class.ts'
import type { VerifiedToken } from '#platform/subject_verifier.ts'

export type Subject = {
  readonly claims: Claims
  readonly identity: Identity
  readonly facts: SourceFacts
  readonly token: SubjectTokenFacts
}

/** `exp` in seconds; `undefined` for an opaque token, whose reuse cannot be bounded. */
type SubjectTokenFacts = {
  readonly hash: string
  readonly kid: string | undefined
  readonly exp: number | undefined
}

/** A subject token as it came, parsed at most once. */
export type PresentedToken = {
  readonly text: string
  /** As the caller declared it; `undefined` for a client assertion, where nothing is declared. */
  readonly type: TokenType | undefined
  readonly parsed: Result<ParsedToken>
  /** Whose share of the issuer it is looked up in: a client, and the network that it asks from. */
  readonly caller: string
}

export type SubjectDeps = {
  readonly verify: (token: ParsedToken, connector: Connector) => Promise<Result<VerifiedToken>>
  readonly userinfo: (token: string, connector: Connector, caller: string) => Promise<Result<Claims>>
  /** Type `gitlab` of a Dex configuration: GitLab's user API proves the token. */
  readonly gitlabIdentity: (token: string, connector: Connector, caller: string) => Promise<Result<Identity>>
  readonly hashOpaque: (token: string) => string
}

export async function readSubject(
  presented: PresentedToken,
  connector: Connector,
  deps: SubjectDeps,
): Promise<Result<Subject>> {
  if (connector.kind === 'mock') return ok(mockSubject(presented, deps))
  if (connector.kind === 'unserved') {
    return deny({ reason: 'connector_without_exchange', connector: connector.id, type: connector.type })
  }
  if (connector.gitlabApi !== undefined) return readGitlabUser(presented, connector, deps)
  if (connector.userinfo && isOpaque(presented)) return readOpaque(presented, connector, deps)
  return readJwt(presented, connector, deps)
}

async function readJwt(
  presented: PresentedToken,
  connector: Connector,
  deps: SubjectDeps,
): Promise<Result<Subject>> {
  const { parsed } = presented
  if (!parsed.ok) return parsed
  const verified = await deps.verify(parsed.value, connector)
  if (!verified.ok) return verified
  const { claims } = verified.value
  const preset = presetOf(connector.preset)
  const denial = checkTokenClass(parsed.value.header.typ, claims, presented.type) ?? preset.checkShape(claims)
  if (denial !== undefined) return deny(denial)
  const identity = await identityOf(presented, claims, connector, deps)
  if (!identity.ok) return identity
  const exp = claims['exp']
  return ok({
    claims,
    identity: identity.value,
    facts: preset.facts(claims, connector.issuer),
    token: {
      hash: verified.value.hash,
      kid: verified.value.kid,
      exp: typeof exp === 'number' ? exp : undefined,
    },
  })
}

/**
 * The identity in the verified claims; when one is missing and the connector asks for userinfo, that document fills
 * the gap. It must speak of the same `sub` and never replaces a verified claim.
 */
async function identityOf(
  { text, caller }: PresentedToken,
  claims: Claims,
  connector: Connector,
  deps: SubjectDeps,
): Promise<Result<Identity>> {
  const identity = mapIdentity(claims, connector)
  if (identity.ok || identity.denial.reason !== 'identity_claim_missing' || !connector.userinfo)
    return identity
  const userinfo = await deps.userinfo(text, connector, caller)
  if (!userinfo.ok) return userinfo
  if (userinfo.value['sub'] !== claims['sub']) {
    return deny({ reason: 'subject_userinfo_failed', detail: 'sub differs from the token' })
  }
  return mapIdentity({ ...userinfo.value, ...claims }, connector)
}

async function readOpaque(
  presented: PresentedToken,
  connector: Connector,
  deps: SubjectDeps,
): Promise<Result<Subject>> {
  // An issuer that forgives a dot would make two texts, and so two uses, of one token.
  if (/^\.|\.\.|\.$/.test(presented.text))
    return deny({ reason: 'subject_malformed', detail: 'a dot that separates nothing' })
  const claims = await deps.userinfo(presented.text, connector, presented.caller)
  if (!claims.ok) return claims
  const identity = mapIdentity(claims.value, connector)
  if (!identity.ok) return identity
  return ok({
    claims: claims.value,
    identity: identity.value,
    facts: {},
    token: opaqueFacts(presented, deps),
  })
}

async function readGitlabUser(
  presented: PresentedToken,
  connector: Connector,
  deps: SubjectDeps,
): Promise<Result<Subject>> {
  const identity = await deps.gitlabIdentity(presented.text, connector, presented.caller)
  if (!identity.ok) return identity
  return ok({ claims: {}, identity: identity.value, facts: {}, token: opaqueFacts(presented, deps) })
}

/** Declared as an access token, and neither of the shape of a JWT nor begun as one: a JWT is judged here, always. */
function isOpaque({ type, text, parsed }: PresentedToken): boolean {
  if (type !== ACCESS_TOKEN_TYPE || parsed.ok) return false
  return text.split('.', 4).length !== 3 && !looksLikeJwt(text)
}

function opaqueFacts(presented: PresentedToken, deps: SubjectDeps): SubjectTokenFacts {
  return { hash: deps.hashOpaque(presented.text), kid: undefined, exp: undefined }
}

/** Dex's mockCallback: one identity for every token (connector/mock). Only under the development flag. */
function mockSubject(presented: PresentedToken, deps: SubjectDeps): Subject {
  return {
    claims: {},
    identity: {
      userId: '0-385-28089-0',
      username: 'Kilgore Trout',
      preferredUsername: '',
      email: 'kilgore@kilgore.trout',
      emailVerified: true,
      groups: ['authors'],
    },
    facts: {},
    token: opaqueFacts(presented, deps),
  }
}

/** Who the job is, as the audit event tells it. */
export function subjectFacts(subject: Subject, connector: Connector): NonNullable<DecisionFacts['subject']> {
  const { sub, jti } = subject.claims
  return {
    iss: connector.issuer,
    sub: typeof sub === 'string' ? sub : '',
    hash: subject.token.hash,
    ...(typeof jti === 'string' ? { jti } : {}),
    ...(subject.token.kid === undefined ? {} : { kid: subject.token.kid }),
  }
}
