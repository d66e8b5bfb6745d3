// The webhook's server behind a real kube-apiserver: what people see of its answers, by both kinds of reference, and what each side
// writes down.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { startKubeWebhook } from '../support/kube_webhook.ts'
import type { KubeWebhook } from '../support/kube_webhook.ts'

const NAMESPACE = 'opendepot-system'
const cluster = await kubeClusterFor(t, { auditLog: true })

function moduleOf(name: string, versions: readonly string[], config: object = {}): string {
  return JSON.stringify({
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      moduleConfig: {
        name,
        provider: 'aws',
        repoOwner: 'acme',
        repoUrl: `https://github.com/acme/${name}`,
        fileFormat: 'zip',
        immutable: true,
        storageConfig: { fileSystem: { directoryPath: '/data/modules' } },
        ...config,
      },
      versions: versions.map((version) => ({ version })),
    },
  })
}

async function eventsOf(webhook: KubeWebhook, name: string) {
  const all = await Promise.all(webhook.replicas.map((replica) => replica.auditEvents()))
  return all.flat().filter((event) => event['name'] === name)
}

function apply(webhook: KubeWebhook, input: string, ...more: readonly string[]): Promise<KubectlResult> {
  return webhook.kubectl(['apply', '-f', '-', ...more], { input })
}

t.test('a service is called over HTTP/1.1, a url over HTTP/2, and both get the same answers', async (t) => {
  for (const reference of ['service', 'url'] as const) {
    const name = `vpc-${reference}`
    const webhook = await startKubeWebhook({
      cluster,
      reference,
      serverOptions: { log: { level: 'debug' } },
    })
    const created = await apply(webhook, moduleOf(name, ['1.0.0', '1.1.0']))
    t.equal(created.code, 0, created.stderr)
    t.match(
      created.stderr,
      /^Warning: WH-P1: version 1\.0\.0 may not be published by "admin": nothing in its credentials names a repository\. Instead: /,
    )
    const patch = '{"spec":{"versions":[{"version":"1.1.0"}]}}'
    const removed = await webhook.kubectl(
      `patch module ${name} -n ${NAMESPACE} --type merge -p ${patch}`.split(' '),
    )
    t.equal(removed.code, 1)
    t.match(
      removed.stderr,
      /^Error from server \(Forbidden\): admission webhook "modules\.webhook\.sallyport\.dev" denied the request: WH-V1: version 1\.0\.0 was published by "admin" and is taken off spec\.versions\. Instead: /,
    )
    t.match(await eventsOf(webhook, name), [
      { operation: 'CREATE', decision: 'allow' },
      {
        operation: 'UPDATE',
        decision: 'deny',
        rules: ['WH-V1'],
        user: { username: 'admin', credentialId: /^X509SHA256=/ },
      },
    ])
    const spoken = /"protocol":"([^"]+)","msg":"connection opened"/g
    const log = (await webhook.replicas[0]?.log()) ?? ''
    const protocols = new Set([...log.matchAll(spoken)].map(([, protocol]) => protocol))
    t.same([...protocols], [reference === 'service' ? 'http/1.1' : 'h2'])
    await webhook.stop()
  }
})

