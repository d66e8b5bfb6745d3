// Whom a binding for a policy names, and whoever else could bear that name. RBAC compares names byte for byte and knows no ids,
// so a name that somebody else can get is a door for them.
import type { Connector } from '#core/connector.ts'
import { presetOf } from '#core/issuer/presets.ts'
import type { PolicySource } from '#core/policy/trust_policy.ts'
import type { Result } from '#core/result.ts'
import { kubeGroup, kubeUsername, pinAllows, pinsImmutableId, policySubjects } from './policy_subjects.ts'
import type { GivenClaims, KubeNaming, KubeProfile, PolicySubjects, PolicyUser } from './policy_subjects.ts'
import type { RbacNote } from './rbac_codes.ts'

export type RbacSubject = { readonly kind: 'User' | 'Group'; readonly name: string }

export type ChosenSubjects = {
  readonly subjects: readonly RbacSubject[]
  /** Why these, as a comment above them. */
  readonly why: string
  readonly notes: readonly RbacNote[]
}

/** A policy that grants the audience, and the connector whose claims it reads. */
export type GrantingPolicy = { readonly policy: PolicySource; readonly connector: Connector }

/** A client that can get the audience for itself: its id is its user name. */
type GrantedClient = { readonly id: string; readonly groups: readonly string[] }

export type SubjectRequest = {
  readonly granting: GrantingPolicy
  readonly profile: KubeProfile
  readonly naming: KubeNaming
  readonly given: GivenClaims
  /** `undefined`: the user where it is one name, else the only group. */
  readonly wanted:
    | { readonly kind: 'user' }
    | { readonly kind: 'group'; readonly name: string | undefined }
    | undefined
  readonly others: readonly GrantingPolicy[]
  readonly clients: readonly GrantedClient[]
}

export type SubjectRefusal = { readonly message: string; readonly wayOut: string }

export function chooseSubjects(request: SubjectRequest): Result<ChosenSubjects, SubjectRefusal> {
  const { granting, profile, naming, given, wanted } = request
  const { policy } = granting
  const against = Object.entries(given).find(([claim, value]) => !pinAllows(policy, claim, value))
  if (against !== undefined) {
    const message = `policy ${policy.name} pins ${against[0]}, and ${JSON.stringify(against[1])} is none of its values`
    return refuse(message, 'leave the claim out, or name another policy')
  }
  const subjects = policySubjects(policy, granting.connector, profile, naming, given)
  if (wanted?.kind === 'group') return chooseGroup(subjects, wanted.name, request)
  if (subjects.user.kind === 'exact') return { ok: true, value: userSubjects(subjects.user, request) }
  if (wanted === undefined && subjects.groups.length === 1) return chooseGroup(subjects, undefined, request)
  return refuseUser(subjects, policy)
}

function refuseUser({ user, groups }: PolicySubjects, policy: PolicySource): Result<never, SubjectRefusal> {
  const byGroup =
    groups.length === 0 ? 'give the policy a group and bind that' : `bind a group: --group ${groups[0]?.name}`
  switch (user.kind) {
    case 'exact':
      throw new Error('an exact name needs no refusal')
    case 'issuer':
      return refuse(
        `the claim ${user.claim} names the user, and its issuer fills it: policy ${policy.name} does not know it`,
        `name the user: --user NAME; or ${byGroup}`,
      )
    case 'open': {
      const claims = user.asks.map((claim) => `--claim ${claim}=VALUE`).join(' ')
      return refuse(
        `${user.text} is no single name, and RBAC knows no patterns`,
        `say which: ${claims}; or ${byGroup}`,
      )
    }
  }
}

// ---- users

function userSubjects(user: Extract<PolicyUser, { kind: 'exact' }>, request: SubjectRequest): ChosenSubjects {
  const { policy, connector } = request.granting
  const preset = presetOf(connector.preset)
  const isPinned = pinsImmutableId(policy, preset)
  const notes: RbacNote[] = []
  if (user.mutable.length > 0 && !isPinned) {
    const ids = preset.immutablePins.map((set) => set.join(' + ')).join(', or ')
    notes.push({
      code: 'name_reregistrable',
      message: `${user.names[0]}: made of ${user.mutable.join(', ')}, and policy ${policy.name} pins no id: whoever registers the name again gets this binding`,
      wayOut: ids === '' ? 'bind a name made of ids' : `pin ${ids} in the policy`,
    })
  } else if (!holdsId(request)) notes.push(...openPolicyNotes(user.names[0] ?? '', request.granting))
  for (const name of user.names) notes.push(...bearers(name, request))
  return {
    subjects: user.names.map((name) => ({ kind: 'User', name })),
    why: whyUser(user, isPinned, request),
    notes,
  }
}

