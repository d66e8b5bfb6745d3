// Finds whom a policy makes somebody in Kubernetes, says who else can bear that name, and prints the objects.
import type { Connector } from '#core/connector.ts'
import { kubeGroup, kubeUsername } from '#core/kube/policy_subjects.ts'
import type { KubeNaming } from '#core/kube/policy_subjects.ts'
import type { RbacNote } from '#core/kube/rbac_codes.ts'
import {
  DEFAULT_RESOURCES,
  DEFAULT_VERBS,
  parseResource,
  printRbac,
  roleName,
  roleNotes,
  rulesOf,
} from '#core/kube/rbac_plan.ts'
import type { RbacRequest } from '#core/kube/rbac_plan.ts'
import { chooseSubjects, passesGroupsOn } from '#core/kube/rbac_subjects.ts'
import type { ChosenSubjects, GrantingPolicy, SubjectRequest } from '#core/kube/rbac_subjects.ts'
import { CLIENT_CREDENTIALS } from '#core/oauth/names.ts'
import type { BrokerConfig } from '../../broker/config/broker_config.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { loadConfig, tellFindings } from '../config_source.ts'
import { chooseAudience, complain, isComplaint, namingOf } from './kube_audience.ts'
import type { Complaint, KubeAudience } from './kube_audience.ts'
import type { RbacFlags } from './rbac.ts'

/** Exit codes: ok, usage, configuration for a configuration that does not load. */
export async function runRbac(flags: RbacFlags, io: CommandIo): Promise<ExitCode> {
  const load = await loadConfig(flags, io)
  if (!tellFindings(load, io, false)) return EXIT.configuration
  const chosen = choose(flags, load.config, io)
  if (isComplaint(chosen)) return refuse(chosen, io)
  const request = requestOf(flags, chosen)
  if (isComplaint(request)) return refuse(request, io)
  for (const { code, message, wayOut } of [...chosen.notes, ...roleNotes(request)]) {
    io.stderr.write(`warning ${code}: ${message}\n    -> ${wayOut}\n`)
  }
  io.stdout.write(printRbac(request))
  return EXIT.ok
}

function refuse(complaint: Complaint, io: CommandIo): ExitCode {
  complain('rbac', complaint, io)
  return EXIT.usage
}

function choose(flags: RbacFlags, config: BrokerConfig, io: CommandIo): ChosenSubjects | Complaint {
  const audience = chooseAudience(config, flags.audience)
  if (isComplaint(audience)) return audience
  const naming = namingOf(flags, audience.profile)
  if (isComplaint(naming)) return naming
  if (flags.user !== undefined && flags.group !== undefined) {
    return { message: '--user and --group are both given', wayOut: 'one binding, one kind of subject' }
  }
  if (flags.policy === undefined) return chooseByName(flags, naming, audience)
  if (typeof flags.user === 'string') {
    return {
      message: '--user NAME and --policy are both given',
      wayOut: 'leave the name out: the policy says it',
    }
  }
  const granting = grantingPolicies(config, audience)
  const found = granting.find(({ policy }) => policy.name === flags.policy)
  if (found === undefined) return unknownPolicy(flags.policy, config, audience)
  const given = claimsOf(flags.claim ?? [])
  if (isComplaint(given)) return given
  const request: SubjectRequest = {
    granting: found,
    profile: audience.profile,
    naming,
    given: given.claims,
    wanted: wantedOf(flags),
    others: granting,
    clients: config.clients.filter((client) => mayAskForItself(client, config, audience.id)),
  }
  const chosen = chooseSubjects(request)
  if (!chosen.ok) return chosen.denial
  return { ...chosen.value, notes: [...policyNotes(found, io), ...chosen.value.notes] }
}

function wantedOf({ user, group }: RbacFlags): SubjectRequest['wanted'] {
  if (user !== undefined) return { kind: 'user' }
  if (group === undefined) return undefined
  return { kind: 'group', name: group === true ? undefined : group }
}

/** A name that no policy gives: Dex mode, where the issuer behind the connector names people and their groups. */
function chooseByName(
  flags: RbacFlags,
  naming: KubeNaming,
  audience: KubeAudience,
): ChosenSubjects | Complaint {
  const why = 'Named on the command line, after the prefix of auth-config.'
  if (typeof flags.user === 'string') {
    const name = kubeUsername(flags.user, naming)
    const note: RbacNote = {
      code: 'name_of_issuer',
      message: `${name}: the claim ${naming.usernameClaim} says so, and whoever runs the issuer behind ${connectorsOf(audience.connectors)} decides who gets it`,
      wayOut: 'bind what a policy gives, where there is one: --policy NAME',
    }
    return { subjects: [{ kind: 'User', name }], why, notes: [note] }
  }
  if (typeof flags.group === 'string') {
    const name = kubeGroup(flags.group, naming)
    const open = audience.connectors.filter(passesGroupsOn)
    const note: RbacNote = {
      code: 'group_of_issuer',
      message: `${connectorsOf(open)} passes groups of its issuer on: whoever can make a group called ${flags.group} there is in`,
      wayOut: 'set allowedGroups or a group prefix on the connector',
    }
    return { subjects: [{ kind: 'Group', name }], why, notes: open.length === 0 ? [] : [note] }
  }
  return { message: 'nobody is named', wayOut: 'give --policy NAME, or --user NAME or --group NAME' }
}

