// What docs/kube-apiserver-file.md says of the file, on a real kube-apiserver: what keeps it from starting, what anonymous
// requests get, that an administrator's certificate gets in whatever the file holds, and the hash that replicas are
// compared by.
import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { stringify } from 'yaml'
import { kubeClusterFor, startKubeCluster } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const issuer = await startTestIssuer()
t.teardown(() => issuer.close())

function configuration(more: Readonly<Record<string, unknown>> = {}, prefix = 'ci:'): string {
  return stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url: issuer.url, audiences: ['kube:production'], certificateAuthority: issuer.caPem },
        claimMappings: { username: { claim: 'sub', prefix } },
      },
    ],
    ...more,
  })
}

for (const [says, authenticationConfig, extraArgs, reason] of [
  ['an unknown field', configuration({ jtw: [] }), [], /strict decoding error: unknown field .*jtw/],
  [
    'a flag of the old kind beside it',
    configuration(),
    ['--oidc-issuer-url=https://idp.example.com', '--oidc-client-id=kubernetes'],
    /authentication-config file and oidc-\* flags are mutually exclusive/,
  ],
  [
    'anonymous in the file and as a flag',
    configuration({ anonymous: { enabled: false } }),
    ['--anonymous-auth=false'],
    /--anonymous-auth flag cannot be set when anonymous field is configured/,
  ],
] as const) {
  t.test(`with ${says} kube-apiserver does not start`, async (t) => {
    await t.rejects(startKubeCluster({ authenticationConfig, extraArgs }), reason)
  })
}

/** The status that a request without any credential gets. */
function statusWithout({ url, caPem }: KubeCluster, path: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const request = httpsRequest(`${url}${path}`, { ca: caPem, agent: false }, (response) => {
    response.resume()
    resolve(response.statusCode ?? 0)
  })
  request.once('error', reject).end()
  return promise
}

const health = ['/livez', '/readyz', '/healthz'].map((path) => ({ path }))

for (const [says, more, expected] of [
  ['without the field anonymous requests are on', {}, { '/version': 200, '/readyz': 200, '/api': 403 }],
  [
    'switched off, nothing answers, health neither',
    { anonymous: { enabled: false } },
    { '/version': 401, '/readyz': 401, '/api': 401 },
  ],
  [
    'with conditions health answers, and nothing else',
    { anonymous: { enabled: true, conditions: health } },
    { '/version': 401, '/readyz': 200, '/api': 401 },
  ],
] as const) {
  t.test(`anonymous: ${says}`, async (t) => {
    const cluster = await kubeClusterFor(t, { authenticationConfig: configuration(more) })
    for (const [path, status] of Object.entries(expected))
      t.equal(await statusWithout(cluster, path), status, path)
  })
}

t.test('an administrator gets in whatever becomes of the file, and replicas tell its hash', async (t) => {
  const cluster = await kubeClusterFor(t, { authenticationConfig: configuration(), apiservers: 2 })
  const token = issuer.mint({ sub: 'job', aud: 'kube:production' })
  await until(async () => (await cluster.reviewToken(token))['authenticated'] === true)

  const hash = `sha256:${createHash('sha256').update(readFileSync(cluster.authenticationConfigFile)).digest('hex')}`
  for (const apiserver of cluster.apiservers) {
    const [info] =
      /^apiserver_authentication_config_controller_last_config_info\{.*/m.exec(await apiserver.metrics()) ??
      []
    t.match(info, `hash="${hash}"`)
  }

  for (const [what, spoil] of [
    ['broken', () => cluster.writeAuthenticationConfig('jwt: [')],
    ['removed', async () => rmSync(cluster.authenticationConfigFile)],
  ] as const) {
    const before = await failures(cluster)
    await spoil()
    await until(async () => (await failures(cluster)) > before)
    const whoami = await cluster.kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}'])
    t.same([whoami.code, whoami.stdout], [0, 'admin'], `the certificate, with the file ${what}`)
    t.match(await cluster.reviewToken(token), { authenticated: true }, `and what the old file let in`)
  }
})

async function failures(cluster: KubeCluster): Promise<number> {
  const metrics = (await cluster.apiservers[0]?.metrics()) ?? ''
  return Number(/automatic_reloads_total\{[^}]*status="failure"\} (\d+)/.exec(metrics)?.[1] ?? 0)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200)) if (await holds()) return
  throw new Error('not within 30 s')
}
