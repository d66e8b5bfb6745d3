// ValidatingAdmissionPolicies as `sallyport webhook generate vap --cluster` prints them, on the kube-apiserver that holds the policies:
// each rule in each mode with its twin, what breaks the glass, who guards the guard, and what 500 versions cost.
import t from 'tap'
import type { Test } from 'tap'
import type { JsonObject } from '../../src/core/claims.ts'
import type { Mode } from '../../src/core/module/verdict.ts'
import { runCli } from '../support/cli.ts'
import { kubeAsker } from '../support/kube_asker.ts'
import type { Ask, KubeAsker, Told } from '../support/kube_asker.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { done, KEEPER, placeOf, untilTold, WRITER } from './webhook_vap/asking.ts'
import { ALICE, API_VERSION, pipeline } from './webhook_vap/attack.ts'
import type { Attack } from './webhook_vap/attack.ts'
import { ATTACKS } from './webhook_vap/attacks.ts'
import { measure } from './webhook_vap/cost.ts'
import { breakGlass } from './webhook_vap/glass.ts'
import { unguard } from './webhook_vap/guard.ts'
import { mustPrint as must } from '../support/kube_modules.ts'

t.setTimeout(600_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const MODES: readonly Mode[] = ['enforce', 'warn', 'audit']

function policy(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: 'sallyport.dev/v1alpha1', kind: 'ModulePolicy', metadata: { name }, spec }
}

const IDENTITIES = { human: { groups: ['platform'] } }

/** Two for each mode: of the namespaces `enforce` and `enforce-strict`, and so on. */
const POLICIES = MODES.flatMap((mode) => [
  policy(mode, {
    selector: { namespaces: [mode] },
    defaultMode: mode,
    identities: IDENTITIES,
    ordering: 'monotonic',
  }),
  policy(`${mode}-strict`, {
    selector: { namespaces: [`${mode}-strict`], matchLabels: { tier: 'gold' } },
    defaultMode: mode,
    identities: IDENTITIES,
    immutability: 'required',
    pins: 'required',
  }),
])

const isDry = (asked: Ask): Ask => ({ ...asked, path: `${asked.path}?dryRun=All` })

t.test('generated policies on a real kube-apiserver', { skip }, async (t) => {
  // Seven sets of policies are more than an apiserver with little memory holds: it keeps every expression.
  const env = { GOMEMLIMIT: '700MiB', GOGC: '100' }
  const cluster = await kubeClusterFor(t, { auditLog: true, env })
  const asker = kubeAsker(cluster)
  t.teardown(() => asker.close())
  await prepare(cluster)
  await storeAll(asker)

  await t.test(
    'the command reads the policies of the cluster, and kubectl applies what it prints',
    async (t) => {
      const kubeconfig = ['--kubeconfig', cluster.adminKubeconfig]
      const printed = await runCli([
        'webhook',
        'generate',
        'vap',
        '--cluster',
        ...kubeconfig,
        '--keeper',
        KEEPER,
      ])
      t.equal(printed.code, 0, printed.stderr)
      const notes = printed.stderr.trimEnd().split('\n')
      t.match(
        notes,
        MODES.toSorted().map(
          (mode) => new RegExp(`^note: what policy ${mode}-strict alone says of Versions`),
        ),
        printed.stderr,
      )
      const apply = ['apply', '--server-side', '--validate=strict', '-f', '-']
      const applied = await cluster.kubectl(apply, { input: printed.stdout, timeoutMs: 120_000 })
      t.same([applied.code, applied.stderr], [0, ''])
      await untilTakenUp(asker)
    },
  )

  for (const mode of MODES) {
    await t.test(`every rule in the mode ${mode}, and its twin`, async (t) => {
      for (const row of ATTACKS) await judgeRow(t, asker, row, mode)
    })
  }

  await t.test('what only the audit log tells has the rule, and who it was', async (t) => {
    const told = await auditedRules(cluster, 'audit')
    const rules = new Set(ATTACKS.map(({ rule }) => rule))
    t.same(
      [...rules].filter((rule) => !told.has(rule)),
      [],
    )
    t.ok(told.get('WH-P1')?.has('github.com/evil/vpc'), 'a token says of which repository it is')
    t.ok(told.get('WH-V1')?.has('alice'))
  })

  await t.test('a repository has one name, however its address is written', async (t) => {
    await nameSources(t, asker)
  })
  await t.test('breaking the glass takes the annotation and the verb, and is told', async (t) => {
    await breakGlass(t, asker, cluster)
  })
  await t.test('nobody but the webhook writes the ledger', async (t) => {
    await writeLedger(t, asker)
  })
  await t.test('what the webhook stands on is guarded', async (t) => {
    await unguard(t, asker, cluster)
  })
  await t.test('500 versions stay within the cost that kube-apiserver allows', async (t) => {
    await measure(t, asker)
  })
})

