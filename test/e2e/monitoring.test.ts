// deploy/monitoring on a real Prometheus that scrapes a running broker, a running webhook and the kube-apiserver before it:
// every query of the dashboards shows something, every expression of the alerts can be run and names metrics that exist, and
// promtool fires and silences each alert.
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { parse, parseAllDocuments, stringify } from 'yaml'
import { SECRETS } from '../support/broker_config.ts'
import { folder } from '../support/cli.ts'
import { startKeyService } from '../support/key_service.ts'
import { mustPrint } from '../support/kube_modules.ts'
import { startKubeWebhook } from '../support/kube_webhook.ts'
import { moduleJson } from '../support/module_changes.ts'
import { peerOrSkip, prometheusFolder } from '../support/peers.ts'
import { promtool, startPrometheus } from '../support/prometheus.ts'
import type { Prometheus } from '../support/prometheus.ts'
import { makeFolder } from '../support/served.ts'

import { startTestIssuer } from '../support/test_issuer.ts'

const MONITORING = join(import.meta.dirname, '../../deploy/monitoring')
const FIXTURES = join(import.meta.dirname, '../fixtures/monitoring')
const PARTS = ['broker', 'webhook'] as const
type Part = (typeof PARTS)[number]

type Rule = {
  readonly alert: string
  readonly expr: string
  readonly annotations: Readonly<Record<string, string>>
}
type Rules = { readonly groups: readonly { readonly rules: readonly Rule[] }[] }

function rulesOf(part: Part): Rules {
  return parse(readFileSync(join(MONITORING, `${part}_rules.yaml`), 'utf8')).spec
}

function alertsOf(part: Part): readonly Rule[] {
  return rulesOf(part).groups.flatMap(({ rules }) => rules)
}

type GridPosition = { readonly x: number; readonly y: number; readonly w: number; readonly h: number }

type Panel = {
  readonly type: string
  readonly title: string
  readonly gridPos: GridPosition
  readonly targets?: readonly { readonly expr: string }[]
}

function panelsOf(part: Part): readonly Panel[] {
  return JSON.parse(readFileSync(join(MONITORING, `${part}_dashboard.json`), 'utf8')).panels
}

/** As Grafana sends it with every job chosen. */
function sent(expression: string): string {
  return expression.replaceAll('$job', '.+').replaceAll('$__rate_interval', '1m')
}

/** Names of metrics in an expression: words that are no function, no label and no word of the language. */
function metricsIn(expression: string): readonly string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, ' ')
    .replaceAll(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\boffset \w+/g, ' ')
  const words = bare.match(/\b[a-zA-Z_:][\w:]*\b(?!\s*\()/g) ?? []
  return words.filter((word) => !['and', 'or', 'unless'].includes(word))
}

