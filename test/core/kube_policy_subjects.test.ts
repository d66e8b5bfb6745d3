// What a policy makes somebody in Kubernetes, whom a binding for it names, and whoever else can bear that name.
import t from 'tap'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import { mapIdentity } from '../../src/core/dex/map_identity.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { policySubjects, prefixProblem } from '../../src/core/kube/policy_subjects.ts'
import type { GivenClaims, KubeNaming } from '../../src/core/kube/policy_subjects.ts'
import { chooseSubjects, templateMayBe } from '../../src/core/kube/rbac_subjects.ts'
import type { SubjectRequest } from '../../src/core/kube/rbac_subjects.ts'
import type { ClaimPin, GrantSource, PolicySource } from '../../src/core/policy/trust_policy.ts'
import { testConnector } from '../support/connectors.ts'
import { exact, fixtureClaims, grantOf, policyOf } from '../support/policies.ts'

const NAMING: KubeNaming = { usernameClaim: 'username', usernamePrefix: 'ci:', groupsPrefix: 'ci:' }
const GITLAB = testConnector('gitlab-ci', { id: 'gitlab' })
const PROJECT: Readonly<Record<string, ClaimPin>> = { project_id: exact('48291') }

function policy(claims: PolicySource['claims'], grant: Partial<GrantSource> = {}): PolicySource {
  return policyOf({ connector: 'gitlab', claims, grant: grantOf({ groups: ['deployers'], ...grant }) })
}

function user(one: PolicySource, preset: PresetName = 'gitlab-ci', given: GivenClaims = {}) {
  return policySubjects(one, testConnector(preset, { id: 'gitlab' }), 'kubernetes', NAMING, given).user
}

t.test('without a username the name is connector and id, which nobody can register again', async (t) => {
  t.strictSame(user(policy(PROJECT)), { kind: 'exact', names: ['ci:gitlab:48291'], mutable: [] })
  t.strictSame(user(policy({ project_id: { kind: 'any_of', values: ['1', '2'] } })), {
    kind: 'exact',
    names: ['ci:gitlab:1', 'ci:gitlab:2'],
    mutable: [],
  })
  t.match(user(policy({ namespace_id: exact('7203') })), { kind: 'open', asks: ['project_id'] })
  t.match(user(policy({ namespace_id: exact('7203') }), 'gitlab-ci', { project_id: '5' }), {
    names: ['ci:gitlab:5'],
  })
})

t.test('the name is the one that the broker itself makes of a token, for every kind of issuer', async (t) => {
  const cases = [
    ['gitlab-ci', 'gitlab-push-main', ['project_id']],
    ['github-actions', 'github-legacy-main', ['repository_id']],
    ['gitea-actions', 'gitea-main', ['repository_id']],
    ['forgejo-actions', 'forgejo16-immutable-main', ['repository_id']],
    ['forgejo-actions', 'forgejo15-main', ['repository']],
    ['keycloak', 'keycloak-service-account', ['sub']],
    ['oidc', 'keycloak-service-account', ['sub']],
    ['circleci', 'circleci', ['oidc.circleci.com/project-id']],
    ['azure-devops', 'azure-devops', ['prj_id', 'def_id']],
    ['buildkite', 'buildkite', ['pipeline_id']],
    ['kubernetes', 'k8s-projected', ['/kubernetes.io/serviceaccount/uid']],
  ] as const
  for (const [preset, fixture, pins] of cases) {
    const claims = fixtureClaims(fixture)
    const identity = mapIdentity(claims, testConnector(preset))
    if (!identity.ok) throw new Error(`${fixture}: ${identity.denial.reason}`)
    const value = (pin: string): string => {
      const at = pin.startsWith('/') ? ['kubernetes.io', 'serviceaccount', 'uid'] : [pin]
      return String(at.reduce<unknown>((object, name) => Object(object)[name], claims))
    }
    const one = policy(Object.fromEntries(pins.map((pin) => [pin, exact(value(pin))])))
    t.match(user(one, preset), { kind: 'exact', names: [`ci:gitlab:${identity.value.userId}`] }, fixture)
  }
})