/** Definitions, namespaces, and roles: everybody here may write everything, or RBAC would deny before the policies do. */
async function prepare(cluster: KubeCluster): Promise<void> {
  for (const folder of ['opendepot', 'sallyport']) {
    const manifests = await must(cluster, ['kustomize', `deploy/crds/${folder}`])
    await must(cluster, ['apply', '--server-side', '-f', '-'], manifests)
    await must(cluster, ['wait', '--for=condition=Established', '--timeout=20s', '-f', '-'], manifests)
  }
  const namespaces = [...MODES, ...MODES.map((mode) => `${mode}-strict`), 'uncovered', 'sallyport-system']
  const named = namespaces.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }))
  const rules = [
    { apiGroups: ['opendepot.defdev.io'], resources: ['*'], verbs: EDITING },
    { apiGroups: ['sallyport.dev'], resources: ['*'], verbs: EDITING },
    {
      apiGroups: ['', 'admissionregistration.k8s.io', 'apiextensions.k8s.io'],
      resources: ['*'],
      verbs: EDITING,
    },
  ]
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'editors' },
    rules,
  }
  const items = [...named, role, binding('editors', ['editors']), ...glassRoles(), ...POLICIES]
  await must(cluster, ['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
}

const EDITING = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete']

function binding(name: string, groups: readonly string[]): JsonObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: groups.map((group) => ({ kind: 'Group', name: group })),
  }
}

function glassRoles(): readonly JsonObject[] {
  const rules = [
    {
      apiGroups: ['opendepot.defdev.io'],
      resources: ['modules', 'providers'],
      verbs: ['unpublish', 'migrate'],
    },
    { apiGroups: ['*'], resources: ['*'], verbs: ['unguard'] },
  ]
  const metadata = { name: 'breakers' }
  return [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata, rules },
    binding('breakers', ['breakers']),
  ]
}

/** What is there before anything is judged. */
async function storeAll(asker: KubeAsker): Promise<void> {
  for (const mode of MODES) {
    for (const { name, stored, strict } of ATTACKS) {
      const { path } = placeOf(strict === true ? `${mode}-strict` : mode, name)
      for (const { kind, object, status } of stored ?? []) {
        const body = { apiVersion: API_VERSION, ...object }
        const metadata = { ...Object(object['metadata']), name }
        await done(asker, { method: 'POST', path: path(kind), body: { ...body, metadata } })
        if (status === undefined) continue
        await done(asker, {
          method: 'PATCH',
          path: `${path(kind, name)}/status`,
          body: { status },
          contentType: 'application/merge-patch+json',
        })
      }
    }
  }
}

/** Bindings are taken up in any order, so each kind of object is asked about, in each namespace where something is told. */
async function untilTakenUp(asker: KubeAsker): Promise<void> {
  const probed = ATTACKS.filter(({ name }) =>
    ['v1', 's1-module', 's5', 'd2', 'm15', 'm2-platform'].includes(name),
  )
  const deletions = [
    '/api/v1/namespaces/sallyport-system',
    '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/modules.opendepot.defdev.io',
  ]
  const probes: (readonly [rule: string, ask: () => Promise<Told>])[] = [
    ...MODES.slice(0, 2).flatMap((mode) =>
      probed.map((row) => [row.rule, () => attackOf(asker, row, mode)] as const),
    ),
    ['WH-L1', () => asker.ask({ method: 'POST', path: `${LEDGER}?dryRun=All`, body: ENTRY, as: ALICE })],
    ...deletions.map(
      (path) =>
        ['WH-M15', () => asker.ask({ method: 'DELETE', path: `${path}?dryRun=All`, as: ALICE })] as const,
    ),
  ]
  for (const [rule, ask] of probes) await untilTold(rule, ask)
}

function attackOf(asker: KubeAsker, { name, strict, attack }: Attack, mode: Mode): Promise<Told> {
  return asker.ask(isDry(attack(placeOf(strict === true ? `${mode}-strict` : mode, name))))
}

async function judgeRow(t: Test, asker: KubeAsker, row: Attack, mode: Mode): Promise<void> {
  const { name, rule, status, strict, twin } = row
  const told = await attackOf(asker, row, mode)
  const says = [told.message, ...told.warnings].join(' | ')
  if (mode === 'enforce') t.match([told.status, told.message], [status, `${rule}: `], `${name}: ${says}`)
  else t.ok(told.status <= 201, `${name} is let through: ${says}`)
  if (mode === 'warn')
    t.ok(
      told.warnings.some((warning) => warning.includes(`${rule}: `)),
      `${name}: ${says}`,
    )
  if (mode === 'audit') t.same(told.warnings, [], name)
  const passed = await asker.ask(isDry(twin(placeOf(strict === true ? `${mode}-strict` : mode, name))))
  t.ok(passed.status <= 201, `the twin of ${name}: ${passed.message}`)
  // What is only told has no way out.
  const blamed = passed.warnings.filter((text) => text.includes(`${rule}: `) && text.includes('Instead: '))
  t.same(blamed, [], `the twin of ${name}`)
}

