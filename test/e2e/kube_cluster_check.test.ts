// `sallyport kube lint --cluster` on a real apiserver: the file that it runs, one that it does not, one that it refused, and
// keys that have changed since it fetched them.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { stringify } from 'yaml'
import { readAuthenticationConfiguration } from '../../src/core/kube/read.ts'
import { compareWithCluster } from '../../src/platform/kube/cluster_check.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

t.setTimeout(180_000)
const { skip } = await peerOrSkip(kubeBinaries)

t.test('what an apiserver runs is compared with the file', { skip }, async (t) => {
  const issuer = await startTestIssuer({ algorithms: ['ES256'], cacheControl: 'public, max-age=90' })
  t.teardown(() => issuer.close())
  const document = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url: issuer.url, certificateAuthority: issuer.caPem, audiences: ['kube:local'] },
        claimMappings: { username: { claim: 'sub', prefix: 'ci:' } },
      },
    ],
  }
  const text = stringify(document)
  const { config } = readAuthenticationConfiguration(document)
  if (config === undefined) throw new Error('the file can be read')
  const cluster = await kubeClusterFor(t, { authenticationConfig: text })
  const check = async (
    bytes = readFileSync(cluster.authenticationConfigFile),
  ): Promise<readonly string[]> => {
    const report = await compareWithCluster(
      { bytes, config },
      {
        kubeconfig: cluster.adminKubeconfig,
        context: undefined,
        env: process.env,
        apiservers: [cluster.url],
      },
      { clock: Date.now },
    )
    return report.apiservers.flatMap(({ problems }) => problems.map(({ code }) => code))
  }

  t.strictSame(await check(), [], 'as it runs, before any token came')
  t.match(await cluster.reviewToken(issuer.mint({ sub: 'x', aud: 'kube:local' })), { authenticated: true })
  t.strictSame(await check(), [], 'and with the keys fetched')

  t.strictSame(await check(Buffer.from(`${text}# another\n`)), ['cluster_file_differs'])

  issuer.rotate()
  t.strictSame(await check(), ['cluster_keys_differ'])

  await cluster.writeAuthenticationConfig(text.replace('url: https:', 'url: http:'))
  let found: readonly string[] = []
  for (let tries = 0; tries < 100 && !found.includes('cluster_reload_failed'); tries += 1) {
    await sleep(200)
    found = await check()
  }
  t.strictSame(found, ['cluster_reload_failed', 'cluster_file_differs', 'cluster_keys_differ'])

  const bare = await compareWithCluster(
    { bytes: Buffer.from(text), config },
    { kubeconfig: cluster.bareKubeconfig, context: undefined, env: process.env, apiservers: [] },
    { clock: Date.now },
  )
  t.match(bare.apiservers[0]?.problems, [{ code: 'cluster_unreachable', wayOut: /system:monitoring/ }])
})
