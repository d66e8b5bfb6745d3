// What an Application applied and no longer finds: to Argo CD it is gone from git, though its file stands where it stood.
import t from 'tap'
import { applicationYaml, moduleYaml, reviewed, told, toldShortly } from '../support/reviewed.ts'
import type { Files } from '../support/reviewed.ts'

const MODULE = 'modules/eks.yaml'
const APP = 'apps/modules.yaml'
const PUBLISHED = ['21.10.1', '21.11.0']
const stored = { [MODULE]: moduleYaml(PUBLISHED) }
const keeping = applicationYaml()
const pruning = applicationYaml({ 'prune: false': 'prune: true' })

/** Without the notice about five attempts and what stood before. */
function saidOf(before: Files, after: Files): readonly string[] {
  return told(reviewed({ before, after })).filter(
    (line) => !/ notice ARGO-6: | \(as it was before this change\)$/.test(line),
  )
}

const changed = (from: string, to: string): readonly string[] =>
  saidOf({ ...stored, [APP]: from }, { ...stored, [APP]: to })

const gone = (from: string, to: string): readonly string[] =>
  saidOf({ ...stored, [APP]: from }, { [APP]: to }).map((line) => line.split(':', 2).join(':'))
const alone = (from: string, to: string): readonly string[] => saidOf({ [APP]: from }, { [APP]: to })
const from = (edit: { readonly [from: string]: string }): readonly string[] =>
  changed(keeping, applicationYaml(edit))

const elsewhere = (text: string): string => text.replace('path: modules', 'path: web')

t.test('ARGO-19 Modules leave an Application that prunes, and their files stay', async (t) => {
  t.match(changed(pruning, elsewhere(pruning)), [
    /^apps\/modules\.yaml:8 deny ARGO-19: Module opendepot-system\/terraform-aws-eks leaves Application my-org-opendepot-modules, which prunes: the next sync deletes it with every version/,
  ])
  t.same(changed(pruning, pruning), [])
  t.match(
    changed(keeping, elsewhere(pruning)).filter((line) => line.includes(' ARGO-19')),
    [/ deny ARGO-19/],
  )
  for (const maker of ['helm: {releaseName: x}', 'plugin: {name: x}', 'chart: x'])
    t.match(
      changed(pruning, pruning.replace('path: modules', `path: modules\n    ${maker}`)).slice(0, 1),
      [/ deny ARGO-19/],
      maker,
    )
})

t.test('ARGO-19 without pruning they are left behind, which is told', async (t) => {
  t.match(changed(keeping, elsewhere(keeping)), [
    /^apps\/modules\.yaml:8 warn ARGO-19: .* which does not prune it: it stays in the cluster with all versions, and no later commit arrives$/,
  ])
  t.match(
    changed(pruning, elsewhere(keeping)),
    [/ warn ARGO-19: .* which does not prune it: /],
    'the path and prune: false come in one write of the Application',
  )
  const off = pruning.replace('prune: true', 'prune: true\n      enabled: false')
  t.match(changed(off, elsewhere(off)), [/ warn ARGO-19/], 'automation is off')
})

t.test('ARGO-19 a Module that says Prune=false stays', async (t) => {
  const kept = {
    [MODULE]: moduleYaml(PUBLISHED, {
      '  namespace: opendepot-system\n':
        '  namespace: opendepot-system\n  annotations: {argocd.argoproj.io/sync-options: "Prune=false"}\n',
    }),
  }
  t.match(saidOf({ ...kept, [APP]: pruning }, { ...kept, [APP]: elsewhere(pruning) }), [
    / warn ARGO-19: .* which does not prune it \(Prune=false\)/,
  ])
})

t.test('ARGO-19 a file that moves out of the folder leaves, too', async (t) => {
  const moved = { 'web/eks.yaml': stored[MODULE] ?? '' }
  const move = (app: string, then: string): readonly string[] =>
    saidOf({ ...stored, [APP]: app }, { ...moved, [APP]: then }).filter((line) => !line.includes(' GIT-3: '))
  t.match(move(pruning, pruning), [/ deny ARGO-19/])
  t.match(move(keeping, keeping), [/ warn ARGO-19/])
  t.same(move(keeping, elsewhere(keeping)), [], 'folder and path move together')
  t.match(move(pruning, elsewhere(pruning)), [
    / warn ARGO-19: .* while the cluster still has the former Application, its sync deletes it/,
  ])
})

t.test('ARGO-19 one that is named beside the change is asked, too', async (t) => {
  const given = {
    before: stored,
    after: { 'web/eks.yaml': stored[MODULE] ?? '' },
    around: { 'argo/app.yaml': pruning },
  }
  t.match(toldShortly(reviewed(given)), ['argo/app.yaml:8 deny ARGO-19', /warn ARGO-1$/, /notice GIT-3/])
})