t.test('a username of claims is one name only where pins or the caller say every claim', async (t) => {
  const byPath = { username: 'gitlab:${project_path}' }
  t.strictSame(user(policy(PROJECT, byPath)), {
    kind: 'open',
    text: 'ci:gitlab:${project_path}',
    asks: ['project_path'],
  })
  t.strictSame(user(policy(PROJECT, byPath), 'gitlab-ci', { project_path: 'acme/vpc' }), {
    kind: 'exact',
    names: ['ci:gitlab:acme/vpc'],
    mutable: ['project_path'],
  })
  t.match(user(policy({ project_path: exact('acme/vpc') }, byPath)), { names: ['ci:gitlab:acme/vpc'] })
  t.match(user(policy({ project_path: { kind: 'prefix', prefix: 'acme/' } }, byPath)), { kind: 'open' })
  t.match(user(policy(PROJECT, { username: 'deployer' })), { names: ['ci:deployer'], mutable: [] })
  const many = { kind: 'any_of', values: Array.from({ length: 33 }, (_, index) => String(index)) } as const
  t.match(user(policy({ project_id: many }, { username: 'p${project_id}' })), { kind: 'open' })
  t.match(user(policy({ '/a/b': exact('x') }, { username: 'p${/a/b}' })), { names: ['ci:px'] })
})

t.test('the claim sub is connector and id whatever the policy calls somebody', async (t) => {
  const naming: KubeNaming = { ...NAMING, usernameClaim: 'sub' }
  const named = policy(PROJECT, { username: 'gitlab:${project_path}' })
  t.strictSame(policySubjects(named, GITLAB, 'kubernetes', naming).user, {
    kind: 'exact',
    names: ['ci:gitlab:48291'],
    mutable: [],
  })
})

function dexUser(usernameClaim: KubeNaming['usernameClaim'], one: PolicySource) {
  return policySubjects(one, GITLAB, 'dex', { ...NAMING, usernameClaim }).user
}

t.test('in the dex profile the issuer names people, unless a policy does and is read', async (t) => {
  const named = policy(PROJECT, { username: 'deployer' })
  t.strictSame(dexUser('email', named), { kind: 'issuer', claim: 'email' })
  t.strictSame(dexUser('name', policy(PROJECT)), { kind: 'issuer', claim: 'name' })
  t.match(dexUser('name', named), { kind: 'exact', names: ['ci:deployer'] })
  t.match(dexUser('sub', named), { names: [`ci:${encodeSubject('48291', 'gitlab')}`] })
})

t.test('groups get their prefix, and those that a claim decides say which', async (t) => {
  const groupsFrom = { claim: 'environment', groups: { prod: ['deployers', 'prod'] } }
  t.strictSame(policySubjects(policy(PROJECT, { groupsFrom }), GITLAB, 'kubernetes', NAMING).groups, [
    { name: 'ci:deployers', decidedBy: undefined },
    { name: 'ci:prod', decidedBy: 'environment' },
  ])
})

t.test('a prefix is short, visible and not of Kubernetes', async (t) => {
  for (const good of ['', 'ci:', 'team-a/', 'żółw:']) t.equal(prefixProblem(good), undefined, good)
  for (const bad of ['system:', 'system:node:', 'a b', '\u0000', '\u200b', '\ud800', 'x'.repeat(65)])
    t.type(prefixProblem(bad), 'string', bad)
})

function choose(one: PolicySource, change: Partial<SubjectRequest> = {}) {
  const granting = { policy: one, connector: GITLAB }
  return chooseSubjects({
    granting,
    profile: 'kubernetes',
    naming: NAMING,
    given: {},
    wanted: undefined,
    others: [granting],
    clients: [],
    ...change,
  })
}

