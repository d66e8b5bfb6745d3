// Generated ValidatingAdmissionPolicies on a real kube-apiserver: each rule in each mode with its twin, what breaks the glass, who guards the guard, and what 500 versions cost.
import t from 'tap'
import type { Test } from 'tap'
import type { JsonObject } from '../../src/core/claims.ts'
import { admissionPolicies } from '../../src/core/module/generate/admission_policies.ts'
import type { Mode } from '../../src/core/module/verdict.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import { kubeAsker } from '../support/kube_asker.ts'
import type { Ask, KubeAsker, Told } from '../support/kube_asker.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { ALICE, API_VERSION, ATTACKS, numbered, pipeline } from './webhook_vap/attacks.ts'
import type { Attack, Json, Place } from './webhook_vap/attacks.ts'
import { mustPrint as must } from '../support/kube_modules.ts'

t.setTimeout(600_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const MODES: readonly Mode[] = ['enforce', 'warn', 'audit']
const API = `/apis/${API_VERSION}`
const WRITER = 'system:serviceaccount:sallyport-system:sallyport-webhook'
const KEEPER = 'system:serviceaccount:cert-manager:cert-manager-cainjector'

function policy(name: string, spec: Json): NamedPolicy {
  const read = readModulePolicy({
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'ModulePolicy',
    metadata: { name },
    spec,
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
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

function placeOf(namespace: string, name: string): Place {
  return {
    name,
    path: (kind, of) => `${API}/namespaces/${namespace}/${kind}${of === undefined ? '' : `/${of}`}`,
  }
}

const isDry = (asked: Ask): Ask => ({ ...asked, path: `${asked.path}?dryRun=All` })

t.test('generated policies on a real kube-apiserver', { skip }, async (t) => {
  // Seven sets of policies are more than an apiserver with little memory holds: each expression has some 75 kB.
  const env = { GOMEMLIMIT: '700MiB', GOGC: '100' }
  const cluster = await kubeClusterFor(t, { auditLog: true, env })
  const asker = kubeAsker(cluster)
  t.teardown(() => asker.close())
  await prepare(cluster)
  await storeAll(asker)
  const objects = admissionPolicies(POLICIES, {
    ledgerWriters: [WRITER],
    guard: {
      configuration: 'sallyport-webhook',
      namespace: 'sallyport-system',
      service: 'sallyport-webhook',
      secret: 'sallyport-webhook-tls',
      keepers: [WRITER, KEEPER],
    },
  })

  await t.test('kubectl applies them without a word of warning', async (t) => {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
    const apply = ['apply', '--server-side', '--validate=strict', '-f', '-']
    const applied = await cluster.kubectl(apply, { input, timeoutMs: 120_000 })
    t.same([applied.code, applied.stderr], [0, ''])
    await untilTakenUp(asker)
  })

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
  const items = [...named, role, binding('editors', ['editors']), ...glassRoles()]
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

async function done(asker: KubeAsker, asked: Ask): Promise<Told> {
  const told = await asker.ask(asked)
  if (told.status > 201) throw new Error(`${asked.method} ${asked.path}: ${told.status} ${told.message}`)
  return told
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

async function untilTold(rule: string, ask: () => Promise<Told>): Promise<Told> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const told = await ask()
    if ([told.message, ...told.warnings].some((text) => text.includes(`${rule}: `))) return told
    if (Date.now() > deadline) throw new Error(`nothing is told of ${rule}: ${told.status} ${told.message}`)
  }
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
  ['', 'github.com/acme/sources'],
  ...[
    'https://github.com/acme',
    'ftp://a/b/c',
    'https://a/b/../c/d',
    'https://a/b//c',
    'https://a/b?c/d',
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

const MERGE = 'application/merge-patch+json'

async function breakGlass(t: Test, asker: KubeAsker, cluster: KubeCluster): Promise<void> {
  const { path } = placeOf('enforce', 'v1')
  const without = { user: 'bob', groups: ['platform', 'editors'] }
  const breaker = { user: 'carol', groups: ['platform', 'editors', 'breakers'] }
  const removal = (annotations: Json, as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${path('modules', 'v1')}?dryRun=All`,
      body: { metadata: { annotations }, spec: { versions: [{ version: '1.1.0' }] } },
      contentType: MERGE,
      as,
    })
  const leaked = { 'sallyport.dev/unpublish': 'v1.0.0: leaked a key' }
  t.match(await removal(leaked, without), { status: 403, message: 'WH-V1: version 1.0.0 was published' })
  t.match(await removal({}, breaker), { status: 403, message: 'WH-V1: ' }, 'the verb alone')
  t.match(await removal({ 'sallyport.dev/unpublish': '1.0.0' }, breaker), { status: 403 }, 'no reason')
  t.match(await removal({ 'sallyport.dev/unpublish': '1.1.0: other' }, breaker), { status: 403 })
  t.match(
    await removal({ 'sallyport.dev/unpublish': '*: all' }, breaker),
    { status: 403 },
    'a star removes none',
  )
  const broken = await removal(leaked, breaker)
  t.match(broken, { status: 200, warnings: [/WH-V1: .*unpublished \("leaked a key"\)/] })
  const moved = { spec: { moduleConfig: { repoOwner: 'other', storageConfig: { s3: { bucket: 'new' } } } } }
  const migrate = (annotations: Json, as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${path('modules', 'v1')}?dryRun=All`,
      body: { metadata: { annotations }, ...moved },
      contentType: MERGE,
      as,
    })
  const why = { 'sallyport.dev/migrate': 'the bucket moved' }
  t.match(await migrate(why, without), { status: 403, message: 'WH-M2: ' })
  t.match(await migrate({}, breaker), { status: 403, message: /WH-M2: [^]*WH-M6: / })
  const migrated = await migrate(why, breaker)
  t.equal(migrated.status, 200, migrated.message)
  t.match(migrated.warnings.join(' '), /WH-M2: .*migrated[^]*WH-M6: .*migrated/)
  const strict = placeOf('enforce-strict', 'm2-platform')
  const platform = (annotations: Json, as: Ask['as']): Promise<Told> =>
    asker.ask({
      method: 'PATCH',
      path: `${strict.path('providers', strict.name)}?dryRun=All`,
      body: { metadata: { annotations }, spec: { providerConfig: { operatingSystems: ['linux'] } } },
      contentType: MERGE,
      as,
    })
  t.match(await platform(why, without), { status: 403, message: 'WH-M2: ' })
  t.match(await platform(why, breaker), { status: 200, warnings: [/WH-M2: .*migrated/] })
  const deletion = (as: Ask['as']): Promise<Told> =>
    asker.ask({ method: 'DELETE', path: `${path('modules', 'm12')}?dryRun=All`, as })
  await must(cluster, [
    'annotate',
    'module',
    'm12',
    '-n',
    'enforce',
    'sallyport.dev/unpublish=*: it was a test',
  ])
  t.match(await deletion(without), { status: 403, message: 'WH-M12: ' })
  t.match(await deletion(breaker), { status: 200, warnings: [/WH-M12: .*unpublished/] })
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

/** Many at once have no name in the request, and each is judged all the same. */
async function unguard(t: Test, asker: KubeAsker, cluster: KubeCluster): Promise<void> {
  const { webhookConfiguration } = await import('../../src/core/module/generate/webhook_configuration.ts')
  const configuration = webhookConfiguration({
    name: 'sallyport-webhook',
    target: { namespace: 'sallyport-system', service: 'sallyport-webhook', port: 443 },
    caPem: undefined,
    certManager: undefined,
    // Nobody answers here.
    failurePolicy: 'Ignore',
    timeoutSeconds: 1,
    ledgerWriters: [WRITER],
  })
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'sallyport-webhook', namespace: 'sallyport-system' },
    spec: { type: 'ExternalName', externalName: 'localhost' },
  }
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'sallyport-webhook-tls', namespace: 'sallyport-system' },
    stringData: { 'tls.crt': 'x' },
  }
  const items = [configuration, service, secret]
  await must(cluster, ['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  const own = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations'
  const inNamespace = '/api/v1/namespaces/sallyport-system'
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  const editor = { user: 'bob', groups: ['editors'] }
  const breaker = { user: 'carol', groups: ['editors', 'breakers'] }
  const remove = (path: string, as: Ask['as']): Promise<Told> =>
    asker.ask({ method: 'DELETE', path: `${path}?dryRun=All`, as })
  const edit = (path: string, body: unknown, as: Ask['as'], contentType = MERGE): Promise<Told> =>
    asker.ask({ method: 'PATCH', path: `${path}?dryRun=All`, body, contentType, as })
  const denied = { status: 403, message: 'WH-M15: ' }
  for (const path of [
    `${own}/sallyport-webhook`,
    own,
    `${definitions}/modules.opendepot.defdev.io`,
    '/api/v1/namespaces/sallyport-system',
    `${inNamespace}/services/sallyport-webhook`,
    `${inNamespace}/secrets/sallyport-webhook-tls`,
  ]) {
    const by = path === own ? { ...editor, groups: ['editors', 'system:masters'] } : editor
    t.match(await untilTold('WH-M15', () => remove(path, by)), denied, path)
  }
  const first = `${own}/sallyport-webhook`
  const weaker = [{ op: 'replace', path: '/webhooks/0/timeoutSeconds', value: 30 }]
  const bundle = [{ op: 'add', path: '/webhooks/0/clientConfig/caBundle', value: btoa('') }]
  const JSON_PATCH = 'application/json-patch+json'
  t.match(await edit(first, weaker, editor, JSON_PATCH), denied)
  t.match(await edit(first, { metadata: { labels: { a: 'b' } } }, editor), { status: 200 })
  t.match(await edit(first, bundle, { user: KEEPER, groups: ['editors'] }, JSON_PATCH), { status: 200 })
  const why = { 'sallyport.dev/unguard': 'a longer timeout' }
  const explained = [...weaker, { op: 'add', path: '/metadata/annotations', value: why }]
  t.match(await edit(first, explained, editor, JSON_PATCH), denied, 'the annotation alone')
  t.match(await edit(first, weaker, breaker, JSON_PATCH), denied, 'the verb alone')
  t.match(await edit(first, explained, breaker, JSON_PATCH), { status: 200 })
  const unserved = [{ op: 'replace', path: '/spec/versions/0/served', value: false }]
  const modules = `${definitions}/modules.opendepot.defdev.io`
  const schema = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties'
  t.match(await edit(modules, unserved, editor, JSON_PATCH), denied)
  const withoutStatus = [{ op: 'remove', path: '/spec/versions/0/subresources' }]
  t.match(await edit(modules, withoutStatus, editor, JSON_PATCH), denied)
  const clientConfig = { url: 'https://127.0.0.1:1/convert' }
  const webhook = { clientConfig, conversionReviewVersions: ['v1'] }
  const conversion = { strategy: 'Webhook', webhook }
  const converted = [{ op: 'add', path: '/spec/conversion', value: conversion }]
  t.match(await edit(modules, converted, editor, JSON_PATCH), denied)
  t.match(
    await edit(
      modules,
      [{ op: 'remove', path: `${schema}/moduleConfig/properties/immutable` }],
      editor,
      JSON_PATCH,
    ),
    denied,
  )
  t.match(
    await edit(
      modules,
      [{ op: 'add', path: `${schema}/more`, value: { type: 'string' } }],
      editor,
      JSON_PATCH,
    ),
    { status: 200 },
  )
  const groups = `${definitions}/groupbindings.opendepot.defdev.io`
  t.match(await edit(groups, { metadata: { labels: { a: 'b' } } }, editor), { status: 200 })
  t.match(
    await edit(`${inNamespace}/services/sallyport-webhook`, { spec: { externalName: 'evil' } }, editor),
    denied,
  )
  t.match(
    await edit(`${inNamespace}/secrets/sallyport-webhook-tls`, { data: { 'tls.crt': 'eA==' } }, editor),
    {
      status: 200,
    },
    'the same data',
  )
  t.match(
    await edit(`${inNamespace}/secrets/sallyport-webhook-tls`, { data: { 'tls.crt': 'eQ==' } }, editor),
    denied,
  )
  t.match(
    await edit(
      `${inNamespace}/secrets/sallyport-webhook-tls`,
      { data: { 'tls.crt': 'eQ==' } },
      {
        user: WRITER,
        groups: ['editors'],
      },
    ),
    { status: 200 },
  )
}

/** Figures are told, and only that the server goes on judging is held: the machine is shared. */
async function measure(t: Test, asker: KubeAsker): Promise<void> {
  for (const count of [100, 300, 500]) {
    for (const prefix of ['', 'v']) {
      const times = await timesAt(
        t,
        asker,
        numbered(count).map((version) => `${prefix}${version}`),
      )
      t.comment(`${count} versions${prefix === '' ? '' : ' with v'}, p50 in ms: ${times.join(', ')}`)
    }
  }
}

async function timesAt(t: Test, asker: KubeAsker, versions: readonly string[]): Promise<readonly string[]> {
  const name = `cost-${versions.length}${versions[0]?.startsWith('v') === true ? '-v' : ''}`
  const { path } = placeOf('enforce', name)
  const entries = versions.map((version) => ({ version }))
  const moduleConfig = { fileFormat: 'zip', immutable: true, repoOwner: 'acme', provider: 'aws' }
  const object = {
    apiVersion: API_VERSION,
    kind: 'Module',
    metadata: { name },
    spec: { moduleConfig, versions: entries.slice(0, -1) },
  }
  const one = path('modules', name)
  const asks: Readonly<Record<string, Ask>> = {
    create: { method: 'POST', path: `${path('modules')}?dryRun=All`, body: object, as: ALICE },
    append: {
      method: 'PATCH',
      path: `${one}?dryRun=All`,
      body: [{ op: 'add', path: '/spec/versions/-', value: entries.at(-1) }],
      contentType: 'application/json-patch+json',
      as: ALICE,
    },
    reversed: {
      method: 'PATCH',
      path: `${one}?dryRun=All`,
      body: { spec: { versions: entries.toReversed() } },
      contentType: MERGE,
      as: ALICE,
    },
  }
  await done(asker, { method: 'POST', path: path('modules'), body: object, as: ALICE })
  const told: string[] = []
  for (const [what, asked] of Object.entries(asks)) {
    const answers: Told[] = []
    for (let round = 0; round < 7; round += 1) answers.push(await asker.ask(asked))
    const refused = answers.find(({ status }) => status > 201 && status !== 409)
    t.equal(refused, undefined, `${versions.length} ${what}: ${refused?.message ?? ''}`)
    const sorted = answers.map(({ milliseconds }) => milliseconds).toSorted((a, b) => a - b)
    told.push(`${what} ${sorted[3]?.toFixed(0)}`)
  }
  const emptied = await asker.ask({
    method: 'PATCH',
    path: `${one}?dryRun=All`,
    body: { spec: { versions: [] } },
    contentType: MERGE,
    as: ALICE,
  })
  t.match(emptied, { status: 403, message: /WH-V1: .* and [0-9]+ more/ })
  return told
}
