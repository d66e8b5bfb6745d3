// Whether a real kube-apiserver takes every object of deploy/webhook, in the order of docs/webhook-install.md: dry-run, real apply,
// nothing left to change on a second apply, Pod Security "restricted", and the whole in another namespace.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { WEBHOOK_MANIFESTS, kustomizeWebhook } from '../support/manifests.ts'
import type { RenderedWebhook } from '../support/manifests.ts'

const deploy = join(WEBHOOK_MANIFESTS, '..')
const crds = join(import.meta.dirname, '..', 'fixtures', 'crds')
const cluster = await kubeClusterFor(t, { controllerManager: true })
const COMPONENTS = ['cert-manager', 'pod-monitor', 'client-certificate'] as const

const kubectl = (args: readonly string[], input = ''): Promise<KubectlResult> =>
  cluster.kubectl(args, { input })

async function must(args: readonly string[], input = ''): Promise<string> {
  const result = await kubectl(args, input)
  if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`)
  return result.stdout
}

/** An overlay as people write one. */
function overlayFolder(
  t: Test,
  overlay: Readonly<Record<string, unknown>>,
  base = 'overlays/enforce',
): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-overlay-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const resources = [relative(folder, join(WEBHOOK_MANIFESTS, base))]
  writeFileSync(join(folder, 'kustomization.yaml'), stringify({ resources, ...overlay }))
  return folder
}

function withComponent(t: Test, name: string): string {
  const folder = overlayFolder(t, {})
  const components = [relative(folder, join(WEBHOOK_MANIFESTS, 'components', name))]
  const resources = [relative(folder, join(WEBHOOK_MANIFESTS, 'overlays/enforce'))]
  writeFileSync(join(folder, 'kustomization.yaml'), stringify({ resources, components }))
  return folder
}

t.before(async () => {
  for (const folder of ['opendepot', 'sallyport']) await must(['apply', '-k', join(deploy, 'crds', folder)])
  await must(['apply', '--server-side', '-f', crds])
  await must(['wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all'])
  const { one } = await kustomizeWebhook(join(WEBHOOK_MANIFESTS, 'base'))
  await must(['apply', '--server-side', '-f', '-'], JSON.stringify(one('Namespace')))
})

const serverSide = ['--server-side', '--validate=strict', '-f', '-']

async function isTaken(t: Test, folder: string): Promise<void> {
  const { yaml, objects } = await kustomizeWebhook(folder)
  const dry = await kubectl(['apply', '--dry-run=server', ...serverSide], yaml)
  t.same([dry.code, dry.stderr], [0, ''])
  t.equal(dry.stdout.trim().split('\n').length, objects.length)
}

for (const folder of ['base', 'overlays/warn-first'] as const) {
  t.test(`every object of ${folder} is taken, without a warning`, async (t) => {
    await isTaken(t, join(WEBHOOK_MANIFESTS, folder))
  })
}

for (const name of COMPONENTS) {
  t.test(`with the component ${name} every object is taken, too`, async (t) => {
    await isTaken(t, withComponent(t, name))
  })
}

t.test('another namespace is one line of an overlay over the base', async (t) => {
  const { objects, one, yaml } = await kustomizeWebhook(overlayFolder(t, { namespace: 'guard' }, 'base'))
  t.equal(one('Namespace').metadata.name, 'guard')
  t.same(
    [...new Set(objects.map(({ metadata }) => metadata.namespace))].filter((each) => each !== undefined),
    ['guard'],
  )
  t.match(one('ClusterRoleBinding'), { subjects: [{ namespace: 'guard' }] })
  t.notMatch(yaml, 'sallyport-system', 'nothing else of it names the old one')
  await must(['apply', '--server-side', '-f', '-'], JSON.stringify(one('Namespace')))
  const dry = await kubectl(['apply', '--dry-run=server', ...serverSide], yaml)
  t.same([dry.code, dry.stderr], [0, ''])
})

t.test('warn-first is applied, and a second apply has nothing to change', async (t) => {
  const folder = join(WEBHOOK_MANIFESTS, 'overlays/warn-first')
  const applied = await kubectl(['apply', '-k', folder])
  t.same([applied.code, applied.stderr.replace(/^Warning: .*missing the .*last-applied.*\n/gm, '')], [0, ''])
  const again = await kubectl(['diff', '-k', folder])
  t.same([again.code, again.stdout], [0, ''])
})

t.test('a CA bundle that the webhook wrote is no difference, and an apply leaves it', async (t) => {
  const name = 'sallyport-webhook'
  const caBundle = Buffer.from(cluster.caPem).toString('base64')
  const { objects } = await kustomizeWebhook(join(WEBHOOK_MANIFESTS, 'overlays/warn-first'))
  const registered: { readonly webhooks: readonly { readonly name: string }[] } = Object(
    objects.find(({ kind }) => kind === 'ValidatingWebhookConfiguration'),
  )
  const bundles = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name },
    webhooks: registered.webhooks.map((each) => ({ name: each.name, clientConfig: { caBundle } })),
  }
  await must(
    ['apply', '--server-side', '--field-manager=sallyport-webhook-certificate', '-f', '-'],
    JSON.stringify(bundles),
  )
  const folder = join(WEBHOOK_MANIFESTS, 'overlays/warn-first')
  const diff = await kubectl(['diff', '-k', folder])
  t.same([diff.code, diff.stdout], [0, ''])
  await must(['apply', '-k', join(WEBHOOK_MANIFESTS, 'overlays/enforce')])
  const after = JSON.parse(await must(['get', 'validatingwebhookconfiguration', name, '-o', 'json']))
  for (const each of after.webhooks) {
    t.equal(each.clientConfig.caBundle, caBundle, each.name)
    t.equal(each.failurePolicy, 'Fail', each.name)
  }
})

t.test('a field that does not exist is refused: the checks above would have seen it', async (t) => {
  const { yaml } = await kustomizeWebhook(join(WEBHOOK_MANIFESTS, 'base'))
  const refused = await kubectl(
    ['apply', '--dry-run=server', ...serverSide],
    yaml.replace('matchLabelKeys:', 'matchKeys:'),
  )
  t.equal(refused.code, 1)
  t.match(refused.stderr, /topologySpreadConstraints.*matchKeys.*field not/)
})

/** The Pod that the ReplicaSet controller would make. */
function podOf({ deployment }: RenderedWebhook, change: Readonly<Record<string, unknown>> = {}): string {
  const { metadata, spec } = deployment.spec.template
  const securityContext = { ...spec.securityContext, ...change }
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: 'webhook-0', namespace: 'sallyport-system' },
    spec: { ...spec, securityContext },
  })
}

const createDry = ['create', '--dry-run=server', '--validate=strict', '-o', 'json', '-f', '-']

t.test('its Pod passes Pod Security "restricted" and has the priority of the control plane', async (t) => {
  const rendered = await kustomizeWebhook(join(WEBHOOK_MANIFESTS, 'base'))
  const created = await kubectl(createDry, podOf(rendered))
  t.same([created.code, created.stderr], [0, ''])
  t.equal(JSON.parse(created.stdout).spec.priority, 2_000_000_000)
  const refused = await kubectl(createDry, podOf(rendered, { runAsNonRoot: false }))
  t.equal(refused.code, 1)
  t.match(refused.stderr, /violates PodSecurity "restricted:latest".*runAsNonRoot != true/s)
})
