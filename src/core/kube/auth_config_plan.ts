// The AuthenticationConfiguration that makes one kube-apiserver trust this broker, as data: every line with the reason for
// which it stands. What the apiserver does with each is in k8s.io/apiserver (1.30 to 1.37), pkg/apis/apiserver/validation and
// plugin/pkg/authenticator/token/oidc.
import type { Result } from '#core/result.ts'
import { absentAnonymous, planAnonymous } from './anonymous_plan.ts'
import type { AnonymousChoice } from './anonymous_plan.ts'
import type {
  AnonymousAuth,
  AuthenticationConfiguration,
  JwtAuthenticator,
} from './authentication_configuration.ts'
import { planBroker } from './broker_authenticator.ts'
import { collisionProblems } from './collision_problems.ts'
import type { MergedAuthenticator } from './collision_problems.ts'
import type { KubeVersion } from './kube_version.ts'
import type { NameKind } from './name_collisions.ts'
import { prefixProblem, USERNAME_CLAIMS } from './policy_subjects.ts'
import type { KubeNaming, KubeProfile } from './policy_subjects.ts'

/** One thing to say about a plan. Codes are stable and listed in docs/kube-auth-config.md. */
export type PlanNote = { readonly code: AuthConfigCode; readonly message: string; readonly wayOut: string }

export const AUTH_CONFIG_CODES = [
  // refused
  'prefix_unusable',
  'prefix_of_a_forge',
  'prefix_of_merged',
  'username_claim_unknown',
  'issuer_unusable',
  'anonymous_merged_and_asked',
  // told
  'prefix_empty',
  'prefix_doubled',
  'lifetime_long',
  'email_of_several_connectors',
  'issuer_replaced',
  'forge_by_path',
] as const
type AuthConfigCode = (typeof AUTH_CONFIG_CODES)[number]

/** `why`: comments by path (`issuer.url`, `claimValidationRules[0]`); a path without one gets none. */
export type PlannedAuthenticator = {
  readonly heading: string
  readonly authenticator: JwtAuthenticator
  readonly why: Readonly<Record<string, string>>
  /** The flags that set what its names begin with; none for what stood in a file. */
  readonly prefixFlags?: Readonly<Partial<Record<NameKind, string>>>
}

export type AuthConfigPlan = {
  readonly heading: string
  readonly version: KubeVersion
  readonly jwt: readonly PlannedAuthenticator[]
  readonly anonymous: { readonly why: string; readonly auth: AnonymousAuth } | undefined
  /** Not wrong, and still to be known before the file is used. */
  readonly notes: readonly PlanNote[]
}

/** What of the broker's configuration the apiserver has to know. */
export type BrokerTrust = {
  readonly issuer: string
  readonly audience: string
  readonly profile: KubeProfile
  /** The longest lifetime of a token for this audience. */
  readonly maxLifetimeSeconds: number
  /** Claims that policies add to tokens for this audience. */
  readonly policyClaims: readonly string[]
  /** Groups that policies give with this audience. */
  readonly policyGroups: readonly string[]
  /** Connectors of which tokens for this audience can come. */
  readonly connectors: number
  readonly discoveryUrl: string | undefined
  readonly ca: TrustedCa | undefined
}

export type TrustedCa = {
  readonly pem: string
  /** What a reader should know of it: whose it is and until when it is good. */
  readonly describes: string
}

export type AuthConfigRequest = {
  readonly version: KubeVersion
  /** As in `1.36`, for the heading. */
  readonly versionText: string
  readonly broker: BrokerTrust
  readonly naming: KubeNaming
  /** Issuers that are trusted beside the broker: made here, then those of an existing file. */
  readonly further: readonly PlannedAuthenticator[]
  readonly furtherNotes: readonly PlanNote[]
  readonly merged: readonly MergedFile[]
  readonly anonymous: AnonymousChoice | undefined
}

export type MergedFile = { readonly file: string; readonly config: AuthenticationConfiguration }

/** kube-apiserver takes no token back before it expires, so an hour is already long. */
const LONG_LIFETIME_SECONDS = 3600

/** The plan, or everything for which there is none. */
export function planAuthConfig(request: AuthConfigRequest): Result<AuthConfigPlan, readonly PlanNote[]> {
  const own = [planBroker(request.broker, request.naming), ...request.further]
  const merge = mergeFiles(own, request.merged)
  const anonymous = planAnonymous(request)
  const jwt = [...own, ...merge.kept]
  const naming = namingProblems(request.naming, request.broker.profile)
  const problems = [
    ...naming,
    // A prefix that cannot stand anyway is told once.
    ...(naming.length > 0 ? [] : collisionProblems(own, merge.kept)),
    ...issuerProblems(request.broker.issuer),
    ...(anonymous.ok ? [] : [anonymous.denial]),
  ]
  if (!anonymous.ok || problems.length > 0) return { ok: false, denial: problems }
  const notes = [...namingNotes(request), ...request.furtherNotes, ...merge.notes]
  const heading = headingOf(request, anonymous.value !== undefined)
  return { ok: true, value: { heading, version: request.version, jwt, anonymous: anonymous.value, notes } }
}

