// The harness itself, on the real kube-apiserver: it starts in seconds, knows its administrator, takes a broker-like
// token for a user, shares one etcd between two apiservers, and takes up a new authentication file.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { kubeBinaries, kubeVersions } from '../support/kube_binaries.ts'
import type { KubeVersion } from '../support/kube_binaries.ts'
import { kubeClusterFor, startKubeCluster } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'

t.setTimeout(300_000)
const READY_WITHIN_MS = 6000

function configFor(issuer: TestIssuer, prefix: string): string {
  return `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer:
      url: ${issuer.url}
      audiences: [kube:test]
      certificateAuthority: |
${issuer.caPem.trimEnd().replace(/^/gm, '        ')}
    claimMappings:
      username: { expression: '"${prefix}" + claims.sub' }
      groups: { claim: groups, prefix: "${prefix}" }
      uid: { claim: uid }
      extra:
        - { key: sallyport.dev/repository, valueExpression: claims.repository }
`
}

const claims = {
  aud: 'kube:test',
  sub: 'gitlab:48291',
  uid: '48291',
  groups: ['deployers'],
  repository: 'acme/vpc',
}

for (const version of kubeVersions()) {
  const { skip } = await peerOrSkip(() => kubeBinaries(version))
  t.test(`a real kube-apiserver ${version}`, { skip }, async (t) => {
    const issuer = await startTestIssuer({ cacheControl: 'public, max-age=90' })
    t.teardown(() => issuer.close())
    const cluster = await kubeClusterFor(t, {
      version,
      authenticationConfig: configFor(issuer, 'ci:'),
      auditLog: true,
    })

    await t.test('is ready within six seconds', async (t) => {
      const startMs = await warmStartMs(cluster, version)
      t.comment(`ready after ${Math.round(startMs)} ms`)
      t.ok(startMs < READY_WITHIN_MS, `${startMs} ms`)
      const { body } = await cluster.request('/version')
      t.match(JSON.parse(body), { gitVersion: `v${version}` })
    })

    await t.test('knows its administrator by the certificate', async (t) => {
      const { code, stdout } = await cluster.kubectl(['auth', 'whoami', '-o', 'jsonpath={.status.userInfo}'])
      t.equal(code, 0)
      t.match(JSON.parse(stdout), { username: 'admin', groups: ['system:masters', 'system:authenticated'] })
    })

    await t.test('takes a token of the issuer for a user with uid, groups and extra', async (t) => {
      const whoami = ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo}', '--token']
      const token = issuer.mint({ ...claims, jti: 'one' })
      const known = await cluster.kubectl([...whoami, token], { kubeconfig: cluster.bareKubeconfig })
      t.strictSame(JSON.parse(known.stdout), {
        username: 'ci:gitlab:48291',
        uid: '48291',
        groups: ['ci:deployers', 'system:authenticated'],
        extra: {
          'authentication.kubernetes.io/credential-id': ['JTI=one'],
          'sallyport.dev/repository': ['acme/vpc'],
        },
      })
      const other = issuer.mint({ ...claims, aud: 'kube:other' })
      const refused = await cluster.kubectl([...whoami, other], { kubeconfig: cluster.bareKubeconfig })
      t.match(refused, { code: 1, stderr: 'You must be logged in to the server (Unauthorized)' })
      t.match(await cluster.reviewToken(other), {
        error:
          '[invalid bearer token, oidc: verify token: oidc: expected audience "kube:test" got ["kube:other"]]',
      })
    })

    await t.test('writes who it was, with the extra, to its audit log', async (t) => {
      const events = await cluster.auditEvents()
      t.ok(
        events.some((event) => Object(event['user']).extra?.['sallyport.dev/repository']?.[0] === 'acme/vpc'),
      )
    })

    await t.test('takes up another authentication file without a restart', async (t) => {
      await cluster.writeAuthenticationConfig(configFor(issuer, 'forge:'))
      const user = await eventually(async () => {
        const status = await cluster.reviewToken(issuer.mint(claims))
        const name: unknown = Object(status['user']).username
        return name === 'forge:gitlab:48291' ? name : undefined
      })
      t.equal(user, 'forge:gitlab:48291')
      const metrics = await cluster.apiservers[0]?.metrics()
      t.match(metrics, /automatic_reloads_total\{[^}]*status="success"\} 1/)
    })
  })
}

const usual = await peerOrSkip(() => kubeBinaries())

t.test('two apiservers see the same objects', { skip: usual.skip }, async (t) => {
  const cluster = await kubeClusterFor(t, { apiservers: 2, controllerManager: true })
  t.comment(`two apiservers and a controller manager ready after ${Math.round(cluster.startMs)} ms`)
  const [first, second] = cluster.apiservers
  t.not(first?.url, second?.url)
  t.equal((await cluster.kubectl(['create', 'namespace', 'shared'])).code, 0)
  const seen = await cluster.kubectl(['get', 'namespace', 'shared', '--server', second?.url ?? ''])
  t.match(seen, { code: 0, stdout: 'shared' })
  const account = await eventually(async () => {
    const answer = await cluster.kubectl(['get', 'serviceaccount', 'default', '-n', 'shared', '-o', 'name'])
    return answer.code === 0 ? answer.stdout.trim() : undefined
  })
  t.equal(account, 'serviceaccount/default', 'the controller manager made it')
})

t.test('a stopped cluster leaves no process and no file', { skip: usual.skip }, async (t) => {
  const cluster = await kubeClusterFor(t)
  const pid = cluster.apiservers[0]?.pid ?? 0
  t.ok(process.kill(pid, 0))
  await cluster.stop()
  t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  t.notOk(existsSync(cluster.folder))
})

/** The first start may have had to read 150 MB of programs from the disk. */
async function warmStartMs({ startMs }: KubeCluster, version: KubeVersion): Promise<number> {
  if (startMs < READY_WITHIN_MS) return startMs
  const again = await startKubeCluster({ version })
  await again.stop()
  return again.startMs
}

/** The first value that is there, asked for each 200 ms for up to 40 s. */
async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T | undefined> {
  const deadline = Date.now() + 40_000
  for (;;) {
    const value = await ask()
    if (value !== undefined || Date.now() > deadline) return value
    await sleep(200)
  }
}
