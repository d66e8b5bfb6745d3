// The store in a cluster on a real kube-apiserver: what every store does.
import t from 'tap'
import { describeStore } from '../conformance/store.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { makeNamespace, openStoreIn, storePlace } from '../support/kube_store.ts'

const cluster = await kubeClusterFor(t)

t.test('the store in a cluster', async (t) => {
  describeStore(t, {
    open: async (_t, clock) => openStoreIn(storePlace(cluster, await makeNamespace(cluster)), { clock }),
  })
})