function chosen(one: PolicySource, change: Partial<SubjectRequest> = {}) {
  const choice = choose(one, change)
  if (!choice.ok) throw new Error(choice.denial.message)
  const { subjects, notes } = choice.value
  return {
    subjects: subjects.map(({ kind, name }) => `${kind} ${name}`),
    codes: notes.map(({ code }) => code),
  }
}

t.test('the user is bound where it is one name, else the only group, else nobody', async (t) => {
  const byPath = { username: 'gitlab:${project_path}' }
  t.strictSame(chosen(policy(PROJECT)), { subjects: ['User ci:gitlab:48291'], codes: [] })
  t.strictSame(chosen(policy(PROJECT, byPath)), { subjects: ['Group ci:deployers'], codes: [] })
  t.match(choose(policy(PROJECT, byPath), { wanted: { kind: 'user' } }), {
    ok: false,
    denial: {
      message: /no single name/,
      wayOut: /--claim project_path=VALUE; or bind a group: --group ci:deployers/,
    },
  })
  t.match(choose(policy(PROJECT, { ...byPath, groups: [] })), {
    ok: false,
    denial: { wayOut: /give the policy a group/ },
  })
  t.match(choose(policy(PROJECT, { ...byPath, groups: ['a', 'b'] })), { ok: false })
})

t.test('a group is named as the policy says it or as Kubernetes sees it', async (t) => {
  const two = policy(PROJECT, { groups: ['a', 'b'] })
  for (const name of ['b', 'ci:b'])
    t.strictSame(chosen(two, { wanted: { kind: 'group', name } }).subjects, ['Group ci:b'])
  t.match(choose(two, { wanted: { kind: 'group', name: undefined } }), {
    denial: { wayOut: 'say which: --group NAME' },
  })
  t.match(choose(two, { wanted: { kind: 'group', name: 'c' } }), {
    denial: { message: /does not give the group c/ },
  })
  t.match(choose(policy(PROJECT, { groups: [] }), { wanted: { kind: 'group', name: undefined } }), {
    denial: { message: /gives no group/ },
  })
})

t.test('a name that somebody else can register is told, unless an id is pinned', async (t) => {
  const byPath = { username: 'gitlab:${project_path}' }
  const named = { project_path: exact('acme/vpc') }
  t.strictSame(chosen(policy(named, byPath)).codes, ['name_reregistrable'])
  t.strictSame(chosen(policy({ ...named, ...PROJECT }, byPath)).codes, [])
  const forgejo = {
    policy: policy({ repository: exact('acme/vpc') }),
    connector: testConnector('forgejo-actions'),
  }
  t.strictSame(chosen(forgejo.policy, { granting: forgejo, others: [forgejo] }), {
    subjects: ['User ci:test:acme/vpc'],
    codes: ['name_reregistrable'],
  })
})

t.test('a name of a policy that pins names alone is told, whatever the name is made of', async (t) => {
  const group = { wanted: { kind: 'group', name: undefined } } as const
  const plain = { username: 'shop-deployer' }
  const named = { project_path: exact('acme/vpc') }
  const open = choose(policy(named, plain))
  t.match(open, {
    ok: true,
    value: { notes: [{ code: 'name_reregistrable' }], why: /WARNING: the policy pins no id/ },
  })
  t.strictSame(chosen(policy(named), group).codes, ['name_reregistrable'])
  t.match(choose(policy(PROJECT, plain)), {
    ok: true,
    value: { notes: [], why: /Nobody else can get this name/ },
  })
  t.strictSame(chosen(policy(PROJECT), group).codes, [])
  // The id in the name keeps a successor out, though the policy would let them in.
  const byId = policy(named, { username: 'gitlab:${project_id}' })
  t.match(choose(byId, { given: { project_id: '48291' } }), {
    ok: true,
    value: { subjects: [{ name: 'ci:gitlab:48291' }], notes: [], why: /Nobody else can get this name/ },
  })
})

