// The self-managed certificate on a real kube-apiserver, which calls over a Service (ExternalName, the reference that a cluster
// uses) and goes by the bundle in its configuration. Behind the Service are two replicas; each call is a TLS handshake of its own.
import { once } from 'node:events'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { openKubeConnection } from '../../src/platform/kube/kube_connection.ts'
import { kubeCertificateObjects } from '../../webhook/certificate/kube_certificate_objects.ts'
import { openSelfManagedCertificate } from '../../webhook/certificate/self_managed.ts'
import type { CertificateSource } from '../../webhook/certificate/source.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'

const namespace = 'sallyport-system'
const service = 'sallyport-webhook'
const secret = 'sallyport-webhook-tls'
const configuration = 'sallyport-webhook'
const hosts = [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`]
const cluster = await kubeClusterFor(t)
const secretPath = `/api/v1/namespaces/${namespace}/secrets/${secret}`
const configurationPath = `/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/${configuration}`

type Line = { readonly level: string; readonly message: string; readonly fields: unknown }

type Replica = {
  readonly source: CertificateSource
  readonly port: number
  readonly lines: readonly Line[]
  close(): Promise<void>
}

async function startReplica(lifetimeSeconds: number): Promise<Replica> {
  const connection = await openKubeConnection({
    kubeconfig: cluster.adminKubeconfig,
    context: undefined,
    env: {},
  })
  if (!connection.ok) throw new Error(connection.denial.message)
  const lines: Line[] = []
  const at = (level: string) => (fields: unknown, message?: string) => {
    lines.push({ level, message: message ?? '', fields })
  }
  const log = { info: at('info'), warn: at('warn'), error: at('error') }
  const names = { secret, namespace, webhookConfiguration: configuration }
  const objects = kubeCertificateObjects(connection.value, names, log)
  const order = { hosts, lifetimeSeconds }
  const source = await openSelfManagedCertificate({ objects, order, clock: Date.now, log })
  const { cert, key } = source.current()
  const server = createHttpsServer({ cert, key }, (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.once('end', () => {
      const { uid } = Object(JSON.parse(text)).request
      const review = {
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid, allowed: true },
      }
      // A handshake for each call: what is proven once for a connection would hide a bad certificate.
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' })
      response.end(JSON.stringify(review))
    })
  })
  source.onChange(() => server.setSecureContext({ cert: source.current().cert, key: source.current().key }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    source,
    lines,
    port: portOf(server.address()),
    async close() {
      source.close()
      connection.value.close()
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** What kube-proxy is in a cluster: one address, each connection to another replica. */
const replicas: Replica[] = []
let turn = 0
const proxy = createServer((inward) => {
  const replica = replicas[(turn += 1) % replicas.length]
  if (replica === undefined) {
    inward.destroy()
    return
  }
  const outward = connect(replica.port, '127.0.0.1')
  inward.pipe(outward).pipe(inward)
  inward.on('error', () => outward.destroy())
  outward.on('error', () => inward.destroy())
})
proxy.listen(0, '127.0.0.1')
await once(proxy, 'listening')
const proxyPort = portOf(proxy.address())
t.teardown(async () => {
  await closeReplicas()
  proxy.close()
})

async function closeReplicas(): Promise<void> {
  await Promise.all(replicas.splice(0).map((replica) => replica.close()))
}

async function must(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args, { input })
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`)
  return stdout
}

function webhook(name: string): Readonly<Record<string, unknown>> {
  return {
    name,
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    timeoutSeconds: 5,
    clientConfig: { service: { namespace, name: service, port: proxyPort, path: '/review' } },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'guarded' } },
  }
}

const registration = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: configuration },
  webhooks: [webhook('one.sallyport.dev'), webhook('two.sallyport.dev')],
}

t.before(async () => {
  await must(['create', 'namespace', namespace])
  await must(['create', 'namespace', 'guarded'])
  await must(['-n', namespace, 'create', 'service', 'externalname', service, '--external-name', 'localhost'])
})

