// CircleCI OIDC tokens: an issuer for each organisation, or the newer one without an organisation in its path.
// https://circleci.com/docs/openid-connect-tokens/
import { claimAt, stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { NO_FACTS, hostAndPath, missingString, presentFacts, refTypeOf, wrongShape } from './claim_shape.ts'
import type { IssuerPreset, SourceFacts } from './preset.ts'

const PROJECT_ID = 'oidc.circleci.com/project-id'
const VCS_ORIGIN = 'oidc.circleci.com/vcs-origin'
const VCS_REF = 'oidc.circleci.com/vcs-ref'
const CONTEXT_IDS = 'oidc.circleci.com/context-ids'
const SSH_RERUN = 'oidc.circleci.com/ssh-rerun'
/** `github.com/acme/infra`: host, then the repository's path. */
const ORIGIN = /^[^/]+\/([^/]+(?:\/[^/]+)*)$/

export const circleci: IssuerPreset = {
  name: 'circleci',
  isShared,
  algorithms: ['RS256'],
  headerTypes: ['jwt'],
  immutablePins: [[PROJECT_ID]],
  mutablePins: ['sub', VCS_ORIGIN, VCS_REF],
  claims: [
    'iss',
    'sub',
    'aud',
    'iat',
    'nbf',
    'exp',
    'jti',
    PROJECT_ID,
    CONTEXT_IDS,
    VCS_ORIGIN,
    VCS_REF,
    SSH_RERUN,
  ],
  refs: { [VCS_REF]: 'full' },
  immutableId: (claims) => stringClaim(claims, PROJECT_ID),
  checkShape,
  events: undefined,
  singleUse: 'per_audience',
  // Made at job start, valid for an hour.
  maxAgeSeconds: 3600,
  maxLifetimeSeconds: 3600,
  facts,
}

function isShared(issuer: string): boolean {
  const address = hostAndPath(issuer)
  return address?.host === 'oidc.circleci.com' && !address.path.startsWith('/org/')
}

function checkShape(claims: Claims): SubjectDenial | undefined {
  const missing = missingString('circleci', claims, ['sub', PROJECT_ID])
  if (missing !== undefined) return missing
  if (stringClaim(claims, 'sub')?.startsWith('org/') !== true) {
    return wrongShape('circleci', '"sub" must begin "org/"')
  }
  const sshRerun = claimAt(claims, SSH_RERUN)
  if (sshRerun === undefined || sshRerun === false) return undefined
  return wrongShape('circleci', `"${SSH_RERUN}" must be false: somebody may have a shell in this job`)
}

function facts(claims: Claims): SourceFacts {
  const origin = stringClaim(claims, VCS_ORIGIN)
  const [, repository] = ORIGIN.exec(origin ?? '') ?? []
  const ref = stringClaim(claims, VCS_REF)
  return presentFacts({
    ...NO_FACTS,
    ci: 'circleci',
    source: repository === undefined ? undefined : origin,
    repository,
    ref,
    ref_type: refTypeOf(ref),
  })
}