/** Rule -> publishers, of audit events in a namespace. */
async function auditedRules(
  cluster: KubeCluster,
  namespace: string,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const rules = new Map<string, Set<string>>()
  for (const event of await cluster.auditEvents()) {
    const { objectRef, annotations } = Object(event)
    if (!String(objectRef?.namespace).startsWith(namespace)) continue
    const entries = Object.entries<string>(annotations ?? {})
    const who = entries.filter(([key]) => key.endsWith('/publisher')).map(([, value]) => value)
    for (const [key, value] of entries) {
      if (!key.endsWith('/rule')) continue
      for (const rule of value.split(',')) rules.set(rule, new Set([...(rules.get(rule) ?? []), ...who]))
    }
  }
  return rules
}

/** What names none here is refused; the webhook reads some of it as a browser would. */
const ADDRESSES: readonly (readonly [address: string, name: string])[] = [
  ['https://github.com/Acme/VPC.git', 'github.com/acme/vpc'],
  ['https://me:secret@git.example.com:443/a/b/c/', 'git.example.com/a/b/c'],
  ['https://git.example.com:8443/a/b.GIT', 'git.example.com:8443/a/b'],
  ['http://git.example.com:80/a/b', 'git.example.com/a/b'],
  ['ssh://git@git.example.com:2222/a/b.git', 'git.example.com/a/b'],
  ['git@github.com:acme/vpc.git', 'github.com/acme/vpc'],
  ['git://git.example.com//a/b//', 'git.example.com/a/b'],
  ['https://x-access-token:a%2Fb!@10.0.0.12:3000/a/b', '10.0.0.12:3000/a/b'],
  ['', 'github.com/acme/sources'],
  ...[
    'https://github.com/acme',
    'ftp://a/b/c',
    'https://a/b/../c/d',
    'https://a/b//c',
    'https://a/b?c/d',
    'https://github.com./a/b',
    'https://git..example.com/a/b',
    'https://-a/b/c',
    'https://a@b@c/d/e',
    'https://127.1/a/b',
    'ssh://git@0x7f.1/a/b',
    'https://256.0.0.1/a/b',
    'git@github.com.:a/b',
    'git@github.com:a/../../b/c',
  ].map((address) => [address, 'a repository that the Module names (it names none)'] as const),
]

async function nameSources(t: Test, asker: KubeAsker): Promise<void> {
  const { path } = placeOf('enforce', 'sources')
  for (const [repoUrl, name] of ADDRESSES) {
    const told = await asker.ask({
      method: 'POST',
      path: `${path('modules')}?dryRun=All`,
      body: {
        apiVersion: API_VERSION,
        kind: 'Module',
        metadata: { name: 'sources' },
        spec: {
          moduleConfig: { repoUrl, repoOwner: 'Acme', fileFormat: 'zip', immutable: true },
          versions: [{ version: '1.2.0' }],
        },
      },
      as: pipeline({ 'sallyport.dev/source': 'example.com/other/one' }),
    })
    t.match(told, { status: 403, message: `this Module is published by "${name}". Instead` }, repoUrl)
  }
}

const LEDGER = '/apis/sallyport.dev/v1alpha1/publishedversions'
const ENTRY = {
  apiVersion: 'sallyport.dev/v1alpha1',
  kind: 'PublishedVersion',
  metadata: { name: `pv-${'0'.repeat(48)}` },
  spec: {
    module: { namespace: 'infra', name: 'vpc' },
    version: '1.0.0',
    state: 'present',
    immutable: true,
  },
}

async function writeLedger(t: Test, asker: KubeAsker): Promise<void> {
  const write = (as: Ask['as']): Promise<Told> => asker.ask({ method: 'POST', path: LEDGER, body: ENTRY, as })
  t.match(await write(ALICE), {
    status: 403,
    message: /WH-L1: the ledger of "infra\/vpc" would be written by "alice"/,
  })
  t.match(await write({ user: WRITER, groups: ['editors'] }), { status: 201 })
  const deleted = await asker.ask({ method: 'DELETE', path: `${LEDGER}/${ENTRY.metadata.name}`, as: ALICE })
  t.match(deleted, { status: 403, message: 'would be deleted by' })
}
