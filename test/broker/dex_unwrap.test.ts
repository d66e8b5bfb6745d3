// What a Dex configuration is found in, and that places lead back to the operator's own lines.
import t from 'tap'
import { unwrapDexConfig } from '../../src/broker/config/dex/unwrap.ts'
import { dexEnv, errorsOf, loadDex } from '../support/dex_config.ts'

const DEX = ['issuer: https://dex.example.test', 'storage:', '  type: memory', 'web:', '  http: nowhere']

function indented(lines: readonly string[], by: number): string {
  return lines.map((line) => `${' '.repeat(by)}${line}\n`).join('')
}

type Case = { readonly says: string; readonly text: string; readonly foundIn: string; readonly place: string }

const CASES: readonly Case[] = [
  { says: 'a bare file', text: indented(DEX, 0), foundIn: 'a Dex configuration', place: '5:3' },
  {
    says: 'values of the Dex chart',
    text: `replicaCount: 2\nconfig:\n${indented(DEX, 2)}`,
    foundIn: 'Helm values, key config',
    place: '7:5',
  },
  {
    says: 'values of an umbrella chart',
    text: `dex:\n  config:\n${indented(DEX, 4)}`,
    foundIn: 'Helm values, key dex.config',
    place: '7:7',
  },
  {
    says: 'a ConfigMap',
    text: `kind: ConfigMap\nmetadata: { name: dex }\ndata:\n  config.yaml: |\n${indented(DEX, 4)}`,
    foundIn: 'ConfigMap dex, data["config.yaml"]',
    place: '9:7',
  },
  {
    says: 'a manifest of several documents with blank lines',
    text: `kind: Namespace\n---\nkind: ConfigMap\nmetadata: { name: dex }\ndata:\n  config.yaml: |-\n\n${indented(DEX, 8)}---\nkind: Service\n`,
    foundIn: 'ConfigMap dex, data["config.yaml"]',
    place: '12:11',
  },
  {
    says: 'a Secret in plain text',
    text: `kind: Secret\nmetadata: { name: dex }\nstringData:\n  dex.yaml: |\n${indented(DEX, 4)}`,
    foundIn: 'Secret dex, stringData["dex.yaml"]',
    place: '9:7',
  },
  {
    says: 'a Secret in base64',
    text: `kind: Secret\nmetadata: { name: dex }\ndata:\n  config.yaml: ${Buffer.from(indented(DEX, 0)).toString('base64')}\n`,
    foundIn: 'Secret dex, data["config.yaml"]',
    place: '4:3',
  },
  {
    says: 'a Flux HelmRelease',
    text: `kind: HelmRelease\nspec:\n  values:\n    config:\n${indented(DEX, 6)}`,
    foundIn: 'Helm values, key spec.values.config',
    place: '9:9',
  },
  {
    says: 'values inside an Argo CD Application',
    text: `kind: Application\nspec:\n  source:\n    helm:\n      values: |\n        config:\n${indented(DEX, 10)}`,
    foundIn: 'Helm values, key spec.source.helm.values > config',
    place: '11:13',
  },
]

for (const { says, text, foundIn, place } of CASES) {
  t.test(`${says} is found, and a finding in it names the line of the file`, async (t) => {
    const load = loadDex(text)
    t.equal(load.report?.foundIn, foundIn)
    const [finding] = errorsOf(load)
    t.equal(finding?.code, 'address_malformed')
    t.equal(`${finding?.place?.line}:${finding?.place?.column}`, place)
    const whole = loadDex(text.replace('nowhere', '127.0.0.1:5556'))
    if (!says.includes('base64')) t.same(errorsOf(whole), [], 'the twin loads')
  })
}

t.test(
  "Argo CD's dex.config gets the issuer, the storage and the listeners that Argo CD gives it",
  async (t) => {
    const text =
      'kind: ConfigMap\nmetadata: { name: argocd-cm }\ndata:\n  url: https://argocd.example.test/\n  dex.config: |\n' +
      '    connectors:\n      - type: oidc\n        id: upstream\n        name: Upstream\n        config:\n' +
      '          issuer: https://upstream.example.test\n          clientSecret: $dex.oidc.clientSecret\n'
    const load = loadDex(text)
    t.same(errorsOf(load), [])
    t.equal(load.config?.issuer, 'https://argocd.example.test/api/dex')
    t.same(load.config?.store, { type: 'memory' })
    t.same(load.config?.publicListeners, [{ host: '0.0.0.0', port: 5556, tls: undefined }])
    t.notOk(
      load.findings.some(({ code }) => code === 'variable_unset'),
      'its own substitution is not mistaken for a variable',
    )
  },
)

t.test('a template in a bare file is rendered before it is YAML, and places stay', async (t) => {
  const text = indented(DEX, 0).replace('nowhere', '{{ .Env.LISTEN }}')
  const rendered = unwrapDexConfig('dex.yaml', text, dexEnv({ env: { LISTEN: '0.0.0.0:5556' } }))
  t.same(rendered.findings, [])
  t.match(rendered.source?.data, { web: { http: '0.0.0.0:5556' } })
  t.match(rendered.source?.placeOf(['web', 'http']), { line: 5, column: 3 })
})

t.test('a variable with line breaks does not move the places behind it', async (t) => {
  const text = 'issuer: https://dex.example.test\nstorage: {{ .Env.STORAGE }}\nweb:\n  http: 127.0.0.1:1\n'
  const { source } = unwrapDexConfig('dex.yaml', text, dexEnv({ env: { STORAGE: '\n  type: memory\n' } }))
  t.match(source?.data, { storage: { type: 'memory' } })
  t.equal(source?.placeOf(['web', 'http'])?.line, 4)
})

t.test('texts in Helm values are rendered, templates elsewhere in the values are left alone', async (t) => {
  const text = `ingress: "{{ include x }}"\nconfig:\n${indented(DEX, 2).replace('nowhere', '"{{ getenv `LISTEN` }}"')}`
  const load = loadDex(text, { env: { LISTEN: '127.0.0.1:7' } })
  t.same(errorsOf(load), [])
  t.equal(load.config?.publicListeners[0]?.port, 7)
})

t.test('a file of something else is refused by name', async (t) => {
  t.match(errorsOf(loadDex('kind: Deployment\nspec: { replicas: 1 }\n')), [{ code: 'dex_config_not_found' }])
  t.match(errorsOf(loadDex('')), [{ code: 'dex_config_not_found' }])
  t.match(errorsOf(loadDex('just text')), [{ code: 'dex_config_not_found' }])
  t.match(errorsOf(loadDex('a: [')), [{ code: 'yaml_syntax' }])
})

t.test('nesting does not go on for ever', async (t) => {
  let text = indented(DEX, 0)
  for (let depth = 0; depth < 8; depth += 1) text = `values: |\n${indented(text.trimEnd().split('\n'), 2)}`
  t.match(errorsOf(loadDex(text)), [{ code: 'dex_config_not_found' }])
})
