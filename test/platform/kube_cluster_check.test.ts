// A file compared with what an apiserver says of itself in its metrics, as 1.36 writes them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { metricHash, readApiserverMetrics } from '../../src/core/kube/apiserver_metrics.ts'
import { compareWithCluster } from '../../src/platform/kube/cluster_check.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import { kubeConfiguration } from '../support/kube_configuration.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const BYTES = Buffer.from('kind: AuthenticationConfiguration\n')
const ID = 'apiserver_id_hash="sha256:aa"'
const CONTROLLER = 'apiserver_authentication_config_controller_automatic_reload'

type Metrics = {
  readonly config?: string | undefined
  readonly reloads?: readonly (readonly ['success' | 'failure', number])[]
  readonly keySet?: string | undefined
  readonly fetches?: readonly (readonly ['success' | 'failure', number])[]
}

function metricsText(issuer: string, { config, reloads = [], keySet, fetches = [] }: Metrics): string {
  const of = `${ID},jwt_issuer_hash="${metricHash(issuer)}"`
  const keys = 'apiserver_authentication_jwt_authenticator_jwks_fetch_last'
  return [
    '# HELP process_cpu_seconds_total x',
    'process_cpu_seconds_total 12.5',
    ...(config === undefined
      ? []
      : [`apiserver_authentication_config_controller_last_config_info{${ID},hash="${config}"} 1`]),
    ...reloads.flatMap(([status, at]) => [
      `${CONTROLLER}s_total{${ID},status="${status}"} 2`,
      `${CONTROLLER}_last_timestamp_seconds{${ID},status="${status}"} ${at}`,
    ]),
    ...(keySet === undefined
      ? []
      : [`${keys}_key_set_info{${ID},hash="${keySet}",jwt_issuer_hash="${metricHash(issuer)}"} 1`]),
    ...fetches.map(([result, at]) => `${keys}_timestamp_seconds{${of},result="${result}"} ${at}`),
    '',
  ].join('\n')
}

async function house(t: Test): Promise<{
  readonly check: (metrics: Metrics, status?: number) => Promise<readonly string[]>
  readonly keySet: string
}> {
  const issuer = await startTestIssuer({ algorithms: ['ES256'] })
  t.teardown(() => issuer.close())
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cluster-check-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  let answer = { status: 200, body: '' }
  const api = await fakeApiserver(t, folder, () => answer)
  const config = kubeConfiguration({ issuer: { url: issuer.url, certificateAuthority: issuer.caPem } })
  return {
    keySet: metricHash(JSON.stringify(issuer.publicJwks())),
    async check(metrics, status = 200) {
      answer = { status, body: metricsText(issuer.url, metrics) }
      const { fileHash, apiservers } = await compareWithCluster(
        { bytes: BYTES, config },
        { kubeconfig: api.kubeconfig, context: undefined, env: process.env, apiservers: [api.url, api.url] },
        { clock: Date.now },
      )
      t.equal(fileHash, metricHash(BYTES))
      t.equal(apiservers.length, 2, 'each address is asked')
      return apiservers[0]?.problems.map(({ code }) => code) ?? []
    },
  }
}

t.test('an apiserver that runs this file with the keys of now has nothing wrong with it', async (t) => {
  const { check, keySet } = await house(t)
  const good: Metrics = {
    config: metricHash(BYTES),
    reloads: [
      ['failure', 100.5],
      ['success', 1.795e9],
    ],
    keySet,
    fetches: [['success', 1.795e9]],
  }
  t.strictSame(await check(good), [])
  t.strictSame(await check({ ...good, keySet: undefined, fetches: [] }), [], 'no token came yet')
})

t.test('what an apiserver runs instead is told', async (t) => {
  const { check, keySet } = await house(t)
  const good: Metrics = { config: metricHash(BYTES), keySet, fetches: [['success', 20]] }
  const cases: readonly (readonly [Metrics, readonly string[]])[] = [
    [{ ...good, config: undefined }, ['cluster_without_file']],
    [{ ...good, config: metricHash('other') }, ['cluster_file_differs']],
    [{ ...good, reloads: [['failure', 30]] }, ['cluster_reload_failed']],
    [
      {
        ...good,
        config: metricHash('other'),
        reloads: [
          ['success', 20],
          ['failure', 30],
        ],
      },
      ['cluster_reload_failed', 'cluster_file_differs'],
    ],
    [{ ...good, keySet: metricHash('old') }, ['cluster_keys_differ']],
    [
      {
        ...good,
        fetches: [
          ['success', 20],
          ['failure', 30],
        ],
      },
      ['cluster_keys_not_fetched'],
    ],
    [{ ...good, fetches: [['failure', 30]], keySet: undefined }, ['cluster_keys_not_fetched']],
  ]
  for (const [metrics, codes] of cases) t.strictSame(await check(metrics), codes, codes.join())
})

t.test('metrics that one may not read are told with the role that may', async (t) => {
  const { check } = await house(t)
  t.strictSame(await check({}, 403), ['cluster_unreachable'])
  const nowhere = await compareWithCluster(
    { bytes: BYTES, config: kubeConfiguration() },
    { kubeconfig: '/nonexistent/kubeconfig', context: undefined, env: process.env, apiservers: [] },
    { clock: Date.now },
  )
  t.match(nowhere.apiservers[0]?.problems, [{ code: 'cluster_unreachable', message: /ENOENT/ }])
})

t.test('metrics that are no metrics say nothing', async (t) => {
  t.match(readApiserverMetrics('<html>'), { configHash: undefined, reloads: { success: 0, failure: 0 } })
  t.match(readApiserverMetrics(`${CONTROLLER}s_total{status="success"`), { reloads: { success: 0 } })
})
