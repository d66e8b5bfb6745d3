import { readFileSync } from 'node:fs'
import t from 'tap'
import { presetOf } from '../../src/core/issuer/presets.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { compilePolicy } from '../../src/core/policy/compile_policy.ts'
import { lintPolicy } from '../../src/core/policy/lint.ts'
import { POLICY_PROBLEM_CODES } from '../../src/core/policy/problem.ts'
import type { ClaimPin, GrantSource, PolicySource } from '../../src/core/policy/trust_policy.ts'
import { exact, fixtureClaims, grantOf, policyOf } from '../support/policies.ts'

const GITHUB = 'https://token.actions.githubusercontent.com'
const OWN = 'https://git.example.test/api/actions'
const seen = new Set<string>()

/** What lint says: `error code path`, one line for each. */
function lint(
  over: Partial<PolicySource>,
  preset: PresetName = 'github-actions',
  issuer = GITHUB,
): readonly string[] {
  return lintPolicy(policyOf(over), presetOf(preset), issuer).map((problem) => {
    seen.add(problem.code)
    return `${problem.severity} ${problem.code} ${problem.path}`
  })
}
const pins = (claims: Readonly<Record<string, ClaimPin | string>>): Partial<PolicySource> => ({
  claims: Object.fromEntries(
    Object.entries(claims).map(([claim, pin]) => [claim, typeof pin === 'string' ? exact(pin) : pin]),
  ),
})
const grant = (over: Partial<GrantSource>): readonly string[] => lint({ grant: grantOf(over) })
const id = { repository_id: '739500857' }
const glob = (pattern: string): ClaimPin => ({ kind: 'glob', pattern })
const re2 = (pattern: string): ClaimPin => ({ kind: 're2', pattern })

t.test('a policy that pins an immutable id exactly has nothing to be said about', async (t) => {
  t.same(lint({}), [])
  t.same(lint(pins({ repository_id: { kind: 'any_of', values: ['1', '2'] } })), [])
})

t.test('on a shared issuer a policy without an immutable id is refused', async (t) => {
  const refused = ['error shared_issuer_without_immutable_pin claims']
  t.same(lint(pins({ repository: 'acme/vpc' })), refused)
  t.same(lint(pins({ repository_id: re2('[0-9]+') })), refused)
  t.same(lint({ claims: {}, condition: 'claims.repository_id == "1"' }), refused)
  t.same(lint(pins({ project_path: 'acme/vpc' }), 'gitlab-ci', 'https://gitlab.com'), refused)
  t.same(lint(pins({ project_id: '1' }), 'gitlab-ci', 'https://gitlab.com'), [])
  t.same(lint(pins({ organization_slug: 'acme' }), 'buildkite', 'https://agent.buildkite.com'), refused)
})

t.test('another type is no way around what is known of a shared issuer', async (t) => {
  const shared = [
    ['github-actions', GITHUB, 'repository_id'],
    ['gitlab-ci', 'https://gitlab.com', 'project_id'],
    ['buildkite', 'https://agent.buildkite.com', 'pipeline_id'],
    ['forgejo-actions', 'https://codeberg.org/api/actions', 'repository_id'],
    ['gitea-actions', 'https://gitea.com/api/actions', 'repository_owner_id'],
    ['circleci', 'https://oidc.circleci.com', 'oidc.circleci.com/project-id'],
  ] as const
  for (const [type, issuer, pin] of shared) {
    for (const other of ['oidc', 'keycloak'] as const) {
      const [problem] = lintPolicy(policyOf(pins({ sub: 'repo:acme/vpc' })), presetOf(other), issuer)
      t.match(problem, { severity: 'error', code: 'shared_issuer_without_immutable_pin' }, issuer)
      t.match(problem?.wayOut, `type: ${type} (in an overlay: connectors.forge.type), and pin`)
    }
    t.same(lint(pins({ [pin]: '1' }), 'oidc', issuer), [], `${issuer} with its own pin`)
  }
  t.same(lint(pins({ sub: 'repo:acme/vpc' }), 'oidc', 'https://sso.example.test'), [], 'an own issuer')
  const [own] = lintPolicy(policyOf(pins({ repository: 'acme/vpc' })), presetOf('github-actions'), GITHUB)
  t.match(own?.wayOut, /^pin the exact value/, 'the right type is not advised again')
})

