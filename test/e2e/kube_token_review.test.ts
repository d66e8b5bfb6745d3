// The token review webhook on the real kube-apiserver, and what both of its ways leave in the audit logs: the very jq lines
// of docs/kube-audit.md are run on them.
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { CLUSTER_SECRET, KUBE_AUDIENCE, startKubeBroker } from '../support/kube_broker.ts'
import type { KubeBroker } from '../support/kube_broker.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { decodeToken } from '../support/test_broker.ts'
import type { Config } from '../support/test_broker.ts'

t.setTimeout(240_000)
process.setMaxListeners(50)
const { skip } = await peerOrSkip(() => kubeBinaries())
/** Short, so that a test can wait for it; the default is two minutes. */
const CACHE_SECONDS = 12

function withCluster(config: Config): void {
  const { clients } = config
  if (!Array.isArray(clients)) throw new Error('no list')
  clients.push({ id: 'prod-apiserver', auth: { method: 'client_secret', secretEnv: 'CLUSTER_SECRET' } })
  Object.assign(config, {
    kube: { tokenReview: { clients: [{ id: 'prod-apiserver', audience: KUBE_AUDIENCE }] } },
  })
}

/** The kubeconfig of docs/kube-token-review.md. */
function webhookKubeconfig(broker: KubeBroker, password = CLUSTER_SECRET): string {
  const file = join(broker.folder, `token-review-${password.length}.kubeconfig`)
  const text = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      {
        name: 'sallyport',
        cluster: {
          server: `${broker.issuer}/kubernetes/token-review`,
          'certificate-authority': broker.caFile,
        },
      },
    ],
    users: [{ name: 'prod-apiserver', user: { username: 'prod-apiserver', password } }],
    contexts: [{ name: 'sallyport', context: { cluster: 'sallyport', user: 'prod-apiserver' } }],
    'current-context': 'sallyport',
  })
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

function flags(kubeconfig: string, version: 'v1' | 'v1beta1' = 'v1'): readonly string[] {
  return [
    `--authentication-token-webhook-config-file=${kubeconfig}`,
    `--authentication-token-webhook-version=${version}`,
    `--authentication-token-webhook-cache-ttl=${CACHE_SECONDS}s`,
  ]
}

async function whoami(cluster: KubeCluster, token: string): Promise<unknown> {
  const args = ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo}', '--token', token]
  const { code, stdout } = await cluster.kubectl(args, { kubeconfig: cluster.bareKubeconfig })
  return code === 0 ? JSON.parse(stdout) : code
}

async function reviews(broker: KubeBroker): Promise<readonly Config[]> {
  return broker.audit().filter(({ event }) => event === 'review')
}

