// `sallyport webhook generate webhook`: what kube-apiserver is told to ask. That a real one takes it and asks so is in
// test/e2e/webhook_deploy*.test.ts.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { folder, runCli } from '../support/cli.ts'
import { makeClusterAuthority } from '../support/kube_pki.ts'

const GENERATE = ['webhook', 'generate', 'webhook']

t.test(
  'without flags: no answer is no, after five seconds, and nothing is left out by a label',
  async (t) => {
    const { code, stdout, stderr } = await runCli(GENERATE)
    t.equal(code, 0)
    t.equal(stderr, '')
    const { webhooks } = parse(stdout)
    t.equal(webhooks.length, 4)
    for (const webhook of webhooks) {
      t.match(webhook, {
        failurePolicy: 'Fail',
        timeoutSeconds: 5,
        sideEffects: 'None',
        matchPolicy: 'Equivalent',
      })
      t.same(webhook.admissionReviewVersions, ['v1'])
      t.match(webhook.clientConfig.service, {
        namespace: 'sallyport-system',
        name: 'sallyport-webhook',
        port: 443,
      })
      t.notOk('namespaceSelector' in webhook || 'objectSelector' in webhook)
      t.ok(webhook.matchConditions.length > 0)
    }
  },
)

t.test(
  'some namespaces are named by the label that the API server keeps, and the price is told',
  async (t) => {
    const { code, stdout, stderr } = await runCli([...GENERATE, '-n', 'infra', '-n', 'a1', '-n', 'infra'])
    t.equal(code, 0)
    t.match(stderr, /^warning: in every other namespace anything goes/)
    const [modules, ...others] = parse(stdout).webhooks
    t.same(modules.namespaceSelector, {
      matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['a1', 'infra'] }],
    })
    for (const other of others)
      t.notOk('namespaceSelector' in other, 'ledger, namespaces and definitions are guarded')
  },
)

t.test('Ignore is told what it lets through', async (t) => {
  const { stdout, stderr } = await runCli([...GENERATE, '--failure-policy', 'Ignore', '--timeout', '30'])
  t.match(parse(stdout).webhooks, [{ failurePolicy: 'Ignore', timeoutSeconds: 30 }])
  t.match(stderr, /^warning: with failurePolicy Ignore everything is admitted/)
})

t.test('a CA of a file is the bundle of each', async (t) => {
  const cwd = folder(t)
  const { caPem } = await makeClusterAuthority()
  writeFileSync(join(cwd, 'ca.crt'), `a note\n${caPem}`)
  const { stdout } = await runCli([...GENERATE, '--ca-file', 'ca.crt'], { cwd })
  const bundles = parse(stdout).webhooks.map(({ clientConfig }: { clientConfig: { caBundle: string } }) =>
    Buffer.from(clientConfig.caBundle, 'base64').toString(),
  )
  t.same(new Set(bundles.map((text: string) => text.trim())), new Set([caPem.trim()]))
})

for (const [args, told] of [
  [['--timeout', '31'], '--timeout is not 1 to 30 (seconds)'],
  [['--failure-policy', 'fail'], '--failure-policy is Fail or Ignore'],
  [['--url', 'http://webhook.example.com'], '--url is no https address'],
  [['--url', 'https://user@webhook.example.com'], '--url is no https address'],
  [['--service', 'sallyport-webhook'], '--service is no namespace/name'],
  [['--service', 'a/b:70000'], '--service has no port from 1 to 65535'],
  [['--name', 'Webhook'], '--name is no name of an object'],
  [['--cert-manager', 'a/b/c'], '--cert-manager is no namespace/name of a Certificate'],
  [['--cert-manager', 'a/b', '--ca-file', 'ca.crt'], '--ca-file and --cert-manager are both given'],
  [['-n', 'in"fra'], '--namespace is no name of a namespace'],
] as const) {
  t.test(`${args.join(' ')} is refused`, async (t) => {
    const { code, stdout, stderr } = await runCli([...GENERATE, ...args])
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, told)
  })
}