t.test('an issuer that cannot name the broker as audience counts as shared', async (t) => {
  const issuer = 'https://vstoken.dev.azure.com/11111111-2222-3333-4444-555555555555'
  t.same(lint(pins({ sub: 'p://acme/platform/deploy' }), 'azure-devops', issuer), [
    'error shared_issuer_without_immutable_pin claims',
  ])
  t.same(lint(pins({ prj_id: '1', def_id: '17' }), 'azure-devops', issuer), [])
})

t.test('on an own issuer names alone are a warning', async (t) => {
  const warned = ['warning only_mutable_pins claims']
  t.same(lint(pins({ project_path: 'acme/vpc' }), 'gitlab-ci', 'https://gitlab.example.test'), warned)
  t.same(lint(pins({ repository: 'acme/vpc' }), 'forgejo-actions', OWN), warned)
  t.same(lint(pins({ azp: 'ci' }), 'keycloak', 'https://sso.example.test/realms/x'), warned)
  t.same(lint(pins({ project_id: '1' }), 'gitlab-ci', 'https://gitlab.example.test'), [])
})

t.test('a policy without pins and without condition is refused', async (t) => {
  t.same(lint({ claims: {} }, 'gitlab-ci', 'https://gitlab.example.test'), [
    'error policy_without_pins claims',
    'warning only_mutable_pins claims',
  ])
})

t.test('a pin that says less than it seems is refused (TH-C01)', async (t) => {
  t.same(lint(pins({ ...id, sub: glob('repo:acme*') })), ['error glob_off_delimiter claims.sub'])
  t.same(lint(pins({ ...id, sub: glob('repo:acme/*:ref:refs/heads/main') })), [])
  t.same(lint(pins({ ...id, sub: glob('*:ref') })), ['error glob_leading_wildcard claims.sub'])
  t.same(lint(pins({ ...id, sub: glob('repo:**') })), ['error glob_malformed claims.sub'])
  t.same(lint(pins({ ...id, repository: { kind: 'prefix', prefix: 'acme' } })), [
    'error prefix_off_delimiter claims.repository',
  ])
  t.same(lint(pins({ ...id, repository: { kind: 'prefix', prefix: '' } })), [
    'error pin_empty claims.repository',
  ])
})

t.test(
  'patterns are compiled alone, without flags, and a bare dot is a warning (TH-C04, TH-C05)',
  async (t) => {
    t.same(lint(pins({ ...id, sub: re2('token\\.example\\.com)|(') })), ['error re2_malformed claims.sub'])
    t.same(lint(pins({ ...id, sub: re2('(?i)main') })), ['error re2_flags claims.sub'])
    t.same(lint(pins({ ...id, iss: re2('https://gitlab.com') })), ['warning re2_dot_unescaped claims.iss'])
    t.same(lint(pins({ ...id, iss: re2('https://gitlab\\.com[.]?\\Q.\\E') })), [])
  },
)

t.test('ids are texts, and an unquoted one is refused instead of never holding (TH-C25)', async (t) => {
  const wrong = ['error pin_type_wrong claims.repository_id']
  t.same(lint(pins({ repository_id: exact(739500857) })), wrong)
  t.same(lint(pins({ repository_id: { kind: 'any_of', values: ['1', 2] } })), wrong)
  t.same(lint(pins({ ...id, ref_protected: exact(true) })), ['error pin_type_wrong claims.ref_protected'])
  t.same(lint(pins({ project_id: '1', runner_id: exact(7) }), 'gitlab-ci', 'https://gitlab.com'), [])
  const circle = { 'oidc.circleci.com/project-id': '1', 'oidc.circleci.com/ssh-rerun': exact(false) }
  t.same(lint(pins(circle), 'circleci', 'https://oidc.circleci.com/org/1'), [])
})

