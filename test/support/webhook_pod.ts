// The webhook of deploy/webhook on a test cluster, without a kubelet: the manifests applied as people apply them, and the Pod's own
// command, user, mounts and ServiceAccount token as a process (pod_process.ts). kube-apiserver reaches it over the Service, which an
// ExternalName stands in for.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { freePorts } from './child_server.ts'
import type { KubeCluster } from './kube_cluster.ts'
import { WEBHOOK_MANIFESTS, kustomizeWebhook } from './manifests.ts'
import type { RenderedWebhook } from './manifests.ts'
import { createPod } from './pod_process.ts'
import type { Files, PodImage, PodProcess } from './pod_process.ts'
import { mustPrint as must } from './kube_modules.ts'

export const WEBHOOK_NAMESPACE = 'sallyport-system'
const CONFIGURATION = 'sallyport-webhook'

export type WebhookPorts = { readonly https: number; readonly ops: number }

/** Of this machine, which is the network of the Pod here. */
export async function webhookPorts(): Promise<WebhookPorts> {
  const [https = 0, ops = 0] = await freePorts(2)
  return { https, ops }
}

/** What an operator adds to the manifests. */
export type WebhookOverlay = {
  readonly components?: readonly string[]
  /** Of sallyport-webhook.yaml. */
  readonly edit?: (config: string) => string
}

/** A folder of deploy/webhook, or an overlay over it, that listens on these ports. */
export async function renderWebhook(
  t: Test,
  folder: string,
  ports: WebhookPorts,
  { components = [], edit = (config) => config }: WebhookOverlay = {},
): Promise<RenderedWebhook> {
  const parts = mkdtempSync(join(tmpdir(), 'sallyport-overlay-'))
  t.teardown(() => rmSync(parts, { recursive: true, force: true }))
  const from = (path: string): string => relative(join(parts, 'with'), join(WEBHOOK_MANIFESTS, path))
  // Components come after what stands beside them, so that the ports are set in an overlay over them.
  writeOverlay(join(parts, 'with'), {
    resources: [from(folder)],
    components: components.map((name) => from(`components/${name}`)),
  })
  const source = components.length === 0 ? 'base' : `components/${components.at(-1)}`
  const config = readFileSync(join(WEBHOOK_MANIFESTS, source, 'sallyport-webhook.yaml'), 'utf8')
  const portPatch = [ports.https, ports.ops].map((value, index) => ({
    op: 'replace',
    path: `/spec/template/spec/containers/0/ports/${index}/containerPort`,
    value,
  }))
  writeOverlay(join(parts, 'here'), {
    resources: ['../with'],
    namespace: WEBHOOK_NAMESPACE,
    configMapGenerator: [
      { name: 'sallyport-webhook-config', behavior: 'replace', files: ['sallyport-webhook.yaml'] },
    ],
    patches: [{ target: { kind: 'Deployment', name: 'sallyport-webhook' }, patch: stringify(portPatch) }],
  })
  writeFileSync(
    join(parts, 'here', 'sallyport-webhook.yaml'),
    edit(config).replace('port: 8443', `port: ${ports.https}`).replace('port: 9090', `port: ${ports.ops}`),
  )
  return kustomizeWebhook(join(parts, 'here'))
}

function writeOverlay(folder: string, content: Readonly<Record<string, unknown>>): void {
  mkdirSync(folder)
  writeFileSync(join(folder, 'kustomization.yaml'), stringify(content))
}

/** All but the Deployment, which nothing runs here; in the Service's place an ExternalName leads to this machine. */
export async function applyWebhook(
  cluster: KubeCluster,
  { objects }: RenderedWebhook,
  ports: WebhookPorts,
): Promise<void> {
  const applied = objects.flatMap((object) => {
    if (object.kind === 'Deployment') return []
    if (object.kind === 'Service') {
      const { metadata, apiVersion, kind } = object
      return [{ apiVersion, kind, metadata, spec: { type: 'ExternalName', externalName: 'localhost' } }]
    }
    if (object.kind !== 'ValidatingWebhookConfiguration') return [object]
    return [withPort(object, ports.https)]
  })
  const text = applied.map((each) => stringify(each, { aliasDuplicateObjects: false })).join('---\n')
  await must(cluster, ['apply', '--server-side', '--force-conflicts', '-f', '-'], text)
}

/** An ExternalName knows no ports of its own, so that the Service's 443 becomes the listener's. */
function withPort(configuration: object, port: number): object {
  const copy = structuredClone(Object(configuration))
  for (const { clientConfig } of copy.webhooks) clientConfig.service.port = port
  return copy
}

/** What the kubelet would make of the Deployment, with the account's own token. */
export async function webhookPod(
  t: Test,
  cluster: KubeCluster,
  rendered: RenderedWebhook,
  ports: WebhookPorts,
  image: PodImage,
): Promise<PodProcess> {
  const token = await must(cluster, ['-n', WEBHOOK_NAMESPACE, 'create', 'token', 'sallyport-webhook'])
  const configMaps: Record<string, Files> = {}
  for (const { kind, metadata } of rendered.objects.filter((object) => object.kind === 'ConfigMap')) {
    configMaps[metadata.name] = await dataOf(cluster, kind, metadata.name)
  }
  for (const { configMap } of rendered.deployment.spec.template.spec.volumes) {
    if (configMap !== undefined)
      configMaps[configMap.name] ??= await dataOf(cluster, 'ConfigMap', configMap.name)
  }
  return createPod(t, {
    workload: rendered.deployment,
    image,
    configMaps,
    secrets: {},
    cluster: {
      port: Number(new URL(cluster.url).port),
      account: { token: token.trim(), 'ca.crt': cluster.caPem, namespace: WEBHOOK_NAMESPACE },
    },
    ready: async () => (await readiness(ports)).status === 200,
  })
}

async function dataOf(cluster: KubeCluster, kind: string, name: string): Promise<Files> {
  const text = await must(cluster, ['-n', WEBHOOK_NAMESPACE, 'get', kind, name, '-o', 'json'])
  return Object(JSON.parse(text)).data
}

export async function readiness(
  ports: WebhookPorts,
): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`http://127.0.0.1:${ports.ops}/readyz`, { signal: AbortSignal.timeout(2000) })
  return { status: response.status, text: await response.text() }
}

export async function registeredWebhooks(
  cluster: KubeCluster,
): Promise<readonly { readonly name: string; readonly failurePolicy: string; readonly caBundle: string }[]> {
  const text = await must(cluster, ['get', 'validatingwebhookconfiguration', CONFIGURATION, '-o', 'json'])
  return Object(JSON.parse(text)).webhooks.map(
    ({
      name,
      failurePolicy,
      clientConfig,
    }: {
      name: string
      failurePolicy: string
      clientConfig: { caBundle?: string }
    }) => ({ name, failurePolicy, caBundle: clientConfig.caBundle ?? '' }),
  )
}
