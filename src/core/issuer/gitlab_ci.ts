// GitLab CI `id_tokens`, gitlab.com and self-managed. https://docs.gitlab.com/ci/secrets/id_token_authentication/
import { claimAt, stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import {
  hostAndPath,
  hostOf,
  isSegmentPrefix,
  missingString,
  presentFacts,
  wrongShape,
} from './claim_shape.ts'
import type { IssuerPreset, SourceFacts } from './preset.ts'

/** A GitLab issuer and key set also sign id tokens of people who log in with GitLab; those have none of these. */
const CI_CLAIMS = ['project_id', 'project_path', 'pipeline_id', 'job_id', 'pipeline_source']

/** Some only in jobs of an environment, of a merge request, or from GitLab 18 on. */
const KNOWN_CLAIMS = [
  'iss sub aud iat nbf exp jti',
  'namespace_id namespace_path project_id project_path project_visibility',
  'job_namespace_id job_namespace_path job_project_id job_project_path job_id job_source job_config',
  'user_id user_login user_email user_access_level user_identities groups_direct',
  'pipeline_id pipeline_source pipeline_source_event',
  'ref ref_type ref_path ref_protected target_ref target_ref_protected sha',
  'environment environment_protected environment_action deployment_tier',
  'runner_id runner_environment ci_config_ref_uri ci_config_sha',
].flatMap((names) => names.split(' '))

export const gitlabCi: IssuerPreset = {
  name: 'gitlab-ci',
  isShared: (issuer) => hostOf(issuer) === 'gitlab.com',
  algorithms: ['RS256'],
  headerTypes: ['jwt'],
  immutablePins: [['project_id'], ['job_project_id'], ['namespace_id'], ['job_namespace_id']],
  mutablePins: [
    'sub',
    'project_path',
    'namespace_path',
    'job_project_path',
    'job_namespace_path',
    'user_login',
    'user_email',
    'groups_direct',
    'ref',
    'ref_path',
    'environment',
    'runner_id',
    'ci_config_ref_uri',
  ],
  claims: KNOWN_CLAIMS,
  refs: { ref: 'short', ref_path: 'full' },
  immutableId: (claims) => stringClaim(claims, 'project_id'),
  checkShape,
  // merge_request_event is a stranger's branch; parent_pipeline and pipeline hide the event that began it all.
  events: { claim: 'pipeline_source', allowed: ['push', 'web', 'schedule'] },
  singleUse: 'per_audience',
  // The token is made at job start and deploy steps come last, so its age is bounded by jobs and not by minutes.
  maxAgeSeconds: 6 * 3600,
  // exp is the job's timeout.
  maxLifetimeSeconds: 24 * 3600,
  facts,
}

function checkShape(claims: Claims): SubjectDenial | undefined {
  const missing = missingString('gitlab-ci', claims, CI_CLAIMS)
  if (missing !== undefined) return missing
  const path = stringClaim(claims, 'project_path')
  const sub = stringClaim(claims, 'sub') ?? ''
  if (path === undefined || !isSegmentPrefix(sub, `project_path:${path}`)) {
    return wrongShape('gitlab-ci', '"sub" must begin "project_path:" and name the project of "project_path"')
  }
  return checkFork(claims)
}

/** In a fork's merge request that runs in the parent, `project_*` is the fork and `job_project_*` the parent. */
function checkFork(claims: Claims): SubjectDenial | undefined {
  const runsIn = claimAt(claims, 'job_project_id')
  if (runsIn === undefined || runsIn === stringClaim(claims, 'project_id')) return undefined
  return wrongShape('gitlab-ci', 'the job runs in another project than the one it speaks for (a fork)')
}

function facts(claims: Claims, issuer: string): SourceFacts {
  const forge = hostAndPath(issuer)
  const path = stringClaim(claims, 'project_path')
  return presentFacts({
    ci: 'gitlab-ci',
    source: forge === undefined || path === undefined ? undefined : `${forge.host}${forge.path}/${path}`,
    repository: path,
    repository_id: stringClaim(claims, 'project_id'),
    // `ref` is a short name here; only `ref_path` means what `ref` means on every other forge.
    ref: stringClaim(claims, 'ref_path'),
    ref_type: stringClaim(claims, 'ref_type'),
    sha: stringClaim(claims, 'sha'),
    run_id: stringClaim(claims, 'pipeline_id'),
    environment: stringClaim(claims, 'environment'),
  })
}