t.test('a star in a plain value is a star: refused in an id, a warning elsewhere', async (t) => {
  const gitlab = 'https://gitlab.example.test'
  const refused = ['error pin_wildcard_literal claims.project_id']
  t.same(lint(pins({ project_id: '*' }), 'gitlab-ci', gitlab), refused)
  t.same(lint(pins({ project_id: { kind: 'any_of', values: ['1', '48*'] } }), 'gitlab-ci', gitlab), refused)
  t.same(
    lint(pins({ project_id: '*' }), 'oidc', 'https://gitlab.com'),
    refused,
    'another type is no way around',
  )
  const warned = ['warning pin_wildcard_literal claims.project_path']
  t.same(lint(pins({ project_id: '1', project_path: 'acme/*' }), 'gitlab-ci', gitlab), warned)
  t.same(lint(pins({ project_id: '1', project_path: '*' }), 'gitlab-ci', gitlab), warned)
  t.same(lint(pins({ sub: 'a*b' }), 'oidc', gitlab), ['warning pin_wildcard_literal claims.sub'])
  t.same(lint(pins({ project_id: '1', project_path: glob('acme/*') }), 'gitlab-ci', gitlab), [])
  t.same(wayOuts('pin_wildcard_literal', pins({ ...id, repository: 'acme/*' }), 'github-actions', GITHUB), [
    'claims.repository: write {glob: "acme/*"}',
  ])
})

t.test('a claim name in the spelling of another product is refused', async (t) => {
  for (const name of ['$.ref', 'claims.ref', '#/ref', '/aud/0'])
    t.same(lint(pins({ ...id, [name]: 'x' })), [`error claim_reference_malformed claims.${name}`])
})

/** Path and way out of each `code` that lint gives. */
function wayOuts(code: string, over: Partial<PolicySource>, preset: PresetName, issuer: string): string[] {
  const problems = lintPolicy(policyOf(over), presetOf(preset), issuer)
  return problems.flatMap((one) => (one.code === code ? [`${one.path}: ${one.wayOut}`] : []))
}

const unknown = (over: Partial<PolicySource>, preset: PresetName, issuer: string): string[] =>
  wayOuts('claim_unknown', over, preset, issuer)

t.test('a claim that the issuer is not known to write is a warning that names the nearest', async (t) => {
  const gitlab = 'https://gitlab.example.test'
  t.same(lint(pins({ ...id, enviroment: 'production' })), ['warning claim_unknown claims.enviroment'])
  t.same(unknown(pins({ enviroment: 'production' }), 'gitlab-ci', gitlab), [
    'claims.enviroment: did you mean environment?',
  ])
  t.same(unknown({ condition: 'claims.ref_protectd == "true"' }, 'github-actions', GITHUB), [
    'condition: did you mean ref_protected?',
  ])
  const outputs = grantOf({
    username: 'gitlab:${project_pth}',
    claims: { team: '${namespce_path}', who: '${user_login}' },
    groupsFrom: { claim: 'groups_dirct', groups: {} },
  })
  t.same(unknown({ ...pins({ project_id: '1' }), grant: outputs }, 'gitlab-ci', gitlab), [
    'grant.groupsFrom.claim: did you mean groups_direct?',
    'grant.username: did you mean project_path?',
    'grant.claims.team: did you mean namespace_path?',
  ])
  t.match(unknown(pins({ environment: 'production' }), 'forgejo-actions', OWN), [
    /^claims.environment: known are iss, /,
  ])
  t.same(unknown(pins({ sub: 'x', project_id: '1' }), 'oidc', 'https://gitlab.com'), [], 'a known issuer')
  t.match(unknown(pins({ project_idd: '1' }), 'oidc', 'https://gitlab.com'), [/did you mean project_id/])
})

