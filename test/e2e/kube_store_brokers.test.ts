// Brokers with their store in a real cluster, as the ServiceAccount of deploy/kubernetes/overlays/kubernetes-store: two processes share
// it, the cluster goes away and comes back, and the Pod of the overlay runs, on its own configuration and on an unmodified one of Dex.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { SECRETS } from '../support/broker_config.ts'
import { freePorts } from '../support/child_server.ts'
import { kubeconfigText } from '../support/fake_apiserver.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { mustPrint as must } from '../support/kube_modules.ts'
import { MANIFESTS, kustomize } from '../support/manifests.ts'
import { buildImage, createPod, podsImpossible } from '../support/pod_process.ts'
import { FOR_APP, MAIN, SERVE_ENV, exchangeForm, makeFolder, setSingleUse } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { encodeForm, gitlabClaims } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const run = promisify(execFile)
const cluster = await kubeClusterFor(t)
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())
const rendered = await kustomize(join(MANIFESTS, 'overlays/kubernetes-store'))

const ACCESS = new Set(['Namespace', 'CustomResourceDefinition', 'ServiceAccount', 'Role', 'RoleBinding'])

/** What the overlay gives an account, in this namespace; its token. */
async function applyIn(namespace: string): Promise<string> {
  const wanted = rendered.objects.filter(({ kind }) => ACCESS.has(kind))
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: wanted })
  const named = text
    .replaceAll('"namespace":"sallyport"', `"namespace":"${namespace}"`)
    .replace(/("kind":"Namespace","metadata":\{.*?"name":)"sallyport"/, `$1"${namespace}"`)
  await must(cluster, ['apply', '-f', '-'], named)
  await must(cluster, ['wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all'])
  return (await must(cluster, ['-n', namespace, 'create', 'token', 'sallyport'])).trim()
}

/** What is stored there, as text. */
async function storedIn(namespace: string): Promise<string> {
  return must(cluster, ['-n', namespace, 'get', 'storeentries', '-o', 'json'])
}

type Answer = { readonly status: number; readonly body: string }
type Pair = {
  readonly folders: readonly [Folder, Folder]
  readonly exchange: (token: string, folder: Folder) => Promise<Answer>
  readonly mint: () => string
}

async function makePair(t: Test, namespace: string): Promise<Pair> {
  const token = await applyIn(namespace)
  const folders = [await makeFolder(t, upstream), await makeFolder(t, upstream)] as const
  const { issuer } = folders[0]
  for (const folder of folders) {
    const kubeconfig = join(folder.path, 'kubeconfig')
    writeFileSync(kubeconfig, kubeconfigText(cluster.url, cluster.caPem, token), { mode: 0o600 })
    writeFileSync(join(folder.path, 'sealing.key'), 'k'.repeat(32), { mode: 0o600 })
    folder.write((config) => {
      setSingleUse(config)
      Object.assign(config, {
        issuer,
        listen: { ...Object(config['listen']), drain: '0s' },
        store: { type: 'kubernetes', kubeconfig: 'kubeconfig', namespace, requestTimeout: '5s' },
        keys: { sealingKeyFile: 'sealing.key' },
      })
    })
  }
  return {
    folders,
    mint: () => folders[0].mint({ aud: issuer }),
    exchange: (subject, folder) => exchangeAt(`${folder.url}/dex/token`, 'ci', SECRETS.ci, subject),
  }
}

async function exchangeAt(url: string, client: string, secret: string, subject: string): Promise<Answer> {
  const where = client === 'ci' ? FOR_APP : { scope: 'openid' }
  const body = encodeForm({ ...exchangeForm(subject, where), client_id: client, client_secret: secret })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const answer = await fetch(url, { method: 'POST', headers, body })
  return { status: answer.status, body: await answer.text() }
}

/** `store migrate` in that folder. */
function migrateIn({ path }: Folder, ...args: readonly string[]) {
  return run(process.execPath, [MAIN, 'store', 'migrate', ...args], { cwd: path, env: SERVE_ENV })
}

async function keysOf({ text, url }: Folder): Promise<string> {
  return text(`${url}/dex/keys`)
}

/** What the guide says, in that folder as the administrator, about our namespace. */
function typeAt({ path }: Folder, text: string) {
  const typed = text.replaceAll('-n sallyport', '-n brokers').replaceAll('kubectl', '"$KUBECTL"')
  const env = { PATH: process.env['PATH'], KUBECTL: cluster.kubectlFile, KUBECONFIG: cluster.adminKubeconfig }
  return run('sh', ['-ec', typed], { cwd: path, env })
}

function kidsOf(keys: string): readonly string[] {
  return Array.from(Object(JSON.parse(keys)).keys, (key) => String(Object(key).kid))
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error('it never came to be')
    await sleep(100)
  }
}

