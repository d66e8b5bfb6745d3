// Group C: what a policy lets in, and which policies are not taken at all.
import t from 'tap'
import { START } from '../support/test_broker.ts'
import type { Config, Reply } from '../support/test_broker.ts'
import { threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { addPolicy, entryOf, jobExchange, listOf, startForgeBroker } from '../support/threat_world.ts'

const project = { project_id: '48291' }
const repository = { repository_id: '739500857' }

const broker = await startForgeBroker(t, (config) => {
  const add = (name: string, policy: Config): void => addPolicy(config, { name, ...policy })
  const gitlab = (name: string, claims: object): void => add(name, { claims: { ...project, ...claims } })
  gitlab('either', { environment: { re2: 'app-prod|lib-.*' } })
  gitlab('one-line', { environment: { re2: 'prod' } })
  gitlab('linear', { environment: { re2: '(a+)+' } })
  gitlab('environment', { environment: 'production' })
  const condition = (name: string, text: string): void => add(name, { claims: project, condition: text })
  condition('absent', 'claims.missing == "x"')
  condition('absorbed', 'claims.missing == "x" || claims.ref == "main"')
  condition('divided', '1 / int(claims.zero) == 1')
  condition('not-bool', 'claims.flag ? true : false')
  condition('costly', 'claims.list.all(a, claims.list.all(b, a != b || a == b)) || true')
  condition('inherited', 'claims.constructor == "x" || claims.toString == "x"')
  condition('by-claim', 'int(claims.secret_word) == 1')
  add('disabled', { claims: project, disabled: true })
  add('ended', { claims: project, notAfter: new Date(START - 1).toISOString() })
  add('of-another', { claims: project, clients: ['open'] })
  add('elsewhere', { claims: repository, connector: 'github' })
  const github = (name: string, claims: object): void =>
    add(name, { connector: 'github', claims: { ...repository, ...claims } })
  github('on-main', { sub: 'repo:acme-labs/terraform-aws-eks:ref:refs/heads/main' })
  github('hosted', { runner_environment: 'github-hosted' })
  github('at-commit', { job_workflow_sha: '2'.repeat(40) })
})
const table = threatTable(t, broker)
const { refuses, accepts, refusesConfig } = table

type Claims = Readonly<Record<string, unknown>>
const none = { reason: 'policy_none_matched' } as const
/** Which step of which policy said no. */
const step = (name: string): object => ({ tried: [{ step: name }] })
const judgedBy =
  (policy: string, claims: Claims = {}): RefusedRow['attack'] =>
  (world) =>
    world.exchange({ policy, subject_token: world.mint(claims) })
const atGithub = (policy: string | undefined, claims: Claims = {}, fixture = 'github-legacy-main') =>
  jobExchange('github', { fixture, claims, form: { policy } })

/** The one policy of the configuration, at the connector named, with these members. */
const policyOf =
  (connector: string, members: Config) =>
  (config: Config): void =>
    addPolicy(config, { name: 'new', connector, ...members })
const withClaims = (connector: string, claims: object) => policyOf(connector, { claims })

refusesConfig({
  id: 'C01',
  says: 'a wildcard off a delimiter, which repo:acme-evil would match',
  change: withClaims('github', { ...repository, sub: { glob: 'repo:acme*' } }),
  finding: /glob_off_delimiter/,
  twin: withClaims('github', { ...repository, sub: { glob: 'repo:acme/*:ref:refs/heads/main' } }),
})
refusesConfig({
  id: 'C01',
  says: 'a prefix off a delimiter',
  change: withClaims('github', { ...repository, repository: { prefix: 'acme' } }),
  finding: /prefix_off_delimiter/,
  twin: withClaims('github', { ...repository, repository: { prefix: 'acme/' } }),
})

for (const environment of ['app-prod-evil', 'xlib-a', 'evil-app-prod'])
  refuses({
    id: 'C03',
    says: `${environment} for a pattern of alternatives`,
    ...none,
    evidence: step('claims.environment'),
    attack: judgedBy('either', { environment }),
    twin: judgedBy('either', { environment: 'lib-a' }),
  })

refusesConfig({
  id: 'C04',
  says: 'a pattern that is whole only inside our group',
  change: withClaims('gitlab', { ...project, environment: { re2: 'token\\.example\\.com)|(' } }),
  finding: /re2_malformed/,
  twin: withClaims('gitlab', { ...project, environment: { re2: 'token\\.example\\.com' } }),
})

refusesConfig({
  id: 'C05',
  says: 'a pattern for an issuer',
  change: (config) =>
    Object.assign(entryOf(config, 'connectors', 'gitlab'), { issuer: { re2: 'https://gitlab.com' } }),
  finding: /connectors\[0\]\.issuer/,
})

for (const environment of ['prod\n', 'x\nprod', 'prod\nx', 'prod\r'])
  refuses({
    id: 'C06',
    says: `${JSON.stringify(environment)} for a pattern of one line`,
    ...none,
    attack: judgedBy('one-line', { environment }),
    twin: judgedBy('one-line', { environment: 'prod' }),
  })

/** Ten times what such a token takes on a slow machine, and a hundred-thousandth of what backtracking would. */
const SLOWEST_MS = 500
let linearMs = Infinity
refuses({
  id: 'C07',
  says: 'a claim that makes a backtracking pattern run for years',
  ...none,
  attack: async (world) => {
    const began = performance.now()
    const reply = await judgedBy('linear', { environment: `${'a'.repeat(10_000)}!` })(world)
    linearMs = performance.now() - began
    return reply
  },
  also: (t) => void t.ok(linearMs < SLOWEST_MS, `${linearMs} ms`),
  twin: judgedBy('linear', { environment: 'aaa' }),
})

for (const [says, policy, claims, twin] of [
  ['a claim that is not there', 'absent', {}, { missing: 'x' }],
  ['a division by zero', 'divided', { zero: 0 }, { zero: 1 }],
  ['a text where a truth is needed', 'not-bool', { flag: 'true' }, { flag: true }],
  ['more work than the budget', 'costly', { list: Array.from({ length: 400 }, (_, i) => i) }, { list: [1] }],
] as const)
  refuses({
    id: 'C08',
    says: `a condition that meets ${says}`,
    ...none,
    evidence: step('condition'),
    attack: judgedBy(policy, claims),
    twin: judgedBy(policy, twin),
  })
accepts({
  id: 'C08',
  says: 'an error on one side of || is absorbed by a true other side, as CEL says',
  ask: judgedBy('absorbed'),
})
for (const [says, condition, finding] of [
  ['that gives a text', '"true"', /not bool/],
  ['that is nested too deep', `${'('.repeat(40)}true${')'.repeat(40)}`, /maxDepth/],
  ['of a huge literal', `claims.ref == "${'x'.repeat(5000)}"`, /4096 bytes/],
] as const)
  refusesConfig({
    id: 'C08',
    says: `a condition ${says}`,
    change: policyOf('gitlab', { claims: project, condition }),
    finding,
    twin: policyOf('gitlab', { claims: project, condition: 'claims.ref == "main"' }),
  })

refuses({
  id: 'C09',
  says: 'a claim that only host objects have',
  ...none,
  evidence: step('condition'),
  attack: judgedBy('inherited'),
  twin: judgedBy('inherited', { constructor: 'x' }),
})
refusesConfig({
  id: 'C09',
  says: 'a condition that reaches for the prototype',
  change: policyOf('gitlab', { claims: project, condition: 'claims.__proto__ == "x"' }),
  finding: /reserved/,
})

refuses({
  id: 'C10',
  says: 'a claim that a condition cannot convert',
  ...none,
  evidence: step('condition'),
  attack: judgedBy('by-claim', { secret_word: 'hunter2-secret' }),
  twin: judgedBy('by-claim', { secret_word: '1' }),
  also: (t, _reply, world) => {
    t.notMatch(JSON.stringify(world.audit()), 'hunter2')
    t.notMatch(world.said.join('\n'), 'hunter2')
  },
})

const immutable = 'repo:acme-labs@41903210/terraform-aws-eks@739500857:ref:refs/heads/main'
accepts({
  id: 'C11',
  says: 'the old and the immutable spelling of sub hold one policy that pins ids',
  twin: atGithub(undefined),
  ask: atGithub(undefined, { sub: immutable }),
})

refuses({
  id: 'C12',
  says: 'a repository that was made again under its name',
  ...none,
  evidence: step('claims.repository_id'),
  attack: atGithub(undefined, { repository_id: '999999999' }),
  twin: atGithub(undefined),
})

accepts({
  id: 'C13',
  says: 'an owner under a new name is the same owner, and the event has the new name',
  twin: atGithub(undefined),
  ask: atGithub(undefined, {
    sub: 'repo:acme-new/terraform-aws-eks:ref:refs/heads/main',
    repository: 'acme-new/terraform-aws-eks',
    repository_owner: 'acme-new',
  }),
  also: (t, _reply, world) => void t.match(world.audit()?.subject, { sub: /acme-new/ }),
})

refuses({
  id: 'C14',
  says: 'a repository whose name spells the ids of another',
  ...none,
  attack: jobExchange('forgejo', { fixture: 'forgejo-hyphen-collision' }),
  twin: jobExchange('forgejo'),
})
refusesConfig({
  id: 'C14',
  says: 'a policy that trusts Forgejo’s hyphened sub alone',
  change: withClaims('forgejo', { sub: 'repo:acme-123/terraform-module-dns-456:ref:refs/heads/main' }),
  finding: /forgejo_sub_ambiguous/,
  twin: withClaims('forgejo', {
    sub: 'repo:acme-123/terraform-module-dns-456:ref:refs/heads/main',
    repository_id: '456',
  }),
})

refuses({
  id: 'C16',
  says: 'a stranger’s pull request that runs on main',
  ...none,
  evidence: step('events'),
  attack: atGithub('on-main', {}, 'github-pull-request-target'),
  twin: atGithub('on-main'),
})

for (const environment of ['production/eu', 'Production', 'production ', 'productio'])
  refuses({
    id: 'C17',
    says: `the environment ${JSON.stringify(environment)} for production`,
    ...none,
    evidence: step('claims.environment'),
    attack: judgedBy('environment', { environment }),
    twin: judgedBy('environment'),
  })
refuses({
  id: 'C17',
  says: 'an environment of the right name in another project',
  ...none,
  evidence: step('claims.project_id'),
  attack: judgedBy('environment', { project_id: '1', job_project_id: '1' }),
  twin: judgedBy('environment'),
})

const called = { job_workflow_ref: 'acme-labs/automation/.github/workflows/publish.yml@refs/tags/v3' }
refusesConfig({
  id: 'C20',
  says: 'a pinned workflow that everybody may call',
  change: withClaims('github', called),
  finding: /workflow_ref_without_owner/,
  twin: withClaims('github', { ...called, repository_owner_id: '41903210' }),
})

refuses({
  id: 'C21',
  says: 'another commit of the called workflow',
  ...none,
  evidence: step('claims.job_workflow_sha'),
  attack: atGithub('at-commit', { job_workflow_sha: '3'.repeat(40) }),
  twin: atGithub('at-commit', { job_workflow_sha: '2'.repeat(40) }),
})

refuses({
  id: 'C22',
  says: 'the merge request of a fork',
  reason: 'subject_shape_wrong',
  attack: jobExchange('github', { fixture: 'gitlab-fork-mr', form: { connector_id: 'gitlab' } }),
})
for (const pipeline_source of [
  'parent_pipeline',
  'pipeline',
  'trigger',
  'merge_request_event',
  'external',
  'chat',
])
  refuses({
    id: 'C22',
    says: `a pipeline begun by ${pipeline_source}`,
    ...none,
    evidence: step('events'),
    attack: judgedBy('acme-main', { pipeline_source }),
    twin: judgedBy('acme-main', { pipeline_source: 'schedule' }),
  })

refuses({
  id: 'C23',
  says: 'a runner that somebody hosts himself',
  ...none,
  evidence: step('claims.runner_environment'),
  attack: atGithub('hosted', { runner_environment: 'self-hosted' }),
  twin: atGithub('hosted', { runner_environment: 'github-hosted' }),
})

for (const [policy, why] of [
  ['disabled', 'disabled'],
  ['ended', 'notAfter'],
  ['of-another', 'clients'],
] as const)
  refuses({
    id: 'C24',
    says: `a request for a policy that is ${policy}`,
    ...none,
    evidence: step(why),
    attack: judgedBy(policy),
    twin: judgedBy('acme-main'),
  })
refuses({
  id: 'C24',
  says: 'a request for a policy of another connector',
  reason: 'policy_unknown',
  attack: judgedBy('elsewhere'),
  twin: judgedBy('acme-main'),
})
accepts({
  id: 'C24',
  says: 'the first policy that holds decides alone, and grants are never united',
  ask: (world) => world.exchange({ scope: 'openid groups audience:server:client_id:app' }),
  also: (t, reply, world) => {
    t.equal(world.audit()?.policy, 'acme-main')
    t.same(reply.token?.claims['groups'], ['deployers'])
  },
})

refusesConfig({
  id: 'C25',
  says: 'a member that nobody knows',
  change: policyOf('gitlab', { claims: project, claimz: {} }),
  finding: /claimz/,
})
refusesConfig({
  id: 'C25',
  says: 'an id that is a number',
  change: withClaims('gitlab', { project_id: 48291 }),
  finding: /pin_type_wrong/,
  twin: withClaims('gitlab', { project_id: '48291' }),
})

refusesConfig({
  id: 'C26',
  says: 'a mistake, while another is served,',
  change: (config) => Object.assign(entryOf(config, 'policies', 'acme-main'), { connector: 'nowhere' }),
  finding: /nowhere/,
})

let issuedBefore: Reply | undefined
refuses({
  id: 'C27',
  says: 'an exchange under a policy that was taken away',
  reason: 'policy_unknown',
  requests: 2,
  attack: async (world) => {
    issuedBefore = await judgedBy('either', { environment: 'lib-a' })(world)
    world.reload((config) => {
      const policies = listOf(config, 'policies').filter((policy) => policy['name'] !== 'either')
      Object.assign(config, { policies })
    })
    return judgedBy('either', { environment: 'lib-a' })(world)
  },
  also: async (t, _reply, world) => {
    const authorization = `Bearer ${String(issuedBefore?.json['access_token'])}`
    t.equal((await world.get('/userinfo', { authorization })).status, 200, 'what was issued lives on')
    world.clock.now += 601_000
    t.equal((await world.get('/userinfo', { authorization })).status, 403, 'until its end')
    world.reload(() => {})
  },
})
