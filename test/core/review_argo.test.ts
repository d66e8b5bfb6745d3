// What Argo CD's objects do to published versions and to a denied sync, as measured with Argo CD 3.1. The base is seed 001's
// Application, which has nothing wrong with it.
import t from 'tap'
import { aPolicy, argo } from '../support/module_changes.ts'
import { applicationYaml, ledgerEntry, moduleYaml, reviewed, told, toldShortly } from '../support/reviewed.ts'
import type { Files, ReviewedFiles } from '../support/reviewed.ts'

const MODULE = 'modules/eks.yaml'
const APP = 'apps/modules.yaml'
const PUBLISHED = ['21.10.1', '21.11.0']
const stored = { [MODULE]: moduleYaml(PUBLISHED) }

/** A new Application beside a Module that does not change. */
function beside(application: string, given: Partial<ReviewedFiles> = {}): ReturnType<typeof reviewed> {
  return reviewed({ before: stored, after: { ...stored, [APP]: application }, ...given })
}

/** Without the notice about five attempts, which every Application without `retry` has. */
function saidOf(application: string, given: Partial<ReviewedFiles> = {}): readonly string[] {
  return told(beside(application, given))
    .filter((line) => !line.includes(' notice ARGO-6: '))
    .map((line) => line.replace(/^apps\/modules\.yaml:/, ''))
}

function options(...names: readonly string[]): string {
  return applicationYaml({
    '  syncPolicy:\n': `  syncPolicy:\n    syncOptions: [${names.join(', ')}]\n`,
  })
}

t.test("seed 001's Application is let through, with a word about its attempts", async (t) => {
  t.same(told(beside(applicationYaml())), [
    'apps/modules.yaml:15 notice ARGO-6: a denied sync is tried 5 more times and stays in phase Running for 5 min 10 s; a later commit, the one that mends it too, is tried only after that',
  ])
  const before = { ...stored, [APP]: applicationYaml() }
  t.same(told(reviewed({ before, after: before })), [], 'nobody is told again at each change')
})

type Row = {
  readonly title: string
  readonly yaml: string
  readonly says: readonly (string | RegExp)[]
  readonly given?: Partial<ReviewedFiles>
  /** The nearest one that is let through without a word. */
  readonly twin: string
  readonly twinGiven?: Partial<ReviewedFiles>
}

const finalizer = (name: string): string =>
  applicationYaml({ '  namespace: argocd\n': `  namespace: argocd\n  finalizers: [${name}]\n` })
const retry = (text: string): string =>
  applicationYaml({ '  syncPolicy:\n': `  syncPolicy:\n    retry: ${text}\n` })
const compare = (text: string): string =>
  applicationYaml({
    '  namespace: argocd\n': `  namespace: argocd\n  annotations: {argocd.argoproj.io/compare-options: "${text}"}\n`,
  })
const ignoring = (entry: string, ...names: readonly string[]): string =>
  options(...names).replace('  syncPolicy:', `  ignoreDifferences:\n    - ${entry}\n  syncPolicy:`)
const VERSIONS = '{group: opendepot.defdev.io, kind: Module, jsonPointers: [/spec/versions]}'
const published = { ledger: [...PUBLISHED, '9.9.9'].map((version) => ledgerEntry(version)) }
const onlyGit = { ledger: PUBLISHED.map((version) => ledgerEntry(version)) }
const both = {
  policies: [
    {
      name: 'p',
      spec: aPolicy({
        publishers: [{ ids: [], refs: [] }],
        identities: { ...aPolicy().identities, gitops: { users: [argo.username], groups: [] } },
      }),
    },
  ],
}
const crd = (list: string): Files => ({
  'crd.yaml': `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: modules.opendepot.defdev.io}
spec:
  group: opendepot.defdev.io
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      schema: {openAPIV3Schema: {properties: {spec: {properties: {versions: {type: array${list}}}}}}}
`,
})
const KEYED = crd(', x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [version]')
const PLAIN = crd('')

const kustomized = (text: string): string =>
  applicationYaml({ '    path: modules\n': `    path: modules\n    kustomize: ${text}\n` })
const marking = (text: string): string =>
  applicationYaml({ '  syncPolicy:\n': `  syncPolicy:\n    managedNamespaceMetadata: ${text}\n` })

