import t from 'tap'
import { stringClaim } from '../../src/core/claims.ts'
import type { Claims } from '../../src/core/claims.ts'
import { PRESET_NAMES } from '../../src/core/issuer/preset.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { ALL_PRESETS, presetOf } from '../../src/core/issuer/presets.ts'
import { ACCEPTED } from '../support/accepted_job_tokens.ts'
import { changed, issuerClaims, issuerOf } from '../support/issuer_fixtures.ts'

const ofFixture = new Map(ACCEPTED.map((row) => [row.fixture, row]))

for (const row of ACCEPTED) {
  t.test(`${row.fixture} is a ${row.preset} token of ${row.id}`, async (t) => {
    const claims = issuerClaims(row.fixture)
    const preset = presetOf(row.preset)
    t.equal(preset.checkShape(claims), undefined)
    t.equal(preset.immutableId(claims), row.id)
    t.same(preset.facts(claims, issuerOf(claims)), row.facts)
  })
}

type Refused = readonly [
  title: string,
  fixture: string,
  changes: Parameters<typeof changed>[1],
  detail: RegExp,
]

/** One change each to an accepted token. */
const REFUSED: readonly Refused[] = [
  ['GitLab: a token without a pipeline', 'gitlab-push-main', { pipeline_id: undefined }, /pipeline_id/],
  ['GitLab: a token without a job', 'gitlab-push-main', { job_id: '' }, /job_id/],
  ['GitLab: a numeric project id', 'gitlab-push-main', { project_id: 48_291 }, /project_id/],
  ['GitLab: a sub of a user', 'gitlab-push-main', { sub: '9001' }, /project_path:/],
  [
    'GitLab: a sub of a longer project',
    'gitlab-push-main',
    { sub: 'project_path:acme-platform/terraform-aws-eks-evil:ref_type:branch:ref:main' },
    /project_path/,
  ],
  ['GitLab: a job in a project of another id', 'gitlab-push-main', { job_project_id: '1' }, /fork/],
  ['GitLab: a numeric job project', 'gitlab-push-main', { job_project_id: 48_291 }, /fork/],
  ['GitLab: a null job project', 'gitlab-push-main', { job_project_id: null }, /fork/],
  ['GitHub: no repository id', 'github-legacy-main', { repository_id: undefined }, /repository_id/],
  ['GitHub: no owner id', 'github-legacy-main', { repository_owner_id: '' }, /repository_owner_id/],
  [
    'GitHub: a sub of another repository',
    'github-legacy-main',
    { sub: 'repo:acme-labs/terraform-aws-eks-evil:ref:refs/heads/main' },
    /another repository/,
  ],
  [
    'GitHub: an immutable sub with another id',
    'github-immutable-environment',
    { sub: 'repo:acme-labs@41903210/terraform-aws-vpc@1:environment:production' },
    /another repository/,
  ],
  [
    "GitHub: Forgejo's spelling of the sub",
    'github-immutable-environment',
    { sub: 'repo:acme-labs-41903210/terraform-aws-vpc-901234567:environment:production' },
    /another repository/,
  ],
  [
    'GitHub: a repository without an owner',
    'github-legacy-main',
    { repository: 'terraform-aws-eks' },
    /repository/,
  ],
  ['Forgejo: a sub that is not a repository', 'forgejo15-main', { sub: 'acme' }, /repo:/],
  ['Forgejo: an empty repository', 'forgejo15-main', { repository: '' }, /repository/],
  [
    'Forgejo: a hyphened sub whose ids are others',
    'forgejo16-immutable-main',
    { repository_id: '457' },
    /another repository/,
  ],
  [
    'Forgejo: a hyphened sub without ids',
    'forgejo16-immutable-main',
    { repository_id: undefined },
    /another repository/,
  ],
  [
    "Forgejo: GitHub's spelling of the sub",
    'forgejo16-immutable-main',
    { sub: 'repo:acme@123/terraform-module-dns@456:ref:refs/heads/main' },
    /another repository/,
  ],
  ['Gitea: no repository id', 'gitea-main', { repository_id: undefined }, /repository_id/],
  ['Gitea: no sub', 'gitea-main', { sub: undefined }, /sub/],
  ['Keycloak: an id token', 'keycloak-service-account', { typ: 'ID' }, /Bearer/],
  ['Keycloak: a refresh token', 'keycloak-service-account', { typ: 'Refresh' }, /Bearer/],
  ['Keycloak: an offline token', 'keycloak-service-account', { typ: 'Offline' }, /Bearer/],
  ['Keycloak: a logout token', 'keycloak-service-account', { typ: 'Logout' }, /Bearer/],
  ['Keycloak: bearer in another case', 'keycloak-service-account', { typ: 'bearer' }, /Bearer/],
  ['Keycloak: no typ', 'keycloak-service-account', { typ: undefined }, /Bearer/],
  ['Keycloak: a list of typs', 'keycloak-service-account', { typ: ['Bearer'] }, /Bearer/],
  ['Kubernetes: no kubernetes.io', 'k8s-projected', { 'kubernetes.io': undefined }, /legacy/],
  ['Kubernetes: a list as kubernetes.io', 'k8s-projected', { 'kubernetes.io': [] }, /legacy/],
  [
    'Kubernetes: no uid',
    'k8s-projected',
    { 'kubernetes.io': { namespace: 'ci-runners', serviceaccount: { name: 'tofu-plan' } } },
    /uid/,
  ],
  [
    'Kubernetes: a sub of another account',
    'k8s-projected',
    { sub: 'system:serviceaccount:kube-system:admin' },
    /another ServiceAccount/,
  ],
  ['Buildkite: no pipeline', 'buildkite', { pipeline_slug: undefined }, /pipeline_slug/],
  ['Buildkite: a build number in a string', 'buildkite', { build_number: '1' }, /build_number/],
  ['CircleCI: a job that is rerun with SSH', 'circleci', { 'oidc.circleci.com/ssh-rerun': true }, /shell/],
  ['CircleCI: an SSH rerun in a string', 'circleci', { 'oidc.circleci.com/ssh-rerun': 'true' }, /shell/],
  ['CircleCI: no project', 'circleci', { 'oidc.circleci.com/project-id': undefined }, /project-id/],
  ['CircleCI: a sub of something else', 'circleci', { sub: 'user/1' }, /org\//],
  ['Azure DevOps: no definition', 'azure-devops', { def_id: undefined }, /def_id/],
  ['Azure DevOps: another organisation than the issuer', 'azure-devops', { org_id: 'other' }, /organisation/],
  ['Azure DevOps: a sub of something else', 'azure-devops', { sub: 'x://acme/platform/deploy' }, /p:\/\//],
]

for (const [title, fixture, changes, detail] of REFUSED) {
  t.test(`${title} is refused, the unchanged token is not`, async (t) => {
    const claims = issuerClaims(fixture)
    const preset = presetOf(ofFixture.get(fixture)?.preset ?? 'oidc')
    t.equal(preset.checkShape(claims), undefined)
    t.match(preset.checkShape(changed(claims, changes)), {
      reason: 'subject_shape_wrong',
      preset: preset.name,
      detail,
    })
  })
}

const wrong = (preset: PresetName, claims: Claims): string | undefined => {
  const denial = presetOf(preset).checkShape(claims)
  return denial?.reason === 'subject_shape_wrong' ? denial.detail : denial?.reason
}

t.test("a login's id token from the same GitLab is not a job", async (t) => {
  t.match(wrong('gitlab-ci', issuerClaims('gitlab-user-login-idtoken')), /project_id/)
  t.equal(wrong('gitlab-ci', issuerClaims('gitlab-push-main')), undefined)
})

t.test("a fork's merge request that runs in the parent speaks for neither", async (t) => {
  const fork = issuerClaims('gitlab-fork-mr')
  t.match(wrong('gitlab-ci', fork), /fork/)
  t.equal(wrong('gitlab-ci', changed(fork, { job_project_id: fork['project_id'] })), undefined)
})

t.test('an older GitLab that does not tell where the job runs is still understood', async (t) => {
  t.equal(
    wrong('gitlab-ci', changed(issuerClaims('gitlab-push-main'), { job_project_id: undefined })),
    undefined,
  )
})

t.test('a project may add components to its sub', async (t) => {
  const sub = 'project_path:acme-platform/terraform-aws-eks:ref_protected:true:deployment_tier:production'
  t.equal(wrong('gitlab-ci', changed(issuerClaims('gitlab-push-main'), { sub })), undefined)
  const bare = 'project_path:acme-platform/terraform-aws-eks'
  t.equal(wrong('gitlab-ci', changed(issuerClaims('gitlab-push-main'), { sub: bare })), undefined)
})

t.test('an issuer under a path is part of the source', async (t) => {
  const facts = presetOf('gitlab-ci').facts(issuerClaims('gitlab-push-main'), 'https://example.test/gitlab/')
  t.equal(facts.source, 'example.test/gitlab/acme-platform/terraform-aws-eks')
  const forgejo = presetOf('forgejo-actions').facts(
    issuerClaims('forgejo15-main'),
    'https://example.test:3000/git/api/actions',
  )
  t.equal(forgejo.source, 'example.test:3000/git/acme/terraform-module-net')
})

t.test('a short ref is not passed off as a full one', async (t) => {
  const claims = changed(issuerClaims('gitlab-push-main'), { ref_path: undefined })
  t.notOk('ref' in presetOf('gitlab-ci').facts(claims, 'https://gitlab.example.test'))
})

t.test('a repository that composes its own GitHub sub is known by its other claims', async (t) => {
  for (const sub of ['repository_id:739500857', 'acme-labs:private', 'repo:acme-labs/terraform-aws-eks']) {
    t.equal(wrong('github-actions', changed(issuerClaims('github-legacy-main'), { sub })), undefined, sub)
  }
})

t.test('a GitHub repository lives where its issuer says', async (t) => {
  const claims = issuerClaims('github-legacy-main')
  const sourceAt = (issuer: string): string | undefined =>
    presetOf('github-actions').facts(claims, issuer).source
  const path = 'acme-labs/terraform-aws-eks'
  t.equal(sourceAt('https://token.actions.githubusercontent.com'), `github.com/${path}`)
  t.equal(sourceAt('https://token.actions.githubusercontent.com/acme'), `github.com/${path}`)
  t.equal(sourceAt('https://ghes.example.test/_services/token'), `ghes.example.test/${path}`)
  t.equal(sourceAt('https://token.actions.octo.ghe.com'), `octo.ghe.com/${path}`)
  t.equal(sourceAt('https://proxy.example.test'), undefined)
  t.equal(sourceAt('https://token.actions.a.b.ghe.com'), undefined)
  t.equal(sourceAt('not an address'), undefined)
})

t.test(
  "a pull_request_target token has the shape of a push, and the default events don't list it",
  async (t) => {
    const claims = issuerClaims('github-pull-request-target')
    t.equal(wrong('github-actions', claims), undefined)
    const { events } = presetOf('github-actions')
    t.notOk(events?.allowed.includes(stringClaim(claims, events.claim) ?? ''))
    const push = issuerClaims('github-legacy-main')
    t.ok(events?.allowed.includes(stringClaim(push, events.claim) ?? ''))
  },
)

t.test('no default event list has an event that strangers cause', async (t) => {
  const strangers =
    /^pull_request|merge_request|external_pull|issue|comment|workflow_run|fork|watch|discussion|parent_pipeline/
  for (const preset of ALL_PRESETS) {
    t.same(preset.events?.allowed.filter((event) => strangers.test(event)) ?? [], [], preset.name)
  }
})

t.test('two Forgejo repositories may write one sub, and only their ids tell them apart', async (t) => {
  const preset = presetOf('forgejo-actions')
  const real = issuerClaims('forgejo16-immutable-main')
  const collision = issuerClaims('forgejo-hyphen-collision')
  t.equal(real['sub'], collision['sub'])
  t.equal(wrong('forgejo-actions', collision), undefined)
  t.equal(preset.immutableId(collision), '9999')
  t.equal(preset.immutableId(real), '456')
  t.ok(preset.ambiguousPins?.includes('sub'))
})

t.test("a legacy ServiceAccount token is never one of ours, nor is another preset's token", async (t) => {
  t.match(wrong('kubernetes', issuerClaims('k8s-legacy-secret')), /legacy/)
  for (const { fixture, preset } of ACCEPTED) {
    for (const other of ALL_PRESETS) {
      // The three Actions dialects are one language; which one a connector speaks is its configuration's word.
      const related =
        preset === other.name || other.name === 'oidc' || (isActions(preset) && isActions(other.name))
      if (!related) t.ok(other.checkShape(issuerClaims(fixture)), `${fixture} as ${other.name}`)
    }
  }
})

const isActions = (name: PresetName): boolean => name.endsWith('-actions')

t.test('a Keycloak access token is told by its typ alone; whom it is for is the audience rule', async (t) => {
  t.match(wrong('keycloak', issuerClaims('keycloak-id-token-typ')), /Bearer/)
  t.equal(wrong('keycloak', issuerClaims('keycloak-aud-account-only')), undefined)
})

t.test('a lightweight Keycloak token passes with what it has', async (t) => {
  const { exp, iat, jti, iss, sub, typ, azp, scope } = issuerClaims('keycloak-service-account')
  const kept = Object.fromEntries(
    Object.entries({ exp, iat, jti, iss, sub, typ, azp, scope }).filter((entry) => entry[1] !== undefined),
  )
  t.equal(wrong('keycloak', changed({}, kept)), undefined)
})

t.test('a Buildkite job that asks for no ids is known by its slugs, never by its moving sub', async (t) => {
  const preset = presetOf('buildkite')
  const claims = changed(issuerClaims('buildkite'), { pipeline_id: undefined, organization_id: undefined })
  t.equal(preset.checkShape(claims), undefined)
  t.equal(preset.immutableId(claims), 'acme/infra')
})

t.test('a Buildkite tag build has the ref of its tag', async (t) => {
  const claims = changed(issuerClaims('buildkite'), { build_tag: 'v1.0.0' })
  t.match(presetOf('buildkite').facts(claims, 'https://agent.buildkite.com'), {
    ref: 'refs/tags/v1.0.0',
    ref_type: 'tag',
  })
})

t.test('a logout token is no subject for a generic issuer', async (t) => {
  const user = issuerClaims('gitlab-user-login-idtoken')
  t.equal(wrong('oidc', user), undefined)
  const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
  t.match(wrong('oidc', changed(user, { events })), /logout/)
  for (const typ of ['Refresh', 'Offline', 'Logout'])
    t.match(wrong('oidc', changed(user, { typ })), /neither/)
  for (const typ of ['ID', 'Bearer', 'JWT']) t.equal(wrong('oidc', changed(user, { typ })), undefined)
})

const SHARED: readonly (readonly [PresetName, string, boolean])[] = [
  ['gitlab-ci', 'https://gitlab.com', true],
  ['gitlab-ci', 'https://gitlab.com.example.test', false],
  ['gitlab-ci', 'https://gitlab.example.test', false],
  ['github-actions', 'https://token.actions.githubusercontent.com', true],
  ['github-actions', 'https://token.actions.githubusercontent.com/acme', true],
  ['github-actions', 'https://ghes.example.test/_services/token', false],
  ['forgejo-actions', 'https://codeberg.org/api/actions', true],
  ['forgejo-actions', 'https://git.example.test/api/actions', false],
  ['gitea-actions', 'https://gitea.com/api/actions/oidc', true],
  ['buildkite', 'https://agent.buildkite.com', true],
  ['circleci', 'https://oidc.circleci.com', true],
  ['circleci', 'https://oidc.circleci.com/org/0a1b2c3d-0000-4000-8000-000000000001', false],
  ['azure-devops', 'https://vstoken.dev.azure.com/11111111-2222-3333-4444-555555555555', true],
  ['keycloak', 'https://sso.example.test/realms/platform', false],
  ['kubernetes', 'https://kubernetes.default.svc.cluster.local', false],
]

t.test('an issuer that strangers share is known as such', async (t) => {
  for (const [preset, issuer, shared] of SHARED) t.equal(presetOf(preset).isShared(issuer), shared, issuer)
})

t.test('every preset is complete: bounded, asymmetric, with a way to pin it for good', async (t) => {
  t.same(ALL_PRESETS.map((preset) => preset.name).sort(), [...PRESET_NAMES].sort())
  for (const preset of ALL_PRESETS) {
    t.equal(presetOf(preset.name), preset)
    t.ok(preset.maxLifetimeSeconds > 0 && preset.maxLifetimeSeconds <= 86_400, preset.name)
    t.ok((preset.maxAgeSeconds ?? 1) > 0, preset.name)
    t.ok(preset.immutablePins.length > 0, preset.name)
    const both = preset.immutablePins.flat().filter((pin) => preset.mutablePins.includes(pin))
    t.same(both, [], `${preset.name}: no pin is both`)
    t.same(
      preset.algorithms.filter((algorithm) => !/^(RS|PS|ES)(256|384|512)$|^EdDSA$/.test(algorithm)),
      [],
      preset.name,
    )
    t.same(
      preset.headerTypes,
      preset.headerTypes.map((type) => type.toLowerCase()),
      preset.name,
    )
  }
})

t.test('the defaults for age and reuse are those of the table', async (t) => {
  const table = Object.fromEntries(
    ALL_PRESETS.map((preset) => [preset.name, [preset.maxAgeSeconds, preset.singleUse]]),
  )
  t.same(table, {
    oidc: [undefined, 'off'],
    'gitlab-ci': [21_600, 'per_audience'],
    'github-actions': [600, 'per_audience'],
    'forgejo-actions': [3600, 'once'],
    'gitea-actions': [600, 'per_audience'],
    keycloak: [900, 'off'],
    kubernetes: [undefined, 'off'],
    buildkite: [600, 'per_audience'],
    circleci: [3600, 'per_audience'],
    'azure-devops': [600, 'per_audience'],
  })
})
