// Whatever stands in the files, a review ends with findings: no object, however it is bent, makes it fail, and no format of what it
// says is anything but that format.
import t from 'tap'
import { parse } from 'yaml'
import { githubOf } from '../../src/core/review/print/github.ts'
import { gitlabOf } from '../../src/core/review/print/gitlab.ts'
import { jsonOf } from '../../src/core/review/print/json.ts'
import { sarifOf } from '../../src/core/review/print/sarif.ts'
import { textOf } from '../../src/core/review/print/text.ts'
import { objectPath } from '../../src/core/review/object_path.ts'
import type { Review } from '../../src/core/review/review.ts'
import { applicationYaml, ledgerEntry, moduleYaml, reviewed, told } from '../support/reviewed.ts'

/** Park and Miller's generator: the same bends at each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

const ODD: readonly unknown[] = [
  null,
  true,
  -1,
  1e300,
  '',
  '\u0000\u001B[31m\n::error::%0A\u202E',
  'x'.repeat(3000),
  [],
  {},
  [[]],
  [null],
  { version: 'v1' },
  '__proto__',
  { constructor: 1 },
  '{{x}}',
  '../../..',
  'Force=true',
  '1.0.0',
]

/** One value somewhere in it is another one, or stands under another key. */
function bent(value: unknown, below: (most: number) => number, depth = 0): unknown {
  if (depth > 0 && below(12) === 0) return ODD[below(ODD.length)]
  if (Array.isArray(value)) {
    const items = value.map((inner: unknown) => bent(inner, below, depth + 1))
    return below(6) === 0 ? [...items, ...items] : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, inner]) => {
    const name = depth > 0 && below(40) === 0 ? JSON.stringify(ODD[below(ODD.length)]) : key
    return [name, bent(inner, below, depth + 1)] as const
  })
  return Object.fromEntries(entries)
}

const SAMPLES: readonly unknown[] = [
  parse(moduleYaml(['1.0.0', '1.1.0'])),
  parse(moduleYaml(['1.0.0', '1.1.0', '1.2.0'])),
  parse(
    applicationYaml({
      '  syncPolicy:\n':
        '  syncPolicy:\n    syncOptions: [Replace=true]\n    retry: {limit: 3, backoff: {duration: 5s}}\n',
    }),
  ),
  {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'ApplicationSet',
    metadata: { name: 'a' },
    spec: { template: parse(applicationYaml()) },
  },
  {
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'AppProject',
    metadata: { name: 'p', namespace: 'argocd' },
    spec: {
      destinationServiceAccounts: [{ server: 's', namespace: 'n', defaultServiceAccount: 'argocd:x' }],
    },
  },
  {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'ModulePolicy',
    metadata: { name: 'p' },
    spec: { selector: {}, modes: { 'WH-V1': 'warn' } },
  },
  {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Version',
    metadata: { name: 'terraform-aws-eks-1-0-0', namespace: 'opendepot-system' },
    spec: { type: 'Module', version: '1.0.0', moduleConfigRef: { name: 'terraform-aws-eks' } },
  },
  {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Depot',
    metadata: { name: 'd' },
    spec: { global: { moduleConfig: {} }, moduleConfigs: [{ name: 'x' }] },
  },
  {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'GroupBinding',
    metadata: { name: 'g' },
    spec: { expression: "'a' in groups", moduleResources: ['*'] },
  },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'opendepot-system' } },
  {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'modules.opendepot.defdev.io' },
    spec: { group: 'opendepot.defdev.io', versions: [{ name: 'v1alpha1', served: true, schema: {} }] },
  },
]

function isWellFormed(review: Review): boolean {
  JSON.parse(jsonOf(review))
  JSON.parse(sarifOf(review, '0.0.0'))
  JSON.parse(gitlabOf(review))
  const lines = githubOf(review).split('\n').slice(0, -1)
  const isCommand = lines.every((line) => /^::(?:error|warning|notice) [^\n]*title=[A-Z]+-\w+::/.test(line))
  return isCommand && lines.length === review.findings.length && !/(?!\n)[\p{Cc}\p{Cf}]/u.test(textOf(review))
}

t.test('four hundred bent changes of every kind end with findings in every format', async (t) => {
  const below = numbers(20_261_121)
  const ledger = ['1.0.0', '1.1.0', '9.9.9'].map((version) => ledgerEntry(version))
  let found = 0
  let odd = 0
  for (let round = 0; round < 400; round += 1) {
    const state = (): string => {
      const objects = Array.from({ length: 1 + below(3) }, () => bent(SAMPLES[below(SAMPLES.length)], below))
      return objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('')
    }
    const review = reviewed({
      before: { 'modules/a.yaml': state() },
      after: { 'modules/a.yaml': state(), 'b.yaml': state() },
      ledger,
      isPruned: below(2) === 0,
    })
    found += review.findings.length
    if (!isWellFormed(review)) odd += 1
  }
  t.equal(odd, 0)
  t.ok(found > 400, `${found} findings`)
})

t.test('paths that rules write lead to the keys, and others to what can be read of them', async (t) => {
  const cases: readonly (readonly [string, readonly (string | number)[]])[] = [
    ['', []],
    ['spec.versions[12].version', ['spec', 'versions', 12, 'version']],
    ['metadata.annotations["sallyport.dev/pins"]', ['metadata', 'annotations', 'sallyport.dev/pins']],
    ['a["x\\"]y"].b', ['a', 'x"]y', 'b']],
    ['a..b', ['a']],
    ['a[', ['a']],
    ['[0]', [0]],
  ]
  for (const [text, path] of cases) t.same(objectPath(text), path, text)
})

t.test('a key that looks like a step of a path, and is none, is shown with its object', async (t) => {
  t.same(objectPath(String.raw`metadata.annotations.["\x"]`), ['metadata', 'annotations'])
  const module = moduleYaml(['1.0.0'], {
    '  namespace: opendepot-system\n': String.raw`  namespace: opendepot-system
  annotations: {'["\x"]': 5}
`,
  })
  t.match(told(reviewed({ after: { 'a.yaml': module } })), [/^a\.yaml:6 deny GIT-1: .* is not a string$/])
})