const ROWS: readonly Row[] = [
  {
    title: 'ARGO-1 prune deletes what leaves git',
    yaml: applicationYaml({ 'prune: false': 'prune: true' }),
    says: [/^17 deny ARGO-1: a Module whose file leaves git is deleted with every version/],
    twin: applicationYaml({
      'prune: false': 'prune: true',
      'selfHeal: true': 'selfHeal: true\n      enabled: false',
    }),
  },
  {
    title: 'ARGO-2 an empty folder is no wish',
    yaml: applicationYaml({ 'prune: false': 'prune: false\n      allowEmpty: true' }),
    says: [/^18 warn ARGO-2: a path that renders to nothing counts as wanted/],
    twin: applicationYaml({ 'prune: false': 'prune: false\n      allowEmpty: false' }),
  },
  {
    title: 'ARGO-2 with pruning an empty folder deletes everything',
    yaml: applicationYaml({ 'prune: false': 'prune: true\n      allowEmpty: true' }),
    says: [
      /^17 deny ARGO-1/,
      /^18 deny ARGO-2: a path that renders to nothing .* deletes every Module at once/,
    ],
    twin: applicationYaml(),
  },
  {
    title: 'ARGO-3 a sync takes away what a pipeline published',
    yaml: applicationYaml(),
    given: published,
    says: [
      /^15 deny ARGO-3: opendepot-system\/terraform-aws-eks 9\.9\.9 is published and not in git: the next sync/,
    ],
    twin: applicationYaml(),
    twinGiven: onlyGit,
  },
  {
    title: 'ARGO-3 sharing the list by ignoring and respecting it',
    yaml: ignoring(VERSIONS),
    given: published,
    says: [/^17 deny ARGO-3/, /^16 warn ARGO-4: ignoreDifferences hides what differs/],
    twin: ignoring(VERSIONS, 'RespectIgnoreDifferences=true'),
    twinGiven: published,
  },
  {
    title: 'ARGO-3 without automation somebody starts the sync',
    yaml: applicationYaml({
      '    automated:\n      prune: false\n      selfHeal: true\n': '    syncOptions: []\n',
    }),
    given: published,
    says: [/^15 warn ARGO-3/],
    twin: applicationYaml({
      '    automated:\n      prune: false\n      selfHeal: true\n': '    syncOptions: []\n',
    }),
  },
  {
    title: 'ARGO-3 a policy that lets both write',
    yaml: applicationYaml(),
    given: both,
    says: [
      /^15 warn ARGO-3: the policy lets pipelines publish opendepot-system\/terraform-aws-eks beside this Application, .* a moment later \(selfHeal\)/,
    ],
    twin: ignoring(
      '{group: "*", kind: "*", jqPathExpressions: [.spec.versions]}',
      'RespectIgnoreDifferences=true',
    ),
    twinGiven: both,
  },
  {
    title: 'ARGO-4 hiding a difference is not leaving it alone',
    yaml: ignoring(VERSIONS),
    says: [/^16 warn ARGO-4/],
    twin: ignoring('{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}'),
  },
  {
    title: 'ARGO-7 replacing drops what others wrote',
    yaml: options('Replace=true'),
    says: [/^16 warn ARGO-7: Replace=true puts the whole object of git/],
    twin: options('RespectIgnoreDifferences=true'),
  },
  {
    title: 'ARGO-8 force deletes to create again',
    yaml: options('Force=true'),
    says: [/^16 deny ARGO-8: Force=true deletes the Module and creates it again/],
    twin: options('RespectIgnoreDifferences=true'),
  },
  {
    title: 'ARGO-9 server-side apply on one plain list takes all of it',
    yaml: options('ServerSideApply=true'),
    given: { around: PLAIN },
    says: [/^16 warn ARGO-9: .* one plain list in this definition/],
    twin: options('ServerSideApply=false'),
    twinGiven: { around: PLAIN },
  },
  {
    title: 'ARGO-9 server-side apply on a keyed list keeps entries of others',
    yaml: options('ServerSideApply=true'),
    given: { around: KEYED, ...published },
    says: [/^16 notice ARGO-9: .* keyed by version, so entries of others stay/],
    twin: options('ServerSideApply=false'),
  },
  {
    title: 'ARGO-9 where the definition is not known both are told',
    yaml: options('ServerSideApply=true'),
    says: [/^16 notice ARGO-9: .* stay with our definition .* and go with OpenDepot's own/],
    twin: applicationYaml(),
  },
  {
    title: 'ARGO-10 comparing at the server stops the whole Application',
    yaml: compare('ServerSideDiff=true'),
    says: [/^6 warn ARGO-10: .* Unknown \(ComparisonError\)/],
    twin: compare('ServerSideDiff=false,IgnoreExtraneous'),
  },
  {
    title: 'ARGO-11 the finalizer takes every Module along',
    yaml: finalizer('resources-finalizer.argocd.argoproj.io/background'),
    says: [/^6 warn ARGO-11: whoever deletes Application my-org-opendepot-modules deletes every Module/],
    twin: finalizer('post-delete-finalizer.argocd.argoproj.io'),
  },
  {
    title: 'ARGO-14 a chart is not rendered here',
    yaml: applicationYaml({ '    path: modules\n': '    path: modules\n    helm: {releaseName: x}\n' }),
    says: [/notice ARGO-14: this source is made by Helm, which is not run here/],
    twin: applicationYaml(),
    given: { before: {}, after: {} },
  },
  {
    title: 'ARGO-16 an option that does not exist',
    yaml: options('ServerSideAply=true'),
    says: [
      '16 warn ARGO-16: the sync option "ServerSideAply=true" is none that Argo CD 3.1 knows, and is passed over',
    ],
    twin: options('ClientSideApplyMigration=false'),
  },
  {
    title: 'ARGO-16 pruning last lets the others through first',
    yaml: options('PruneLast=true', 'ApplyOutOfSyncOnly=true'),
    says: [
      /^16 notice ARGO-16: PruneLast=true: /,
      /^16 notice ARGO-16: ApplyOutOfSyncOnly=true: only Modules that differ/,
    ],
    twin: options('PruneLast=false', 'ApplyOutOfSyncOnly=false'),
  },
  {
    title: 'ARGO-17 drift stays',
    yaml: applicationYaml({ 'selfHeal: true': 'selfHeal: false' }),
    says: [/^16 notice ARGO-17: what somebody changes in the cluster stays/],
    twin: applicationYaml(),
  },
  {
    title: 'ARGO-20 a patch in the Application re-tags what the files say',
    yaml: kustomized(
      '{patches: [{target: {kind: Module}, patch: "[{op: replace, path: /spec/versions/0, value: {version: 9.9.9}}]"}]}',
    ),
    says: [/^12 warn ARGO-20: kustomize with "patches" changes objects on their way into the cluster/],
    twin: kustomized('{images: [a=b], version: v5.4.3, patches: [], labelWithoutSelector: true}'),
  },
  {
    title: 'ARGO-20 names and labels that the Application adds',
    yaml: kustomized('{namePrefix: x-, namespace: other, commonLabels: {a: b}}'),
    says: [/^12 warn ARGO-20: kustomize with "namePrefix", "namespace", "commonLabels" changes objects/],
    twin: kustomized('{namePrefix: "", commonLabels: {}}'),
  },
  {
    title: 'ARGO-20 a key that is no name is shown as it is',
    yaml: kustomized(String.raw`{'["\x"]': {a: b}}`),
    says: [/^12 warn ARGO-20: kustomize with .* changes objects/],
    twin: kustomized('{}'),
  },
  {
    title: 'ARGO-21 a branch that the hydrator writes',
    yaml: applicationYaml({
      '  source:\n    repoURL: https://github.com/my-org/opendepot-manifests\n    targetRevision: main\n    path: modules\n':
        '  sourceHydrator:\n    drySource: {repoURL: x, targetRevision: main, path: modules}\n    syncSource: {targetBranch: env/prod, path: modules}\n',
    }),
    says: [/^8 warn ARGO-21: Argo CD writes what it makes of these files to a branch of its own/],
    twin: applicationYaml(),
  },
  {
    title: 'ARGO-22 labels on the namespace',
    yaml: marking('{labels: {team: a}}'),
    says: [/^16 notice ARGO-22: with CreateNamespace=true each sync writes "team" to the namespace/],
    twin: marking('{}'),
  },
  {
    title: 'ARGO-22 labels of ours on the namespace',
    yaml: marking('{labels: {team: a, sallyport.dev/guard: "off"}, annotations: {sallyport.dev/x: y1}}'),
    says: [
      /^16 warn ARGO-22: .* writes "sallyport\.dev\/guard", "sallyport\.dev\/x" to the namespace, .* WH-M15 denies/,
    ],
    twin: marking('{labels: {}}'),
  },
]

for (const { title, yaml, says, given, twin, twinGiven } of ROWS) {
  t.test(title, async (t) => {
    const files = given?.after === undefined ? given : { ...given, after: { [APP]: yaml } }
    t.match(saidOf(yaml, files), says)
    t.equal(saidOf(yaml, files).length, says.length)
    t.same(saidOf(twin, twinGiven), [])
  })
}

/** All that Argo CD 3.1.16 and its engine look for, and by which rule each is told; '' has no effect on what is published. */
const SYNC_OPTIONS: Readonly<Record<string, string>> = {
  'ApplyOutOfSyncOnly=true': 'notice ARGO-16',
  'ClientSideApplyMigration=false': '',
  'ClientSideApplyMigration=true': '',
  'CreateNamespace=true': 'notice ARGO-16',
  'Delete=confirm': 'notice ARGO-16',
  'Delete=false': 'notice ARGO-16',
  'FailOnSharedResource=true': 'notice ARGO-16',
  'Force=true': 'deny ARGO-8',
  'Prune=confirm': 'notice ARGO-16',
  'Prune=false': 'notice ARGO-16',
  'PruneLast=true': 'notice ARGO-16',
  'PrunePropagationPolicy=background': 'notice ARGO-16',
  'PrunePropagationPolicy=foreground': 'notice ARGO-16',
  'PrunePropagationPolicy=orphan': 'notice ARGO-16',
  'Replace=true': 'warn ARGO-7',
  'RespectIgnoreDifferences=true': '',
  'ServerSideApply=false': '',
  'ServerSideApply=true': 'notice ARGO-9',
  'SkipDryRunOnMissingResource=true': 'notice ARGO-16',
  'Validate=false': 'notice ARGO-16',
}

t.test('each sync option is known, and a letter more is not', async (t) => {
  for (const [option, rule] of Object.entries(SYNC_OPTIONS)) {
    t.same(
      saidOf(options(option)).map((line) => line.replace(/^16 (\w+ ARGO-\d+): .*/s, '$1')),
      rule === '' ? [] : [rule],
      option,
    )
    t.match(saidOf(options(`X${option}`)), [/^16 warn ARGO-16: .* is none that Argo CD 3\.1 knows/], option)
  }
})

t.test('ARGO-5 a version that git adds is not published where git leaves the list alone', async (t) => {
  const app = { [APP]: ignoring(VERSIONS, 'RespectIgnoreDifferences=true') }
  const change = (versions: readonly string[]): readonly string[] =>
    toldShortly(
      reviewed({ before: { ...stored, ...app }, after: { [MODULE]: moduleYaml(versions), ...app } }),
    )
  t.same(change([...PUBLISHED, '21.12.0']), ['apps/modules.yaml:16 warn ARGO-5'])
  t.same(change(PUBLISHED), [])
})

const tried = (text: string): readonly string[] =>
  told(beside(retry(text))).map((line) => line.replace(/^apps\/modules\.yaml:/, ''))

t.test('ARGO-6 how long a denied sync is tried again', async (t) => {
  t.match(tried('{limit: -1}'), [/^16 warn ARGO-6: a denied sync is tried again without end/])
  t.match(tried('{limit: 3}'), [
    /^16 notice ARGO-6: .* 3 more times and stays in phase Running for 1 min 10 s/,
  ])
  t.match(tried('{limit: 20}'), [
    /^16 warn ARGO-6: .* 20 more times and stays in phase Running for 50 min 10 s/,
  ])
  t.match(tried('{limit: 2, backoff: {duration: 1s, factor: 1, maxDuration: 1s}}'), [
    /^16 notice ARGO-6: .* 2 more times and stays in phase Running for 2 s/,
  ])
  t.match(tried('{limit: 2, backoff: {duration: soon}}'), [/^16 warn ARGO-6: .* for some time/])
  t.same(tried('{limit: 0}'), [])
  t.same(tried('{}'), [], 'a retry without a limit is none')
  t.same(tried('{limit: 50, refresh: true}'), [], 'a new commit ends the attempts at the old one')
})

const gone = (application: string, before: Files = stored): ReturnType<typeof reviewed> =>
  reviewed({ before: { ...before, [APP]: application }, after: { [APP]: application } })

t.test('a file that goes, and an Application that is known', async (t) => {
  t.match(told(gone(applicationYaml())), [
    /^modules\/eks\.yaml:1 warn GIT-4: gone from the files, and Application my-org-opendepot-modules does not prune: it stays in the cluster with all its versions, and the Application is OutOfSync/,
  ])
  const pruning = applicationYaml({ 'prune: false': 'prune: true' })
  t.same(toldShortly(gone(pruning)), ['modules/eks.yaml:1 deny WH-M12', 'apps/modules.yaml:17 warn ARGO-1'])
  const kept = {
    [MODULE]: moduleYaml(PUBLISHED, {
      '  namespace: opendepot-system\n':
        '  namespace: opendepot-system\n  annotations: {argocd.argoproj.io/sync-options: "Prune=false"}\n',
    }),
  }
  t.same(
    toldShortly(gone(pruning, kept)),
    ['apps/modules.yaml:17 warn ARGO-1', 'modules/eks.yaml:1 warn GIT-4'],
    'the Module says that it stays',
  )
})

t.test('an Application that applies something else is not judged', async (t) => {
  const other = applicationYaml({ 'path: modules': 'path: web', 'prune: false': 'prune: true' })
  t.same(told(beside(other)), [])
  t.same(toldShortly(beside(other.replace('path: web', 'path: ./modules/'))).slice(0, 1), [
    'apps/modules.yaml:17 deny ARGO-1',
  ])
  const nested = { 'modules/aws/eks.yaml': moduleYaml(PUBLISHED) }
  const pruning = applicationYaml({ 'prune: false': 'prune: true' })
  t.same(
    told(beside(pruning, { before: nested, after: { ...nested, [APP]: pruning } })),
    [],
    'it reads one folder',
  )
  const recursive = pruning.replace(
    '    path: modules\n',
    '    path: modules\n    directory: {recurse: true}\n',
  )
  t.same(
    toldShortly(beside(recursive, { before: nested, after: { ...nested, [APP]: recursive } })).slice(0, 1),
    ['apps/modules.yaml:18 deny ARGO-1'],
  )
})

t.test('an Application by itself is judged for its own sake', async (t) => {
  const pruning = applicationYaml({ 'prune: false': 'prune: true' })
  t.same(toldShortly(reviewed({ after: { [APP]: pruning } })).slice(0, 1), [
    'apps/modules.yaml:17 deny ARGO-1',
  ])
})

t.test('one that is named beside the change covers it, and is not held against it', async (t) => {
  const pruning = applicationYaml({ 'prune: false': 'prune: true', 'path: modules': 'path: elsewhere' })
  const review = reviewed({
    before: { 'eks.yaml': moduleYaml(PUBLISHED) },
    after: {},
    around: { [APP]: pruning },
  })
  t.same(toldShortly(review), ['eks.yaml:1 deny WH-M12', 'apps/modules.yaml:17 warn ARGO-1'])
  const unchanged = reviewed({ before: stored, after: stored, around: { [APP]: pruning } })
  t.match(told(unchanged), [/^apps\/modules\.yaml:17 warn ARGO-1: .* \(as it was before this change\)$/])
})

t.test('what stood before is told as that, and what is new is refused', async (t) => {
  const pruning = applicationYaml({ 'prune: false': 'prune: true' })
  const before = { ...stored, [APP]: pruning }
  t.match(told(reviewed({ before, after: before })), [/warn ARGO-1: .* \(as it was before this change\)$/])
  const worse = reviewed({
    before,
    after: { ...stored, [APP]: pruning.replace('prune: true', 'prune: true\n      allowEmpty: true') },
  })
  t.match(toldShortly(worse), ['apps/modules.yaml:18 deny ARGO-2', 'apps/modules.yaml:17 warn ARGO-1'])
})

t.test('ARGO-12 an Application that goes with its finalizer', async (t) => {
  const app = { [APP]: finalizer('resources-finalizer.argocd.argoproj.io') }
  t.match(told(reviewed({ before: { ...stored, ...app }, after: stored })), [
    /^apps\/modules\.yaml:1 warn ARGO-12/,
  ])
  t.same(told(reviewed({ before: { ...stored, [APP]: applicationYaml() }, after: stored })), [])
})

t.test('several sources are judged each, and source is passed over beside them', async (t) => {
  const several = applicationYaml({
    '  source:\n': '  sources:\n    - {repoURL: x, path: modules}\n    - {repoURL: c, chart: z}\n  source:\n',
    'path: modules\n  dest': 'path: web\n  dest',
    'prune: false': 'prune: true',
  })
  t.match(saidOf(several), [/^20 deny ARGO-1/, /^10 notice ARGO-14/])
})

t.test('an Application that Argo CD could not read is refused', async (t) => {
  t.match(saidOf(applicationYaml({ 'prune: false': 'prune: maybe' })), [
    '17 deny GIT-1: Argo CD could not read it: spec.syncPolicy.automated.prune is not true or false',
  ])
})

t.test('an object without a namespace goes where its Application says', async (t) => {
  const bare = moduleYaml(PUBLISHED, { '  namespace: opendepot-system\n': '' })
  const app = { [APP]: applicationYaml() }
  const review = reviewed({ before: { ...stored, ...app }, after: { [MODULE]: bare, ...app } })
  t.match(review, { findings: [], unchanged: 2 })
  const elsewhere = reviewed({
    before: { ...stored, ...app },
    after: { [MODULE]: bare, ...app },
    namespace: 'team-a',
  })
  t.match(toldShortly(elsewhere), [/deny WH-M10/, /warn GIT-4/], '-n says it otherwise')
})