t.test('what an administrator may have added to the tokens is no unknown claim', async (t) => {
  t.same(lint(pins({ ...id, repo_property_team: 'platform' })), [])
  t.same(lint(pins({ azp: 'ci', sub: 'x', tier: '1' }), 'keycloak', 'https://sso.example.test'), [])
  t.same(
    lint({ ...pins({ project_id: '1' }), condition: '"new" in claims' }, 'gitlab-ci', 'https://gitlab.com'),
    [],
  )
  t.same(lint(pins({ project_id: '1', '/user_identities/x': 'y' }), 'gitlab-ci', 'https://gitlab.com'), [])
})

t.test('no claim of a recorded token is unknown to its issuer', async (t) => {
  const recorded: readonly (readonly [PresetName, string])[] = [
    ['gitlab-ci', 'gitlab-push-main'],
    ['gitlab-ci', 'gitlab-fork-mr'],
    ['github-actions', 'github-legacy-main'],
    ['github-actions', 'github-immutable-environment'],
    ['github-actions', 'github-custom-sub-enterprise'],
    ['forgejo-actions', 'forgejo15-main'],
    ['forgejo-actions', 'forgejo16-immutable-main'],
    ['gitea-actions', 'gitea-main'],
    ['buildkite', 'buildkite'],
    ['circleci', 'circleci'],
    ['azure-devops', 'azure-devops'],
  ]
  for (const [preset, fixture] of recorded) {
    const claims = fixtureClaims(fixture)
    const texts = Object.entries(claims).flatMap(([name, value]) =>
      typeof value === 'string' && value !== '' ? [[name, value] as const] : [],
    )
    const source = pins(Object.fromEntries(texts))
    const doubts = [
      ...wayOuts('claim_unknown', source, preset, OWN),
      ...wayOuts('pin_ref_spelling', source, preset, OWN),
    ]
    t.same(doubts, [], fixture)
    const names = Object.fromEntries(Object.keys(claims).map((name) => [name, exact('x')]))
    t.same(wayOuts('claim_unknown', { claims: names }, preset, OWN), [], `${fixture}, every claim`)
  }
})

t.test('a ref in the spelling of another forge is a warning with the right one', async (t) => {
  const refs = (claim: string, pin: ClaimPin | string, preset: PresetName): string[] =>
    wayOuts('pin_ref_spelling', pins({ [claim]: pin }), preset, OWN)
  t.same(lint(pins({ ...id, ref: 'main' })), ['warning pin_ref_spelling claims.ref'])
  t.same(refs('ref', 'main', 'forgejo-actions'), [
    'claims.ref: write refs/heads/main, or refs/tags/main for a tag',
  ])
  t.same(refs('ref', 'tags/v1', 'gitea-actions'), ['claims.ref: write refs/tags/v1'])
  t.same(refs('ref', { kind: 'any_of', values: ['refs/heads/main', 'dev'] }, 'github-actions').length, 1)
  t.same(refs('ref', { kind: 'prefix', prefix: 'release/' }, 'github-actions').length, 1)
  t.same(refs('ref', glob('v*'), 'github-actions').length, 1)
  t.same(refs('ref', re2('v[0-9]+'), 'github-actions').length, 0, 'one letter may be optional')
  t.same(refs('ref', re2('main[0-9]+'), 'github-actions').length, 1)
  t.same(refs('ref', 'refs/heads/main', 'gitlab-ci'), ['claims.ref: write main'])
  t.same(refs('ref_path', 'main', 'gitlab-ci').length, 1)
  const right: readonly (readonly [string, ClaimPin | string, PresetName])[] = [
    ['ref', 'refs/heads/main', 'forgejo-actions'],
    ['ref', 'refs/pull/1/merge', 'github-actions'],
    ['ref', glob('refs/tags/v*'), 'github-actions'],
    ['ref', { kind: 'prefix', prefix: 'refs/heads/' }, 'github-actions'],
    ['ref', re2('refs/(?:heads|tags)/main'), 'github-actions'],
    ['ref', re2('.*/main'), 'github-actions'],
    ['ref', re2('main|refs/heads/main'), 'github-actions'],
    ['ref', 'main', 'gitlab-ci'],
    ['ref_path', 'refs/heads/main', 'gitlab-ci'],
    ['build_branch', 'main', 'buildkite'],
  ]
  for (const [claim, pin, preset] of right) t.same(refs(claim, pin, preset), [], JSON.stringify(pin))
})

