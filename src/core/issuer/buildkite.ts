// Buildkite agents' OIDC tokens. One issuer for all organisations, and a `sub` that moves with every commit.
// https://buildkite.com/docs/agent/v3/cli-oidc
import { claimAt, stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { NO_FACTS, hostOf, missingString, presentFacts, refTypeOf, wrongShape } from './claim_shape.ts'
import type { IssuerPreset, SourceFacts } from './preset.ts'

const PIPELINE_CLAIMS = [
  'sub',
  'organization_slug',
  'pipeline_slug',
  'build_branch',
  'build_commit',
  'job_id',
]

/** Ids, the cluster, the queue and agent tags only when the job asks for them. */
const KNOWN_CLAIMS = [
  'iss sub aud iat nbf exp jti organization_slug organization_id pipeline_slug pipeline_id',
  'build_id build_number build_branch build_tag build_commit build_source step_key job_id',
  'agent_id agent_tag:* runner_environment cluster_id cluster_name queue_id queue_key',
].flatMap((names) => names.split(' '))

export const buildkite: IssuerPreset = {
  name: 'buildkite',
  isShared: (issuer) => hostOf(issuer) === 'agent.buildkite.com',
  algorithms: ['RS256'],
  headerTypes: ['jwt'],
  // Both are in the token only when the job asks: `--claim organization_id --claim pipeline_id`.
  immutablePins: [['organization_id'], ['pipeline_id']],
  mutablePins: ['sub', 'organization_slug', 'pipeline_slug', 'build_branch', 'build_tag', 'step_key'],
  claims: KNOWN_CLAIMS,
  refs: { build_branch: 'short', build_tag: 'short' },
  immutableId,
  checkShape,
  // Pull requests come as `webhook`, too; the branch must be pinned to keep them out.
  events: { claim: 'build_source', allowed: ['webhook', 'api', 'ui', 'schedule', 'trigger_job'] },
  singleUse: 'per_audience',
  maxAgeSeconds: 600,
  // 300 s unless the job asks for another lifetime; the age limit is the one that counts.
  maxLifetimeSeconds: 3600,
  facts,
}

function checkShape(claims: Claims): SubjectDenial | undefined {
  const missing = missingString('buildkite', claims, PIPELINE_CLAIMS)
  if (missing !== undefined) return missing
  if (typeof claimAt(claims, 'build_number') === 'number') return undefined
  return wrongShape('buildkite', 'claim "build_number" must be a number')
}

/** Slugs stand in while the job does not ask for the id: `sub` would be another user with every commit. */
function immutableId(claims: Claims): string | undefined {
  const id = stringClaim(claims, 'pipeline_id')
  if (id !== undefined) return id
  const organization = stringClaim(claims, 'organization_slug')
  const pipeline = stringClaim(claims, 'pipeline_slug')
  return organization === undefined || pipeline === undefined ? undefined : `${organization}/${pipeline}`
}

/** No repository: a Buildkite token does not say where the code came from. */
function facts(claims: Claims): SourceFacts {
  const ref = refOf(claims)
  const build = claimAt(claims, 'build_number')
  return presentFacts({
    ...NO_FACTS,
    ci: 'buildkite',
    ref,
    ref_type: refTypeOf(ref),
    sha: stringClaim(claims, 'build_commit'),
    run_id: typeof build === 'number' && Number.isSafeInteger(build) ? `${build}` : undefined,
  })
}

/** Spelled as Buildkite spells it inside `sub`: a tag goes before the branch. */
function refOf(claims: Claims): string | undefined {
  const tag = stringClaim(claims, 'build_tag')
  if (tag !== undefined) return `refs/tags/${tag}`
  const branch = stringClaim(claims, 'build_branch')
  return branch === undefined ? undefined : `refs/heads/${branch}`
}
