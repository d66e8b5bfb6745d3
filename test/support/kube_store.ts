// Stores in a test cluster: a namespace each, the definitions made once.
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../src/core/clock.ts'
import { openKubeStore } from '../../src/platform/store/kube_store.ts'
import type { KubeStoreOptions, KubeStorePlace } from '../../src/platform/store/kube_store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import type { KubeCluster } from './kube_cluster.ts'

let namespaces = 0

/** A new one. */
export async function makeNamespace(cluster: KubeCluster): Promise<string> {
  namespaces += 1
  const name = `store-${namespaces}`
  const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
  const { status } = await cluster.request('/api/v1/namespaces', { method: 'POST', body })
  if (status !== 201) throw new Error(`namespace ${name}: ${status}`)
  return name
}

/** As the administrator, patiently. */
export function storePlace(
  cluster: KubeCluster,
  namespace: string,
  change: Partial<KubeStorePlace> = {},
): KubeStorePlace {
  return {
    from: { kubeconfig: cluster.adminKubeconfig, context: undefined },
    namespace,
    definitions: 'ensure',
    requestTimeoutSeconds: 120,
    maxEntries: 50_000,
    ...change,
  }
}

export const storeClock: Clock = () => Date.UTC(2026, 10, 21)

/** With a fixed clock, which all replicas share, unless another is given. */
export function openStoreIn(place: KubeStorePlace, change: Partial<KubeStoreOptions> = {}): Promise<Store> {
  const clock = change.clock ?? storeClock
  return openByClusterClock(place, { clock, sharedClock: async () => clock(), ...change })
}

/** Replicas share the clock of the apiserver. */
export function openByClusterClock(
  place: KubeStorePlace,
  change: Partial<KubeStoreOptions> & Pick<KubeStoreOptions, 'clock'>,
): Promise<Store> {
  return openKubeStore({ place, randomBytes, log: { warn: () => {} }, env: process.env, ...change })
}