const said = (condition: string, preset: PresetName = 'forgejo-actions'): string[] =>
  wayOuts('pin_ref_spelling', { condition }, preset, OWN)

t.test('a condition that compares a ref with the spelling of another forge is a warning, too', async (t) => {
  const full = 'condition: write refs/heads/main, or refs/tags/main for a tag'
  t.same(said('claims.ref == "main"'), [full])
  t.same(said('claims.actor == "a" && "main" != claims["ref"]'), [full])
  t.same(said('claims.ref in ["refs/heads/dev", "main"]'), [full])
  t.same(said('claims.ref == "refs/heads/main"', 'gitlab-ci'), ['condition: write main'])
  t.same(said('claims.ref == "refs/heads/main" || claims.ref in ["refs/heads/dev"]'), [])
  t.same(said('claims.ref != "" && claims.base_ref == "main" && claims.ref.endsWith("main")'), [])
  t.same(said('claims.ref == "main"', 'gitlab-ci'), [])
})

t.test('who may call a workflow is not who owns it (TH-C20)', async (t) => {
  const called = 'acme-labs/automation/.github/workflows/tf-publish.yml@refs/tags/v3'
  const refused = 'error workflow_ref_without_owner claims.job_workflow_ref'
  t.same(lint(pins({ job_workflow_ref: called })), [
    'error shared_issuer_without_immutable_pin claims',
    refused,
  ])
  t.same(lint(pins({ job_workflow_ref: called, repository_owner_id: '41903210' })), [])
  const server = 'https://github.example.test/_services/token'
  t.ok(lint(pins({ job_workflow_ref: called }), 'github-actions', server).includes(refused))
  t.notOk(
    lint(pins({ job_workflow_ref: called, repository: 'a/b' }), 'github-actions', server).includes(refused),
  )
  const config = 'gitlab.example.test/acme/ci//deploy.yml@refs/heads/main'
  t.ok(
    lint(pins({ ci_config_ref_uri: config }), 'gitlab-ci', 'https://gitlab.example.test').includes(
      'error workflow_ref_without_owner claims.ci_config_ref_uri',
    ),
  )
})

t.test("Forgejo's hyphened sub is never enough alone (TH-C14)", async (t) => {
  const hyphened = 'repo:acme-123/terraform-module-dns-456:ref:refs/heads/main'
  const refused = 'error forgejo_sub_ambiguous claims.sub'
  t.ok(lint(pins({ sub: hyphened }), 'forgejo-actions', OWN).includes(refused))
  t.ok(lint(pins({ sub: re2('repo:acme-\\d+/net-\\d+:.*') }), 'forgejo-actions', OWN).includes(refused))
  t.same(lint(pins({ sub: hyphened, repository_id: '456' }), 'forgejo-actions', OWN), [])
  t.same(lint(pins({ sub: hyphened, repository: 'acme/terraform-module-dns' }), 'forgejo-actions', OWN), [
    'warning only_mutable_pins claims',
  ])
  t.same(lint(pins({ sub: 'repo:acme/net:ref:refs/heads/main' }), 'forgejo-actions', OWN), [
    'warning only_mutable_pins claims',
  ])
})

t.test('letting in events of strangers is a warning, and only when something is granted', async (t) => {
  t.same(lint({ events: ['push', 'pull_request_target'] }), ['warning events_pull_request events'])
  t.same(lint({ events: ['push'] }), [])
  t.same(lint({ events: ['pull_request'], grant: grantOf({ audiences: [], groups: [] }) }), [])
  t.same(
    lint(
      { ...pins({ project_id: '1' }), events: ['merge_request_event'] },
      'gitlab-ci',
      'https://gitlab.com',
    ),
    ['warning events_pull_request events'],
  )
})

