// What deploy/kubernetes describes, running: the Pod's exact entry point, arguments, user, mounts and read-only root as a
// process (test/support/pod_process.ts), probed as its probes say, trusted by a real kube-apiserver, changed under way,
// stopped and started again. Only ports, names and the issuer of jobs are those of the test, set by an overlay as a user
// would write it.
import { execFileSync } from 'node:child_process'
import { X509Certificate, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { stringify } from 'yaml'
import { issueCertificate, makeAuthority } from '../../src/platform/dev_certificate_authority.ts'
import { freePorts } from '../support/child_server.ts'
import type { ChildServer } from '../support/child_server.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { MANIFESTS, kustomize, portNamed } from '../support/manifests.ts'
import type { Probe, Rendered } from '../support/manifests.ts'
import { buildImage, createPod, podsImpossible } from '../support/pod_process.ts'
import type { Files, PodProcess } from '../support/pod_process.ts'
import { encodeForm, gitlabClaims } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const impossible = podsImpossible()
if (impossible !== false) {
  t.plan(0, impossible)
  process.exit()
}

const [publicPort = 0, opsPort = 0] = await freePorts(2)
const issuer = `https://localhost:${publicPort}`
const gitlab = await startTestIssuer()
t.teardown(() => gitlab.close())
const authority = await makeAuthority(['localhost'], Date.now())
const example = readFileSync(join(MANIFESTS, 'overlays/example/sallyport.yaml'), 'utf8')
const NIGHTLY = randomBytes(24).toString('base64url')

/** The example's configuration with the names of this machine, and a change. */
function configuration(change: (text: string) => string = (text) => text): Files {
  const text = example
    .replace('https://broker.example.com', issuer)
    .replace('0.0.0.0:8443', `0.0.0.0:${publicPort}`)
    .replace('0.0.0.0:9090', `0.0.0.0:${opsPort}`)
    .replace('issuer: https://gitlab.example.com', `issuer: ${gitlab.url}, caFile: gitlab-ca.pem`)
  return { 'sallyport.yaml': change(text), 'gitlab-ca.pem': gitlab.caPem }
}

/** An overlay over the example, as docs/install-kubernetes.md has people write one. */
async function renderOverlay(): Promise<Rendered> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-overlay-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(configuration())) writeFileSync(join(folder, name), text)
  const ports = [publicPort, opsPort].map((value, index) => ({
    op: 'replace',
    path: `/spec/template/spec/containers/0/ports/${index}/containerPort`,
    value,
  }))
  const overlay = {
    resources: [relative(folder, join(MANIFESTS, 'overlays/example'))],
    namespace: 'sallyport',
    configMapGenerator: [
      { name: 'sallyport', behavior: 'replace', files: ['sallyport.yaml', 'gitlab-ca.pem'] },
    ],
    generatorOptions: { disableNameSuffixHash: true },
    patches: [{ target: { kind: 'StatefulSet', name: 'sallyport' }, patch: stringify(ports) }],
  }
  writeFileSync(join(folder, 'kustomization.yaml'), stringify(overlay))
  return kustomize(folder)
}

async function tlsFiles(): Promise<Files> {
  const { certPem, keyPem } = await issueCertificate(authority, ['localhost'], Date.now())
  return { 'tls.crt': certPem, 'tls.key': keyPem, 'ca.crt': authority.certPem }
}

const rendered = await renderOverlay()
const { container, statefulSet } = rendered
const podSpec = statefulSet.spec.template.spec
const configMap: { data: Files } = Object(rendered.one('ConfigMap'))
const image = buildImage(t)
const secrets = {
  'sallyport-secrets': { 'sealing-key': `${randomBytes(32).toString('base64')}\n`, nightly: `${NIGHTLY}\n` },
  'sallyport-tls': await tlsFiles(),
}
const pod = podOf(secrets)
const configFile = '/etc/sallyport/sallyport.yaml'
/** Where cert-manager puts it for a private CA. */
const caFile = '/run/secrets/sallyport-tls/ca.crt'

