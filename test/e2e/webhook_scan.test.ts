// What was there before the webhook, or came while it was away: found by the scan, in the metrics and as PolicyReports that
// the real definition of wgpolicyk8s.io accepts.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { aProviderJson } from '../support/a_provider.ts'
import { eventually, must } from '../support/kube_modules.ts'
import { startKubeWebhook } from '../support/kube_webhook.ts'
import type { KubeWebhook } from '../support/kube_webhook.ts'
import { moduleJson } from '../support/module_changes.ts'
import { peerOrSkip, policyReportDefinitions } from '../support/peers.ts'

t.setTimeout(180_000)
const peer = await peerOrSkip(async () => ({
  definitions: await policyReportDefinitions(),
  webhook: await startKubeWebhook({ serverOptions: { scan: { interval: '1s' } } }),
}))

t.test('the scan', { skip: peer.skip }, async (t) => {
  if (!('value' in peer)) return
  const { definitions, webhook } = peer.value
  t.teardown(() => webhook.stop())

  // Awaited: what follows installs the definition, and the first scan must have come before it.
  await t.test('says that the cluster knows no reports, and counts all the same', async (t) => {
    await eventually(async () => said(await metrics(webhook), /scan_last_timestamp_seconds [1-9]/), 'a scan')
    await eventually(async () => said(await log(webhook), /knows no PolicyReport/), 'a line in the log')
    t.pass('told')
  })

  for (const file of await readdir(definitions))
    await must(webhook.cluster, ['apply', '--server-side', '-f', join(definitions, file)])
  await unguarded(webhook, async () => {
    for (const edit of [{ name: 'good' }, { name: 'bad', versions: ['1.0.0', 'main'] }]) {
      const metadata = { namespace: NAMESPACE, name: edit.name, uid: undefined }
      const module = JSON.stringify(moduleJson({ ...edit, metadata }))
      await must(webhook.cluster, ['apply', '-f', '-'], module)
    }
    const provider = JSON.stringify(aProviderJson({ namespace: NAMESPACE, versions: ['main'] }))
    await must(webhook.cluster, ['apply', '-f', '-'], provider)
  })

  t.test('reports what came while nobody looked', async (t) => {
    const report = await eventually(async () => {
      const { stdout } = await webhook.kubectl(['get', 'policyreport', REPORT, '-n', NAMESPACE, '-o', 'json'])
      const read = stdout === '' ? undefined : JSON.parse(stdout)
      return read?.summary.pass === 1 && read.summary.fail === 2 ? read : undefined
    }, 'a report')
    t.match(report.summary, { pass: 1, fail: 2 })
    t.match(report.results, [
      { rule: 'WH-V7', result: 'fail', resources: [{ kind: 'Provider', name: 'aws' }] },
      { rule: 'WH-V7', result: 'fail', resources: [{ kind: 'Module', name: 'bad' }] },
      { result: 'pass' },
    ])
    t.match(await metrics(webhook), `policy_violations{rule="WH-V7",namespace="${NAMESPACE}"} 2`)
  })

  t.test('finds a published version that left while nobody looked', async (t) => {
    await unguarded(webhook, async () => {
      const patch = JSON.stringify([{ op: 'remove', path: '/spec/versions/0' }])
      await must(webhook.cluster, ['patch', 'module', 'good', '-n', NAMESPACE, '--type', 'json', '-p', patch])
    })
    await eventually(
      async () => said(await metrics(webhook), /policy_violations\{rule="WH-V1"/),
      'a violation',
    )
    t.pass('found')
  })

  t.test('takes its report along with the last Module and Provider', async (t) => {
    await unguarded(webhook, async () => {
      await must(webhook.cluster, ['delete', 'modules,providers', '--all', '-n', NAMESPACE])
    })
    await eventually(async () => {
      const { stdout } = await webhook.kubectl(['get', 'policyreports', '-A', '-o', 'name'])
      return stdout === '' ? true : undefined
    }, 'no report')
    t.pass('gone')
  })
})

const NAMESPACE = 'opendepot-system'
const REPORT = 'sallyport-modules'

/** As with `failurePolicy: Ignore` and every replica away: the registration says Ignore and points nowhere for a moment. */
async function unguarded(webhook: KubeWebhook, work: () => Promise<void>): Promise<void> {
  const kind = 'validatingwebhookconfigurations'
  const { stdout } = await must(webhook.cluster, ['get', kind, '-o', 'json'])
  const { items } = JSON.parse(stdout)
  await must(webhook.cluster, ['delete', kind, '--all'])
  // An apiserver takes up a registration that is gone within a second or so.
  await sleep(1500)
  await work()
  for (const item of items) {
    for (const field of ['resourceVersion', 'uid', 'managedFields']) delete item.metadata[field]
    await must(webhook.cluster, ['create', '-f', '-'], JSON.stringify(item))
  }
}

async function log(webhook: KubeWebhook): Promise<string> {
  return (await webhook.replicas[0]?.log()) ?? ''
}

async function metrics(webhook: KubeWebhook): Promise<string> {
  return (await fetch(`${webhook.replicas[0]?.opsUrl}/metrics`)).text()
}

function said(text: string, wanted: RegExp): true | undefined {
  return wanted.test(text) ? true : undefined
}
