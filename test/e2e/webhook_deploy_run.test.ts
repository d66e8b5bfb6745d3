// deploy/webhook in the order of docs/webhook-install.md on a real kube-apiserver, with the Pod as a process: registered with nobody,
// then warning, then enforcing; down, in an emergency, ended, and gone.
import { execFile } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import type { ChildServer } from '../support/child_server.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { openGuide } from '../support/guide.ts'
import { WEBHOOK_MANIFESTS } from '../support/manifests.ts'
import type { RenderedWebhook } from '../support/manifests.ts'
import { buildImage, podsImpossible } from '../support/pod_process.ts'
import { mustPrint as must } from '../support/kube_modules.ts'
import {
  WEBHOOK_NAMESPACE,
  applyWebhook,
  readiness,
  registeredWebhooks,
  renderWebhook,
  webhookPod,
  webhookPorts,
} from '../support/webhook_pod.ts'
import type { WebhookOverlay } from '../support/webhook_pod.ts'

// Deleting definitions with their objects, and a policy until it holds, take tens of seconds each on a busy machine.
t.setTimeout(600_000)
const impossible = podsImpossible()
if (impossible !== false) {
  t.plan(0, impossible)
  process.exit()
}

const ports = await webhookPorts()
const admission = await admissionFiles()
const cluster = await kubeClusterFor(t, {
  controllerManager: true,
  extraArgs: [`--admission-control-config-file=${admission}`],
})
const guide = openGuide(t, 'webhook-install.md', cluster)
const image = buildImage(t)
let server: ChildServer

/** The files of components/client-certificate/apiserver, at paths of this machine. The certificate comes later. */
async function admissionFiles(): Promise<string> {
  const folder = t.testdir()
  const here = (file: string): string =>
    readFileSync(join(WEBHOOK_MANIFESTS, 'components/client-certificate/apiserver', file), 'utf8')
      .replaceAll('/etc/kubernetes/admission', folder)
      // The name of a webhook on another port than 443 says it.
      .replace('name: sallyport-webhook.sallyport-system.svc', `$&:${ports.https}`)
  for (const file of ['admission-configuration.yaml', 'webhook-kubeconfig.yaml'])
    writeFileSync(join(folder, file), here(file))
  await makeClients(folder)
  return join(folder, 'admission-configuration.yaml')
}

/** By the commands of the guide. */
async function makeClients(folder: string): Promise<void> {
  const text = readFileSync(join(import.meta.dirname, '../../docs/webhook-install.md'), 'utf8')
  const block = /^ *```sh\n( *openssl req -x509[\s\S]*?)^ *```$/m.exec(text)?.[1]
  if (block === undefined) throw new Error('the guide makes no certificate any more')
  await promisify(execFile)('bash', ['--norc', '-euc', block], { cwd: folder })
}

/** Runs a block of the guide; it must succeed. */
async function typed(words: string): Promise<KubectlResult> {
  const result = await guide.run(words)
  if (result.code !== 0) throw new Error(`${words}: ${result.stderr}`)
  return result
}

async function startPod(folder: string, overlay: WebhookOverlay = {}): Promise<RenderedWebhook> {
  const rendered = await renderWebhook(t, folder, ports, overlay)
  await applyWebhook(cluster, rendered, ports)
  server = await (await webhookPod(t, cluster, rendered, ports, image)).start()
  return rendered
}

const MODULES = '--resource=modules.opendepot.defdev.io'
const vpc = {
  apiVersion: 'opendepot.defdev.io/v1alpha1',
  kind: 'Module',
  metadata: { name: 'vpc', namespace: 'opendepot-system' },
  spec: {
    moduleConfig: {
      name: 'vpc',
      provider: 'aws',
      repoOwner: 'acme',
      repoUrl: 'https://github.com/acme/vpc',
      fileFormat: 'zip',
      immutable: true,
      storageConfig: { s3: { bucket: 'modules', key: 'vpc', region: 'us-east-1' } },
    },
    versions: [{ version: '1.0.0' }, { version: '1.2.0' }],
  },
}