/** A command on the Pod's configuration, as the guide has people run it. */
function command(...words: readonly string[]): readonly string[] {
  return [...image.entrypoint, ...words, '--config', configFile]
}

function listed(): readonly string[] {
  const { keys } = Object(JSON.parse(pod.exec(command('keys', 'list', '--json'))))
  return keys.map((key: { kid: string }) => key.kid)
}

function podOf(withSecrets: Readonly<Record<string, Files>>): PodProcess {
  return createPod(t, {
    workload: statefulSet,
    image,
    configMaps: { sallyport: configMap.data },
    secrets: withSecrets,
    ready: async () => (await probe(container.readinessProbe)) === 200,
  })
}

/** As the kubelet: an HTTP GET to the named port, from outside of the process, within the time the probe has. */
async function probe({ httpGet, timeoutSeconds }: Probe, host = '127.0.0.1'): Promise<number> {
  const url = `http://${host}:${portNamed(container, httpGet.port)}${httpGet.path}`
  return (await fetch(url, { signal: AbortSignal.timeout(timeoutSeconds * 1000) })).status
}

type Answer = { readonly status: number; readonly json: Readonly<Record<string, unknown>> }

function call(path: string, form?: Readonly<Record<string, string>>): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const headers = form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' }
  const method = form === undefined ? 'GET' : 'POST'
  const options = { agent: false, ca: authority.certPem, method, headers } as const
  const request = httpsRequest(`${issuer}${path}`, options, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    response.once('end', () => resolve({ status: response.statusCode ?? 0, json: Object(JSON.parse(text)) }))
  })
  request.once('error', reject)
  request.end(form === undefined ? undefined : encodeForm(form))
  return promise
}

function exchange(claims: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  const token = gitlab.mint({ ...gitlabClaims(issuer), ...claims })
  return call('/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_id: 'deploy',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: token,
    subject_token: token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    audience: 'kube:production',
  })
}

/** Tokens for kube-apiserver are dated back by 5 s. */
function lives({ json }: Answer, seconds: number): boolean {
  const left = Number(json['expires_in'])
  return left <= seconds && left >= seconds - 10
}

const nightly = () =>
  call('/token', {
    grant_type: 'client_credentials',
    client_id: 'nightly',
    client_secret: NIGHTLY,
    scope: 'openid',
  })

async function kids(): Promise<readonly string[]> {
  const { keys } = (await call('/keys')).json
  return Array.isArray(keys) ? keys.map((key) => String(Object(key).kid)) : []
}

/** For the rest of the file: `t` is the file's here. */
function trustingCluster(): Promise<KubeCluster> {
  return kubeClusterFor(t, {
    authenticationConfig: pod.exec(command('kube', 'auth-config', '--ca-file', caFile)),
  })
}

/** Tries until it holds. */
async function until(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(200)) if (await holds()) return
  throw new Error(`${what}: not within ${seconds} s`)
}

/** Real, effective, saved and file system id, as /proc shows them. */
const four = (id: number): string => Array.from({ length: 4 }, () => id).join('\t')

let server: ChildServer
let cluster: KubeCluster

t.test('the Pod starts without a word of warning, and its probes are answered', async (t) => {
  server = await pod.start()
  t.notMatch(server.logs(), /warning|"level":(40|50|60)|"level":"(warn|error)"/i)
  t.equal(await probe(container.livenessProbe), 200)
  t.equal(await probe(container.readinessProbe), 200)
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  const podAddress = own.find((each) => !each.internal && each.family === 'IPv4')?.address
  if (podAddress !== undefined)
    t.equal(await probe(container.readinessProbe, podAddress), 200, 'not only on the loopback')
})