/** Whether an id that nobody is given again stands in the name itself. */
function holdsId({ granting: { policy, connector }, naming }: SubjectRequest): boolean {
  const { username } = policy.grant
  if (username === undefined || naming.usernameClaim === 'sub') return true
  const ids = presetOf(connector.preset).immutablePins.flat()
  return ids.some((id) => username.includes(`\${${id}}`))
}

/** A name without ids is whoever the policy lets in, and without a pinned id that may be somebody else tomorrow. */
function* openPolicyNotes(name: string, { policy, connector }: GrantingPolicy): Generator<RbacNote> {
  if (!isOpen({ policy, connector })) return
  const ids = presetOf(connector.preset)
    .immutablePins.map((set) => set.join(' + '))
    .join(', or ')
  yield {
    code: 'name_reregistrable',
    message: `${name}: policy ${policy.name} pins no id: whoever registers the names that it pins again gets this binding`,
    wayOut: `pin ${ids} in the policy`,
  }
}

function isOpen({ policy, connector }: GrantingPolicy): boolean {
  const preset = presetOf(connector.preset)
  return preset.immutablePins.length > 0 && !pinsImmutableId(policy, preset)
}

const OPEN_POLICY =
  'WARNING: the policy pins no id, so whoever registers the names that it pins again is let in.'

function whyUser(
  user: Extract<PolicyUser, { kind: 'exact' }>,
  isPinned: boolean,
  request: SubjectRequest,
): string {
  const { policy, connector } = request.granting
  const source =
    policy.grant.username === undefined || request.naming.usernameClaim === 'sub'
      ? `<connector>:<id>, connector ${connector.id}`
      : `its username, ${policy.grant.username}`
  const first = `What policy ${policy.name} makes of a job: ${source}, after the prefix of auth-config.`
  if (user.mutable.length === 0) {
    const isAnybodys = !holdsId(request) && isOpen(request.granting)
    return `${first} ${isAnybodys ? OPEN_POLICY : 'Nobody else can get this name.'}`
  }
  return isPinned
    ? `${first} The policy pins an id, so a new owner of the name does not get it; after a rename this binding names nobody, until it is made anew.`
    : `${first} WARNING: ${user.mutable.join(', ')} can be registered again by somebody else, who is then let in.`
}

/** Everything else of the configuration that may bear `name`. */
function* bearers(name: string, request: SubjectRequest): Generator<RbacNote> {
  const { others, clients, profile, naming, granting } = request
  for (const other of others) {
    if (other.policy === granting.policy || other.policy.disabled) continue
    const { user } = policySubjects(other.policy, other.connector, profile, naming)
    if (!mayBe(user, name)) continue
    yield {
      code: 'name_shared',
      message: `policy ${other.policy.name} can give the name ${name}, too`,
      wayOut: 'begin the usernames of the policies differently, or bind a group that only one of them gives',
    }
  }
  const client = clients.find(({ id }) => kubeUsername(id, naming) === name)
  if (client === undefined || profile === 'dex') return
  yield {
    code: 'name_shared',
    message: `the client ${client.id} bears the name ${name} itself, by client_credentials`,
    wayOut: 'rename the client, or take the grant away from it',
  }
}

function mayBe(user: PolicyUser, name: string): boolean {
  switch (user.kind) {
    case 'exact':
      return user.names.includes(name)
    case 'open':
      return templateMayBe(user.text, name)
    case 'issuer':
      return false
  }
}

/** Claims whose value has a slash on every forge. */
const PATH_CLAIMS: ReadonlySet<string> = new Set(['project_path', 'repository', 'job_project_path'])

/** Whether a template can come out as `name`: its literal parts stand there in order, with something in between. */
export function templateMayBe(template: string, name: string): boolean {
  const literals = template.split(/\$\{[^}]*\}/)
  const claims = [...template.matchAll(/\$\{([^}]*)\}/g)].map(([, claim]) => claim ?? '')
  const paths = claims.filter((claim) => PATH_CLAIMS.has(claim)).length
  if (name.split('/').length < literals.join('').split('/').length + paths) return false
  const [head = '', ...rest] = literals
  const tail = rest.pop()
  if (tail === undefined) return head === name
  if (!name.startsWith(head) || !name.endsWith(tail)) return false
  let from = head.length
  for (const literal of rest) {
    const found = name.indexOf(literal, from + 1)
    if (found < 0) return false
    from = found + literal.length
  }
  return from < name.length - tail.length
}