/** Takes the second version off the list, as a dry run. */
function removal(): Promise<KubectlResult> {
  const patch = JSON.stringify([{ op: 'remove', path: '/spec/versions/1' }])
  const names = ['-n', 'opendepot-system', 'patch', 'module', 'vpc']
  return cluster.kubectl([...names, '--dry-run=server', '--type=json', '-p', patch])
}

async function until(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) if (await holds()) return
  throw new Error(`${what}: not within ${seconds} s`)
}

t.before(async () => {
  await must(cluster, ['apply', '-k', join(WEBHOOK_MANIFESTS, '../crds/opendepot')])
  await typed('kubectl apply -k deploy/crds/sallyport\n')
  // Established is not served yet: the apiserver asks for patience.
  const kinds = 'modules,versions,providers,groupbindings,modulepolicies,publishedversions'
  await until(
    'every kind is served',
    20,
    async () => (await cluster.kubectl(['get', kinds, '-A'])).code === 0,
  )
  await must(cluster, ['create', 'namespace', 'opendepot-system'])
  await must(cluster, ['create', '-f', '-'], JSON.stringify(vpc))
})

/** Of the Pod: `40 the message`, from level warn on, and what is no line of the log. */
function complaints(): readonly string[] {
  return server
    .logs()
    .split('\n')
    .filter((line) => /warning|"level":(40|50|60)/i.test(line))
    .map((line) => (line.startsWith('{') ? String(Object(JSON.parse(line)).msg) : line))
}

t.test(
  'the base: ready, registered with nobody; the ledger is new and the port open, as it says',
  async (t) => {
    await typed('kubectl apply -k deploy/webhook/base\n')
    await startPod('base')
    t.equal((await readiness(ports)).status, 200)
    const said = complaints().toSorted()
    t.equal(said.length, 2, said.join('\n'))
    t.match(said, [
      /^published versions that the ledger did not know/,
      /^whoever reaches the port is taken for/,
    ])
    t.match(await must(cluster, ['get', 'publishedversions']), /vpc +1\.2\.0 +present/)
  },
)

t.test('it is the user of the manifest, without privileges, and can write nowhere', async (t) => {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  t.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m)
  t.match(status, /^CapEff:\t0+$/m)
  t.match(status, /^NoNewPrivs:\t1$/m)
  t.match(readFileSync(`/proc/${server.pid}/environ`, 'utf8'), 'NODE_OPTIONS=--permission ')
  const mounts = readFileSync(`/proc/${server.pid}/mountinfo`, 'utf8').trim().split('\n')
  const writable = mounts
    .map((line) => line.split(' '))
    .filter(
      ([, , , , path = '', options = '']) =>
        options.startsWith('rw') && !/^\/(?:proc|dev\/|etc\/)/.test(path),
    )
  t.same(
    writable.map(([, , , , path]) => path),
    [],
  )
})

t.test('warn-first: registered, trusted, and it only warns', async (t) => {
  await typed('overlays/warn-first')
  await applyWebhook(cluster, await renderWebhook(t, 'overlays/warn-first', ports), ports)
  await until('a warning', 10, async () => (await removal()).stderr.includes('WH-V1'))
  const { code, stderr } = await removal()
  t.equal(code, 0)
  t.match(stderr, /^Warning: .*WH-V1.*1\.2\.0/m)
  const registered = await registeredWebhooks(cluster)
  t.ok(registered.every(({ caBundle, failurePolicy }) => caBundle !== '' && failurePolicy === 'Ignore'))
})