t.test('it is the user of the manifest, without privileges and on a read-only root', async (t) => {
  const status = readFileSync(`/proc/${server.pid}/status`, 'utf8')
  const { runAsUser, runAsGroup, fsGroup } = podSpec.securityContext
  t.match(status, `Uid:\t${four(runAsUser)}\nGid:\t${four(runAsGroup)}`)
  t.match(status, new RegExp(`^Groups:\\t${fsGroup} ?$`, 'm'))
  t.match(status, /^CapEff:\t0+$/m)
  t.match(status, /^NoNewPrivs:\t1$/m)
  const mounts = readFileSync(`/proc/${server.pid}/mountinfo`, 'utf8').trim().split('\n')
  const optionsOf = (path: string): string =>
    mounts.map((line) => line.split(' ')).find((fields) => fields[4] === path)?.[5] ?? 'not mounted'
  t.match(optionsOf('/'), /^ro/)
  for (const { mountPath, readOnly } of container.volumeMounts)
    t.match(optionsOf(mountPath), readOnly === true ? /^ro/ : /^rw/, mountPath)
})

t.test('it can write to its volume and nowhere else', async (t) => {
  const places = [
    '/',
    '/tmp',
    '/opt/sallyport',
    '/usr/lib',
    '/dev',
    ...container.volumeMounts.map(({ mountPath }) => mountPath),
  ]
  // The container alone, and then Node's permissions before it.
  const tried = triedInPod('writeFileSync(path, ""); fs.rmSync(path)', places, { NODE_OPTIONS: '' })
  t.same(
    Object.entries(tried).filter(([, result]) => result === 'done'),
    [['/var/lib/sallyport', 'done']],
  )
  t.equal(tried['/'], 'EROFS')
  t.equal(tried['/tmp'], 'EROFS')
  t.strictSame(triedInPod('writeFileSync(path, ""); fs.rmSync(path)', places), {
    ...Object.fromEntries(places.map((place) => [place, 'ERR_ACCESS_DENIED'])),
    '/var/lib/sallyport': 'done',
  })
  const store = pod.folderOf('store')
  for (const name of readdirSync(store)) {
    const { mode, uid } = statSync(join(store, name))
    t.same([name, uid, mode & 0o777], [name, 65532, 0o600])
  }
})

/** What comes of `fs.<attempt>` in each folder, for a file called probe: `done`, or the error's code. */
function triedInPod(attempt: string, folders: readonly string[], variables?: Files): Record<string, string> {
  const program = `
    const fs = require('node:fs')
    const tried = ${JSON.stringify(folders)}.map((folder) => {
      const path = folder + '/probe'
      try { fs.${attempt}; return [folder, 'done'] } catch (error) { return [folder, error.code] }
    })
    console.log(JSON.stringify(Object.fromEntries(tried)))`
  const [node = ''] = image.entrypoint
  return JSON.parse(pod.exec([node, '-e', program], '', variables))
}

t.test('it can read what is mounted for it and nothing else, and start no program', async (t) => {
  const mounted = container.volumeMounts.map(({ mountPath }) => mountPath)
  const others = ['/', '/etc', '/proc/self', '/usr/lib', '/root', '/home']
  const read = triedInPod('readFileSync(path)', [...mounted, '/opt/sallyport/dist', ...others])
  t.strictSame(
    Object.entries(read).filter(([, code]) => code === 'ENOENT'),
    [...mounted, '/opt/sallyport/dist'].map((folder) => [folder, 'ENOENT']),
  )
  for (const folder of others) t.equal(read[folder], 'ERR_ACCESS_DENIED', folder)
  t.match(triedInPod('readFileSync("/etc/hosts")', ['/']), { '/': 'ERR_ACCESS_DENIED' })
  const spawn = 'rmSync(path, { force: true }); require("node:child_process").execFileSync(process.execPath)'
  t.match(triedInPod(spawn, ['/var/lib/sallyport']), { '/var/lib/sallyport': 'ERR_ACCESS_DENIED' })
})

