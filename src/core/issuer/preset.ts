// What is known of one kind of issuer: its claims, immutable ids, default limits and traps. Data and pure functions;
// the table of presets stands in presets.ts.
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'

export const PRESET_NAMES = [
  'oidc',
  'gitlab-ci',
  'github-actions',
  'forgejo-actions',
  'gitea-actions',
  'keycloak',
  'kubernetes',
  'buildkite',
  'circleci',
  'azure-devops',
] as const
export type PresetName = (typeof PRESET_NAMES)[number]

/** `off`: reuse until exp. `once`: one exchange. `per_audience`: one exchange for each audience. */
export type SingleUse = 'off' | 'once' | 'per_audience'

/** What an issuer's token says of the job, as flat strings; absent members are absent claims. */
export type SourceFacts = {
  readonly ci?: string
  /** Host and path of the repository (`gitlab.example.test/acme/vpc`), so that acme/vpc on two forges never meet. */
  readonly source?: string
  readonly repository?: string
  readonly repository_id?: string
  readonly ref?: string
  readonly ref_type?: string
  readonly sha?: string
  readonly run_id?: string
  readonly environment?: string
}

export type IssuerPreset = {
  readonly name: PresetName
  /** Whether strangers' jobs get tokens from this very issuer (github.com, gitlab.com, agent.buildkite.com). */
  readonly isShared: (issuer: string) => boolean
  /** JWS algorithms accepted unless the connector says otherwise. */
  readonly algorithms: readonly string[]
  /** Header `typ` values accepted, lower case; an absent header is accepted always. */
  readonly headerTypes: readonly string[]
  /** Sets of claims of which one whole set pinned exactly makes a policy immune to renames and re-registration. */
  readonly immutablePins: readonly (readonly string[])[]
  /** Claims that identify, but can be renamed or registered again by somebody else. */
  readonly mutablePins: readonly string[]
  /** The issuer's immutable id of the workload (GitLab project_id, ...), or `undefined` when the token carries none. */
  readonly immutableId: (claims: Claims) => string | undefined
  /** Issuer-specific shape: CI-only claims, fork rule, token class. `undefined` when the token passes. */
  readonly checkShape: (claims: Claims) => SubjectDenial | undefined
  /** The claim that names the event, and the events allowed unless a policy lists its own. */
  readonly events: { readonly claim: string; readonly allowed: readonly string[] } | undefined
  readonly singleUse: SingleUse
  /** Longest accepted age (now - iat); `undefined`: until exp. */
  readonly maxAgeSeconds: number | undefined
  /** Longest accepted exp - iat. */
  readonly maxLifetimeSeconds: number
  readonly facts: (claims: Claims, issuer: string) => SourceFacts
  /** What a person would call the workload; the fact `source`, then `sub`, stand in when it is absent. */
  readonly displayName?: (claims: Claims) => string | undefined
  /** The one audience this issuer can write: it cannot be the broker's, so policies lean on ids alone. */
  readonly fixedAudience?: string
  /**
   * Every claim that the issuer is known to write; `undefined` where an administrator decides. A name that ends in `*`
   * stands for all that begin so. Issuers add claims, so a name that is not here is doubtful and not wrong.
   */
  readonly claims?: readonly string[]
  /** Claims that name a branch or tag: `full` as `refs/heads/main`, `short` as `main`. */
  readonly refs?: Readonly<Record<string, 'full' | 'short'>>
  /** Mutable claims that may read the same for two workloads (Forgejo's hyphened `sub`): never enough alone. */
  readonly ambiguousPins?: readonly string[]
}
