// Reads sallyport.yaml: YAML, schema, then what the values mean together. Says every problem at once, each with its
// place and the way out; a file with one error gives no configuration.
import { SERVED_GRANTS } from '#core/oauth/names.ts'
import type { Finding } from '#platform/config/finding.ts'
import { CONFIG_FORMATS } from '#platform/config/formats.ts'
import { checkSchema } from '#platform/config/schema_check.ts'
import { readYaml } from '#platform/config/yaml_document.ts'
import type { YamlDocument } from '#platform/config/yaml_document.ts'
import type { ConfigEnv, ConfigLoad } from './config_env.ts'
import { lintPolicies } from './lint_policies.ts'
import { idsOf } from './load_context.ts'
import type { LoadContext } from './load_context.ts'
import { readClients } from './native_clients.ts'
import { readConnectors } from './native_connectors.ts'
import { readKube } from './native_kube.ts'
import { readServer } from './native_server.ts'
import { checkTogether, readAudiences, readPolicies } from './native_targets.ts'
import { SallyportSchema } from './schema.ts'

/** `file` is only named in places; `text` is its content. Findings come in the order of the file. */
export function loadNativeConfig(file: string, text: string, env: ConfigEnv): ConfigLoad {
  // 1. YAML
  const read = readYaml(file, text)
  const [document, second] = read.documents
  if (read.findings.length > 0) return { config: undefined, findings: read.findings }
  if (document === undefined) return refuse(file, 1, 'config_empty', 'the file holds nothing')
  if (second !== undefined) {
    const line = second.placeOf([])?.line ?? 1
    return refuse(file, line, 'yaml_multiple_documents', 'a second document begins here; only one is read')
  }
  return readDocument(document, env)
}

function readDocument(document: YamlDocument, env: ConfigEnv): ConfigLoad {
  // 2. schema
  const schemaFindings = checkSchema(SallyportSchema, document.data, document, CONFIG_FORMATS)
  const context: LoadContext = { document, env, findings: [...schemaFindings] }
  // 3. each part that is whole
  const server = readServer(context)
  const connectors = readConnectors(context, server.issuer)
  const policies = readPolicies(context)
  const clients = readClients(context, {
    connectors: idsOf(context, 'connectors', 'id'),
    policies: idsOf(context, 'policies', 'name'),
  })
  const audiences = readAudiences(context)
  // 4. all together
  checkTogether(context, { connectors, clients, audiences, policies })
  const kube = readKube(context, {
    audienceIds: idsOf(context, 'audiences', 'id'),
    clientIds: idsOf(context, 'clients', 'id'),
    audiences: audiences.map((audience) => audience.value),
    clients: clients.map((client) => client.value),
  })
  context.findings.push(...lintPolicies(document, policies, connectors))
  const findings = context.findings.toSorted(byPlace)
  if (findings.some((finding) => finding.severity === 'error')) return { config: undefined, findings }
  return {
    config: {
      mode: 'native',
      ...server,
      grants: SERVED_GRANTS,
      connectors,
      clients: clients.map((client) => client.value),
      audiences: audiences.map((audience) => audience.value),
      policies: policies.map((policy) => policy.value),
      kube,
    },
    findings,
  }
}

function byPlace(a: Finding, b: Finding): number {
  const lines = (a.place?.line ?? 0) - (b.place?.line ?? 0)
  return lines === 0 ? (a.place?.column ?? 0) - (b.place?.column ?? 0) : lines
}

function refuse(file: string, line: number, code: string, message: string): ConfigLoad {
  const place = { file, line, column: 1 }
  return {
    config: undefined,
    findings: [{ severity: 'error', code, path: '', message, wayOut: undefined, place }],
  }
}
