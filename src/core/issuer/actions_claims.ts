// The claim dialect that GitHub Actions, Forgejo Actions and Gitea Actions share. What differs (how `sub` is spelled,
// where the repository lives, limits) stands in the three presets.
import { stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { isSegmentPrefix, missingString, presentFacts, wrongShape } from './claim_shape.ts'
import type { PresetName, SourceFacts } from './preset.ts'

/**
 * Events that only somebody with write access can cause. Left out: pull_request and pull_request_target (a stranger's
 * code, and on Forgejo and Gitea the latter has the `sub` of the main branch), issue_comment, workflow_run, and
 * events whose ref is not reviewed. A policy may list its own.
 */
export const ACTIONS_EVENTS = {
  claim: 'event_name',
  allowed: ['push', 'schedule', 'workflow_dispatch', 'repository_dispatch', 'release'],
} as const

export const ACTIONS_MUTABLE_PINS = [
  'sub',
  'repository',
  'repository_owner',
  'actor',
  'workflow',
  'workflow_ref',
  'job_workflow_ref',
  'environment',
  'ref',
  'base_ref',
  'head_ref',
] as const

/** What GitHub, Forgejo from release 15 and Gitea all write; the ids are missing in Forgejo 15. */
export const ACTIONS_KNOWN_CLAIMS = [
  'iss sub aud iat nbf exp actor actor_id base_ref event_name head_ref ref ref_protected ref_type',
  'repository repository_id repository_owner repository_owner_id run_attempt run_id run_number sha',
  'workflow workflow_ref',
].flatMap((names) => names.split(' '))

/** What Gitea and GitHub write beyond these. */
export const ACTIONS_MORE_CLAIMS = [
  'jti',
  'repository_visibility',
  'workflow_sha',
  'job_workflow_ref',
  'job_workflow_sha',
  'runner_environment',
] as const

/** `base_ref` and `head_ref` are branch names, and empty unless the event is a pull request. */
export const ACTIONS_REFS = { ref: 'full', base_ref: 'short', head_ref: 'short' } as const

/** Claims without which a token is not one that a job asked for. */
export const ACTIONS_CLAIMS = [
  'repository',
  'repository_owner',
  'event_name',
  'run_id',
  'workflow_ref',
] as const

type ActionsShape = {
  readonly preset: PresetName
  readonly required: readonly string[]
  /** Puts an immutable id behind a name in `sub`; `undefined` where the issuer has no such spelling. */
  readonly idDelimiter: '@' | '-'
  /** GitHub lets a repository compose its own `sub`, so only one that begins `repo:` can be held to its claims. */
  readonly subMayBeCustom: boolean
}

/** Holds a token to the claims every job has, and its `sub` to the repository that the other claims name. */
export function checkActionsShape(claims: Claims, shape: ActionsShape): SubjectDenial | undefined {
  const missing = missingString(shape.preset, claims, shape.required)
  if (missing !== undefined) return missing
  const sub = stringClaim(claims, 'sub')
  if (sub === undefined) return wrongShape(shape.preset, 'claim "sub" must be a non-empty string')
  if (!sub.startsWith('repo:')) {
    return shape.subMayBeCustom ? undefined : wrongShape(shape.preset, '"sub" must begin "repo:"')
  }
  const spellings = repositorySpellings(claims, shape.idDelimiter)
  if (spellings.some((spelling) => isSegmentPrefix(sub, `repo:${spelling}`))) return undefined
  return wrongShape(shape.preset, '"sub" speaks of another repository than "repository" and its ids')
}

/** `owner/name`, and with ids `owner@1/name@2` (Forgejo: `owner-1/name-2`). */
function repositorySpellings(claims: Claims, delimiter: string): string[] {
  const repository = stringClaim(claims, 'repository') ?? ''
  const [owner, name, more] = repository.split('/')
  if (!owner || !name || more !== undefined) return []
  const ownerId = stringClaim(claims, 'repository_owner_id')
  const id = stringClaim(claims, 'repository_id')
  if (ownerId === undefined || id === undefined) return [repository]
  return [repository, `${owner}${delimiter}${ownerId}/${name}${delimiter}${id}`]
}

/** `forge`: host and path under which `owner/name` lives; `undefined` when the issuer does not tell. */
export function actionsFacts(claims: Claims, ci: PresetName, forge: string | undefined): SourceFacts {
  const repository = stringClaim(claims, 'repository')
  return presentFacts({
    ci,
    source: forge === undefined || repository === undefined ? undefined : `${forge}/${repository}`,
    repository,
    repository_id: stringClaim(claims, 'repository_id'),
    ref: stringClaim(claims, 'ref'),
    ref_type: stringClaim(claims, 'ref_type'),
    sha: stringClaim(claims, 'sha'),
    run_id: stringClaim(claims, 'run_id'),
    environment: stringClaim(claims, 'environment'),
  })
}
