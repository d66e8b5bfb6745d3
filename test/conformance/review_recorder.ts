// A webhook that lets everything through and keeps what kube-apiserver sent: what an offline door would have read from files.
import { createServer } from 'node:https'
import { once } from 'node:events'
import type { Test } from 'tap'
import { portOf } from '../support/child_server.ts'
import { makeClusterAuthority } from '../support/kube_pki.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import type { Json } from './module_cases.ts'

export type Recorder = {
  /** The `request` of each review, in the order in which they came. */
  readonly requests: readonly Json[]
}

export async function startRecorder(t: Test, cluster: KubeCluster): Promise<Recorder> {
  const requests: Json[] = []
  const authority = await makeClusterAuthority()
  const { certPem, keyPem } = await authority.server(['127.0.0.1'])
  const server = createServer({ cert: certPem, key: keyPem }, (incoming, answer) => {
    let text = ''
    incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    incoming.once('end', () => {
      const { apiVersion, kind, request } = JSON.parse(text)
      requests.push(request)
      answer.setHeader('content-type', 'application/json')
      answer.end(JSON.stringify({ apiVersion, kind, response: { uid: request.uid, allowed: true } }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const port = portOf(server)
  const input = JSON.stringify(configuration(`https://127.0.0.1:${port}/`, authority.caPem))
  const { code, stderr } = await cluster.kubectl(['create', '-f', '-'], { input })
  if (code !== 0) throw new Error(stderr)
  await untilAsked(cluster, requests)
  return { requests }
}

function configuration(url: string, caPem: string): Json {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'recorder' },
    webhooks: [
      {
        name: 'recorder.sallyport.dev',
        clientConfig: { url, caBundle: Buffer.from(caPem).toString('base64') },
        rules: [
          {
            apiGroups: ['opendepot.defdev.io', 'sallyport.dev'],
            apiVersions: ['*'],
            operations: ['CREATE', 'UPDATE', 'DELETE'],
            resources: ['*', '*/status'],
          },
          {
            apiGroups: [''],
            apiVersions: ['v1'],
            operations: ['UPDATE', 'DELETE'],
            resources: ['namespaces'],
          },
          {
            apiGroups: ['apiextensions.k8s.io'],
            apiVersions: ['v1'],
            operations: ['UPDATE', 'DELETE'],
            resources: ['customresourcedefinitions'],
          },
        ],
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 5,
      },
    ],
  }
}

/** The server takes a configuration up a moment after it is written. */
async function untilAsked(cluster: KubeCluster, requests: Json[]): Promise<void> {
  const probe = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'default', labels: { probe: 'x' } },
  })
  const deadline = Date.now() + 20_000
  while (requests.length === 0) {
    if (Date.now() > deadline) throw new Error('the recorder is never asked')
    await cluster.kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-'], { input: probe })
  }
  requests.length = 0
}
