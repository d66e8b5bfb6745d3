// Which audience of the configuration a cluster is, and what tokens for it can say. auth-config and rbac both ask here, so that
// the names that one writes are those that the other binds.
import type { Connector } from '#core/connector.ts'
import { KUBE_LIFETIME_SECONDS } from '#core/kube/broker_authenticator.ts'
import { USERNAME_CLAIMS } from '#core/kube/policy_subjects.ts'
import type { KubeNaming, KubeProfile, UsernameClaim } from '#core/kube/policy_subjects.ts'
import type { PolicySource } from '#core/policy/trust_policy.ts'
import type { BrokerConfig } from '../../broker/config/broker_config.ts'
import type { CommandIo } from '../command.ts'
import type { NamingFlags } from './naming_flags.ts'

export type KubeAudience = {
  readonly id: string
  readonly profile: KubeProfile
  /** Seconds. */
  readonly maxLifetimeSeconds: number
  /** Those that can grant it, in file order. */
  readonly policies: readonly PolicySource[]
  /** Those whose tokens can be exchanged for it. */
  readonly connectors: readonly Connector[]
}

export type Complaint = { readonly message: string; readonly wayOut: string }

/** Dex's own habit, and what Deckhouse configures. */
const DEX_CLUSTER_ID = 'kubernetes'

/** The audience `id`, or the only one that can be meant. */
export function chooseAudience(config: BrokerConfig, id: string | undefined): KubeAudience | Complaint {
  const wanted = id ?? defaultAudience(config)
  if (typeof wanted === 'object') return wanted
  const audience = config.audiences.find((one) => one.id === wanted)
  const isClient = config.clients.some((client) => client.id === wanted)
  if (audience === undefined && !isClient) {
    const known = config.audiences.map((one) => one.id).join(', ')
    return {
      message: `there is no audience ${wanted} in this configuration`,
      wayOut:
        known === '' ? 'add one under audiences, with profile: kubernetes' : `--audience is one of ${known}`,
    }
  }
  const profile = audience?.profile ?? 'dex'
  if (profile === 'rfc9068') {
    return {
      message: `tokens for ${wanted} are RFC 9068 access tokens, which name no Kubernetes user`,
      wayOut: 'give the cluster an audience of its own, with profile: kubernetes',
    }
  }
  const policies = config.policies.filter(
    ({ grant }) =>
      grant.audiences.includes(wanted) || (config.mode === 'dex' && grant.audiences.length === 0),
  )
  const connectors = config.connectors.filter(
    (connector) => !connector.needsPolicy || policies.some((policy) => policy.connector === connector.id),
  )
  const limit = audience?.maxTtlSeconds ?? Number.POSITIVE_INFINITY
  const longest = profile === 'kubernetes' ? KUBE_LIFETIME_SECONDS : longestLifetime(config, policies)
  return { id: wanted, profile, maxLifetimeSeconds: Math.min(limit, longest), policies, connectors }
}

function defaultAudience(config: BrokerConfig): string | Complaint {
  const kube = config.audiences.filter(({ profile }) => profile === 'kubernetes')
  const [first, second] = kube
  if (first !== undefined && second === undefined) return first.id
  if (first === undefined && config.audiences.some(({ id }) => id === DEX_CLUSTER_ID)) return DEX_CLUSTER_ID
  return first === undefined
    ? {
        message: 'no audience of this configuration has the profile kubernetes',
        wayOut: 'add one under audiences, or name a client of Dex with --audience',
      }
    : {
        message: `several audiences have the profile kubernetes: ${kube.map(({ id }) => id).join(', ')}`,
        wayOut: 'say with --audience which of them this cluster is',
      }
}

function longestLifetime(config: BrokerConfig, policies: readonly PolicySource[]): number {
  const own = [
    ...config.clients.map((client) => client.ttlSeconds),
    ...policies.map(({ grant }) => grant.ttlSeconds),
  ]
  return Math.max(config.tokens.ttlSeconds, ...own.filter((ttl) => ttl !== undefined))
}

/** The names that the flags ask for; the claim's default is the profile's. */
export function namingOf(flags: NamingFlags, profile: KubeProfile): KubeNaming | Complaint {
  const known: readonly UsernameClaim[] = USERNAME_CLAIMS[profile]
  const usernameClaim = known.find((claim) => claim === (flags.usernameClaim ?? known[0]))
  if (usernameClaim === undefined) {
    return {
      message: `tokens of the profile ${profile} name nobody in ${flags.usernameClaim ?? ''}`,
      wayOut: `--username-claim is one of ${known.join(', ')}`,
    }
  }
  return { usernameClaim, usernamePrefix: flags.usernamePrefix, groupsPrefix: flags.groupsPrefix }
}

export function isComplaint(answer: object): answer is Complaint {
  return 'wayOut' in answer
}

/** A complaint as a usage error; the command's help is named. */
export function complain(
  command: string,
  { message, wayOut }: Complaint,
  io: Pick<CommandIo, 'stderr'>,
): void {
  io.stderr.write(`error: ${message}\n    -> ${wayOut}\n(see sallyport kube ${command} --help)\n`)
}