function connectorsOf(connectors: readonly Connector[]): string {
  return connectors.length === 0 ? 'the connectors' : `connector ${connectors.map(({ id }) => id).join(', ')}`
}

function grantingPolicies(config: BrokerConfig, audience: KubeAudience): readonly GrantingPolicy[] {
  return audience.policies.flatMap((policy) => {
    const connector = config.connectors.find(({ id }) => id === policy.connector)
    return connector === undefined ? [] : [{ policy, connector }]
  })
}

function unknownPolicy(name: string, config: BrokerConfig, audience: KubeAudience): Complaint {
  const granting = audience.policies.map((policy) => policy.name).join(', ')
  return config.policies.some((policy) => policy.name === name)
    ? {
        message: `policy ${name} does not grant the audience ${audience.id}`,
        wayOut: `add it to grant.audiences, or take one that does: ${granting}`,
      }
    : { message: `there is no policy ${name}`, wayOut: `those that grant ${audience.id}: ${granting}` }
}

/** Whether the audience trusts the client and the client may ask without a job (client_credentials). */
function mayAskForItself(client: BrokerConfig['clients'][number], config: BrokerConfig, id: string): boolean {
  const isTrusted = config.audiences.some((one) => one.id === id && one.trustedPeers.includes(client.id))
  const served = config.grants.includes(CLIENT_CREDENTIALS)
  return (
    isTrusted &&
    served &&
    client.auth.method !== 'none' &&
    client.grants?.includes(CLIENT_CREDENTIALS) !== false
  )
}

function claimsOf(
  pairs: readonly string[],
): { readonly claims: Readonly<Record<string, string>> } | Complaint {
  const entries: [string, string][] = []
  for (const pair of pairs) {
    const at = pair.indexOf('=')
    if (at < 1 || at === pair.length - 1) {
      return { message: `--claim ${pair} is no NAME=VALUE`, wayOut: 'write --claim project_path=acme/shop' }
    }
    entries.push([pair.slice(0, at), pair.slice(at + 1)])
  }
  return { claims: Object.fromEntries(entries) }
}

function policyNotes({ policy }: GrantingPolicy, io: CommandIo): readonly RbacNote[] {
  const notes: RbacNote[] = []
  if (policy.disabled) {
    notes.push({
      code: 'policy_disabled',
      message: `policy ${policy.name} is disabled: the binding waits for nobody`,
      wayOut: 'enable it, or delete the binding',
    })
  }
  if (policy.notAfter !== undefined && policy.notAfter <= io.clock()) {
    notes.push({
      code: 'policy_expired',
      message: `policy ${policy.name} has passed its notAfter`,
      wayOut: 'set a later one, or delete the binding',
    })
  }
  return notes
}

function requestOf(flags: RbacFlags, chosen: ChosenSubjects): RbacRequest | Complaint {
  const { namespace, clusterWide = false, clusterRole } = flags
  if ((namespace === undefined) !== clusterWide) {
    return clusterWide
      ? { message: '--namespace and --cluster-wide are both given', wayOut: 'keep the narrower one' }
      : { message: 'it is not said where the role holds', wayOut: 'give --namespace NAME, or --cluster-wide' }
  }
  const role = roleOf(flags)
  if (isComplaint(role)) return role
  const name = flags.name ?? roleName(flags.policy ?? String(flags.user ?? flags.group))
  const what = clusterRole === undefined ? 'What a job may do' : `The role ${clusterRole}`
  const heading = [
    `${what}${flags.policy === undefined ? '' : ` that policy ${flags.policy} lets in`}. Made by \`sallyport kube rbac\`; apply it with kubectl apply -f -.`,
    'The names hold for the prefixes of the AuthenticationConfiguration that was made with the same flags.',
  ].join('\n')
  return { heading, subjects: chosen.subjects, whySubjects: chosen.why, namespace, name, role }
}

function roleOf(flags: RbacFlags): RbacRequest['role'] | Complaint {
  const { clusterRole, resource = DEFAULT_RESOURCES, verb = DEFAULT_VERBS, resourceName = [] } = flags
  if (clusterRole !== undefined) {
    const isMade = [flags.resource, flags.verb, flags.resourceName].some((flag) => flag !== undefined)
    if (!isMade) return { kind: 'existing', clusterRole }
    return {
      message: '--cluster-role is a role that exists, so --resource and --verb have no place',
      wayOut: 'keep one of the two',
    }
  }
  const parsed = resource.map(parseResource)
  const wrong = resource.find((_, index) => parsed[index] === undefined)
  if (wrong !== undefined)
    return { message: `--resource ${wrong} is no resource`, wayOut: 'write deployments.apps, pods/log, ...' }
  const odd = verb.find((one) => !/^(?:\*|[a-z]+)$/.test(one))
  if (odd !== undefined)
    return {
      message: `--verb ${odd} is no verb`,
      wayOut: 'write get, list, watch, create, update, patch, delete',
    }
  const rules = rulesOf(
    parsed.filter((one) => one !== undefined),
    verb,
  )
  return { kind: 'made', rules, resourceNames: resourceName }
}
