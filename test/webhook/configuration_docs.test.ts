// docs/webhook-configuration.md is true: its example loads, and it names every metric that the webhook has.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadWebhookConfig } from '../../webhook/config/read_config.ts'
import { renderWebhookConfigurationDocs } from '../support/webhook_configuration_docs.ts'

const root = join(import.meta.dirname, '..', '..')
const page = renderWebhookConfigurationDocs()

/** Names of metrics in code or in code spans. */
function named(text: string): readonly string[] {
  const names = [...text.matchAll(/['`](sallyport_webhook_[a-z_]+)['`]/g)].map(([, name = '']) => name)
  return [...new Set(names)]
}

t.test('its example loads', async (t) => {
  const [, example = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(page) ?? []
  const { config, findings } = loadWebhookConfig('sallyport-webhook.yaml', example, {
    readFile: () => '',
    fileMode: () => 0o600,
    baseDir: '/etc/sallyport',
    podNamespace: undefined,
  })
  t.same(findings, [])
  t.equal(config?.kubeconfig, '/etc/sallyport/webhook.kubeconfig')
})

t.test('every metric is in its table, and none that is not there', async (t) => {
  const sources = globSync('webhook/**/*.ts', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  )
  const made = sources.flatMap(named)
  t.ok(made.length > 5)
  t.same([...named(page)].toSorted(), [...new Set(made)].toSorted())
})