/** Labels of the apiserver that appear with the first failure only, which no test here wants to wait for. */
const OF_FAILURES = new Set(['apiserver_admission_webhook_fail_open_count'])
/** Gauges and counters by label: no series until there is something to say. */
const EMPTY_WHEN_WELL = /^sum by \(rule, namespace\) \(sallyport_webhook_policy_violations\{/

t.test('the rules of the guide and of the file are the same', async (t) => {
  const guide = readFileSync(join(MONITORING, '../../docs/webhook-install.md'), 'utf8')
  const blocks = [...guide.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text)
  const written = blocks.find((text) => text.startsWith('groups:'))
  t.strictSame(rulesOf('webhook'), parse(written ?? ''))
})

t.test('a dashboard asks for the chosen job alone, and no panel lies over another', async (t) => {
  for (const part of PARTS) {
    const panels = panelsOf(part)
    const places = panels.flatMap(({ gridPos }) => placesOf(gridPos))
    t.equal(new Set(places).size, places.length, part)
    for (const { expr } of panels.flatMap(({ targets = [] }) => targets))
      t.equal(expr.split('{job=~"$job"').length - 1, metricsIn(expr).length, expr)
  }
})

const peer = await peerOrSkip(async () => {
  const programs = await prometheusFolder()
  return { programs, webhook: await startKubeWebhook({ serverOptions: { scan: { interval: '1s' } } }) }
})

t.test('with a real Prometheus', { skip: peer.skip }, async (t) => {
  if (!('value' in peer)) return
  const { programs, webhook } = peer.value
  t.teardown(() => webhook.stop())
  const [replica] = webhook.replicas
  if (replica === undefined) throw new Error('no replica')

  const upstream = await startTestIssuer()
  t.teardown(() => upstream.close())
  const broker = await makeFolder(t, upstream)
  const service = await startKeyService(t, folder(t), 'bearer-of-the-key-service')
  const { url, tokenFile, caFile } = service
  const signer = { type: 'http', url, tokenFile, caFile, key: 'ec' }
  broker.write((config) => void Object.assign(config, { keys: { signer } }))
  await broker.start()

  // The apiserver wants a client certificate; this one asks for Prometheus.
  const relay = createServer((_request, response) => {
    webhook.cluster.apiservers[0]?.metrics().then(
      (text) => response.end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.teardown(() => relay.close())
  const at = relay.address()
  if (at === null || typeof at === 'string') throw new Error('no port')

  const targets = {
    broker: new URL(broker.opsUrl).host,
    webhook: new URL(replica.opsUrl).host,
    apiserver: `127.0.0.1:${at.port}`,
  }
  const prometheus: Prometheus = await startPrometheus({ programs, targets })
  t.teardown(() => prometheus.stop())

  const credentials = {
    grant_type: 'client_credentials',
    client_id: 'ci-pipeline',
    client_secret: SECRETS.pipeline,
    scope: 'openid',
  }
  const exchange = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_id: 'ci',
    client_secret: SECRETS.ci,
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
    connector_id: 'gitlab',
    scope: 'openid audience:server:client_id:app',
  }
  await mustPrint(webhook.cluster, ['apply', '-f', '-'], moduleOf(['1.0.0']))
  for (let round = 0; round < 4; round += 1) {
    t.equal((await broker.post(credentials)).status, 200)
    const granted = await broker.post({ ...exchange, subject_token: broker.mint({ jti: `good-${round}` }) })
    t.equal(granted.status, 200, JSON.stringify(granted.json))
    const refused = { ...exchange, subject_token: broker.mint({ jti: `bad-${round}`, exp: 1 }) }
    t.not((await broker.post(refused)).status, 200)
    const denied = await webhook.kubectl(['apply', '-f', '-'], { input: moduleOf(['1.0.0', `bad-${round}`]) })
    t.not(denied.code, 0)
    await refusedByWebhook(replica.url, webhook.caPem)
    broker.write(
      (config) =>
        void Object.assign(config, { keys: { signer }, log: { level: round % 2 === 0 ? 'debug' : 'info' } }),
    )
    await sleep(1500)
  }

  const scraped = await Promise.all(
    Object.values(targets).map((host) => broker.text(`http://${host}/metrics`)),
  )
  const known = new Set(
    scraped.flatMap((text) =>
      [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(([, name = '', type = '']) =>
        type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    ),
  )

  for (const part of PARTS) {
    t.test(`every query of the ${part}'s dashboard shows something`, async (t) => {
      for (const { title, targets: asked = [] } of panelsOf(part)) {
        for (const { expr } of asked) {
          const series = await prometheus.query(sent(expr))
          if (!EMPTY_WHEN_WELL.test(expr)) t.ok(series > 0, `${title}: ${expr}`)
        }
      }
    })

    t.test(`every expression of the ${part}'s alerts can be run, on metrics that exist`, async (t) => {
      for (const { alert, expr } of alertsOf(part)) {
        await t.resolves(prometheus.query(expr), alert)
        const names = metricsIn(expr)
        t.ok(names.length > 0, alert)
        for (const name of names) t.ok(known.has(name) || OF_FAILURES.has(name), `${alert}: ${name}`)
      }
      const names = panelsOf(part).flatMap(({ targets: asked = [] }) =>
        asked.flatMap(({ expr }) => metricsIn(expr)),
      )
      for (const name of new Set(names)) t.ok(known.has(name), name)
    })
  }

  t.test('an expression that is wrong would be found', async (t) => {
    await t.rejects(prometheus.query('sum by (le (x))'), /parse error/)
    t.equal(await prometheus.query('sallyport_no_such_metric'), 0)
    t.notOk(known.has('sallyport_no_such_metric'))
  })

  for (const part of PARTS) {
    t.test(`promtool takes the ${part}'s rules, fires each of them and silences it`, async (t) => {
      const dir = folder(t)
      const rules = rulesOf(part)
      const file = join(dir, `${part}_rules.yaml`)
      writeFileSync(file, stringify(rules))
      t.match(await promtool(programs, ['check', 'rules', file], dir), 'SUCCESS')
      // When an alert fires and for whom is tested; its words may change.
      for (const { annotations } of alertsOf(part)) t.type(annotations['summary'], 'string')
      const wordless = JSON.stringify(rules, (key, value: unknown) =>
        key === 'annotations' ? undefined : value,
      )
      writeFileSync(file, wordless)
      const tests = `${part}_rules_test.yaml`
      copyFileSync(join(FIXTURES, tests), join(dir, tests))
      t.match(await promtool(programs, ['test', 'rules', tests], dir), 'SUCCESS')

      const cases: readonly { alertname: string; exp_alerts?: unknown }[] = parseAllDocuments(
        readFileSync(join(FIXTURES, tests), 'utf8'),
      ).flatMap((document) =>
        document.toJS().tests.flatMap((each: { alert_rule_test: unknown }) => each.alert_rule_test),
      )
      const named = (fires: boolean): ReadonlySet<string> =>
        new Set(
          cases.filter((each) => (each.exp_alerts !== undefined) === fires).map(({ alertname }) => alertname),
        )
      const alerts = new Set(alertsOf(part).map(({ alert }) => alert))
      t.strictSame(named(true), alerts)
      t.strictSame(named(false), alerts)
    })
  }
})

/** As kubectl takes it. */
function moduleOf(versions: readonly string[]): string {
  const metadata = { namespace: 'opendepot-system', uid: undefined }
  return JSON.stringify(moduleJson({ versions: [...versions], metadata }))
}

function placesOf({ x, y, w, h }: GridPosition): readonly string[] {
  if (x + w > 24) throw new Error('a dashboard is 24 wide')
  return Array.from({ length: w * h }, (_, nth) => `${x + (nth % w)} ${y + Math.floor(nth / w)}`)
}

/** A request that is no review. */
async function refusedByWebhook(url: string, ca: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const request = httpsRequest(url, { ca, agent: false, servername: 'localhost' }, (response) => {
    response.resume()
    response.once('end', resolve)
  })
  request.once('error', reject)
  request.end()
  return promise
}