t.test('two brokers share a cluster', async (t) => {
  const { folders, exchange, mint } = await makePair(t, 'brokers')
  const [first, second] = folders
  let brokers = await Promise.all(folders.map((folder) => folder.start()))

  await t.test(
    'a token that is good once is bought once, whichever of them 100 ask at the same time',
    async (t) => {
      for (const round of [1, 2]) {
        const token = mint()
        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, index) => exchange(token, index % 2 === 0 ? first : second)),
        )
        t.equal(answers.filter(({ status }) => status === 200).length, 1, `round ${round}`)
        t.equal(
          answers.filter(({ status }) => status === 401).length,
          99,
          'all others are told that it is spent',
        )
      }
    },
  )

  await t.test(
    'both publish the same keys, whoever rotates, and the private ones lie there sealed',
    async (t) => {
      t.equal(kidsOf(await keysOf(first)).length, 1)
      t.equal(await keysOf(second), await keysOf(first))
      const { stdout } = await run(process.execPath, [MAIN, 'keys', 'rotate'], {
        cwd: first.path,
        env: SERVE_ENV,
      })
      const next = /^next +(\S+)/.exec(stdout)?.[1] ?? ''
      await until(async () =>
        (await Promise.all(folders.map(keysOf))).every((keys) => kidsOf(keys).includes(next)),
      )
      t.equal(await keysOf(second), await keysOf(first), 'byte for byte')
      const stored = await storedIn('brokers')
      t.match(stored, /sealed:/)
      t.notMatch(stored, /plain:|eyJ/)
    },
  )

  await t.test('workers of one server share it as well, with the other broker', async (t) => {
    await brokers[0]?.stop()
    const server = await first.start(['--workers', '2'])
    await until(async () =>
      (await first.text(`${first.opsUrl}/readyz`)).startsWith('[+]workers ok: 2 of 2 serve\n[+]store ok'),
    )
    t.equal(await keysOf(first), await keysOf(second))
    const token = mint()
    const asked = Array.from({ length: 100 }, (_, index) => exchange(token, index % 4 === 0 ? second : first))
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    t.equal(statuses.filter((status) => status === 200).length, 1)
    t.equal(statuses.filter((status) => status === 401).length, 99)
    await run(process.execPath, [MAIN, 'emergency', 'disable', 'client', 'ci', '--why', 'INC-1'], {
      cwd: second.path,
      env: SERVE_ENV,
    })
    // Several connections: those are what workers take turns at.
    await until(async () => {
      const answers = await Promise.all(Array.from({ length: 8 }, () => exchange(mint(), first)))
      return answers.every(({ status }) => status === 401)
    })
    await run(process.execPath, [MAIN, 'emergency', 'lift', 'disable', 'client', 'ci', '--why', 'over'], {
      cwd: second.path,
      env: SERVE_ENV,
    })
    await until(async () => (await exchange(mint(), first)).status === 200)
    await server.stop()
    t.equal(await server.exited, '0')
    t.notMatch(server.logs(), /"worker ends|eyJ/)
    brokers = [await first.start(), ...brokers.slice(1)]
    await until(async () => (await exchange(mint(), second)).status === 200)
  })

  await t.test('the keys come back from the backup of the guide', async (t) => {
    const before = await keysOf(first)
    const [, guide = ''] = readFileSync('docs/operations.md', 'utf8').split('\n### Kubernetes\n')
    const [backup = '', restore = ''] = Array.from(
      guide.matchAll(/```sh\n([\s\S]*?)```/g),
      (match) => match[1],
    )
    await typeAt(first, backup)
    await Promise.all(brokers.map((broker) => broker.stop()))
    await must(cluster, ['-n', 'brokers', 'delete', 'storeentries', '-l', 'sallyport.dev/owner=keys'])
    await typeAt(first, restore)
    brokers = await Promise.all(folders.map((folder) => folder.start()))
    t.equal(await keysOf(first), before)
  })

  await t.test(
    'without the cluster no token is bought, and with it again they are, without a restart',
    async (t) => {
      const token = mint()
      await cluster.stopApiserver()
      const refused = await exchange(token, first)
      t.equal(refused.status, 503)
      t.notMatch(refused.body, 'access_token')
      t.match(await first.text(`${first.opsUrl}/readyz`), /\[-\]store failed: kubernetes /)
      t.equal((await fetch(`${first.url}/dex/keys`)).status, 200, 'what others verify with is served')
      await cluster.startApiserver()
      await until(async () => (await fetch(`${first.opsUrl}/readyz`)).status === 200)
      t.equal((await exchange(token, first)).status, 200, 'what was refused was not spent')
      t.equal((await exchange(token, second)).status, 401)
      for (const broker of brokers) t.notMatch(broker.logs(), /eyJ/)
    },
  )

  await t.test(
    'a broker of another issuer in the same namespace is warned of, with the way out',
    async (t) => {
      await Promise.all(brokers.map((broker) => broker.stop()))
      second.write((config) => {
        Object.assign(config, {
          store: { type: 'kubernetes', kubeconfig: 'kubeconfig', namespace: 'brokers' },
        })
        Object.assign(config, { keys: { sealingKeyFile: 'sealing.key' }, issuer: 'http://127.0.0.1:1/other' })
      })
      const other = await second.start()
      t.match(other.logs(), /WARNING: the store kubernetes, namespace brokers belongs to issuer/)
      t.match(other.logs(), /-> give this server a store of its own: store\.namespace/)
      await other.stop()
    },
  )

  await t.test('`store migrate` makes the definitions as one who may, and says what it did', async (t) => {
    await t.rejects(migrateIn(first), {
      code: 1,
      stderr: /may not make the definitions .*\n {4}-> kubectl apply -k deploy\/crds/,
    })
    const admin = ['--kubeconfig', cluster.adminKubeconfig]
    t.match((await migrateIn(first, ...admin)).stdout, /namespace brokers: up to date\n$/)
    const crds = ['crd/storeentries.sallyport.dev', 'crd/claimsets.sallyport.dev']
    await must(cluster, ['delete', ...crds])
    t.match((await migrateIn(first, ...admin)).stdout, /namespace brokers: definitions made, step 1 taken\n$/)
    await t.rejects(migrateIn(first, '--url-file', 'x'), { code: 2, stderr: /are for PostgreSQL/ })
    // The other way of the guide: the same definitions, from their files.
    const [, folder = ''] =
      /^kubectl apply -k (deploy\/crds\/\S+)$/m.exec(readFileSync('docs/operations.md', 'utf8')) ?? []
    const applied = await must(cluster, ['apply', '-k', folder])
    for (const crd of crds) t.match(applied, crd.replace('crd/', ''))
    t.match((await migrateIn(first, ...admin)).stdout, /namespace brokers: up to date\n$/)
  })
})

