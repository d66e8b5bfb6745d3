// A forge that an apiserver trusts without the broker in between: GitLab pinned by project or namespace id, Forgejo by
// repository id where it sends one (from release 16) and by path where it does not (15). What each forge sends: core/issuer.
import { forgejoActions } from '#core/issuer/forgejo_actions.ts'
import { gitlabCi } from '#core/issuer/gitlab_ci.ts'
import type { IssuerPreset } from '#core/issuer/preset.ts'
import type { PlannedAuthenticator, PlanNote, TrustedCa } from './auth_config_plan.ts'
import type { ExtraMapping, JwtIssuer } from './authentication_configuration.ts'
import { expressed, extraMapping, lifetimeRule, RESERVED_NAMES } from './broker_authenticator.ts'
import type { ReasonedRule } from './broker_authenticator.ts'

type ForgeRequest = {
  /** `https://gitlab.example.com`, without a slash at the end. */
  readonly url: string
  readonly audience: string
  readonly ca: TrustedCa | undefined
  /** What every user name begins with, so that two forges never give the same one. Not empty. */
  readonly prefix: string
}

/** Where nobody says another. */
export const FORGE_PREFIXES = { gitlab: 'gitlab:', forgejo: 'forgejo:' } as const

export type GitlabRequest = ForgeRequest & {
  readonly projectIds: readonly string[]
  readonly namespaceIds: readonly string[]
}

export type ForgejoRequest = ForgeRequest & {
  readonly repositoryIds: readonly string[]
  /** `owner/name`, for Forgejo 15: never together with ids, since a user has to have one kind of name. */
  readonly repositoryPaths: readonly string[]
}

export type ForgePlan = { readonly planned: PlannedAuthenticator; readonly notes: readonly PlanNote[] }

/** Needs one project or namespace at least. */
export function planGitlab(request: GitlabRequest): ForgePlan {
  const { url, projectIds, namespaceIds, prefix } = request
  const pins = [oneOf('project_id', projectIds), oneOf('namespace_id', namespaceIds)].filter(
    (pin) => pin !== undefined,
  )
  const rules: readonly ReasonedRule[] = [
    {
      rule: expressed(pins.join(' || '), 'this project is not trusted here'),
      why: 'Ids, which GitLab never gives again. A path can be given up and registered by somebody else.',
    },
    {
      rule: expressed(
        "has(claims.pipeline_id) && has(claims.job_id) && claims.sub.startsWith('project_path:')",
        'only the token of a CI job is taken',
      ),
      why: 'GitLab signs the tokens of people who log in with it with the same keys.',
    },
    {
      rule: expressed(
        '!has(claims.job_project_id) || claims.job_project_id == claims.project_id',
        'the job of a fork is not taken',
      ),
      why: "In a fork's merge request that runs in the parent project, project_id is the fork's.",
    },
    eventRule(gitlabCi, 'A merge request brings code that nobody has reviewed.'),
    forgeLifetime(gitlabCi, "GitLab's tokens live as long as the job may run."),
  ]
  const extras = [
    extraMapping('source', `${literal(`${hostAndPath(url)}/`)} + claims.project_path`),
    extraMapping('repository', 'claims.project_path'),
    extraMapping('repository_id', 'claims.project_id'),
    extraMapping('ref', "claims.?ref_path.orValue('')"),
    extraMapping('sha', "claims.?sha.orValue('')"),
    extraMapping('environment', "claims.?environment.orValue('')"),
    extraMapping('run_id', "claims.?pipeline_id.orValue('')"),
  ]
  const username = `${literal(prefix)} + claims.project_id + ':' + claims.ref_type + ':' + claims.ref`
  const whyUser = `${prefix}48291:branch:main. The id instead of the path, and the ref: bind the branch that may deploy.`
  const heading =
    'GitLab itself: a job needs no broker, and its token works here until the job may run no more.'
  const planned = forge(request, url, {
    heading,
    rules,
    username,
    whyUser,
    uid: 'project_id',
    extras,
    prefixFlag: '--gitlab-prefix',
  })
  return { planned, notes: [] }
}

