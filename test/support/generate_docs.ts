// Writes what is generated from the sources; with --check it writes nothing and fails when a file is stale.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { OverlaySchema } from '../../src/broker/config/dex/overlay_schema.ts'
import { SallyportSchema } from '../../src/broker/config/schema.ts'
import { WebhookSchema } from '../../webhook/config/schema.ts'
import { renderDoorsPage } from '../conformance/doors_page.ts'
import { renderConfigurationDocs } from './configuration_docs.ts'
import { renderAudit, renderDifferences } from './dialect_docs.ts'
import { renderJsonSchema } from './json_schema.ts'
import { renderLintDocs } from './kube_lint_docs.ts'
import { renderModulePolicyDocs } from './module_policy_docs.ts'
import { renderWebhookConfigurationDocs } from './webhook_configuration_docs.ts'
import { renderWebhookRulesDocs } from './webhook_rules_docs.ts'

/** One generated file: where it lies below the root of the project, and its whole text. */
type Generated = { readonly path: string; readonly render: () => string }

const GENERATED: readonly Generated[] = [
  { path: 'docs/configuration.md', render: renderConfigurationDocs },
  { path: 'docs/differences-from-dex.md', render: renderDifferences },
  { path: 'docs/audit.md', render: renderAudit },
  { path: 'docs/kube-lint.md', render: renderLintDocs },
  { path: 'docs/webhook-doors.md', render: renderDoorsPage },
  { path: 'docs/webhook-rules.md', render: renderWebhookRulesDocs },
  { path: 'docs/module-policy.md', render: renderModulePolicyDocs },
  { path: 'docs/webhook-configuration.md', render: renderWebhookConfigurationDocs },
  { path: 'deploy/schema/sallyport-webhook.schema.json', render: () => renderJsonSchema(WebhookSchema) },
  { path: 'deploy/schema/sallyport.schema.json', render: () => renderJsonSchema(SallyportSchema) },
  { path: 'deploy/schema/sallyport-overlay.schema.json', render: () => renderJsonSchema(OverlaySchema) },
]

const root = join(import.meta.dirname, '..', '..')
const isCheck = process.argv.includes('--check')
const stale = GENERATED.filter(({ path, render }) => render() !== readOrEmpty(join(root, path)))

if (!isCheck) {
  for (const { path, render } of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), render())
    console.log(`wrote ${path}`)
  }
} else if (stale.length > 0) {
  console.error(`stale: ${stale.map(({ path }) => path).join(', ')}\nwrite them again: npm run docs`)
  process.exitCode = 1
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