// ---- groups

function chooseGroup(
  { groups }: PolicySubjects,
  wanted: string | undefined,
  request: SubjectRequest,
): Result<ChosenSubjects, SubjectRefusal> {
  const { policy } = request.granting
  const names = groups.map(({ name }) => name)
  if (names.length === 0) {
    return refuse(`policy ${policy.name} gives no group`, 'give it one under grant.groups, or bind the user')
  }
  const [only, second] = groups
  const group =
    wanted === undefined && second === undefined
      ? only
      : groups.find(({ name }) => name === wanted || name === kubeGroup(wanted ?? '', request.naming))
  if (group !== undefined) return { ok: true, value: groupSubject(group, request) }
  return wanted === undefined
    ? refuse(`policy ${policy.name} gives several groups: ${names.join(', ')}`, 'say which: --group NAME')
    : refuse(`policy ${policy.name} does not give the group ${wanted}`, `it gives ${names.join(', ')}`)
}

function groupSubject(group: PolicySubjects['groups'][number], request: SubjectRequest): ChosenSubjects {
  const { policy } = request.granting
  const notes = [...groupNotes(group, request)]
  const decided =
    group.decidedBy === undefined ? 'to every job that it lets in' : `by the claim ${group.decidedBy}`
  const all = `What policy ${policy.name} gives ${decided}, after the prefix of auth-config. Everybody in the group gets the role, whatever they are called.`
  const why = isOpen(request.granting) ? `${all} ${OPEN_POLICY}` : all
  return { subjects: [{ kind: 'Group', name: group.name }], why, notes }
}

function* groupNotes(group: PolicySubjects['groups'][number], request: SubjectRequest): Generator<RbacNote> {
  const { granting, others, clients, naming, profile } = request
  const ids = presetOf(granting.connector.preset).immutablePins.flat()
  yield* openPolicyNotes(group.name, granting)
  if (group.decidedBy !== undefined && !ids.includes(group.decidedBy)) {
    yield {
      code: 'group_decided_by_name',
      message: `the claim ${group.decidedBy} decides who is in ${group.name}, and it is a name: whoever can take that name is in`,
      wayOut: 'let an id decide, or list the group under grant.groups of a policy that pins one',
    }
  }
  const givers = [
    ...others
      .filter(({ policy }) => policy !== granting.policy && !policy.disabled)
      .filter((other) =>
        policySubjects(other.policy, other.connector, profile, naming).groups.some(
          ({ name }) => name === group.name,
        ),
      )
      .map(({ policy }) => `policy ${policy.name}`),
    ...clients
      .filter((client) => client.groups.some((name) => kubeGroup(name, naming) === group.name))
      .map(({ id }) => `client ${id}`),
  ]
  if (givers.length > 0) {
    yield {
      code: 'group_shared',
      message: `${givers.join(', ')}: ${givers.length === 1 ? 'gives' : 'give'} the group ${group.name}, too, and ${givers.length === 1 ? 'gets' : 'get'} this role`,
      wayOut: 'nothing, if that is meant; else bind the user, or a group of its own',
    }
  }
  for (const connector of new Set([granting, ...others].map((one) => one.connector))) {
    if (!passesGroupsOn(connector)) continue
    yield {
      code: 'group_of_issuer',
      message: `connector ${connector.id} passes groups of its issuer on: whoever can make a group called ${group.name.slice(naming.groupsPrefix.length)} there is in`,
      wayOut: 'turn insecureEnableGroups off, or set allowedGroups or a group prefix on the connector',
    }
  }
}

/** Whether the issuer's own groups end up in our tokens (Dex `insecureEnableGroups`, groups made of claims). */
export function passesGroupsOn({ mapping, gitlabApi }: Connector): boolean {
  const unbound = mapping.groupsEnabled && mapping.allowedGroups.length === 0
  return unbound || mapping.newGroups.length > 0 || gitlabApi !== undefined
}

function refuse(message: string, wayOut: string): Result<never, SubjectRefusal> {
  return { ok: false, denial: { message, wayOut } }
}