/** Needs one repository at least. */
export function planForgejo(request: ForgejoRequest): ForgePlan {
  const { prefix } = request
  const byPath = request.repositoryIds.length === 0
  const issuer = request.url.endsWith(ISSUER_PATH) ? request.url : `${request.url}${ISSUER_PATH}`
  const base = issuer.slice(0, -ISSUER_PATH.length)
  const pin = byPath
    ? oneOf('repository', request.repositoryPaths)
    : oneOf('repository_id', request.repositoryIds)
  const rules: readonly ReasonedRule[] = [
    {
      rule: expressed(pin ?? 'false', 'this repository is not trusted here'),
      why: byPath
        ? 'Paths, because Forgejo 15 sends no ids. WARNING: whoever registers one of these again is let in; take it out before a repository is renamed or deleted.'
        : 'Ids, which Forgejo never gives again. A path can be given up and registered by somebody else.',
    },
    eventRule(
      forgejoActions,
      "sub does not tell: a stranger's pull request under pull_request_target has the sub of the main branch.",
    ),
    forgeLifetime(forgejoActions, 'ID_TOKEN_EXPIRATION_TIME of Forgejo is 3600 s.'),
  ]
  const extras = [
    extraMapping('source', `${literal(`${hostAndPath(base)}/`)} + claims.repository`),
    extraMapping('repository', 'claims.repository'),
    extraMapping('repository_id', "claims.?repository_id.orValue('')"),
    extraMapping('ref', 'claims.ref'),
    extraMapping('sha', 'claims.sha'),
    extraMapping('run_id', 'claims.run_id'),
  ]
  const username = `${literal(prefix)} + ${byPath ? 'claims.sub' : "claims.repository_id + ':' + claims.ref"}`
  const whyUser = byPath
    ? `${prefix}repo:acme/app:ref:refs/heads/main. Mutable, as the path above is.`
    : `${prefix}456:refs/heads/main. The id instead of the path, and the ref: bind the branch that may deploy.`
  const heading = 'Forgejo itself: a job needs no broker, and its token works here for an hour.'
  const uid = byPath ? '' : 'repository_id'
  const planned = forge(request, issuer, {
    heading,
    rules,
    username,
    whyUser,
    uid,
    extras,
    prefixFlag: '--forgejo-prefix',
  })
  return { planned, notes: byPath ? [pathNote(request.repositoryPaths)] : [] }
}

const ISSUER_PATH = '/api/actions'

type ForgeParts = {
  readonly heading: string
  readonly prefixFlag: string
  readonly rules: readonly ReasonedRule[]
  readonly username: string
  readonly whyUser: string
  /** '' where the forge sends no id. */
  readonly uid: string
  readonly extras: readonly ExtraMapping[]
}

function forge(request: ForgeRequest, url: string, parts: ForgeParts): PlannedAuthenticator {
  const why: Record<string, string> = {
    'issuer.url':
      'Compared byte for byte with "iss". While it cannot be reached, no change of this file is taken up.',
    'issuer.certificateAuthority':
      request.ca?.describes ?? 'No certificateAuthority: the roots that the apiserver trusts anyway.',
    'issuer.audiences': 'What the job asks its token for.',
    'claimMappings.username': parts.whyUser,
    'claimMappings.uid': 'The same for good, whatever the repository is called.',
    'claimMappings.extra': 'As those of the broker, so that acme/app on two forges never meet.',
    userValidationRules: 'Should somebody take the prefixes away, this keeps system:masters out of reach.',
  }
  parts.rules.forEach((rule, index) => {
    why[`claimValidationRules[${index}]`] = rule.why
  })
  return {
    heading: parts.heading,
    prefixFlags: { username: parts.prefixFlag },
    why,
    authenticator: {
      issuer: issuerOf(request, url),
      claimValidationRules: parts.rules.map(({ rule }) => rule),
      claimMappings: {
        username: { claim: '', prefix: undefined, expression: parts.username },
        // What a forge calls groups are names that its users make.
        groups: { claim: '', prefix: undefined, expression: '' },
        uid: { claim: parts.uid, expression: '' },
        extra: parts.extras,
      },
      userValidationRules: RESERVED_NAMES,
    },
  }
}

function issuerOf(request: ForgeRequest, url: string): JwtIssuer {
  return {
    url,
    discoveryURL: undefined,
    certificateAuthority: request.ca?.pem ?? '',
    audiences: [request.audience],
    audienceMatchPolicy: '',
    egressSelectorType: '',
  }
}

function eventRule(preset: IssuerPreset, why: string): ReasonedRule {
  if (preset.events === undefined) throw new Error(`${preset.name} tells no events`)
  const { claim, allowed } = preset.events
  const rule = expressed(oneOf(claim, allowed) ?? 'false', 'this event is not trusted here')
  return { rule, why: `Events that only people with write access cause. ${why}` }
}

function forgeLifetime(preset: IssuerPreset, why: string): ReasonedRule {
  return lifetimeRule(
    preset.maxLifetimeSeconds,
    `kube-apiserver takes a token back only when it expires. ${why}`,
  )
}

function pathNote(paths: readonly string[]): PlanNote {
  return {
    code: 'forge_by_path',
    message: `${paths.join(', ')}: pinned by path, and whoever registers the path again is let in`,
    wayOut: 'from Forgejo 16 pin the id: --forgejo-repository 456; or let jobs come through the broker',
  }
}

/** `claims.x in ['a', 'b']`; `undefined` for an empty list. */
function oneOf(claim: string, values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : `claims.${claim} in [${values.map(literal).join(', ')}]`
}

/** A CEL text in single quotes. Ids, paths and hosts of ours hold nothing that needs more escapes than these. */
function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}

function hostAndPath(url: string): string {
  return url.replace(/^https:\/\//, '')
}