t.test('a file that goes with the path of its Application is judged by what it did', async (t) => {
  t.same(gone(pruning, elsewhere(pruning)), ['modules/eks.yaml:1 deny WH-M12'])
  t.same(gone(keeping, elsewhere(keeping)), ['modules/eks.yaml:1 warn GIT-4'])
})

t.test('a file that goes with the change that turns pruning off is deleted before that', async (t) => {
  t.match(saidOf({ ...stored, [APP]: pruning }, { [APP]: keeping }), [
    /^modules\/eks\.yaml:1 deny WH-M12: .* \(the cluster still has the former Application my-org-opendepot-modules, which prunes: prune: false comes first, in a change of its own\)$/,
  ])
  t.same(gone(pruning, elsewhere(keeping)), ['modules/eks.yaml:1 deny WH-M12'], 'with its path, too')
  t.same(gone(keeping, pruning).slice(0, 1), ['apps/modules.yaml:17 deny ARGO-1'])
  t.same(gone(keeping, pruning).slice(1, 2), ['modules/eks.yaml:1 deny WH-M12'], 'turned on')
  t.same(gone(keeping, keeping), ['modules/eks.yaml:1 warn GIT-4'])
  t.same(
    gone(elsewhere(pruning), keeping),
    ['modules/eks.yaml:1 warn GIT-4'],
    'what the former one did not apply',
  )
  const other = keeping.replace('my-org-opendepot-modules', 'other')
  t.match(
    saidOf({ ...stored, [APP]: pruning }, { [APP]: elsewhere(keeping), 'apps/other.yaml': other }),
    [/^modules\/eks\.yaml:1 deny WH-M12: .* the former Application my-org-opendepot-modules/],
    'another one takes its folder',
  )
})

const bare = moduleYaml(PUBLISHED, { '  namespace: opendepot-system\n': '' })
const inTeam = (text: string): string => text.replace('namespace: opendepot-system', 'namespace: team-a')

t.test('a Module without a namespace is where its Application put it before the change', async (t) => {
  const files = { [MODULE]: bare }
  const app = inTeam(pruning)
  t.match(saidOf({ ...files, [APP]: app }, { ...files, [APP]: elsewhere(app) }), [
    / deny ARGO-19: Module team-a\/terraform-aws-eks leaves /,
  ])
  t.match(
    reviewed({
      before: { ...files, [APP]: inTeam(keeping) },
      after: { 'web/eks.yaml': bare, [APP]: elsewhere(inTeam(keeping)) },
    }),
    { findings: [{ rule: 'GIT-3', object: 'Module team-a/terraform-aws-eks' }] },
    'file and path move together',
  )
  t.match(
    reviewed({ before: { ...files, [APP]: app }, after: { [APP]: elsewhere(app) } }),
    { findings: [{ rule: 'WH-M12', object: 'Module team-a/terraform-aws-eks' }] },
    'its file goes',
  )
  t.same(saidOf(files, { ...files, [APP]: inTeam(keeping) }), [], 'the Application is new')
  t.same(saidOf({ ...files, [APP]: inTeam(keeping) }, files), [], 'the Application is gone')
})

t.test('another destination.namespace makes another Module', async (t) => {
  const move = (app: string): readonly string[] =>
    saidOf({ [MODULE]: bare, [APP]: app }, { [MODULE]: bare, [APP]: inTeam(app) })
  t.match(move(pruning), [
    / deny WH-M12: this Module published 21\.10\.1, 21\.11\.0 and would be deleted/,
    / deny WH-M10: /,
  ])
  t.match(move(keeping), [/ deny WH-M10: /, / warn GIT-4: .* it stays in the cluster with all its versions/])
  t.same(changed(pruning, inTeam(pruning)), [], 'one that says where it is stays')
})

t.test('ARGO-19 where the Modules are in another repository, its folder is looked at', async (t) => {
  t.match(alone(pruning, elsewhere(pruning)), [
    /^apps\/modules\.yaml:8 warn ARGO-19: it no longer applies "modules": Modules of there .* are deleted with every version/,
  ])
  t.match(alone(keeping, elsewhere(keeping)), [/ warn ARGO-19: .* stay as they are/])
  t.same(alone(keeping, keeping.replace('path: modules', 'path: ./modules/')), [])
})

const picking = (app: string, directory: string): string =>
  app.replace('    path: modules\n', `    path: modules\n    directory: ${directory}\n`)

