// That the Role of deploy/kubernetes/components/kubernetes-store is what a store uses, no more and no less: a store lives a whole life
// with it on a real kube-apiserver, and with each verb taken away the same life fails and says which.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import { entryObject } from '../../src/platform/store/kube_entries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { makeNamespace, openStoreIn, storeClock, storePlace } from '../support/kube_store.ts'
import { MANIFESTS, kustomize } from '../support/manifests.ts'

type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

const cluster = await kubeClusterFor(t, { auditLog: true })
const { objects } = await kustomize(join(MANIFESTS, 'overlays/kubernetes-store'))
const role = Object(objects.find(({ kind }) => kind === 'Role'))
const rules: readonly Rule[] = role.rules
const start = storeClock()
const minute = 60_000
const whole = (key: string) => ({ key, parts: [], expiresAt: start + minute })

t.before(async () => {
  for (const definition of objects.filter(({ kind }) => kind === 'CustomResourceDefinition')) {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    const { status } = await cluster.request(path, { method: 'POST', body: definition })
    if (status !== 201) throw new Error(`${definition.metadata.name}: ${status}`)
  }
  const crds = ['crd/storeentries.sallyport.dev', 'crd/claimsets.sallyport.dev']
  const { code } = await cluster.kubectl(['wait', '--for=condition=Established', ...crds])
  if (code !== 0) throw new Error('the definitions are not served')
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')

function listOf(items: readonly unknown[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

/** The rights one by one: `get storeentries`. */
function rightsIn(of: readonly Rule[]): readonly string[] {
  return of.flatMap(({ resources, verbs }) =>
    resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
  )
}

/** An account with these rights in a namespace of its own, and a kubeconfig that is all it has. */
async function accountWith(
  t: Test,
  rights: readonly string[],
): Promise<{ readonly namespace: string; readonly kubeconfig: string; readonly user: string }> {
  const namespace = await makeNamespace(cluster)
  const user = `broker-of-${namespace}`
  const path = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`
  const split = rights.map((right) => right.split(' '))
  const made = [
    await cluster.request(`${path}/roles`, {
      method: 'POST',
      body: {
        ...role,
        metadata: { name: 'store' },
        rules: split.map(([verb, resource]) => ({
          apiGroups: ['sallyport.dev'],
          resources: [resource],
          verbs: [verb],
        })),
      },
    }),
    await cluster.request(`${path}/rolebindings`, {
      method: 'POST',
      body: {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'store' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'store' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
      },
    }),
  ]
  if (made.some(({ status }) => status !== 201)) throw new Error('the account has no role')
  const { certPem, keyPem } = await cluster.clientCertificate(user)
  const kubeconfig = join(t.testdir(), 'kubeconfig')
  writeFileSync(
    kubeconfig,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'c', cluster: { server: cluster.url, 'certificate-authority-data': base64(cluster.caPem) } },
      ],
      users: [
        {
          name: 'u',
          user: { 'client-certificate-data': base64(certPem), 'client-key-data': base64(keyPem) },
        },
      ],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace } }],
      'current-context': 'c',
    }),
    { mode: 0o600 },
  )
  return { namespace, kubeconfig, user }
}

/** Everything that a store does, with what others left for it. */
async function live(t: Test, kubeconfig: string, namespace: string): Promise<void> {
  let now = start
  const place = { ...storePlace(cluster, ''), from: { kubeconfig, context: undefined }, namespace: undefined }
  const store = await openStoreIn(place, { clock: () => now })
  t.teardown(() => store.close())
  await store.put('keys/ring', '1')
  await store.compareAndSet('keys/ring', '1', '2')
  await store.claimOnce('replay/a', start + minute)
  await store.claimAllOnce([whole('replay/b'), whole('replay/c')])
  // What a replica that died has left behind.
  const intent = { set: 's-gone', value: '', expiresAt: start + minute }
  const entry = entryObject('replay/d', { held: undefined, intent, writer: 'w' })
  const path = `/apis/sallyport.dev/v1alpha1/namespaces/${namespace}/storeentries`
  await cluster.request(path, { method: 'POST', body: entry })
  await store.claimOnce('replay/d', start + minute)
  await store.list('')
  await store.ping()
  now = start + 3 * minute
  await store.expire()
}

t.test('the Role is for one namespace, and for nothing but the store', async (t) => {
  t.same(
    objects.filter(({ kind }) => kind.startsWith('ClusterRole')),
    [],
  )
  t.same([...new Set(rules.flatMap(({ apiGroups }) => apiGroups))], ['sallyport.dev'])
})

t.test('every object of the overlay is taken as it stands, without a warning', async (t) => {
  // The certificate is cert-manager's, which test/e2e/kube_deploy.test.ts has.
  const [namespace, ...others] = objects.filter(({ kind }) => kind !== 'Certificate')
  t.equal((await cluster.kubectl(['create', '-f', '-'], { input: listOf([namespace]) })).code, 0)
  const dry = [
    'apply',
    '--dry-run=server',
    '--server-side',
    '--force-conflicts',
    '--validate=strict',
    '-f',
    '-',
  ]
  const taken = await cluster.kubectl(dry, { input: listOf(others) })
  t.same([taken.code, taken.stderr], [0, ''])
  t.equal(taken.stdout.trim().split('\n').length, others.length)
})

t.test('the rights that the guide lists are those of the Role', async (t) => {
  const page = readFileSync('docs/operations.md', 'utf8')
  const listed = /```yaml\n(rules:\n[\s\S]*?)```/.exec(page)?.[1] ?? ''
  t.same(parse(listed), { rules })
})

t.test('with the Role a store lives, and it uses every right of it', async (t) => {
  const { kubeconfig, namespace, user } = await accountWith(t, rightsIn(rules))
  await t.resolves(live(t, kubeconfig, namespace))
  const used = (await cluster.auditEvents()).flatMap((event) => {
    const { user: asker, verb, objectRef, responseStatus } = Object(event)
    if (asker.username !== user || objectRef === undefined) return []
    t.not(responseStatus?.code, 403, `${verb} ${objectRef.resource}`)
    return [`${verb} ${objectRef.resource}`]
  })
  t.same([...new Set(used)].sort(), [...rightsIn(rules)].sort())
})

for (const right of rightsIn(rules)) {
  t.test(`without ${right} the same life fails, and says what to bind`, async (t) => {
    const { kubeconfig, namespace } = await accountWith(
      t,
      rightsIn(rules).filter((other) => other !== right),
    )
    const [verb, resource] = right.split(' ')
    await t.rejects(live(t, kubeconfig, namespace), {
      name: 'StoreFailure',
      message: new RegExp(
        `cannot ${verb} resource .{1,3}${resource}.*\\n {4}-> bind the Role of deploy/kubernetes`,
      ),
    })
  })
}

t.test('without a right to make definitions a server says who can', async (t) => {
  const { kubeconfig } = await accountWith(t, rightsIn(rules))
  const crds = ['crd/storeentries.sallyport.dev', 'crd/claimsets.sallyport.dev']
  t.equal((await cluster.kubectl(['delete', ...crds])).code, 0)
  const place = { ...storePlace(cluster, ''), from: { kubeconfig, context: undefined }, namespace: undefined }
  await t.rejects(openStoreIn(place), {
    message:
      /may not make the definitions that the store is kept in\n {4}-> kubectl apply -k .*sallyport store migrate/,
  })
})