t.test('a claim that a pin contradicts is refused', async (t) => {
  const one = policy(
    { project_path: { kind: 'any_of', values: ['acme/a', 'acme/b'] } },
    { username: 'x:${project_path}' },
  )
  t.strictSame(chosen(one, { given: { project_path: 'acme/b' } }).subjects, ['User ci:x:acme/b'])
  t.match(choose(one, { given: { project_path: 'acme/c' } }), {
    ok: false,
    denial: { message: /pins project_path/ },
  })
})

function other(change: Partial<PolicySource>) {
  return { policy: policyOf({ name: 'other', connector: 'gitlab', ...change }), connector: GITLAB }
}

t.test('another policy or a client that bears the name is told', async (t) => {
  const one = policy(PROJECT, { username: 'gitlab:${project_path}' })
  const given = { project_path: 'acme/vpc' }
  const open = other({ grant: grantOf({ username: '${namespace_path}' }) })
  t.strictSame(chosen(one, { given, others: [open] }).codes, ['name_shared'])
  t.strictSame(
    chosen(one, { given, others: [other({ disabled: true, grant: open.policy.grant })] }).codes,
    [],
  )
  t.strictSame(
    chosen(one, { given, others: [other({ claims: PROJECT })] }).codes,
    [],
    'gitlab:48291 is another',
  )
  t.strictSame(chosen(one, { given, clients: [{ id: 'gitlab:acme/vpc', groups: [] }] }).codes, [
    'name_shared',
  ])
  t.strictSame(chosen(one, { given, clients: [{ id: 'ci', groups: ['deployers'] }] }).codes, [])
})

t.test('whoever else gets into a group is told', async (t) => {
  const group = { wanted: { kind: 'group', name: undefined } } as const
  const one = policy(PROJECT)
  t.strictSame(chosen(one, group).codes, [])
  const giver = other({ grant: grantOf({ groups: ['deployers'] }) })
  t.strictSame(chosen(one, { ...group, others: [giver] }).codes, ['group_shared'])
  t.strictSame(chosen(one, { ...group, clients: [{ id: 'ci', groups: ['deployers'] }] }).codes, [
    'group_shared',
  ])
  const byName = policy(PROJECT, {
    groups: [],
    groupsFrom: { claim: 'environment', groups: { prod: ['prod'] } },
  })
  t.strictSame(chosen(byName, group).codes, ['group_decided_by_name'])
  const byId = policy(PROJECT, {
    groups: [],
    groupsFrom: { claim: 'project_id', groups: { 48291: ['prod'] } },
  })
  t.strictSame(chosen(byId, group).codes, [])
  const open = testConnector('oidc', { mapping: { ...GITLAB.mapping, groupsEnabled: true } })
  // Of an issuer that nobody here knows it is not known either which claim stays with its bearer.
  t.strictSame(chosen(one, { ...group, granting: { policy: one, connector: open } }).codes, [
    'name_reregistrable',
    'group_of_issuer',
  ])
})

t.test('a template can be a name where its literal parts stand in it in order', async (t) => {
  for (const [template, name] of [
    ['a', 'a'],
    ['${x}', 'a'],
    ['ci:${x}', 'ci:a'],
    ['ci:${x}:${y}', 'ci:a:b'],
    ['ci:${project_path}', 'ci:a/b'],
    ['${x}-${x}', 'a--'],
    ['ci:${x}b', 'ci:abb'],
  ] as const)
    t.ok(templateMayBe(template, name), `${template} ${name}`)
  for (const [template, name] of [
    ['a', 'b'],
    ['ci:${x}', 'ci:'],
    ['ci:${x}', 'gh:a'],
    ['ci:${x}:${y}', 'ci:a'],
    ['ci:${project_path}', 'ci:48291'],
    ['ci:${x}b', 'ci:b'],
    ['${x}:${y}', ':a'],
  ] as const)
    t.notOk(templateMayBe(template, name), `${template} ${name}`)
})