/** One call of the webhook: the apiserver's status and words. */
async function call(): Promise<string> {
  const { status, body } = await cluster.request('/api/v1/namespaces/guarded/configmaps?dryRun=All', {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'called-' } },
  })
  return status === 201 ? 'called' : `${status} ${Object(JSON.parse(body)).message}`
}

async function until(what: string, seconds: number, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(50)) if (await holds()) return
  throw new Error(`${what}: not within ${seconds} s`)
}

async function bundles(): Promise<readonly string[]> {
  const { body } = await cluster.request(configurationPath)
  const { webhooks } = Object(JSON.parse(body))
  return webhooks.map(({ clientConfig }: { clientConfig: { caBundle?: string } }) =>
    Buffer.from(clientConfig.caBundle ?? '', 'base64').toString('utf8'),
  )
}

const authorities = (bundle: string): number => bundle.split('-----BEGIN').length - 1

t.test('out of nothing: ready before it is registered, called a moment after', async (t) => {
  replicas.push(...(await Promise.all([startReplica(3600), startReplica(3600)])))
  const [one, two] = replicas
  t.same([one?.source.missing(), two?.source.missing()], [undefined, undefined])
  t.equal(one?.source.current().cert, two?.source.current().cert, 'two at once end with one CA')
  const created = JSON.parse(await must(['-n', namespace, 'get', 'secret', secret, '-o', 'json']))
  t.match(created, { type: 'kubernetes.io/tls' })
  t.same(Object.keys(created.data).toSorted(), ['ca.crt', 'tls.crt', 'tls.key'])

  await must(['create', '-f', '-'], JSON.stringify(registration))
  await until('the first call', 5, async () => (await call()) === 'called')
  const [first, second] = await bundles()
  t.equal(first, second)
  t.equal(authorities(first ?? ''), 1)
})

