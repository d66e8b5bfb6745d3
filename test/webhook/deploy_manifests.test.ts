// What stands in several files of deploy/webhook and docs/webhook-install.md and has to agree. Read as they lie there, without kubectl;
// what a real kube-apiserver makes of them is test/e2e/webhook_deploy*.test.ts.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { loadWebhookConfig } from '../../webhook/config/read_config.ts'
import { WEBHOOK_MANIFESTS, portNamed } from '../support/manifests.ts'
import type { Labels, Workload } from '../support/manifests.ts'
import { runCli } from '../support/cli.ts'

const root = join(WEBHOOK_MANIFESTS, '../..')
const read = (file: string): string => readFileSync(join(WEBHOOK_MANIFESTS, file), 'utf8')
const readOther = (file: string): string => readFileSync(join(root, file), 'utf8')
const deployment: Workload = parse(read('base/deployment.yaml'))
const { template, selector } = deployment.spec
const [container] = template.spec.containers
if (container === undefined) throw new Error('the Pod has no container')
const guide = readOther('docs/webhook-install.md')

type Registered = {
  readonly webhooks: readonly {
    readonly name: string
    readonly failurePolicy: string
    readonly clientConfig: { readonly service: { readonly name: string; readonly port: number } }
  }[]
}
const registered: Registered = parse(read('registration/validating_webhook_configuration.yaml'))

for (const folder of ['base', 'components/cert-manager', 'components/client-certificate']) {
  t.test(
    `${folder}/sallyport-webhook.yaml loads without a finding and listens where the Pod says`,
    async (t) => {
      const { config, findings } = loadWebhookConfig(
        '/etc/sallyport/sallyport-webhook.yaml',
        read(`${folder}/sallyport-webhook.yaml`),
        {
          readFile: () => '-----BEGIN CERTIFICATE-----',
          fileMode: () => 0o100400,
          baseDir: '/etc/sallyport',
          podNamespace: 'sallyport-system',
        },
      )
      t.same(findings, [])
      t.equal(config?.port, portNamed(container, 'https'))
      t.equal(config?.ops?.port, portNamed(container, 'ops'))
      t.equal(config?.host, undefined, 'the loopback would answer no kube-apiserver')
      t.equal(config?.ops?.host, undefined, 'nor a probe')
      t.ok((config?.limits.drainSeconds ?? 0) + 5 < template.spec.terminationGracePeriodSeconds)
    },
  )
}