t.test('an event that is pinned and not allowed, or that no claim names, is said', async (t) => {
  t.same(lint(pins({ ...id, event_name: 'workflow_run' })), [
    'warning events_contradict_pin claims.event_name',
  ])
  t.same(lint(pins({ ...id, event_name: 'push' })), [])
  t.same(lint({ ...pins({ sub: 'x' }), events: ['push'] }, 'keycloak', 'https://sso.example.test'), [
    'error events_without_claim events',
  ])
})

t.test('reserved groups, user names and claims are refused (TH-B24)', async (t) => {
  t.same(grant({ groups: ['a', 'system:masters'] }), ['error output_reserved grant.groups[1]'])
  t.same(grant({ groups: ['client:ci'] }), ['error output_reserved grant.groups[0]'])
  t.same(grant({ groups: ['kube-admins'] }), ['warning output_group_kube grant.groups[0]'])
  t.same(grant({ groups: ['gl:${project_path}'] }), ['error output_group_template grant.groups[0]'])
  t.same(grant({ groupsFrom: { claim: 'actor', groups: { a: ['x', 'system:nodes'] } } }), [
    'error output_reserved grant.groupsFrom.groups.a[1]',
  ])
  t.same(grant({ groupsFrom: { claim: '$.team', groups: {} } }), [
    'error claim_reference_malformed grant.groupsFrom.claim',
  ])
  t.same(grant({ username: 'system:${actor}' }), ['error output_reserved grant.username'])
  t.same(grant({ username: '${actor}' }), ['warning output_username_unprefixed grant.username'])
  t.same(grant({ username: 'github:${actor}' }), [])
  t.same(grant({ username: 'github:${actor' }), ['error template_malformed grant.username'])
  t.same(grant({ claims: { groups: 'x', team: 'y', username: 'x', uid: 'x', 'a b': 'z' } }), [
    'error output_claim_reserved grant.claims.groups',
    'error output_claim_reserved grant.claims.username',
    'error output_claim_reserved grant.claims.uid',
    'error output_claim_reserved grant.claims.a b',
  ])
})

t.test('a condition that does not compile is said with its place', async (t) => {
  const [problem] = lintPolicy(
    policyOf({ condition: 'claims.ref ==\n 1 +' }),
    presetOf('github-actions'),
    GITHUB,
  )
  t.match(problem, { severity: 'error', code: 'condition_invalid', path: 'condition', message: /^2:5: / })
  t.same(lint({ condition: 'claims.ref' }), ['error condition_invalid condition'])
  t.same(lint({ condition: 'claims.ref == "refs/heads/main"' }), [])
})

t.test('every problem comes at once, errors first, each with keys and a way out', async (t) => {
  const source = policyOf({
    ...pins({ 'oidc.x/y': glob('a*'), ref: re2('a.b') }),
    condition: '1',
    grant: grantOf({ groups: ['system:masters'], username: '${actor}' }),
  })
  const problems = lintPolicy(source, presetOf('github-actions'), GITHUB)
  t.same(
    problems.map((problem) => problem.severity).join(' '),
    'error error error error warning warning warning',
  )
  t.same(problems[0]?.keys, ['claims', 'oidc.x/y'])
  for (const problem of problems) t.ok(problem.wayOut !== '' && problem.message !== '', problem.code)
  const compiled = compilePolicy(source, presetOf('github-actions'))
  t.equal(compiled.ok ? 0 : compiled.denial.length, 3, 'what lint alone finds does not stop the compiler')
})

t.test('each code has a test here and a line in docs/policies.md, and there are no others', async (t) => {
  const codes = POLICY_PROBLEM_CODES.toSorted()
  t.same([...seen].toSorted(), codes)
  const docs = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8')
  const documented = [...docs.matchAll(/^\| `([a-z0-9_]+)` \| (?:error|warning|error or warning) \|/gm)].map(
    (match) => match[1] ?? '',
  )
  t.same(documented.toSorted(), codes)
})
