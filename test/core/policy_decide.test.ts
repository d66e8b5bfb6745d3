import t from 'tap'
import type { JsonValue } from '../../src/core/claims.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { MAX_TRIED, decidePolicies, indexPolicies, policiesOf } from '../../src/core/policy/decide.ts'
import type { PolicyInput } from '../../src/core/policy/decide.ts'
import type { PolicySource } from '../../src/core/policy/trust_policy.ts'
import { NOW, compiledOf, exact, fixtureClaims, grantOf, inputOf, policyOf } from '../support/policies.ts'

const github = fixtureClaims('github-legacy-main')
const gitlab = fixtureClaims('gitlab-push-main')
const forgejo = fixtureClaims('forgejo16-immutable-main')

/** The name of the policy that decides, or why none does. */
function decided(
  sources: readonly PolicySource[],
  claims = github,
  preset: PresetName = 'github-actions',
  over: Partial<PolicyInput> = {},
): string {
  const result = decidePolicies(
    sources.map((source) => compiledOf(source, preset)),
    inputOf(claims, over),
  )
  if (result.ok) return result.value.policy
  const { denial } = result
  if (denial.reason === 'policy_none_matched') return denial.tried.map((miss) => miss.step).join() || 'none'
  return denial.reason
}

t.test('a policy whose pins all hold gives what it says and nothing else', async (t) => {
  const policy = compiledOf(
    policyOf({ grant: grantOf({ scopes: ['openid'], ttlSeconds: 300, singleUse: 'once' }) }),
  )
  t.same(decidePolicies([policy], inputOf(github)), {
    ok: true,
    value: {
      policy: 'deploy',
      audiences: ['kubernetes'],
      groups: ['ci:deployers'],
      username: undefined,
      claims: {},
      scopes: ['openid'],
      ttlSeconds: 300,
      singleUse: 'once',
    },
  })
})

t.test('every pin must hold, and a miss names the first that does not', async (t) => {
  const pins = { repository_id: exact('739500857'), ref: exact('refs/heads/main') }
  t.equal(decided([policyOf({ claims: pins })]), 'deploy')
  t.equal(decided([policyOf({ claims: pins })], { ...github, ref: 'refs/heads/dev' }), 'claims.ref')
  t.equal(
    decided([policyOf({ claims: pins })], { ...github, repository_id: 739500857 }),
    'claims.repository_id',
  )
})

t.test('the first policy that holds decides, and grants are never united (TH-C24)', async (t) => {
  const wide = policyOf({ name: 'wide', grant: grantOf({ groups: ['ci:admins'] }) })
  const narrow = policyOf({ name: 'narrow' })
  t.equal(decided([narrow, wide]), 'narrow')
  t.equal(decided([wide, narrow]), 'wide')
  const result = decidePolicies([compiledOf(narrow), compiledOf(wide)], inputOf(github))
  t.same(result.ok && result.value.groups, ['ci:deployers'])
})

t.test(
  'a policy that is switched off, has ended, or is for another client does not take part (TH-C24)',
  async (t) => {
    const last = policyOf({ name: 'last' })
    t.equal(decided([policyOf({ disabled: true }), last]), 'last')
    t.equal(decided([policyOf({ notAfter: NOW - 1 }), last]), 'last')
    t.equal(decided([policyOf({ notAfter: NOW }), last]), 'deploy')
    t.equal(decided([policyOf({ clients: ['other'] }), last]), 'last')
    t.equal(decided([policyOf({ clients: ['other', 'ci'] }), last]), 'deploy')
    t.equal(decided([policyOf({ connector: 'elsewhere' }), last]), 'last')
    t.equal(decided([policyOf({ disabled: true })]), 'disabled')
    t.equal(decided([policyOf({ notAfter: NOW - 1 })]), 'notAfter')
    t.equal(decided([policyOf({ clients: [] })]), 'clients')
  },
)

t.test('a request that names a policy gets that one or none (TH-C24)', async (t) => {
  const sources = [
    policyOf({ name: 'first' }),
    policyOf({ name: 'second' }),
    policyOf({ name: 'off', disabled: true }),
    policyOf({ name: 'elsewhere', connector: 'other' }),
  ]
  t.equal(decided(sources, github, 'github-actions', { named: 'second' }), 'second')
  t.equal(decided(sources, github, 'github-actions', { named: 'off' }), 'disabled')
  t.equal(decided(sources, github, 'github-actions', { named: 'elsewhere' }), 'policy_unknown')
  t.equal(decided(sources, github, 'github-actions', { named: 'nobody' }), 'policy_unknown')
  t.equal(decided(sources, github, 'github-actions', { named: '' }), 'policy_unknown')
})

