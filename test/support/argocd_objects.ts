// What Argo CD's controller and repo server need in a cluster before they start: the least that upstream's install.yaml holds.
export const ARGOCD_NAMESPACE = 'argocd'

const CONTROLLER = 'argocd-application-controller'

type KubeObject = Readonly<Record<string, unknown>>

/** In this order. */
export const ARGOCD_OBJECTS: readonly KubeObject[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ARGOCD_NAMESPACE } },
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: CONTROLLER, namespace: ARGOCD_NAMESPACE } },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: CONTROLLER },
    rules: [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: CONTROLLER },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: CONTROLLER },
    subjects: [{ kind: 'ServiceAccount', name: CONTROLLER, namespace: ARGOCD_NAMESPACE }],
  },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: partOfArgo('argocd-cm') },
  { apiVersion: 'v1', kind: 'Secret', metadata: partOfArgo('argocd-secret') },
]

/** As argocd-server would make it. Needs its definition first. */
export const DEFAULT_PROJECT: KubeObject = {
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'AppProject',
  metadata: { name: 'default', namespace: ARGOCD_NAMESPACE },
  spec: {
    sourceRepos: ['*'],
    destinations: [{ server: '*', namespace: '*' }],
    clusterResourceWhitelist: [{ group: '*', kind: '*' }],
  },
}

function partOfArgo(name: string): KubeObject {
  return { name, namespace: ARGOCD_NAMESPACE, labels: { 'app.kubernetes.io/part-of': 'argocd' } }
}
