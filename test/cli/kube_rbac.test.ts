// `sallyport kube rbac`: Role and RoleBinding for whoever a policy lets in, and a warning for each name that is not safe.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parseAllDocuments, stringify } from 'yaml'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

const POLICY = {
  name: 'blog',
  connector: 'forgejo',
  claims: { repository_id: '456', ref: 'refs/heads/main' },
  grant: { audiences: ['kube:prod'], groups: ['deployers'], username: 'forgejo:${repository}' },
}
const NATIVE = {
  issuer: 'https://broker.example.test',
  listen: { public: '127.0.0.1:8443' },
  store: { type: 'sqlite', file: 'sallyport.db' },
  connectors: [{ id: 'forgejo', type: 'forgejo-actions', issuer: 'https://git.example.test/api/actions' }],
  clients: [{ id: 'ci', auth: { method: 'none' }, connectors: ['forgejo'] }],
  audiences: [
    { id: 'kube:prod', profile: 'kubernetes', clients: ['ci'] },
    { id: 'app', clients: ['ci'] },
  ],
  policies: [POLICY, { ...POLICY, name: 'app-only', grant: { audiences: ['app'] } }],
}
const DEX = {
  issuer: 'https://dex.example.test/',
  storage: { type: 'memory' },
  web: { http: '127.0.0.1:5556' },
  staticClients: [{ id: 'kubernetes', name: 'Kubernetes', secret: 'Zx9Lq4TnB6wKe2VjM8rYc0sGh5uDf3Pa' }],
  connectors: [
    {
      type: 'oidc',
      id: 'keycloak',
      name: 'Keycloak',
      config: {
        issuer: 'https://sso.example.test/realms/platform',
        clientID: 'x',
        clientSecret: 'x',
        redirectURI: 'https://dex.example.test/callback',
        insecureEnableGroups: true,
      },
    },
  ],
}

type Asked = CliRun & {
  readonly objects: readonly Readonly<Record<string, unknown>>[]
  readonly codes: readonly string[]
}

async function ask(
  t: Test,
  flags: readonly string[],
  config: Readonly<Record<string, unknown>> = NATIVE,
): Promise<Asked> {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'sallyport.yaml'), stringify(config))
  writeFileSync(join(cwd, 'dex.yaml'), stringify(DEX))
  const run = await runCli(['kube', 'rbac', ...flags], { cwd, now: Date.UTC(2026, 10, 21) })
  const objects = parseAllDocuments(run.stdout).map((document) => Object(document.toJS()))
  const codes = [...run.stderr.matchAll(/^warning ([a-z_]+): /gm)].map(([, code]) => code ?? '')
  return { ...run, objects, codes }
}

function withPolicy(change: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { ...NATIVE, policies: [{ ...POLICY, ...change }] }
}

const BLOG = ['--policy', 'blog', '--namespace', 'technowizardry']

t.test('the role of the article, for the user that the policy makes', async (t) => {
  const run = await ask(t, [
    ...BLOG,
    '--claim',
    'repository=adam/technowizardry.net',
    '--resource-name',
    'blog',
  ])
  t.match(run, { code: 0, codes: [], stderr: '' })
  t.equal(
    run.stdout,
    `# What a job may do that policy blog lets in. Made by \`sallyport kube rbac\`; apply it with kubectl apply -f -.
# The names hold for the prefixes of the AuthenticationConfiguration that was made with the same flags.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: sallyport-blog
  namespace: technowizardry
rules:
  - apiGroups: [apps]
    resources: [deployments]
    # These objects alone; list and watch only with a field selector on metadata.name.
    resourceNames: [blog]
    # kubectl set image reads and patches; kubectl rollout status lists and watches. Who can patch a
    # Deployment can run anything as any ServiceAccount of the namespace.
    verbs: [get, list, watch, patch]
---
# Who has it, in namespace technowizardry and nowhere else.
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: sallyport-blog
  namespace: technowizardry
# What policy blog makes of a job: its username, forgejo:\${repository}, after the prefix of auth-config. The
# policy pins an id, so a new owner of the name does not get it; after a rename this binding names nobody,
# until it is made anew.
subjects:
  - kind: User
    apiGroup: rbac.authorization.k8s.io
    name: ci:forgejo:adam/technowizardry.net
# Cannot be changed later: to point elsewhere, delete the binding and apply it anew.
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: sallyport-blog
`,
  )
})