t.test('of the configuration it owns the bundles and nothing else', async (t) => {
  const { metadata } = JSON.parse(
    await must([
      'get',
      'validatingwebhookconfiguration',
      configuration,
      '--show-managed-fields',
      '-o',
      'json',
    ]),
  )
  const own = metadata.managedFields.filter(
    ({ manager }: { manager: string }) => manager === 'sallyport-webhook-certificate',
  )
  t.equal(own.length, 1)
  t.equal(own[0].operation, 'Apply')
  const fields = new Set(JSON.stringify(own[0].fieldsV1).match(/(?<="f:)[a-zA-Z]+/g))
  t.same([...fields].toSorted(), ['caBundle', 'clientConfig', 'name', 'webhooks'])
})

t.test('an overwritten bundle is repaired within a second', async (t) => {
  const wanted = await bundles()
  const caBundle = Buffer.from(new X509Certificate(cluster.caPem).toString()).toString('base64')
  const patch = [{ op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: caBundle }]
  await must([
    'patch',
    'validatingwebhookconfiguration',
    configuration,
    '--type=json',
    '-p',
    JSON.stringify(patch),
  ])
  const began = Date.now()
  await until('the bundle', 5, async () => JSON.stringify(await bundles()) === JSON.stringify(wanted))
  t.ok(Date.now() - began < 1500, `${Date.now() - began} ms`)
  await until('a call', 2, async () => (await call()) === 'called')
})

t.test('a plain apply, an apply of another and a replaced configuration keep or get it back', async (t) => {
  const wanted = JSON.stringify(await bundles())
  const text = JSON.stringify(registration)
  await must(['apply', '--server-side', '--force-conflicts', '--field-manager', 'gitops', '-f', '-'], text)
  t.equal(JSON.stringify(await bundles()), wanted, 'server-side apply without a bundle leaves it alone')
  await must(['apply', '-f', '-'], text)
  t.equal(JSON.stringify(await bundles()), wanted, 'client-side apply merges by name')
  await must(['replace', '-f', '-'], text)
  await until('the bundle', 5, async () => JSON.stringify(await bundles()) === wanted)
  await must(['delete', 'validatingwebhookconfiguration', configuration])
  await must(['create', '-f', '-'], text)
  await until('the bundle', 5, async () => JSON.stringify(await bundles()) === wanted)
})

/** Calls without a pause until `during` is done; what did not get through. */
async function callsDuring(
  during: Promise<unknown>,
): Promise<{ readonly calls: number; readonly failed: readonly string[] }> {
  const done = new AbortController()
  let calls = 0
  const failed: string[] = []
  const stream = async (): Promise<void> => {
    while (!done.signal.aborted) {
      const answer = await call()
      calls += 1
      if (answer !== 'called') failed.push(answer)
      await sleep(20)
    }
  }
  const streams = [stream(), stream(), stream()]
  await during.finally(() => done.abort())
  await Promise.all(streams)
  return { calls, failed }
}

t.test('a deleted Secret: not one failed call, and other keys in the end', async (t) => {
  const before = replicas[0]?.source.current().cert
  const kept = JSON.parse((await cluster.request(secretPath)).body)
  const { failed, calls } = await callsDuring(
    (async () => {
      await must(['-n', namespace, 'delete', 'secret', secret])
      await until('another Secret', 5, async () => (await cluster.request(secretPath)).status === 200)
      await until('a bundle of two', 5, async () =>
        (await bundles()).every((each) => authorities(each) === 2),
      )
      await sleep(1000)
    })(),
  )
  t.same(failed, [])
  t.ok(calls > 20, `${calls} calls`)
  const made = JSON.parse((await cluster.request(secretPath)).body)
  t.not(made.metadata.uid, kept.metadata.uid)
  t.ok('next.crt' in made.data)
  t.equal(replicas[0]?.source.current().cert, before, 'served until the new one is trusted for a while')
  const lines = replicas.flatMap((replica) => replica.lines.filter(({ level }) => level === 'warn'))
  t.match(lines, [{ message: /lost or broken: made anew/ }])
  t.notMatch(JSON.stringify(replicas.map((replica) => replica.lines)), /PRIVATE KEY/)
})

t.test('a Secret full of garbage is made anew, without a failed call', async (t) => {
  const { failed } = await callsDuring(
    (async () => {
      const patch = { stringData: { 'tls.crt': 'no certificate', 'tls.key': 'no key', 'next.crt': '' } }
      await must(['-n', namespace, 'patch', 'secret', secret, '-p', JSON.stringify(patch)])
      await until('a good one', 5, async () => {
        const { data } = JSON.parse((await cluster.request(secretPath)).body)
        return Buffer.from(data['tls.crt'], 'base64').toString().startsWith('-----BEGIN CERTIFICATE')
      })
      await sleep(500)
    })(),
  )
  t.same(failed, [])
})

t.test('two rotations under a stream of calls: not one of them fails', async (t) => {
  await closeReplicas()
  await must(['-n', namespace, 'delete', 'secret', secret])
  const lifetimeSeconds = 15
  replicas.push(...(await Promise.all([startReplica(lifetimeSeconds), startReplica(lifetimeSeconds)])))
  await until('the first call', 5, async () => (await call()) === 'called')
  const served = new Set<string>()
  const trusted = new Set<number>()
  const { calls, failed } = await callsDuring(
    until('three certificates', 60, async () => {
      for (const { source } of replicas) served.add(source.current().cert)
      for (const bundle of await bundles()) trusted.add(authorities(bundle))
      return served.size === 3 && replicas[0]?.source.current().cert === replicas[1]?.source.current().cert
    }).then(() => sleep(2000)),
  )
  t.same(failed, [])
  t.ok(calls > 200, `${calls} calls`)
  t.same(trusted, new Set([1, 2]))
  t.comment(`${calls} calls over two rotations`)
})