t.test('enforce: denied, with the rule', async (t) => {
  const [patch = ''] = /kubectl patch modulepolicy first-look[^`]+/.exec(guide.text) ?? []
  const words = /-p\s+'([^']+)'/.exec(patch)?.[1] ?? ''
  await must(cluster, ['patch', 'modulepolicy', 'first-look', '--type', 'merge', '-p', words])
  await typed('kubectl apply -k deploy/webhook/overlays/enforce\n')
  await applyWebhook(cluster, await renderWebhook(t, 'overlays/enforce', ports), ports)
  await until('a denial', 10, async () => (await removal()).code !== 0)
  t.match((await removal()).stderr, /denied the request: .*WH-V1/)
  t.ok((await registeredWebhooks(cluster)).every(({ failurePolicy }) => failurePolicy === 'Fail'))
})

t.test('SIGTERM: not ready, but judging until it ends in time', async (t) => {
  const began = performance.now()
  server.signal('SIGTERM')
  await until('unready', 3, async () => (await readiness(ports)).status === 503)
  t.match((await removal()).stderr, /denied the request: .*WH-V1/)
  t.equal(await server.exited, '0')
  t.ok(performance.now() - began < 15_000)
})

t.test('down with Fail: nothing goes, until somebody in an emergency says Ignore', async (t) => {
  t.match((await removal()).stderr, /failed calling webhook "modules[.]webhook[.]sallyport[.]dev"/)
  await typed('the webhook is down')
  await until('let through', 5, async () => (await removal()).code === 0)
  t.ok(
    (await registeredWebhooks(cluster)).every(({ caBundle }) => caBundle !== ''),
    'the bundles stay',
  )
  await startPod('overlays/enforce')
  await typed('the webhook is back')
  await until('a denial', 10, async () => (await removal()).code !== 0)
})

/** Who was given the verb, and who may patch and no more. */
const as = (user: string, patch: readonly object[]): Promise<KubectlResult> =>
  cluster.kubectl([
    '-n',
    'opendepot-system',
    '--as',
    user,
    'patch',
    'module',
    'vpc',
    '--dry-run=server',
    '--type=json',
    '-p',
    JSON.stringify(patch),
  ])

t.test('break-glass: the verb, the annotation and the removal, as the guide types them', async (t) => {
  await typed('name: vpc-breakglass')
  await must(cluster, ['-n', 'opendepot-system', 'create', 'role', 'patcher', '--verb=get,patch', MODULES])
  await must(cluster, [
    '-n',
    'opendepot-system',
    'create',
    'rolebinding',
    'patcher',
    '--role=patcher',
    '--user=al',
  ])
  const place = await typed('annotate module vpc "sallyport.dev/unpublish=1.2.0')
  t.equal(place.stdout.trim().split('\n').at(-1), '2:1.2.0')
  const removed = [{ op: 'remove', path: '/spec/versions/1' }]
  t.match((await as('al', removed)).stderr, /denied the request: .*WH-V1/)
  const byJo = await as('jo@acme.example', removed)
  t.equal(byJo.code, 0, byJo.stderr)
  t.match(byJo.stderr, /^Warning: .*WH-V1/m)

  const { stdout } = await typed('"op": "test", "path": "/spec/versions/1/version"')
  t.match(stdout, 'module.opendepot.defdev.io/vpc patched')
  await until('unpublished in the ledger', 10, async () =>
    /vpc +1\.2\.0 +unpublished/.test(await must(cluster, ['get', 'publishedversions'])),
  )
  // By the annotation, which was committed; who took it away an open port does not say.
  const [reason, removedBy] = ['reason', 'removedBy'].map((field) => [
    'get',
    'publishedversions',
    '-o',
    `jsonpath={.items[?(@.spec.version=="1.2.0")].spec.${field}}`,
  ])
  t.equal(await must(cluster, reason ?? []), 'its example holds a key')
  t.equal(await must(cluster, removedBy ?? []), '')
  const added = await as('al', [{ op: 'add', path: '/spec/versions/-', value: { version: '1.2.0' } }])
  t.match(added.stderr, /denied the request: .*WH-V2/)
})

t.test('migrate: another bucket, in one request with its reason', async (t) => {
  const moved = [{ op: 'replace', path: '/spec/moduleConfig/storageConfig/s3/bucket', value: 'elsewhere' }]
  t.match((await as('jo@acme.example', moved)).stderr, /denied the request: .*WH-M6/)
  const { stderr } = await typed('"sallyport.dev/migrate": "the bucket moves to eu-west-1"')
  t.match(stderr, /^Warning: .*WH-M6/m)
  const bucket = ['-o', 'jsonpath={.spec.moduleConfig.storageConfig.s3.bucket}']
  t.equal(await must(cluster, ['-n', 'opendepot-system', 'get', 'module', 'vpc', ...bucket]), 'modules-eu')
  const entry = ['get', 'publishedversions', '-o', 'jsonpath={.items[*].spec.moved}']
  await until('the move in the ledger', 10, async () => (await must(cluster, entry)).includes('modules-eu'))
  const { stdout } = await typed('items[?(@.spec.moved)]')
  t.match(stdout, /^vpc \d\S+ \[\{.*"reason":"the bucket moves to eu-west-1".*"settings":\["storageConfig"\]/)
  const events = server
    .logs()
    .split('\n')
    .filter((line) => line.includes('"broken":'))
  t.match(JSON.parse(events.at(-1) ?? '{}'), {
    event: 'admission',
    broken: [{ verb: 'migrate', covers: ['spec.moduleConfig.storageConfig'] }],
  })
})

/** What a TLS client without a certificate gets of the webhook. */
async function stranger(localAddress = '127.0.0.1'): Promise<string> {
  const body = await must(cluster, [
    '-n',
    WEBHOOK_NAMESPACE,
    'get',
    'secret',
    'sallyport-webhook-tls',
    '-o',
    'json',
  ])
  const ca = Buffer.from(Object(JSON.parse(body)).data['ca.crt'], 'base64').toString('utf8')
  const servername = `sallyport-webhook.${WEBHOOK_NAMESPACE}.svc`
  const { promise, resolve } = Promise.withResolvers<string>()
  const request = httpsRequest(
    { host: '127.0.0.1', port: ports.https, localAddress, ca, servername, path: '/' },
    (answer) => {
      answer.resume()
      resolve(`answered ${answer.statusCode}`)
    },
  )
  request.once('error', (error) => resolve(`cut off: ${error.message}`))
  request.end()
  return promise
}

/** As the place in the manifest says; the apiserver comes over either address of the loopback. */
function nameServers(config: string): string {
  return config.replace(/# allowFrom: .*/, 'allowFrom: [127.0.0.1, "::1"]')
}

t.test('with the addresses of the API servers whoever connects from elsewhere is cut off', async (t) => {
  t.match(await stranger('127.0.0.2'), /^answered/)
  await server.stop()
  await typed('kubectl -n default get endpointslices')
  await startPod('overlays/enforce', { edit: nameServers })
  await until('a denial', 10, async () => /denied the request: .*WH-M6/.test((await relocation()).stderr))
  t.match(await stranger('127.0.0.2'), /^cut off/)
  t.match(await stranger(), /^answered/)
  t.match(complaints(), [/^connection from an address that is not let in, closed/])
})

t.test('with client certificates kube-apiserver alone is answered', async (t) => {
  await server.stop()
  copyFileSync(join(dirname(admission), 'clients-ca.crt'), join(guide.folder, 'clients-ca.crt'))
  await typed('create configmap sallyport-webhook-clients')
  await startPod('overlays/enforce', { components: ['client-certificate'] })
  await until('a denial', 10, async () => /denied the request: .*WH-M6/.test((await relocation()).stderr))
  t.match(await stranger(), /^cut off/)
})

function relocation(): Promise<KubectlResult> {
  return as('jo@acme.example', [
    { op: 'replace', path: '/spec/moduleConfig/storageConfig/s3/bucket', value: 'elsewhere' },
  ])
}

t.test('policies of your own take the place of the first look', async (t) => {
  t.match(
    (await typed('sallyport webhook adopt\n')).stdout,
    /1 Module with 1 version.*judged under first-look/,
  )
  const started = await typed('sallyport webhook adopt --starter')
  t.match(started.stdout, 'modulepolicy.sallyport.dev/first-look configured', 'over the one that is there')
  t.match(
    await must(cluster, ['get', 'modulepolicy', 'first-look', '-o', 'jsonpath={.spec.selector}']),
    /^\{"namespaces":\["opendepot-system"\]\}$/,
  )
  await typed('kubectl delete modulepolicy first-look\n')
  await until('the new policy', 10, async () => /WH-M6/.test((await relocation()).stderr))
  t.match(
    await must(cluster, ['get', 'modulepolicies', '-o', 'name']),
    /^modulepolicy.sallyport.dev\/pipelines$/m,
  )
})

t.test(
  'down, with admission policies: versions stay, and nobody takes the guard away by accident',
  async (t) => {
    await typed('sallyport webhook generate vap --cluster')
    const first = [{ op: 'remove', path: '/spec/versions/0' }]
    const isHeld = async (): Promise<boolean> => {
      return /ValidatingAdmissionPolicy 'sallyport-.*WH-V1/.test((await as('al', first)).stderr)
    }
    const careless = async (...more: readonly string[]): Promise<string> => {
      const names = ['delete', 'validatingwebhookconfiguration', 'sallyport-webhook']
      return (await cluster.kubectl([...names, ...more])).stderr
    }
    // Each policy holds once the apiserver has compiled it, one after the other.
    await until('held by a policy', 180, isHeld)
    await until('guarded by another', 180, async () =>
      (await careless('--dry-run=server')).includes('WH-M15'),
    )
    await server.stop()
    t.ok(await isHeld(), 'without the webhook')

    const before = await registeredWebhooks(cluster)
    t.match(await careless(), /WH-M15/)
    await typed('the webhook is down')
    const after = await registeredWebhooks(cluster)
    t.ok(after.every(({ failurePolicy }) => failurePolicy === 'Ignore'))
    t.same(
      after.map(({ caBundle }) => caBundle),
      before.map(({ caBundle }) => caBundle),
    )
    t.ok(await isHeld(), 'nor with a registration that is ignored')
    await typed('the webhook is back')
    const back = await registeredWebhooks(cluster)
    t.same(back, before, 'nothing else changed')
    t.match(await careless(), /WH-M15/, 'a deletion needs a reason of its own')
    await typed('the registration of this release')
    t.ok((await registeredWebhooks(cluster)).every(({ failurePolicy }) => failurePolicy === 'Fail'))
    t.match(await careless(), /WH-M15/)
  },
)

t.test('another namespace has a registration of its own', async (t) => {
  await typed('--service guard/sallyport-webhook')
  const made = readFileSync(join(guide.folder, 'registration.yaml'), 'utf8')
  t.match(made, 'namespace: guard')
  t.match(made, 'system:serviceaccount:guard:sallyport-webhook')
  t.notMatch(made, WEBHOOK_NAMESPACE)
})

t.test('nobody who publishes may switch it off', async (t) => {
  const { stdout } = await guide.run('kubectl auth can-i delete validatingwebhookconfigurations')
  t.equal(stdout.trim().split('\n')[0], 'no')
})

t.test('uninstalled in the order of the guide: the Module stays', async (t) => {
  await typed('kubectl delete validatingwebhookconfiguration sallyport-webhook\n')
  t.match(readFileSync(join(guide.folder, 'ledger.jsonl'), 'utf8'), '"version":"1.2.0","state":"unpublished"')
  t.match(await must(cluster, ['-n', 'opendepot-system', 'get', 'module', 'vpc']), 'vpc')
  t.equal((await cluster.kubectl(['get', 'publishedversions'])).code, 1)
})

t.test('every command of the guide was run, but what needs Docker or a CA of yours', async (t) => {
  const rest = guide
    .blocks('sh')
    .filter((block) => !guide.done.has(block) && !block.startsWith('openssl req'))
  t.same(
    rest.map((block) => block.split(' ').slice(0, 4).join(' ')),
    ['docker build -f deploy/Dockerfile', 'sallyport webhook generate webhook'],
  )
})