for (const folder of ['base', 'components/cert-manager']) {
  t.test(`${folder}/sallyport-webhook.yaml has a place for the addresses of the API servers`, async (t) => {
    const text = read(`${folder}/sallyport-webhook.yaml`)
    t.equal(parse(text).listen.allowFrom, undefined, 'that nobody has to fill in')
    t.same(parse(text.replace(/# (allowFrom: .*)/, '$1')).listen.allowFrom, [
      '10.0.0.10',
      '10.0.0.11',
      '10.0.0.12',
    ])
  })
}

t.test('the names in the configuration are those of the objects', async (t) => {
  const { selfManaged } = parse(read('base/sallyport-webhook.yaml')).listen.tls
  const [role]: readonly { rules: readonly { resourceNames?: readonly string[] }[] }[] = parseAllDocuments(
    read('base/role.yaml'),
  ).map((document) => document.toJS())
  const [clusterRole]: readonly { rules: readonly { resourceNames?: readonly string[] }[] }[] =
    parseAllDocuments(read('base/cluster_role.yaml')).map((document) => document.toJS())
  t.same(role?.rules[0]?.resourceNames, [selfManaged.secret])
  t.same(clusterRole?.rules[0]?.resourceNames, [selfManaged.webhookConfiguration])
  t.equal(parse(read('base/service.yaml')).metadata.name, selfManaged.service)
  for (const { clientConfig } of registered.webhooks) {
    t.equal(clientConfig.service.name, selfManaged.service)
    t.equal(clientConfig.service.port, parse(read('base/service.yaml')).spec.ports[0].port)
  }
})

t.test('everything that selects the Pods selects their labels', async (t) => {
  const { labels } = template.metadata
  const selectors: Readonly<Record<string, Labels>> = {
    Deployment: selector.matchLabels,
    Service: parse(read('base/service.yaml')).spec.selector,
    PodDisruptionBudget: parse(read('base/pod_disruption_budget.yaml')).spec.selector.matchLabels,
    NetworkPolicy: parse(read('base/network_policy.yaml')).spec.podSelector.matchLabels,
    PodMonitor: parse(read('components/pod-monitor/pod_monitor.yaml')).spec.selector.matchLabels,
  }
  for (const [kind, wanted] of Object.entries(selectors)) t.same(wanted, labels, kind)
})

t.test('the registration is what the command prints', async (t) => {
  const { code, stdout } = await runCli(['webhook', 'generate', 'webhook'])
  t.equal(code, 0)
  t.equal(stdout, read('registration/validating_webhook_configuration.yaml'))
  t.ok(registered.webhooks.every(({ failurePolicy }) => failurePolicy === 'Fail'))
})

t.test('warn-first lets every webhook of it be ignored, and its policy is the example', async (t) => {
  const ignored: Registered = parse(read('overlays/warn-first/ignore.yaml'))
  t.same(
    ignored.webhooks.map(({ name, failurePolicy }) => [name, failurePolicy]),
    registered.webhooks.map(({ name }) => [name, 'Ignore']),
  )
  t.equal(
    read('overlays/warn-first/module_policy.yaml'),
    readOther('deploy/examples/module_policy_first_look.yaml'),
  )
})

t.test('no manifest has a CA bundle', async (t) => {
  t.notMatch(read('registration/validating_webhook_configuration.yaml'), 'caBundle')
  t.notMatch(read('overlays/warn-first/ignore.yaml'), 'caBundle')
})

t.test('the release of the manifests is the one of the package', async (t) => {
  const { version } = JSON.parse(readOther('package.json'))
  t.equal(parse(read('base/kustomization.yaml')).images[0].newTag, version)
})

const yamlBlocks: readonly unknown[] = [...guide.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(
  ([, text = '']) => parse(text),
)

/** As RFC 6901 says; `undefined` where nothing is. */
function at(document: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((value, key) => Object(value)[key.replaceAll('~1', '/').replaceAll('~0', '~')], document)
}

t.test('what Argo CD is told to ignore is what the webhook writes', async (t) => {
  const ignored = yamlBlocks.flatMap((block) => Object(block).spec?.ignoreDifferences ?? [])
  t.equal(ignored.length, 2)
  for (const { group, kind, name } of ignored)
    t.same(
      [group, kind, name],
      ['admissionregistration.k8s.io', 'ValidatingWebhookConfiguration', 'sallyport-webhook'],
    )
  const code = readOther('webhook/certificate/kube_certificate_objects.ts')
  t.match(code, `BUNDLE_FIELD_MANAGER = '${ignored[0].managedFieldsManagers[0]}'`)
  const webhooks = registered.webhooks.map(({ name }) => ({ name, clientConfig: { caBundle: name } }))
  t.same(
    ignored[1].jsonPointers.map((pointer: string) => at({ webhooks }, pointer)),
    webhooks.map(({ name }) => name),
  )
})

t.test('every metric of the guide is there', async (t) => {
  const code = globSync('webhook/**/*.ts', { cwd: root }).map(readOther).join('\n')
  const named = new Set(
    guide.match(/sallyport_webhook_[a-z_]+/g)?.map((name) => name.replace(/_bucket$/, '')),
  )
  t.ok(named.size > 4)
  for (const name of named) t.ok(code.includes(`'${name}'`), name)
})

t.test('the table of metrics has every metric of ours that there is, and no other', async (t) => {
  const code = globSync('webhook/**/*.ts', { cwd: root }).map(readOther).join('\n')
  const made = new Set(code.match(/(?<=')sallyport_[a-z_]+(?=')/g))
  const page = readOther('docs/webhook-configuration.md').split('\n')
  const rows = page.filter((line) => line.startsWith('| `sallyport_')).map((line) => line.split(' | ')[0])
  const told = new Set(rows.join('\n').match(/(?<=`)sallyport_[a-z_]+(?=`)/g))
  t.ok(made.size > 10)
  t.strictSame([...told].sort(), [...made].sort())
})

t.test('every alert has an expression and a summary', async (t) => {
  const [group] = yamlBlocks.flatMap((block) => Object(block).groups ?? [])
  t.ok(group.rules.length > 4)
  for (const { alert, expr, annotations, labels } of group.rules) {
    t.match(alert, /^Sallyport[A-Za-z]+$/)
    t.type(expr, 'string')
    t.equal((expr.match(/\(/g) ?? []).length, (expr.match(/\)/g) ?? []).length, alert)
    t.type(annotations.summary, 'string')
    t.match(labels.severity, /^(critical|warning|info)$/)
  }
})