t.test('a file that is not mounted for it is refused by name, with where to allow it', async (t) => {
  const refused = exitOf(() => pod.exec([...image.entrypoint, 'config', 'check', '/etc/hosts']))
  t.equal(refused.status, 1)
  t.match(refused.stderr, 'do not allow /etc/hosts')
  t.match(refused.stderr, 'add --allow-fs-read=/etc/hosts to NODE_OPTIONS')
})

t.test('a job and a client with a secret get tokens, and a real kube-apiserver takes them', async (t) => {
  const job = await exchange()
  t.equal(job.status, 200)
  t.ok(lives(job, 600))
  t.match(await exchange({ ref: 'feature' }), { status: 401, json: { error: 'invalid_client' } })
  t.equal((await nightly()).status, 200)

  cluster = await trustingCluster()
  await until('the apiserver trusts the broker', 30, async () => {
    const { authenticated } = await cluster.reviewToken(String(job.json['access_token']))
    return authenticated === true
  })
  t.match(await cluster.reviewToken(String(job.json['access_token'])), {
    user: { username: 'ci:gitlab:48291', groups: ['ci:deployers', 'system:authenticated'] },
  })
})

t.test('under load signatures come from the thread, which keeps its own permissions', async (t) => {
  const answers = await Promise.all(Array.from({ length: 64 }, nightly))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  const threads = readdirSync(`/proc/${server.pid}/task`).map((task) =>
    readFileSync(`/proc/${server.pid}/task/${task}/comm`, 'utf8').trim(),
  )
  t.comment(threads.join(' '))
  t.notMatch(server.logs(), /"level":"(warn|error)"|thread/)
})

t.test('a changed ConfigMap is taken up without a restart', async (t) => {
  pod.update(
    'config',
    configuration((text) => text.replace('ttl: 10m', 'ttl: 5m')),
  )
  await until('tokens of five minutes', 15, async () => lives(await exchange(), 300))
  t.match(server.logs(), 'configuration reloaded')
  t.doesNotThrow(() => process.kill(server.pid, 0), 'the same process')
})

t.test('a broken ConfigMap is refused, and the old one stays', async (t) => {
  pod.update(
    'config',
    configuration((text) => text.replace('ttl: 10m', 'ttl: forever')),
  )
  await until('a refusal', 15, async () => server.logs().includes('configuration not reloaded'))
  t.ok(lives(await exchange(), 300))
  t.equal(await probe(container.readinessProbe), 200)
  pod.update('config', configuration())
  await until('the old lifetime', 15, async () => lives(await exchange(), 600))
})

t.test('a renewed certificate is taken up without a restart', async (t) => {
  const renewed = await tlsFiles()
  const wanted = new X509Certificate(renewed['tls.crt'] ?? '').fingerprint256
  t.not(await fingerprint(), wanted)
  pod.update('tls', renewed)
  await until('the new certificate', 15, async () => (await fingerprint()) === wanted)
  t.equal((await exchange()).status, 200)
})

async function fingerprint(): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connectTls({ port: publicPort, host: 'localhost', ca: authority.certPem }, () => {
    resolve(socket.getPeerCertificate().fingerprint256)
    socket.destroy()
  })
  socket.once('error', reject)
  return promise
}

t.test('SIGTERM ends it within the grace period, whoever hangs, and a restart keeps the keys', async (t) => {
  const before = await kids()
  const token = String((await exchange()).json['access_token'])
  const hanging = connect(publicPort, '127.0.0.1')
  hanging.on('error', () => undefined)
  const asked = performance.now()
  server.signal('SIGTERM')
  t.equal(await server.exited, '0')
  t.ok(performance.now() - asked < podSpec.terminationGracePeriodSeconds * 1000)
  hanging.destroy()

  server = await pod.start()
  t.same(await kids(), before)
  t.match(await cluster.reviewToken(token), { authenticated: true })
  const fresh = String((await exchange()).json['access_token'])
  t.match(await cluster.reviewToken(fresh), { authenticated: true }, 'at once: the apiserver knows the keys')
})

