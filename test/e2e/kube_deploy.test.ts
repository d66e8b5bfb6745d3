// Whether a real kube-apiserver takes every object of deploy/kubernetes: dry-run, real apply, nothing left to change on a
// second apply, Pod Security "restricted". The definitions of cert-manager and the Prometheus operator are small ones of
// our own (test/fixtures/crds): the real ones are not ours to ship.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { MANIFESTS, kustomize } from '../support/manifests.ts'
import type { Rendered } from '../support/manifests.ts'

const crds = join(import.meta.dirname, '..', 'fixtures', 'crds')
const cluster = await kubeClusterFor(t, { controllerManager: true })
const FOLDERS = ['base', 'overlays/example'] as const

const kubectl = (args: readonly string[], input = ''): Promise<KubectlResult> =>
  cluster.kubectl(args, { input })

async function must(args: readonly string[], input = ''): Promise<KubectlResult> {
  const result = await kubectl(args, input)
  if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`)
  return result
}

t.before(async () => {
  await must(['apply', '--server-side', '-f', crds])
  await must(['wait', '--for=condition=Established', '--timeout=20s', '-f', crds])
  const { one } = await kustomize(join(MANIFESTS, 'base'))
  await must(['apply', '--server-side', '-f', '-'], JSON.stringify(one('Namespace')))
})

const serverSide = ['--server-side', '--validate=strict', '-f', '-']

for (const folder of FOLDERS) {
  t.test(`every object of ${folder} is taken, without a warning`, async (t) => {
    const { yaml, objects } = await kustomize(join(MANIFESTS, folder))
    const dry = await kubectl(['apply', '--dry-run=server', ...serverSide], yaml)
    t.equal(dry.code, 0, dry.stderr)
    t.equal(dry.stderr, '')
    t.equal(dry.stdout.trim().split('\n').length, objects.length)
  })

  t.test(`${folder} is applied, and a second apply has nothing to change`, async (t) => {
    const { yaml } = await kustomize(join(MANIFESTS, folder))
    await must(['apply', '--force-conflicts', ...serverSide], yaml)
    const again = await kubectl(['diff', '--server-side', '-f', '-'], yaml)
    t.same([again.code, again.stdout], [0, ''])
  })
}

t.test('a field that does not exist is refused: the checks above would have seen it', async (t) => {
  const { yaml } = await kustomize(join(MANIFESTS, 'overlays/example'))
  for (const [from, to, says] of [
    [
      'fsGroupChangePolicy:',
      'fsGroupPolicy:',
      '.spec.template.spec.securityContext.fsGroupPolicy: field not',
    ],
    ['rotationPolicy: Always', 'rotation: Always', '.spec.privateKey.rotation: field not declared in schema'],
  ] as const) {
    const refused = await kubectl(['apply', '--dry-run=server', ...serverSide], yaml.replace(from, to))
    t.equal(refused.code, 1)
    t.match(refused.stderr, says)
  }
})

/** The Pod that the StatefulSet controller would make. */
function podOf({ statefulSet }: Rendered, index = '0'): Record<string, unknown> {
  const { metadata, spec } = statefulSet.spec.template
  const claim = { claimName: `store-sallyport-${index}` }
  const labels = { ...metadata.labels, 'apps.kubernetes.io/pod-index': index }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, labels, name: `sallyport-${index}`, namespace: 'sallyport' },
    spec: { ...spec, volumes: [...spec.volumes, { name: 'store', persistentVolumeClaim: claim }] },
  }
}

const createDry = ['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f', '-']

t.test('its Pod passes Pod Security "restricted" and gets no API token', async (t) => {
  const pod = podOf(await kustomize(join(MANIFESTS, 'base')))
  const created = await kubectl(createDry, JSON.stringify(pod))
  t.same([created.code, created.stderr], [0, ''])
  const { spec } = Object(JSON.parse(created.stdout))
  t.notMatch(JSON.stringify(spec), /kube-api-access|serviceAccountToken/)
  t.match(spec, { serviceAccountName: 'sallyport', automountServiceAccountToken: false })
})

for (const [says, change, reason] of [
  ['as root', { runAsNonRoot: false }, /runAsNonRoot != true/],
  ['without a seccomp profile', { seccompProfile: undefined }, /seccompProfile/],
] as const) {
  t.test(`a Pod ${says} is refused in that namespace`, async (t) => {
    const pod = podOf(await kustomize(join(MANIFESTS, 'base')))
    const spec = Object(pod['spec'])
    const changed = { ...pod, spec: { ...spec, securityContext: { ...spec.securityContext, ...change } } }
    const refused = await kubectl(createDry, JSON.stringify(changed))
    t.equal(refused.code, 1)
    t.match(refused.stderr, 'violates PodSecurity "restricted:latest"')
    t.match(refused.stderr, reason)
  })
}

t.test('another namespace is one line of an overlay', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-overlay-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const overlay = { namespace: 'login', resources: [relative(folder, join(MANIFESTS, 'base'))] }
  writeFileSync(join(folder, 'kustomization.yaml'), stringify(overlay))
  const { objects, one, yaml } = await kustomize(folder)
  t.equal(one('Namespace').metadata.name, 'login')
  t.same(
    objects.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'login'),
    [],
  )
  await must(['apply', ...serverSide], JSON.stringify(one('Namespace')))
  const dry = await kubectl(['apply', '--dry-run=server', ...serverSide], yaml)
  t.same([dry.code, dry.stderr], [0, ''])
})

t.test('a second replica would get no traffic: the Service leads to the first Pod alone', async (t) => {
  await must(['apply', '--force-conflicts', ...serverSide], (await kustomize(join(MANIFESTS, 'base'))).yaml)
  // The label is the StatefulSet controller's, which does not run here; what the selector finds is the apiserver's answer.
  for (const index of ['0', '1']) {
    const pod = podOf(await kustomize(join(MANIFESTS, 'base')), index)
    await must(['create', '-f', '-'], JSON.stringify(pod))
  }
  const service = await must(['get', 'service', 'sallyport', '-n', 'sallyport', '-o', 'json'])
  const selector = Object.entries(Object(JSON.parse(service.stdout)).spec.selector).map((pair) =>
    pair.join('='),
  )
  const found = await must(['get', 'pods', '-n', 'sallyport', '-l', selector.join(','), '-o', 'name'])
  t.equal(found.stdout.trim(), 'pod/sallyport-0')
})

t.test('apply -k and diff -k, as the guide says them, agree, too', async (t) => {
  const folder = join(MANIFESTS, 'overlays/example')
  await must(['delete', 'namespace', 'sallyport', '--wait=true', '--timeout=60s'])
  const applied = await kubectl(['apply', '-k', folder])
  t.same([applied.code, applied.stderr], [0, ''])
  const diff = await kubectl(['diff', '-k', folder])
  t.same([diff.code, diff.stdout], [0, ''])
})