t.test('ARGO-19 patterns that leave files out', async (t) => {
  const excluding = picking(pruning, '{exclude: "*.txt"}')
  t.match(changed(pruning, excluding), [
    /^apps\/modules\.yaml:12 warn ARGO-19: other files are applied from now on \("\*\.txt"\), .* are deleted with every version$/,
  ])
  t.match(changed(keeping, picking(keeping, '{include: "a*"}')), [/ warn ARGO-19: .* stay as they are/])
  t.match(changed(excluding, picking(pruning, '{exclude: "*"}')), [/ warn ARGO-19: .*\("\*"\)/], 'another')
  t.match(alone(excluding, picking(pruning, '{include: "*"}')), [/ warn ARGO-19: /], 'in another repository')
  t.same(changed(excluding, pruning), [], 'none any more')
  t.same(changed(excluding, excluding.replace('path: modules', 'path: ./modules')), [], 'the same one')
  t.match(alone(excluding, elsewhere(excluding)), [/ warn ARGO-19: it no longer applies "modules"/])
})

t.test('ARGO-19 another cluster', async (t) => {
  const to = (destination: string): string =>
    keeping.replace(/    server: .*\n/, destination === '' ? '' : `    ${destination}\n`)
  t.match(changed(keeping, to('server: https://other.test')), [
    /^apps\/modules\.yaml:12 warn ARGO-19: from now on it applies to another cluster: what is published stays in the former one/,
  ])
  t.match(changed(keeping, to('name: other')), [/ warn ARGO-19: from now on/])
  t.match(alone(keeping, to('')), [/ warn ARGO-19: from now on/])
  for (const same of ['name: in-cluster', 'server: https://kubernetes.default.svc/'])
    t.same(changed(keeping, to(same)), [], same)
})

t.test('ARGO-12 an Application that goes while another takes its folder', async (t) => {
  const going = applicationYaml({
    '  namespace: argocd\n': '  namespace: argocd\n  finalizers: [resources-finalizer.argocd.argoproj.io]\n',
  })
  const other = keeping.replace('my-org-opendepot-modules', 'other')
  t.match(saidOf({ ...stored, [APP]: going }, { ...stored, 'apps/other.yaml': other }), [
    /^apps\/modules\.yaml:1 warn ARGO-12/,
  ])
})

t.test('ARGO-21 other content comes from elsewhere', async (t) => {
  t.match(from({ 'targetRevision: main': 'targetRevision: release' }), [
    /^apps\/modules\.yaml:10 warn ARGO-21: from now on it applies "https:\/\/github\.com\/my-org\/opendepot-manifests" at "release", of which this review sees nothing/,
  ])
  t.match(from({ 'my-org/opendepot-manifests': 'other/manifests' }), [/^apps\/modules\.yaml:9 warn ARGO-21/])
  t.same(from({}), [])
  const unsaid = applicationYaml({ '    targetRevision: main\n': '' })
  t.same(changed(unsaid, applicationYaml({ 'targetRevision: main': 'targetRevision: HEAD' })), [])
})

const several = (count: number, repository: string): string => {
  const sources = Array.from(
    { length: count },
    (_, index) => `    - {repoURL: https://git.test/${repository}/${index}, path: ${repository}/${index}}\n`,
  )
  return keeping.replace('  source:\n', `  sources:\n${sources.join('')}  source:\n`)
}

t.test('many sources that become others are told once, with three of them', async (t) => {
  t.match(alone(several(1000, 'a'), several(1000, 'b')), [
    / warn ARGO-19: it no longer applies "a\/0", "a\/1", "a\/2" and 997 more: /,
    / warn ARGO-21: from now on it applies "https:\/\/git\.test\/b\/0" at "HEAD", .*\/b\/2" at "HEAD" and 997 more, of which/,
  ])
  const twice = keeping.replace(
    '  source:\n',
    '  sources: [{repoURL: x, path: modules}, {repoURL: x, path: web}]\n  source:\n',
  )
  t.match(alone(keeping, twice), [/ it applies "x" at "HEAD", of which/], 'one that two sources name')
})

const withLogin = (login: string): readonly string[] =>
  from({ 'https://github.com/my-org': `https://${login}git.test/o` })

t.test('ARGO-21 the password of an address is not shown', async (t) => {
  const shown =
    / warn ARGO-21: from now on it applies "https:\/\/git\.test\/o\/opendepot-manifests" at "main"/
  for (const login of ['', 'bot:hunter2@', 'hunter2@', 'bot:hunter2@hunter2@'])
    t.match(withLogin(login), [shown], login)
  const long = withLogin(`bot:${'hunter2'.repeat(600)}@`)
  t.match(
    long,
    [/ from now on it applies "https:\/\/\.\.\." at /],
    'one that is longer than what is looked at',
  )
})
