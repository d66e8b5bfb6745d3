// Whether the expressions of generated policies fit the objects that they are for: kube-controller-manager type-checks each against
// the definitions of the cluster, and says so in its status.
import t from 'tap'
import type { Test } from 'tap'
import { admissionPolicies } from '../../src/core/module/generate/admission_policies.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import { kubeBinaries, kubeVersions } from '../support/kube_binaries.ts'
import type { KubeVersion } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { mustPrint as must } from '../support/kube_modules.ts'

t.setTimeout(400_000)

/** With everything that makes another expression; half of the rules warn. */
const STRICT = {
  apiVersion: 'sallyport.dev/v1alpha1',
  kind: 'ModulePolicy',
  metadata: { name: 'strict' },
  spec: {
    selector: { namespaces: ['infra'], matchLabels: { tier: 'gold' } },
    immutability: 'required',
    ordering: 'backport',
    pins: 'required',
    publishers: [
      { source: 'github.com/acme/all', ids: ['1', '2'], refs: ['refs/heads/release/*/v{version}'] },
      { refs: ['refs/tags/{version}'] },
    ],
    identities: {
      controller: { users: ['system:serviceaccount:opendepot-system:controllers'] },
      gitops: { groups: ['argocd'] },
      importer: { users: ['ivan'] },
      human: { groups: ['platform'] },
    },
    exceptions: [
      {
        rules: ['WH-M2', 'WH-S3'],
        modules: ['infra/vpc'],
        until: '2099-01-01T00:00:00Z',
        approver: 'jo',
        reason: 'it is moved',
      },
    ],
    modes: { 'WH-V4': 'warn', 'WH-P2': 'warn', 'WH-S1': 'warn', 'WH-M7': 'audit' },
  },
}

/** What a label may choose makes expressions of its own in what holds without a policy. */
const LOOSER = {
  apiVersion: 'sallyport.dev/v1alpha1',
  kind: 'ModulePolicy',
  metadata: { name: 'looser' },
  spec: { selector: { namespaces: ['labs'], matchLabels: { tier: 'tin' } }, defaultMode: 'warn' },
}

for (const version of kubeVersions()) {
  const { skip } = await peerOrSkip(() => kubeBinaries(version))
  t.test(`every generated policy fits the definitions for kube-apiserver ${version}`, { skip }, (t) =>
    checkTypes(t, version),
  )
}

async function checkTypes(t: Test, version: KubeVersion): Promise<void> {
  const cluster = await kubeClusterFor(t, { version, controllerManager: true })
  for (const folder of ['opendepot', 'sallyport']) {
    const manifests = await must(cluster, ['kustomize', `deploy/crds/${folder}`])
    await must(cluster, ['apply', '--server-side', '-f', '-'], manifests)
    await must(cluster, ['wait', '--for=condition=Established', '--timeout=20s', '-f', '-'], manifests)
  }
  const policies = [STRICT, LOOSER].map((policy) => {
    const read = readModulePolicy(policy)
    if (!read.ok) throw new Error(read.denial)
    return read.value
  })
  const items = admissionPolicies(policies, {
    ledgerWriters: ['webhook'],
    guard: {
      configuration: 'sallyport-webhook',
      namespace: 'sallyport-system',
      service: 'sallyport-webhook',
      secret: 'sallyport-webhook-tls',
      keepers: ['webhook'],
    },
  })
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  const apply = ['apply', '--server-side', '--validate=strict', '-f', '-']
  const applied = await cluster.kubectl(apply, { input, timeoutMs: 120_000 })
  // What is not taken is not checked either, and would be waited for.
  if (!t.same([applied.code, applied.stderr], [0, ''])) return
  const count = items.filter(({ kind }) => kind === 'ValidatingAdmissionPolicy').length
  t.same(await typeWarnings(cluster, count), [])

  await t.test('and a policy that does not fit is told of', async (t) => {
    const [first] = items
    const broken = structuredClone(Object(first))
    broken.metadata.name = 'broken'
    broken.spec.validations[0].expression = 'object.spec.moduleConfig.immutible == true'
    await must(cluster, ['create', '-f', '-'], JSON.stringify(broken))
    t.match(JSON.stringify(await typeWarnings(cluster, count + 1)), /broken.*undefined field 'immutible'/)
  })
}

/** Once every policy has been checked as it stands: what is wrong with any of them. */
async function typeWarnings(cluster: KubeCluster, count: number): Promise<readonly unknown[]> {
  const deadline = Date.now() + 180_000
  for (;;) {
    const text = await must(cluster, ['get', 'validatingadmissionpolicies', '-o', 'json'])
    const { items } = Object(JSON.parse(text))
    const seen = items.filter(
      ({ metadata, status }: ReturnType<typeof Object>) => status?.observedGeneration === metadata.generation,
    )
    if (seen.length === count) {
      return seen.flatMap(({ metadata, status }: ReturnType<typeof Object>) =>
        (status.typeChecking?.expressionWarnings ?? []).map((warning: unknown) => [metadata.name, warning]),
      )
    }
    if (Date.now() > deadline) throw new Error(`${seen.length} of ${count} policies are type-checked`)
    // Each look is a process and a list of megabytes, on the cores that check.
    await new Promise((resolve) => setTimeout(resolve, 3000))
  }
}
