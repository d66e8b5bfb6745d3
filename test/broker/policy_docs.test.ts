// docs/policies.md is what people copy from: every example loads without a warning and lets the job it speaks of in.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { PinSchema } from '../../src/broker/config/policy_schema.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import type { Claims } from '../../src/core/claims.ts'
import { presetOf } from '../../src/core/issuer/presets.ts'
import { CEL_FUNCTIONS, CEL_METHODS } from '../../src/core/policy/cel_functions.ts'
import { compilePolicy } from '../../src/core/policy/compile_policy.ts'
import { compilePin } from '../../src/core/policy/pins.ts'
import { decidePolicies } from '../../src/core/policy/decide.ts'
import { NOW, fixtureClaims } from '../support/policies.ts'

const text = readFileSync(new URL('../../docs/policies.md', import.meta.url), 'utf8')
const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')

/** The rest of a file around the policies of an example. */
const AROUND = `issuer: https://sallyport.example.com
listen: { public: { address: '127.0.0.1:8080' } }
connectors:
  - { id: gitlab, type: gitlab-ci, issuer: https://gitlab.example.test }
  - { id: github, type: github-actions, issuer: https://token.actions.githubusercontent.com }
  - { id: cluster, type: kubernetes, issuer: https://kubernetes.default.svc.cluster.local }
clients:
  - { id: runners, auth: { method: none }, connectors: [gitlab, github, cluster] }
audiences:
  - { id: kubernetes-prod, profile: kubernetes, clients: [runners] }
  - { id: registry, profile: rfc9068, clients: [runners] }
`

/** The job that each policy of the page lets in. */
const JOBS: Readonly<Record<string, Claims>> = {
  'deploy-production': fixtureClaims('gitlab-push-main'),
  'publish-modules': { ...fixtureClaims('github-legacy-main'), ref: 'refs/tags/v1.4' },
  plan: fixtureClaims('k8s-projected'),
  'deploy-by-maintainers': { ...fixtureClaims('gitlab-push-main'), environment: 'prod/eu' },
}

for (const [index, example] of examples.entries()) {
  t.test(`example ${index + 1} of docs/policies.md loads and lets its jobs in`, async (t) => {
    const { config, findings } = loadNativeConfig('docs/policies.md', AROUND + example, {
      env: {},
      readFile: (path) => {
        throw new Error(`the example reads ${path}`)
      },
      baseDir: '/',
      randomBytes: (length) => new Uint8Array(length),
    })
    t.same(
      findings.filter(({ severity, path }) => severity === 'error' || path.startsWith('policies')),
      [],
    )
    for (const source of config?.policies ?? []) {
      const connector = config?.connectors.find(({ id }) => id === source.connector)
      const claims = JOBS[source.name]
      if (connector === undefined || claims === undefined) throw new Error(`no job for ${source.name}`)
      const policy = compilePolicy(source, presetOf(connector.preset))
      if (!policy.ok) throw new Error(`${source.name} does not compile`)
      const input = {
        client: 'runners',
        connector: connector.id,
        issuer: connector.issuer,
        now: NOW,
        named: undefined,
      }
      t.match(decidePolicies([policy.value], { ...input, claims }), { ok: true }, source.name)
      t.match(
        decidePolicies([policy.value], { ...input, claims: {} }),
        { ok: false },
        `${source.name}, no claims`,
      )
    }
  })
}

t.test('the page and the messages name the forms of a pin as they are written', async (t) => {
  const forms = PinSchema.anyOf.flatMap((form) => ('properties' in form ? Object.keys(form.properties) : []))
  t.same(forms, ['exact', 'anyOf', 'prefix', 'glob', 're2'])
  const [, table = ''] = /\n## Pins\n\n([\s\S]*?)\n\n/.exec(text) ?? []
  const documented = [...table.matchAll(/\{ (\w+): /g)].map((match) => match[1] ?? '')
  t.same(documented, forms)
  const refused = [
    compilePin('sub', { kind: 'glob', pattern: '*' }),
    compilePin('sub', { kind: 're2', pattern: 'a'.repeat(513) }),
  ]
  for (const pin of refused) {
    const wayOuts = pin.ok ? [] : pin.problems.map(({ wayOut }) => wayOut)
    t.match(wayOuts, [/anyOf/])
  }
})

const row = (name: string): readonly string[] =>
  new RegExp(`^\\| ${name} \\| \`([^\`]*)\``, 'm').exec(text)?.[1]?.split(' ') ?? []
const sorted = (names: Iterable<string>): readonly string[] => [...new Set(names)].toSorted()

t.test('the page has an example for each job, and names exactly the functions of the profile', async (t) => {
  t.same(
    Object.keys(JOBS).filter((name) => !text.includes(`name: ${name}\n`)),
    [],
  )
  t.same(sorted(row('functions')), sorted(CEL_FUNCTIONS.keys()))
  t.same(
    sorted([...row('text methods'), ...row('list methods'), ...row('times')]),
    sorted(CEL_METHODS.keys()),
  )
})
