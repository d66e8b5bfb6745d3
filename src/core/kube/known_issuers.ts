// What is known of public and CI issuers by their URL: who else gets tokens from them, which claims say whose a token is,
// and which of those never change hands. Claims: core/issuer, and the issuers' own documentation as of November 2026.

export type KnownIssuer = {
  readonly name: string
  /** Anybody in the world gets a token of it, with an audience of their choice. */
  readonly isShared: boolean
  /** Its tokens are those of CI jobs. */
  readonly isCi: boolean
  /** Claims that say whose the token is; the first is what to pin. */
  readonly ownerClaims: readonly string[]
  /** Those that nobody can get again by registering a name. */
  readonly idClaims: readonly string[]
  /** In every token; a name can be given up and registered by somebody else. */
  readonly nameClaims: readonly string[]
  /** Further claims that no token lacks. */
  readonly alwaysSent: readonly string[]
  /** A rule that lets in one owner. */
  readonly pinRule: string
  /** A rule that keeps out what strangers can start; '' where no job is meant. */
  readonly eventRule: string
  /** The audience of a token when the job asks for none; a beginning. */
  readonly defaultAudience: string | undefined
}

const GITHUB: KnownIssuer = {
  name: 'GitHub Actions',
  isShared: true,
  isCi: true,
  ownerClaims: [
    'repository_owner_id',
    'repository_id',
    'repository_owner',
    'repository',
    'enterprise_id',
    'enterprise',
    'job_workflow_ref',
  ],
  idClaims: ['repository_owner_id', 'repository_id', 'enterprise_id'],
  nameClaims: ['sub', 'repository', 'repository_owner', 'actor', 'workflow'],
  alwaysSent: [
    'repository_id',
    'repository_owner_id',
    'repository_visibility',
    'ref',
    'ref_type',
    'sha',
    'event_name',
    'run_id',
    'run_number',
    'run_attempt',
    'actor_id',
    'workflow_ref',
    'job_workflow_ref',
    'runner_environment',
  ],
  pinRule: "claims.repository_owner_id == '123456'",
  eventRule: "claims.event_name in ['push', 'workflow_dispatch', 'schedule']",
  defaultAudience: 'https://github.com/',
}

const GITLAB: KnownIssuer = {
  name: 'GitLab',
  isShared: true,
  isCi: true,
  ownerClaims: ['namespace_id', 'project_id', 'namespace_path', 'project_path'],
  idClaims: ['namespace_id', 'project_id'],
  nameClaims: ['sub', 'project_path', 'namespace_path', 'user_login', 'user_email'],
  alwaysSent: [
    'project_id',
    'namespace_id',
    'user_id',
    'pipeline_id',
    'pipeline_source',
    'job_id',
    'ref',
    'ref_type',
    'ref_path',
    'ref_protected',
    'runner_id',
    'runner_environment',
    'sha',
  ],
  pinRule: "claims.namespace_id == '4711'",
  eventRule: "claims.pipeline_source in ['push', 'web', 'schedule'] && claims.ref_protected == 'true'",
  defaultAudience: undefined,
}

const FORGEJO: KnownIssuer = {
  name: 'Forgejo Actions',
  isShared: false,
  isCi: true,
  ownerClaims: ['repository_owner_id', 'repository_id', 'repository_owner', 'repository'],
  idClaims: ['repository_owner_id', 'repository_id'],
  nameClaims: ['sub', 'repository', 'repository_owner', 'actor', 'workflow'],
  alwaysSent: ['ref', 'ref_type', 'sha', 'event_name', 'run_id', 'run_number', 'run_attempt'],
  pinRule: "claims.repository_id == '456'",
  eventRule: "claims.event_name in ['push', 'workflow_dispatch', 'schedule']",
  defaultAudience: undefined,
}

const PEOPLE = {
  isShared: true,
  isCi: false,
  nameClaims: [],
  eventRule: '',
  defaultAudience: undefined,
} satisfies Partial<KnownIssuer>

const GOOGLE: KnownIssuer = {
  ...PEOPLE,
  name: 'Google',
  ownerClaims: ['hd', 'sub', 'email'],
  idClaims: ['sub'],
  alwaysSent: ['azp'],
  pinRule: "claims.?hd.orValue('') == 'example.com'",
}

const SIGSTORE: KnownIssuer = {
  ...PEOPLE,
  name: 'Sigstore',
  ownerClaims: ['email', 'sub', 'federated_claims'],
  idClaims: ['sub'],
  alwaysSent: [],
  pinRule: "claims.email in ['dev@example.com']",
}

const TERRAFORM: KnownIssuer = {
  ...PEOPLE,
  name: 'HCP Terraform',
  isCi: true,
  ownerClaims: [
    'terraform_organization_id',
    'terraform_workspace_id',
    'terraform_organization_name',
    'terraform_project_id',
  ],
  idClaims: ['terraform_organization_id', 'terraform_workspace_id', 'terraform_project_id'],
  nameClaims: ['sub', 'terraform_organization_name', 'terraform_workspace_name'],
  alwaysSent: [
    'terraform_organization_id',
    'terraform_workspace_id',
    'terraform_run_id',
    'terraform_run_phase',
  ],
  pinRule: "claims.terraform_organization_id == 'org-GRNbCjYNpBB6NEBH'",
}

const BUILDKITE: KnownIssuer = {
  ...PEOPLE,
  name: 'Buildkite',
  isCi: true,
  ownerClaims: ['organization_id', 'pipeline_id', 'organization_slug', 'pipeline_slug'],
  idClaims: ['organization_id', 'pipeline_id'],
  nameClaims: ['sub', 'organization_slug', 'pipeline_slug'],
  alwaysSent: ['build_number', 'build_branch', 'build_commit', 'job_id', 'agent_id'],
  pinRule: "claims.organization_id == '0184990a-477b-4fa8-9968-496074483cee'",
}

const EXACT: ReadonlyMap<string, KnownIssuer> = new Map([
  ['https://token.actions.githubusercontent.com', GITHUB],
  ['https://gitlab.com', GITLAB],
  ['https://accounts.google.com', GOOGLE],
  ['https://oauth2.sigstore.dev/auth', SIGSTORE],
  ['https://app.terraform.io', TERRAFORM],
  ['https://agent.buildkite.com', BUILDKITE],
  ['https://codeberg.org/api/actions', { ...FORGEJO, name: 'Codeberg', isShared: true }],
])

/** What is known of an issuer; `undefined` for one of which nothing is. */
export function knownIssuer(url: string): KnownIssuer | undefined {
  const exact = EXACT.get(url.replace(/\/$/, ''))
  if (exact !== undefined) return exact
  // an enterprise's own issuer, and GitHub Enterprise Server
  if (
    /^https:\/\/token\.actions\.githubusercontent\.com\/|^https:\/\/[^/]+\/_services\/token\/?$/.test(url)
  ) {
    return { ...GITHUB, isShared: false }
  }
  if (/^https:\/\/.*\/api\/actions\/?$/.test(url)) return FORGEJO
  return url.startsWith('https://gitlab.') ? { ...GITLAB, isShared: false } : undefined
}

/** Claims that a JWT must have for the apiserver (iss, aud, exp) or for OpenID Connect. */
export const STANDARD_CLAIMS: readonly string[] = ['iss', 'sub', 'aud', 'exp', 'iat']