t.test('a cluster that asks instead of reading a file', { skip }, async (t) => {
  const broker = await startKubeBroker(t, { change: withCluster })
  const cluster = await kubeClusterFor(t, { extraArgs: flags(webhookKubeconfig(broker)), auditLog: true })

  await t.test('knows the job by name, uid, groups and where it comes from', async (t) => {
    const token = await broker.token()
    const user = await whoami(cluster, token)
    t.match(user, {
      username: 'ci:gitlab:acme-platform/terraform-aws-eks',
      uid: '48291',
      groups: ['ci:deployers', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': [`JTI=${jtiOf(token)}`],
        'sallyport.dev/repository': ['acme-platform/terraform-aws-eks'],
        'sallyport.dev/policy': ['acme-main'],
      },
    })
    t.match((await reviews(broker)).at(-1), {
      decision: 'allow',
      client: 'prod-apiserver',
      subject: { jti: jtiOf(token) },
    })
  })

  await t.test('gives it what RBAC gives its group, and nothing else', async (t) => {
    const bound = ['create', 'clusterrolebinding', 'ci', '--clusterrole=view', '--group=ci:deployers']
    t.equal((await cluster.kubectl(bound)).code, 0)
    const get = (what: string, token: string) =>
      cluster.kubectl(['get', what, '--token', token], { kubeconfig: cluster.bareKubeconfig })
    // Without a controller manager the aggregated role is empty, so one rule is written by hand.
    const reader = ['create', 'clusterrole', 'ci-namespaces', '--verb=get,list', '--resource=namespaces']
    t.equal((await cluster.kubectl(reader)).code, 0)
    const binding = ['create', 'clusterrolebinding', 'ci-namespaces', '--clusterrole=ci-namespaces']
    t.equal((await cluster.kubectl([...binding, '--group=ci:deployers'])).code, 0)
    const token = await broker.token()
    t.match(await get('namespaces', token), { code: 0, stdout: /kube-system/ })
    t.match(await get('secrets', token), { code: 1, stderr: /Forbidden.*ci:gitlab:acme-platform/s })
  })

  await t.test('refuses what the broker did not make for it, in the same words', async (t) => {
    const token = await broker.token()
    const refused = { authenticated: undefined, error: /the token was not accepted/ }
    t.match(await cluster.reviewToken('garbage'), refused)
    t.match(await cluster.reviewToken(`${token.slice(0, -4)}AAAA`), refused)
    t.match(await cluster.reviewToken(token), { authenticated: true }, 'the accepted twin')
    t.equal((await reviews(broker)).at(-2)?.['reason'], 'subject_signature_invalid')
  })

  await t.test('takes the token for its own API and for nobody else', async (t) => {
    const token = await broker.token()
    const review = async (audiences: readonly string[]): Promise<unknown> => {
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token, audiences },
      }
      const answer = await cluster.request('/apis/authentication.k8s.io/v1/tokenreviews', {
        method: 'POST',
        body,
      })
      return Object(JSON.parse(answer.body)).status
    }
    t.match(await review([cluster.serviceAccountIssuer]), { authenticated: true })
    t.notMatch(await review(['vault']), { authenticated: true })
    t.notMatch(
      await review([KUBE_AUDIENCE]),
      { authenticated: true },
      'as with an AuthenticationConfiguration',
    )
  })

  await t.test('asks once for a token and then believes it for the time of its cache', async (t) => {
    const before = (await reviews(broker)).length
    const token = await broker.token()
    t.match(await cluster.reviewToken(token), { authenticated: true })
    await broker.kill()
    t.match(
      await cluster.reviewToken(token),
      { authenticated: true },
      'the broker is down, and was asked before',
    )
    await broker.start()
    t.equal((await reviews(broker)).length, before + 1)
    const next = await broker.token()
    await broker.kill()
    const unasked = await cluster.reviewToken(next)
    t.notMatch(unasked, { authenticated: true }, 'nobody new comes in while it is down')
    t.comment(`broker down: ${JSON.stringify(unasked)}`)
    await broker.start()
    t.match(await cluster.reviewToken(next), { authenticated: true }, 'a failure is not kept')
  })

  await t.test('believes a revoked key for as long as its cache, and no longer', async (t) => {
    const [asked, held] = [await broker.token(), await broker.token()]
    t.match(await cluster.reviewToken(asked), { authenticated: true })
    const { kid } = decodeToken(asked).header
    const set = await broker.keySet()
    t.equal((await broker.keys('revoke', String(kid))).code, 0)
    while ((await broker.keySet()) === set) await sleep(250)
    t.notMatch(await cluster.reviewToken(held), { authenticated: true }, 'asked now: refused')
    await sleep((CACHE_SECONDS + 10) * 1000)
    t.notMatch(
      await cluster.reviewToken(asked),
      { authenticated: true },
      'asked before: refused after the cache',
    )
    t.match(await cluster.reviewToken(await broker.token()), { authenticated: true }, 'the new key at once')
  })

  await t.test(
    'docs/kube-audit.md: its lines join both logs',
    { skip: !(await hasJq()) && 'no jq' },
    async (t) => {
      await playAuditPage(t, broker, cluster)
    },
  )

  await t.test('the other way gives the same user', async (t) => {
    const asked = await whoami(cluster, await broker.token())
    await cluster.writeAuthenticationConfig(await broker.generatedConfig())
    const reloaded =
      /^apiserver_authentication_config_controller_automatic_reloads_total\{.*status="success".*\} 1$/m
    while (!reloaded.test((await cluster.apiservers[0]?.metrics()) ?? '')) await sleep(500)
    const before = (await reviews(broker)).length
    const token = await broker.token()
    const read = await whoami(cluster, token)
    t.equal((await reviews(broker)).length, before, 'nobody was asked')
    t.same(withoutToken(read), withoutToken(asked))
    t.equal(Object(read).extra['authentication.kubernetes.io/credential-id'][0], `JTI=${jtiOf(token)}`)
  })
})

