// Requests for an AuthenticationConfiguration that nobody would make and that are allowed all the same: odd letters in prefixes and
// audiences, every version, forge and profile. The same ones in every run.
import type { AuthConfigRequest } from '../../src/core/kube/auth_config_plan.ts'
import { planForgejo, planGitlab } from '../../src/core/kube/forge_issuers.ts'
import type { ForgePlan } from '../../src/core/kube/forge_issuers.ts'
import { kubeVersion } from '../../src/core/kube/kube_version.ts'
import { USERNAME_CLAIMS } from '../../src/core/kube/policy_subjects.ts'

const VERSIONS = ['1.30', '1.31', '1.32', '1.33', '1.34', '1.35.9', 'v1.36.4', '1.37'] as const
const ISSUERS = [
  'https://a',
  'https://localhost:8443',
  'https://broker.example.test/dex/',
  'https://[::1]:5556/dex',
  'https://broker.example.test/%20/ü?'.slice(0, -1),
  `https://broker.example.test/${'p'.repeat(300)}`,
]
const ODD = [
  '',
  'yes',
  'null',
  '1e3',
  "it's",
  '"',
  '\\',
  '#',
  ':',
  '*',
  '&a',
  '!x',
  '{}',
  '[',
  '%',
  '@',
  '`',
  '|',
  '>',
  '-',
  '?',
  '🐢',
  'żółw',
  '<<',
  '~',
  '0x1F',
  '12:30',
]

/** A linear congruential generator: a test that fails once fails always. */
function choices(seed: number): (length: number) => number {
  let state = seed >>> 0
  return (length) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * length)
  }
}

export function oddRequests(count: number, caPem: string): readonly AuthConfigRequest[] {
  const next = choices(1)
  const pick: Pick = (list) => {
    const at = next(list.length)
    for (const [index, one] of list.entries()) if (index === at) return one
    throw new Error('an empty list')
  }
  return Array.from({ length: count }, () => oddRequest(pick, caPem))
}

type Pick = <T>(list: readonly T[]) => T

function oddRequest(pick: Pick, caPem: string): AuthConfigRequest {
  const versionText = pick(VERSIONS)
  const version = kubeVersion(versionText)
  if (version === undefined) throw new Error(versionText)
  const profile = pick(['kubernetes', 'dex'] as const)
  const ca = pick([undefined, { pem: caPem, describes: `CA of ${pick(ODD)}\nand more.` }])
  const forges = oddForges(pick, ca)
  return {
    version,
    versionText,
    broker: {
      issuer: pick(ISSUERS),
      audience: `${pick(ODD)}kube ${pick(ODD)}`,
      profile,
      maxLifetimeSeconds: pick([1, 900, 86_400, 31_536_000]),
      policyClaims: pick([[], ['sha', 'policy', 'constructor']]),
      policyGroups: [pick(ODD)],
      connectors: pick([0, 1, 9]),
      discoveryUrl: pick([undefined, undefined, 'https://10.0.0.1:8443/.well-known/openid-configuration']),
      ca,
    },
    naming: {
      usernameClaim: pick(USERNAME_CLAIMS[profile]),
      // A forge's names must stay apart.
      usernamePrefix: forges.length === 0 ? pick(ODD) : `x${pick(ODD)}`,
      groupsPrefix: pick(ODD),
    },
    further: forges.map(({ planned }) => planned),
    furtherNotes: forges.flatMap(({ notes }) => notes),
    merged: [],
    anonymous: version.anonymous === 'unknown' ? undefined : pick([undefined, 'none', 'health', 'kubeadm']),
  }
}

function oddForges(pick: Pick, ca: AuthConfigRequest['broker']['ca']): readonly ForgePlan[] {
  const audience = `forge ${pick(ODD)}`
  const gitlab = { url: 'https://gitlab.example.test:8443/gitlab', audience, ca, prefix: `g${pick(ODD)}:` }
  const forgejo = { url: 'https://git.example.test', audience, ca, prefix: `f${pick(ODD)}:` }
  return [
    ...pick([[], [planGitlab({ ...gitlab, projectIds: ['1', '2'], namespaceIds: pick([[], ['3']]) })]]),
    ...pick([
      [],
      [planForgejo({ ...forgejo, repositoryIds: ['1'], repositoryPaths: [] })],
      [planForgejo({ ...forgejo, repositoryIds: [], repositoryPaths: ["it's/x", 'a\\b/c'] })],
    ]),
  ]
}
