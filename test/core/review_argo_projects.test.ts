// What the objects of Argo CD that are no Application do to published versions: projects, ApplicationSets, and annotations of Modules.
import t from 'tap'
import { aPolicy, argo } from '../support/module_changes.ts'
import { applicationYaml, moduleYaml, reviewed, told, toldShortly } from '../support/reviewed.ts'
import type { Files } from '../support/reviewed.ts'

const MODULE = 'modules/eks.yaml'
const APP = 'apps/modules.yaml'
const PUBLISHED = ['21.10.1', '21.11.0']
const stored = { [MODULE]: moduleYaml(PUBLISHED) }

const annotated = (annotation: string): readonly string[] =>
  toldShortly(
    reviewed({
      before: stored,
      after: {
        [MODULE]: moduleYaml(PUBLISHED, {
          '  namespace: opendepot-system\n': `  namespace: opendepot-system\n  annotations: {${annotation}}\n`,
        }),
      },
    }),
  )

t.test('annotations of a Module ask Argo CD for the same', async (t) => {
  t.same(annotated('argocd.argoproj.io/sync-options: "Force=true,Replace=true"'), [
    'modules/eks.yaml:6 deny ARGO-8',
    'modules/eks.yaml:6 warn ARGO-7',
  ])
  t.same(annotated('argocd.argoproj.io/hook: PreSync'), ['modules/eks.yaml:6 deny ARGO-18'])
  t.same(annotated('argocd.argoproj.io/hook: Skip'), [])
  t.same(annotated('argocd.argoproj.io/sync-options: "Force=false"'), [])
})

const project = (account: string): Files => ({
  'project.yaml': `apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: team-a, namespace: argocd}
spec:
  destinationServiceAccounts:
    - server: https://kubernetes.default.svc
      namespace: opendepot-system
      defaultServiceAccount: ${account}
`,
})

const under = (account: string, users: readonly string[]): readonly string[] => {
  const identities = { ...aPolicy().identities, gitops: { users, groups: [] } }
  return told(
    reviewed({
      before: {},
      after: project(account),
      policies: [{ name: 'p', spec: { ...aPolicy(), identities } }],
    }),
  )
}

t.test('ARGO-13 as whom a project writes', async (t) => {
  t.match(under('argocd:team-a', [argo.username]), [
    /^project\.yaml:8 warn ARGO-13: syncs of this project arrive as system:serviceaccount:argocd:team-a, which the ModulePolicy "p" does not list/,
  ])
  t.same(under('argocd:team-a', [argo.username, 'system:serviceaccount:argocd:team-a']), [])
  t.match(under('team-a', ['system:serviceaccount:opendepot-system:team-a']), [
    /^project\.yaml:8 warn ARGO-13: "team-a" names no namespace, so it is the ServiceAccount of the destination/,
  ])
})

const ofSet = (edit: (text: string) => string = (text) => text): readonly string[] => {
  const template = edit(applicationYaml({ '  namespace: argocd\n': '' }))
    .split('\n')
    .slice(2)
    .map((line) => `    ${line}`)
    .join('\n')
  const text = `apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: all, namespace: argocd}\nspec:\n  syncPolicy: {preserveResourcesOnDeletion: true}\n  template:\n${template}\n`
  return told(reviewed({ after: { [APP]: text } })).filter((line) => !line.includes('notice ARGO-6'))
}

t.test('an ApplicationSet is judged by its template, as far as it is written out', async (t) => {
  t.same(ofSet(), [])
  t.match(
    ofSet((text) => text.replace('prune: false', 'prune: true')),
    [/^apps\/modules\.yaml:20 deny ARGO-1/],
  )
  const bare = `apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: all}\nspec:\n  templatePatch: x\n  template: {metadata: {name: x}, spec: {project: p}}\n`
  t.match(told(reviewed({ after: { [APP]: bare } })), [
    /warn ARGO-11: an element that leaves the generator/,
    /notice ARGO-15/,
  ])
})

/** A new one beside a Module that does not change. */
const besideModule = (text: string): ReturnType<typeof reviewed> =>
  reviewed({ before: stored, after: { ...stored, [APP]: text } })

const appliedBy = (path: string): readonly string[] =>
  toldShortly(
    besideModule(`apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: all, namespace: argocd}
spec:
  syncPolicy: {preserveResourcesOnDeletion: true}
  template:
    spec:
      source: {path: "${path}"}
      syncPolicy: {automated: {prune: true, selfHeal: true}, retry: {limit: 0}}
`),
  )

t.test('a template of an ApplicationSet may apply what is below its fixed beginning', async (t) => {
  t.same(appliedBy('modules/{{path.basename}}'), [])
  t.same(appliedBy('{{path}}'), ['apps/modules.yaml:9 deny ARGO-1'])
  t.same(appliedBy('mod{{x}}'), ['apps/modules.yaml:9 deny ARGO-1'])
  t.same(appliedBy('web/{{x}}'), [])
})