t.test('a denial lists what was tried, and at most 32 of it', async (t) => {
  const missing = Array.from({ length: 40 }, (_, i) =>
    compiledOf(policyOf({ name: `p${i}`, claims: { x: exact(i) } })),
  )
  const result = decidePolicies(missing, inputOf(github))
  t.match(result, { ok: false, denial: { reason: 'policy_none_matched', connector: 'forge' } })
  if (result.ok || result.denial.reason !== 'policy_none_matched') return
  t.equal(result.denial.tried.length, MAX_TRIED)
  t.same(result.denial.tried[0], { policy: 'p0', step: 'claims.x', detail: 'is absent, the pin is a number' })
  t.match(decidePolicies([], inputOf(github)), { denial: { reason: 'policy_none_matched', tried: [] } })
})

t.test('policies are indexed by connector in file order', async (t) => {
  const index = indexPolicies(
    ['a', 'b', 'c'].map((name) => compiledOf(policyOf({ name, connector: name === 'b' ? 'x' : 'y' }))),
  )
  t.same(
    policiesOf(index, 'y').map((policy) => policy.name),
    ['a', 'c'],
  )
  t.same(policiesOf(index, 'none'), [])
})

t.test('both spellings of sub hold one policy that pins ids (TH-C11)', async (t) => {
  const byIds = policyOf({
    claims: { repository_id: exact('739500857'), repository_owner_id: exact('41903210') },
  })
  t.equal(decided([byIds]), 'deploy')
  const immutable = 'repo:acme-labs@41903210/terraform-aws-eks@739500857:ref:refs/heads/main'
  t.equal(decided([byIds], { ...github, sub: immutable }), 'deploy')
})

t.test('a repository made again under the same names is another one (TH-C12)', async (t) => {
  t.equal(decided([policyOf()], { ...github, repository_id: '999999999' }), 'claims.repository_id')
})

t.test('an owner with a new name and the same ids is still the owner (TH-C13)', async (t) => {
  const renamed = { ...github, repository: 'acme-new/terraform-aws-eks', repository_owner: 'acme-new' }
  t.equal(decided([policyOf()], renamed), 'deploy')
})

t.test('a repository whose name spells the ids of another is kept out by ids (TH-C14)', async (t) => {
  const byId = policyOf({ claims: { repository_id: exact('456') } })
  t.equal(decided([byId], forgejo, 'forgejo-actions'), 'deploy')
  const collision = fixtureClaims('forgejo-hyphen-collision')
  t.equal(collision['sub'], forgejo['sub'])
  t.equal(decided([byId], collision, 'forgejo-actions'), 'claims.repository_id')
})

t.test('a run for a pull request of a stranger is kept out by its event (TH-C16)', async (t) => {
  const onMain = policyOf({
    claims: {
      repository_id: exact('739500857'),
      sub: exact('repo:acme-labs/terraform-aws-eks:ref:refs/heads/main'),
    },
  })
  t.equal(decided([onMain]), 'deploy')
  const target = fixtureClaims('github-pull-request-target')
  t.equal(target['sub'], github['sub'])
  t.equal(decided([onMain], target), 'events')
  t.equal(decided([{ ...onMain, events: ['pull_request_target'] }], target), 'deploy')
  t.equal(
    decided([{ ...onMain, events: ['pull_request_target'] }]),
    'events',
    'an own list replaces the default',
  )
})

t.test('an event that is absent or not a string is no event', async (t) => {
  const { event_name: _, ...without } = github
  t.equal(decided([policyOf()], without), 'events')
  t.equal(decided([policyOf()], { ...github, event_name: ['push'] }), 'events')
})

t.test('an environment of the same name in another repository does not hold (TH-C17)', async (t) => {
  const claims = fixtureClaims('github-immutable-environment')
  const prod = policyOf({ claims: { repository_id: exact('901234567'), environment: exact('production') } })
  t.equal(decided([prod], claims), 'deploy')
  t.equal(decided([prod], { ...claims, repository_id: '1' }), 'claims.repository_id')
  for (const environment of ['production/eu', 'Production', 'production ', ''])
    t.equal(decided([prod], { ...claims, environment }), 'claims.environment')
})

t.test('a policy may want the commit of the called workflow and not its branch (TH-C21)', async (t) => {
  const pinned = policyOf({
    claims: { repository_id: exact('739500857'), job_workflow_sha: exact('2'.repeat(40)) },
  })
  t.equal(decided([pinned]), 'deploy')
  t.equal(decided([pinned], { ...github, job_workflow_sha: '3'.repeat(40) }), 'claims.job_workflow_sha')
})