function headingOf({ broker, version, versionText }: AuthConfigRequest, hasAnonymous: boolean): string {
  return [
    `AuthenticationConfiguration for kube-apiserver ${versionText}: it trusts ${broker.issuer} for the audience ${broker.audience}.`,
    'Made by `sallyport kube auth-config`: make it anew instead of editing it, and check every change with `sallyport kube lint`.',
    "It says nothing of client certificates and ServiceAccounts: an administrator's certificate gets in whatever stands here.",
    ...(hasAnonymous ? [] : [absentAnonymous(version)]),
    'Where the file goes, and how a change of it is taken up: docs/kube-apiserver-file.md.',
  ].join('\n')
}

// ---- what is wrong, and what is only said

function namingProblems(naming: KubeNaming, profile: KubeProfile): readonly PlanNote[] {
  const problems: PlanNote[] = []
  for (const [flag, prefix] of [
    ['--username-prefix', naming.usernamePrefix],
    ['--groups-prefix', naming.groupsPrefix],
  ] as const) {
    const message = prefixProblem(prefix)
    if (message === undefined) continue
    problems.push({
      code: 'prefix_unusable',
      message: `${flag} ${JSON.stringify(prefix)} cannot be used: ${message}`,
      wayOut: 'choose a short word and a colon, such as ci:',
    })
  }
  const known: readonly string[] = USERNAME_CLAIMS[profile]
  if (!known.includes(naming.usernameClaim)) {
    problems.push({
      code: 'username_claim_unknown',
      message: `tokens of the ${profile} profile name nobody in ${naming.usernameClaim}`,
      wayOut: `--username-claim is one of ${known.join(', ')}`,
    })
  }
  return problems
}

/** The rest of the rules is the linter's; this one is met so often (Dex on http) that it gets its own words. */
function issuerProblems(issuer: string): readonly PlanNote[] {
  if (issuer.startsWith('https://')) return []
  return [
    {
      code: 'issuer_unusable',
      message: `the issuer is ${issuer}, and kube-apiserver trusts https alone`,
      wayOut: 'give the broker an https issuer; --discovery-url only changes where documents are fetched',
    },
  ]
}

function namingNotes({ broker, naming }: AuthConfigRequest): readonly PlanNote[] {
  const notes: PlanNote[] = []
  const bare = [
    naming.usernamePrefix === '' ? '--username-prefix' : '',
    naming.groupsPrefix === '' ? '--groups-prefix' : '',
  ].filter((flag) => flag !== '')
  if (bare.length > 0) {
    notes.push({
      code: 'prefix_empty',
      message: `${bare.join(' and ')}: empty, so what a policy or an issuer says can be the name of a person or a certificate`,
      wayOut: 'leave it out and bind ci:NAME, or keep every such name apart yourself',
    })
  }
  const doubled = broker.policyGroups.filter(
    (group) => naming.groupsPrefix !== '' && group.startsWith(naming.groupsPrefix),
  )
  if (doubled.length > 0) {
    notes.push({
      code: 'prefix_doubled',
      message: `groups of the policies begin with the prefix already, so bindings name ${naming.groupsPrefix}${doubled[0]}`,
      wayOut: `write them without ${naming.groupsPrefix} in the policies, or choose another --groups-prefix`,
    })
  }
  if (broker.maxLifetimeSeconds > LONG_LIFETIME_SECONDS) {
    notes.push({
      code: 'lifetime_long',
      message: `tokens for ${broker.audience} may live ${broker.maxLifetimeSeconds} s, and kube-apiserver takes none back before`,
      wayOut: 'set expiry.idTokens (native: maxTtl of the audience) to 15m',
    })
  }
  if (naming.usernameClaim === 'email' && broker.connectors > 1) {
    notes.push({
      code: 'email_of_several_connectors',
      message: `${broker.connectors} connectors say what the e-mail address is: whoever runs one of them can be anybody of the others`,
      wayOut: 'only trust connectors of the same people, or use --username-claim sub',
    })
  }
  return notes
}

// ---- further issuers

function mergeFiles(
  own: readonly PlannedAuthenticator[],
  merged: readonly MergedFile[],
): { readonly kept: readonly MergedAuthenticator[]; readonly notes: readonly PlanNote[] } {
  const taken = new Set(own.map(({ authenticator }) => authenticator.issuer.url))
  const kept: MergedAuthenticator[] = []
  const notes: PlanNote[] = []
  for (const { file, config } of merged) {
    for (const authenticator of config.jwt) {
      const { url } = authenticator.issuer
      if (taken.has(url)) {
        notes.push({
          code: 'issuer_replaced',
          message: `${file} has an entry for ${url}, too: it is left out, since an issuer can stand here once`,
          wayOut: 'nothing, when the file was made by this command; else compare the two',
        })
        continue
      }
      taken.add(url)
      kept.push({ heading: `As it stood in ${file}.`, authenticator, why: {}, file })
    }
  }
  return { kept, notes }
}