t.test('commands work beside it, as kubectl exec runs them', async (t) => {
  t.same(listed().toSorted(), (await kids()).toSorted())

  const explain = command(
    'explain',
    '--claims',
    '-',
    '--client-id',
    'deploy',
    '--audience',
    'kube:production',
  )
  // Not a token: its issuer is this very process, which waits for the command.
  const job = JSON.stringify({ iss: gitlab.url, ...gitlabClaims(issuer) })
  t.match(pod.exec(explain, job), /^yes {2}mint/m)
  const lever = ['disable', 'connector', 'gitlab', '--why', 'INC-1']
  pod.exec(command('emergency', ...lever))
  t.match(
    exitOf(() => pod.exec(explain, job)),
    { status: 1, stderr: '' },
    'the store is seen',
  )
  pod.exec(command('emergency', 'lift', ...lever))
  await until('the connector serves again', 10, async () => (await exchange()).status === 200)
})

t.test('a changed file is checked against the secrets of the Pod before it is applied', async (t) => {
  const check = command('config', 'check', '-')
  t.match(pod.exec(check, configuration()['sallyport.yaml']), /^OK: /m)
  const broken = configuration((text) => text.replace('ttl: 10m', 'ttl: forever'))['sallyport.yaml']
  t.equal(exitOf(() => pod.exec(check, broken)).status, 78)
})

function exitOf(run: () => unknown): { readonly status: number; readonly stderr: string } {
  try {
    run()
    return { status: 0, stderr: '' }
  } catch (error) {
    return { status: Number(Object(error).status), stderr: String(Object(error).stderr) }
  }
}

t.test('a changed client secret is taken on SIGHUP', async (t) => {
  pod.update('secrets', { ...secrets['sallyport-secrets'], nightly: randomBytes(24).toString('base64url') })
  t.equal((await nightly()).status, 200)
  server.signal('SIGHUP')
  await until('the old secret is refused', 10, async () => (await nightly()).status === 401)
  pod.update('secrets', secrets['sallyport-secrets'])
  server.signal('SIGHUP')
  await until('it is the secret again', 10, async () => (await nightly()).status === 200)
})

/** The program of the guide's backup. */
function backupProgram(): string {
  const guide = readFileSync(join(MANIFESTS, '../../docs/install-kubernetes.md'), 'utf8')
  const program = /node -e "\n(?<program>[\s\S]*?)"\n```/.exec(guide)?.groups?.['program']
  if (program === undefined) throw new Error('the guide has no backup any more')
  return program
}

t.test('a restored backup brings a revoked key back', async (t) => {
  const store = pod.folderOf('store')
  pod.exec([image.entrypoint[0] ?? '', '-e', backupProgram()])
  await server.stop()
  const [kid = ''] = listed()
  pod.exec(command('keys', 'revoke', kid))
  t.notOk(listed().includes(kid))
  const restore = 'cd "$1" && rm -f sallyport.db* && mv copy.db sallyport.db'
  execFileSync('sh', ['-c', restore, 'restore', store])
  t.ok(listed().includes(kid))
})

t.test('without the sealing key that closed the store it does not start, and says so', async (t) => {
  const sealing = {
    ...secrets['sallyport-secrets'],
    'sealing-key': `${randomBytes(32).toString('base64')}\n`,
  }
  pod.update('secrets', sealing)
  await t.rejects(pod.start(), /cannot start: .*key/)
})

t.test('an empty volume is a new start: other keys, nothing else is missing', async (t) => {
  pod.update('secrets', secrets['sallyport-secrets'])
  const old = listed()
  execFileSync('sh', ['-c', 'rm -f "$1"/*', 'lose', pod.folderOf('store')])
  server = await pod.start()
  const fresh = await kids()
  t.ok(fresh.length > 0)
  t.same(
    fresh.filter((kid) => old.includes(kid)),
    [],
  )
  t.equal((await exchange()).status, 200)
})