t.test('what people do and see', async (t) => {
  const webhook = await startKubeWebhook({ cluster, reference: 'service' })
  t.teardown(() => webhook.stop())

  await t.test('malformation alone is 422, in a line that names it', async (t) => {
    const { code, stderr } = await webhook.kubectl(['create', '-f', '-'], {
      input: moduleOf('malformed', ['main']),
    })
    t.equal(code, 1)
    t.match(
      stderr,
      /^The request is invalid: error when creating "STDIN": admission webhook "modules\.webhook\.sallyport\.dev" denied the request: WH-V7: /,
    )
  })

  await t.test('a dry run shows the same and leaves nothing behind', async (t) => {
    const dry = await apply(webhook, moduleOf('dry', ['1.0.0']), '--dry-run=server')
    t.match(dry, { code: 0, stdout: /created \(server dry run\)/, stderr: /^Warning: WH-P1/ })
    t.match(await eventsOf(webhook, 'dry'), [{ dryRun: true, decision: 'allow' }])
    await sleep(500)
    const ledger = await webhook.kubectl(['get', 'publishedversions', '-o', 'name'])
    const { code } = await apply(webhook, moduleOf('dry', ['main']), '--dry-run=server')
    t.equal(code, 1)
    t.equal((await webhook.kubectl(['get', 'module', 'dry', '-n', NAMESPACE])).code, 1)
    t.equal((await webhook.kubectl(['get', 'publishedversions', '-o', 'name'])).stdout, ledger.stdout)
  })

  await t.test('of many warnings kubectl shows some whole, and how many there are more', async (t) => {
    const versions = Array.from({ length: 60 }, (_, index) => `1.${index}.0`)
    t.equal((await apply(webhook, moduleOf('mutable', versions, { immutable: false }))).code, 0)
    const removed = await webhook.kubectl(
      `patch module mutable -n ${NAMESPACE} --type merge -p {"spec":{"versions":[{"version":"1.59.0"}]}}`.split(
        ' ',
      ),
    )
    t.equal(removed.code, 0, removed.stderr)
    const shown = removed.stderr.trimEnd().split('\n')
    t.equal(shown.length, 12)
    for (const line of shown.slice(0, -1)) {
      t.match(line, /^Warning: WH-V1: version 1\.\d+\.0 was published .*is taken off spec\.versions$/)
    }
    t.match(shown.at(-1), /^Warning: and \d+ more warnings$/)
  })

  await t.test('a deletion of all names each, though the review does not', async (t) => {
    t.equal((await apply(webhook, moduleOf('kept', ['1.0.0']))).code, 0)
    const path = `/apis/opendepot.defdev.io/v1alpha1/namespaces/${NAMESPACE}/modules?labelSelector=app%21%3Dx`
    const answer = await cluster.request(path, { method: 'DELETE' })
    t.equal(answer.status, 403, answer.body)
    t.match(answer.body, 'WH-M12')
    t.match(await eventsOf(webhook, 'kept'), [
      { operation: 'CREATE' },
      { operation: 'DELETE', decision: 'deny' },
    ])
    t.equal((await webhook.kubectl(['get', 'module', 'kept', '-n', NAMESPACE])).code, 0)
  })

  await t.test('a name that the server generates is judged as it will be', async (t) => {
    const generated = Object(JSON.parse(moduleOf('gen', ['1.0.0'])))
    generated.metadata = { generateName: 'gen-', namespace: NAMESPACE }
    const { code, stderr } = await webhook.kubectl(['create', '-f', '-'], {
      input: JSON.stringify(generated),
    })
    t.equal(code, 1)
    t.match(stderr, /WH-M1: /)
  })

  await t.test("the apiserver's own audit log says rule, mode and publisher", async (t) => {
    await apply(webhook, moduleOf('audited', ['1.0.0']))
    await sleep(300)
    const events = await cluster.auditEvents()
    const event = events.find(
      ({ verb, objectRef }) => verb === 'create' && Object(objectRef).name === 'audited',
    )
    t.match(event?.['annotations'], {
      'modules.webhook.sallyport.dev/rule': 'WH-P1',
      'modules.webhook.sallyport.dev/mode': 'warn',
      'modules.webhook.sallyport.dev/publisher': 'admin',
    })
  })
})

t.test('a replica that ends is missed by nobody', async (t) => {
  const webhook = await startKubeWebhook({
    cluster,
    replicas: 2,
    reference: 'service',
    serverOptions: { limits: { drain: '1s' } },
  })
  t.teardown(() => webhook.stop())
  t.equal((await apply(webhook, moduleOf('busy', ['1.0.0']))).code, 0)
  const path = `/apis/opendepot.defdev.io/v1alpha1/namespaces/${NAMESPACE}/modules/busy?dryRun=All`
  const over = new AbortController()
  const ask = async (): Promise<number[]> => {
    const statuses: number[] = []
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const body = { metadata: { labels: { turn: String(turn) } } }
      const contentType = 'application/merge-patch+json'
      statuses.push((await cluster.request(path, { method: 'PATCH', body, contentType })).status)
    }
    return statuses
  }
  const asking = Promise.all([ask(), ask(), ask(), ask()])
  await sleep(500)
  await webhook.replicas[0]?.kill('SIGTERM')
  await sleep(500)
  over.abort()
  const statuses = (await asking).flat()
  t.comment(`${statuses.length} patches`)
  t.ok(statuses.length > 20)
  t.same([...new Set(statuses)], [200])
  t.match(await webhook.replicas[0]?.log(), /"drainSeconds":1,"msg":"stopping"/)
})