function withoutToken(user: unknown): unknown {
  const { extra, ...rest } = Object(user)
  const { 'authentication.kubernetes.io/credential-id': _id, ...others } = Object(extra)
  return { ...rest, extra: others }
}

function jtiOf(token: string): string {
  return String(decodeToken(token).claims['jti'])
}

/** Runs every `jq` line of the page in a folder that holds both logs, with the ids of this run. */
async function playAuditPage(t: Test, broker: KubeBroker, cluster: KubeCluster): Promise<void> {
  const token = await broker.token()
  const jti = jtiOf(token)
  await cluster.kubectl(['get', 'namespaces', '--token', token], { kubeconfig: cluster.bareKubeconfig })
  await cluster.kubectl(['get', 'secrets', '--token', token], { kubeconfig: cluster.bareKubeconfig })
  const events = await cluster.auditEvents()
  writeFileSync(
    join(broker.folder, 'kube-audit.log'),
    events.map((event) => `${JSON.stringify(event)}\n`).join(''),
  )
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'kube-audit.md'), 'utf8')
  const scripts = [...page.matchAll(/```sh\n(.*?)```/gs)]
    .map(([, script = '']) => script)
    .filter((script) => script.includes('jq '))
  t.ok(scripts.length >= 4, 'the page has its lines')
  for (const script of scripts) {
    const out = await shell(script, broker.folder, { JTI: jti })
    t.equal(out.code, 0, `${script}\n${out.stderr}`)
    t.not(out.stdout.trim(), '', `it finds something:\n${script}`)
    t.comment(`${script.trim()}\n${out.stdout.slice(0, 500)}`)
    if (!script.includes('wc -l')) continue
    t.equal(out.stdout.trim(), '0', 'every token has its event')
    writeFileSync(join(broker.folder, 'empty.log'), '{}\n')
    const blind = await shell(script.replaceAll(' audit.log', ' empty.log'), broker.folder, { JTI: jti })
    t.ok(Number(blind.stdout) > 0, 'and it would tell of one that has none')
  }
}

function shell(
  script: string,
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; stdout: string; stderr: string }>()
  const options = { cwd, env: { PATH: process.env['PATH'], ...env }, timeout: 20_000 }
  execFile('sh', ['-euc', script], options, (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
  })
  return promise
}

async function hasJq(): Promise<boolean> {
  return (await shell('jq --version', '/', {})).code === 0
}

t.test(
  'a cluster that asks in another version or with a wrong secret is told so in its log',
  { skip },
  async (t) => {
    const broker = await startKubeBroker(t, { change: withCluster })
    const [old, wrong] = await Promise.all([
      kubeClusterFor(t, { extraArgs: flags(webhookKubeconfig(broker), 'v1beta1') }),
      kubeClusterFor(t, { extraArgs: flags(webhookKubeconfig(broker, 'guess')) }),
    ])
    const token = await broker.token()
    t.notMatch(await old.reviewToken(token), { authenticated: true })
    t.match(await old.apiservers[0]?.log(), /--authentication-token-webhook-version=v1/)
    t.notMatch(await wrong.reviewToken(token), { authenticated: true })
    t.match(await wrong.apiservers[0]?.log(), /invalid client credentials/)
    t.match((await reviews(broker)).at(-1), { decision: 'deny', reason: 'client_secret_wrong' })
  },
)