t.test('a name with a claim in it needs that claim, or the group is bound', async (t) => {
  t.match(await ask(t, [...BLOG, '--user']), {
    code: 2,
    stdout: '',
    stderr:
      /ci:forgejo:\$\{repository\} is no single name.*\n.*--claim repository=VALUE; or bind a group: --group ci:deployers/,
  })
  const group = await ask(t, BLOG)
  t.match(group, { code: 0, codes: [] })
  t.match(group.objects[1], { subjects: [{ kind: 'Group', name: 'ci:deployers' }] })
  t.match(await ask(t, [...BLOG, '--group']), { stdout: group.stdout })
  t.match(await ask(t, [...BLOG, '--group', 'deployers']), { stdout: group.stdout })
  t.match(await ask(t, [...BLOG, '--group', 'admins']), { code: 2, stderr: /does not give the group admins/ })
  t.match(await ask(t, [...BLOG, '--user', '--group']), { code: 2 })
  t.match(await ask(t, [...BLOG, '--claim', 'repository']), { code: 2, stderr: /no NAME=VALUE/ })
})

t.test('the prefixes and the claim are those of auth-config', async (t) => {
  const flags = ['--username-prefix', 'x:', '--groups-prefix', 'y:']
  t.match((await ask(t, [...BLOG, ...flags])).objects[1], { subjects: [{ name: 'y:deployers' }] })
  t.match((await ask(t, [...BLOG, ...flags, '--username-claim', 'sub'])).objects[1], {
    subjects: [{ kind: 'User', name: 'x:forgejo:456' }],
  })
})

t.test('a name that somebody else can register again is told', async (t) => {
  const claims = { repository: 'adam/technowizardry.net' }
  const run = await ask(t, BLOG, withPolicy({ claims }))
  t.match(run, { code: 0, codes: ['name_reregistrable'] })
  t.match(run.stdout, 'WARNING: repository can be registered again')
  const byId = await ask(t, BLOG, withPolicy({ claims: { ...claims, repository_id: '456' } }))
  t.match(byId, { code: 0, codes: [] })
})

t.test('what a role allows too much is told', async (t) => {
  const codes = async (...flags: readonly string[]) => (await ask(t, [...BLOG, ...flags])).codes
  t.strictSame(await codes('--resource', 'pods,pods/log', '--verb', 'get'), [])
  t.strictSame(await codes('--cluster-role', 'cluster-admin'), ['role_is_all'])
  t.strictSame(await codes('--cluster-role', 'edit'), [])
  t.strictSame(await codes('--resource', '*.apps'), ['rule_wildcard'])
  t.strictSame(await codes('--verb', '*'), ['rule_wildcard'])
  t.strictSame(await codes('--resource', 'serviceaccounts', '--verb', 'impersonate'), ['rule_escalates'])
  t.strictSame(await codes('--resource', 'secrets', '--verb', 'get'), ['rule_reads_secrets'])
  t.strictSame(await codes('--verb', 'create', '--resource-name', 'blog'), ['rule_name_without_effect'])
})

t.test('resources of several API groups are rules of one role', async (t) => {
  const flags = [
    '--resource',
    'deployments.apps,deployments.apps/scale',
    '--resource',
    'pods',
    '--verb',
    'get,patch',
  ]
  const { objects } = await ask(t, [...BLOG, ...flags])
  t.strictSame(objects[0]?.['rules'], [
    { apiGroups: ['apps'], resources: ['deployments', 'deployments/scale'], verbs: ['get', 'patch'] },
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'patch'] },
  ])
  t.match(await ask(t, [...BLOG, '--resource', 'Pods']), { code: 2, stderr: /no resource/ })
  t.match(await ask(t, [...BLOG, '--verb', 'GET']), { code: 2, stderr: /no verb/ })
})