t.test('GitLab pipelines of child, trigger and merge request sources do not hold (TH-C22)', async (t) => {
  const project = policyOf({ claims: { project_id: exact('48291') } })
  t.equal(decided([project], gitlab, 'gitlab-ci'), 'deploy')
  for (const source of ['parent_pipeline', 'pipeline', 'trigger', 'merge_request_event', 'external', 'chat'])
    t.equal(decided([project], { ...gitlab, pipeline_source: source }, 'gitlab-ci'), 'events', source)
  t.equal(decided([project], fixtureClaims('gitlab-fork-mr'), 'gitlab-ci'), 'claims.project_id')
})

t.test('a runner of the wrong kind does not hold (TH-C23)', async (t) => {
  const hosted = policyOf({
    claims: { repository_id: exact('739500857'), runner_environment: exact('github-hosted') },
  })
  t.equal(decided([hosted]), 'deploy')
  t.equal(decided([hosted], { ...github, runner_environment: 'self-hosted' }), 'claims.runner_environment')
})

t.test('an account made again under the same name has another uid (TH-B22)', async (t) => {
  const claims = fixtureClaims('k8s-projected')
  const account = policyOf({
    claims: { '/kubernetes.io/serviceaccount/uid': exact('e6a8680e-d103-4cce-80ea-03acbbeacf7d') },
  })
  t.equal(decided([account], claims, 'kubernetes'), 'deploy')
  const again = {
    'kubernetes.io': { namespace: 'ci-runners', serviceaccount: { name: 'tofu-plan', uid: 'new' } },
  }
  t.equal(
    decided([account], { ...claims, ...again }, 'kubernetes'),
    'claims./kubernetes.io/serviceaccount/uid',
  )
})

t.test('a condition is asked last and must be true', async (t) => {
  const conditional = policyOf({ condition: 'claims.ref_protected == "true" && client == "ci"' })
  t.equal(decided([conditional]), 'deploy')
  t.equal(decided([conditional], { ...github, ref_protected: 'false' }), 'condition')
  t.equal(decided([conditional], { ...github, ref_protected: true }), 'condition')
  t.equal(decided([conditional], github, 'github-actions', { client: 'other' }), 'condition')
  const { ref_protected: _, ...without } = github
  t.equal(decided([conditional], without), 'condition')
})

t.test('groups come from a table by the value or the values of a claim', async (t) => {
  const groupsFrom = {
    claim: 'team',
    groups: { platform: ['ci:platform', 'ci:all'], data: ['ci:data', 'ci:all'] },
  }
  const policy = compiledOf(policyOf({ grant: grantOf({ groupsFrom }) }))
  const groups = (team: JsonValue): unknown => {
    const result = decidePolicies([policy], inputOf({ ...github, team }))
    return result.ok && result.value.groups
  }
  t.same(groups('platform'), ['ci:deployers', 'ci:platform', 'ci:all'])
  t.same(groups(['platform', 'data', 'platform']), ['ci:deployers', 'ci:platform', 'ci:all', 'ci:data'])
  for (const nothing of ['other', 'toString', '__proto__', '', 7, null, {}, [['platform']], ['x']])
    t.same(groups(nothing), ['ci:deployers'], JSON.stringify(nothing))
})

t.test('templates name the user and the claims out of verified claims', async (t) => {
  const grant = grantOf({
    username: 'gitlab:${project_path}',
    claims: { repository: '${project_path}', run_id: '${pipeline_id}', runner: 'r-${runner_id}' },
  })
  const policy = compiledOf(policyOf({ claims: { project_id: exact('48291') }, grant }), 'gitlab-ci')
  t.match(decidePolicies([policy], inputOf(gitlab)), {
    ok: true,
    value: {
      username: 'gitlab:acme-platform/terraform-aws-eks',
      claims: { repository: 'acme-platform/terraform-aws-eks', run_id: '1519139981', runner: 'r-12270835' },
    },
  })
})

t.test(
  'a policy that holds but cannot put out what it says is a denial, not a reason to try the next',
  async (t) => {
    const grant = grantOf({ username: 'github:${environment}' })
    const sources = [policyOf({ grant }), policyOf({ name: 'next' })]
    t.equal(decided(sources, { ...github, environment: 'prod' }), 'deploy')
    t.equal(decided(sources), 'policy_output_refused')
    t.match(decidePolicies([compiledOf(policyOf({ grant }))], inputOf(github)), {
      denial: {
        reason: 'policy_output_refused',
        policy: 'deploy',
        detail: 'grant.username: claim environment is absent',
      },
    })
  },
)

t.test('no claim can make a user name that is reserved (TH-B24)', async (t) => {
  const sources = [policyOf({ grant: grantOf({ username: '${actor}' }) })]
  t.equal(decided(sources), 'deploy')
  for (const actor of ['system:masters', 'system:admin', 'client:ci', 'a\nb', 'x'.repeat(1025)])
    t.equal(decided(sources, { ...github, actor }), 'policy_output_refused', actor.slice(0, 20))
})