const impossible = podsImpossible()

t.test('the Pod of the overlay, in the cluster', { skip: impossible }, async (t) => {
  const [publicPort = 0, opsPort = 0] = await freePorts(2)
  const issuer = `http://127.0.0.1:${publicPort}/dex`
  const token = await applyIn('sallyport')
  const listen = { public: `127.0.0.1:${publicPort}`, ops: `127.0.0.1:${opsPort}` }
  const native = {
    issuer,
    listen,
    store: { type: 'kubernetes' },
    keys: { sealingKeyFile: '/run/secrets/sallyport/sealing-key' },
  }
  const dex = {
    issuer,
    storage: { type: 'kubernetes', config: { inCluster: true } },
    web: { http: listen.public },
    telemetry: { http: listen.ops },
    connectors: [
      {
        type: 'oidc',
        id: 'gitlab',
        name: 'GitLab',
        config: {
          issuer: upstream.url,
          clientID: 'unused',
          clientSecret: 'unused',
          rootCAs: ['/etc/sallyport/gitlab-ca.pem'],
          userNameKey: 'user_login',
          insecureSkipEmailVerified: true,
          claimMapping: { email: 'user_email' },
        },
      },
    ],
    staticClients: [{ id: 'dex-ci', name: 'CI', secret: SECRETS.other }],
  }
  const pod = createPod(t, {
    workload: rendered.statefulSet,
    image: buildImage(t),
    configMaps: {
      sallyport: {
        'sallyport.yaml': stringify(native),
        'dex.yaml': stringify(dex),
        'gitlab-ca.pem': upstream.caPem,
      },
    },
    secrets: {
      'sallyport-secrets': { 'sealing-key': `${randomBytes(32).toString('base64')}\n` },
      'sallyport-tls': {},
    },
    cluster: {
      port: Number(new URL(cluster.url).port),
      account: { token, 'ca.crt': cluster.caPem, namespace: 'sallyport' },
    },
    ready: async () => (await fetch(`http://127.0.0.1:${opsPort}/readyz`)).status === 200,
  })

  await t.test('it needs no volume, and stores where its ServiceAccount lives', async (t) => {
    t.notOk(rendered.statefulSet.spec.volumeClaimTemplates)
    const server = await pod.start()
    t.notMatch(server.logs(), /warning|"level":(40|50|60)|"level":"(warn|error)"/i)
    t.match(await storedIn('sallyport'), /"key": "keys\//)
    await server.stop()
  })

  await t.test(
    "an unmodified configuration of Dex with its storage in the cluster runs beside Dex's data",
    async (t) => {
      await must(cluster, ['-n', 'sallyport', 'delete', 'storeentries', '--all'])
      const server = await pod.start(['serve', 'broker', '--dex-config', '/etc/sallyport/dex.yaml'])
      t.match(server.logs(), /Dex's objects stay as they are/)
      const subject = upstream.mint({ ...gitlabClaims(issuer), aud: issuer })
      const answer = await exchangeAt(`${issuer}/token`, 'dex-ci', SECRETS.other, subject)
      t.equal(answer.status, 200, answer.body)
      t.match(await storedIn('sallyport'), /"key": "keys\//)
      t.notMatch(await must(cluster, ['api-resources', '-o', 'name']), 'dex.coreos.com')
      await server.stop()
    },
  )
})