t.test('where the role holds is said, in one namespace or everywhere', async (t) => {
  t.match(await ask(t, ['--policy', 'blog']), { code: 2, stderr: /--namespace NAME, or --cluster-wide/ })
  t.match(await ask(t, [...BLOG, '--cluster-wide']), { code: 2 })
  const wide = await ask(t, ['--policy', 'blog', '--cluster-wide', '--resource', 'nodes', '--verb', 'list'])
  t.match(wide.objects, [
    { kind: 'ClusterRole', metadata: { name: 'sallyport-blog', namespace: undefined } },
    { kind: 'ClusterRoleBinding', roleRef: { kind: 'ClusterRole', name: 'sallyport-blog' } },
  ])
  const bound = await ask(t, [...BLOG, '--cluster-role', 'view', '--name', 'blog-view'])
  t.equal(bound.objects.length, 1)
  t.match(bound.objects[0], {
    kind: 'RoleBinding',
    metadata: { name: 'blog-view', namespace: 'technowizardry' },
    roleRef: { kind: 'ClusterRole', name: 'view' },
  })
  t.match(await ask(t, [...BLOG, '--cluster-role', 'view', '--verb', 'get']), { code: 2 })
})

t.test('a policy that is not there, or does not grant the cluster, is told', async (t) => {
  t.match(await ask(t, ['--policy', 'bolg', '--namespace', 'a']), {
    code: 2,
    stderr: /no policy bolg\n.*blog/,
  })
  t.match(await ask(t, ['--policy', 'app-only', '--namespace', 'a']), {
    code: 2,
    stderr: /does not grant the audience kube:prod/,
  })
  t.match(await ask(t, ['--namespace', 'a']), { code: 2, stderr: /nobody is named/ })
  t.match(await ask(t, [...BLOG, '--user', 'adam']), { code: 2, stderr: /the policy says it/ })
  t.match((await ask(t, BLOG, withPolicy({ disabled: true }))).codes, ['policy_disabled'])
  t.match((await ask(t, BLOG, withPolicy({ notAfter: '2026-01-01T00:00:00Z' }))).codes, ['policy_expired'])
})

t.test('without a policy, as in Dex, the issuer names people, and that is told', async (t) => {
  const dex = ['--dex-config', 'dex.yaml', '--namespace', 'shop', '--cluster-role', 'edit']
  const user = await ask(t, [...dex, '--user', 'deployer@example.com'])
  t.match(user, { code: 0, codes: ['name_of_issuer'] })
  t.match(user.objects[0], {
    metadata: { name: 'sallyport-deployer@example.com' },
    subjects: [{ kind: 'User', name: 'ci:deployer@example.com' }],
  })
  const group = await ask(t, [...dex, '--group', 'platform', '--groups-prefix', ''])
  t.match(group, { code: 0, codes: ['group_of_issuer'] })
  t.match(group.objects[0], { subjects: [{ kind: 'Group', name: 'platform' }] })
})

t.test('two policies never give one role, whatever their names are made of', async (t) => {
  const names = ['acme/shop', 'acme-shop', 'acme%shop', 'p'.repeat(256), `${'p'.repeat(255)}q`]
  const policies = names.map((name) => ({ ...POLICY, name, grant: { ...POLICY.grant, groups: ['g'] } }))
  const roles: unknown[] = []
  for (const name of names) {
    const run = await ask(t, ['--policy', name, '--namespace', 'web', '--group', 'g'], {
      ...NATIVE,
      policies,
    })
    t.equal(run.code, 0, run.stderr)
    const [role, binding] = run.objects
    t.match(Object(role)['metadata'], { name: /^sallyport-[^/%]{1,190}$/ })
    t.equal(Object(binding)['roleRef'].name, Object(role)['metadata'].name)
    roles.push(Object(role)['metadata'].name)
  }
  t.equal(roles[1], 'sallyport-acme-shop', 'a name that can stand stays')
  t.match(roles[0], /^sallyport-acme-shop-[0-9a-f]{8}$/)
  t.equal(new Set(roles).size, names.length)
})
