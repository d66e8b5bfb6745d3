// What of the store in a cluster can be told without one; with one: test/e2e/kube_store*.test.ts.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { kubernetesStore } from '../../src/broker/config/native_store.ts'
import { STORE_DEFINITIONS } from '../../src/platform/store/kube_definitions.ts'
import { entryName, entryObject, readEntry } from '../../src/platform/store/kube_entries.ts'
import { openStoreIn } from '../support/kube_store.ts'
import { kubeconfigText } from '../support/fake_apiserver.ts'

const FOLDER = join(import.meta.dirname, '../../deploy/crds/store')

t.test('what is installed from deploy/crds is what `store migrate` makes', async (t) => {
  const files = ['storeentries.yaml', 'claimsets.yaml']
  t.same(
    files.map((file) => parse(readFileSync(join(FOLDER, file), 'utf8'))),
    STORE_DEFINITIONS,
  )
})

const held = { value: 'v', expiresAt: 1500 }
const written = entryObject('replay/a', { held, intent: undefined, writer: 'w' })
const stored = (name: string) => ({
  ...written,
  metadata: { ...Object(written['metadata']), name, uid: 'u', resourceVersion: '1' },
})

t.test('an entry reads as it was written, and its end is a label in whole seconds', async (t) => {
  t.match(readEntry(stored(entryName('replay/a'))), { key: 'replay/a', held, intent: undefined })
  t.match(written, {
    metadata: { labels: { 'sallyport.dev/expires': '2', 'sallyport.dev/owner': 'replay' } },
  })
})

t.test("an object under another name than its key's is nobody's entry", async (t) => {
  t.equal(readEntry(stored(entryName('replay/b'))), undefined)
})

t.test('what stays has no label by which it could be swept, an intent that stays included', async (t) => {
  const stays = { value: 'v', expiresAt: undefined }
  for (const content of [
    { held: stays, intent: undefined },
    { held, intent: { ...stays, set: 's' } },
  ]) {
    const { metadata } = entryObject('keys/ring', { ...content, writer: 'w' })
    t.notHas(Object(metadata).labels, 'sallyport.dev/expires')
  }
})

t.test(
  'outside of a Pod the ServiceAccount of a Pod is not to be had, and the way out is said',
  async (t) => {
    const { place } = kubernetesStore()
    await t.rejects(openStoreIn(place, { env: {} }), {
      name: 'StoreFailure',
      message: /KUBERNETES_SERVICE_HOST is not set\n {4}-> .*store\.kubeconfig; Dex: kubeConfigFile/,
    })
  },
)

t.test('what cannot be the name of a namespace gets into no path', async (t) => {
  const kubeconfig = join(t.testdir(), 'kubeconfig')
  writeFileSync(kubeconfig, kubeconfigText('https://127.0.0.1:1', ''))
  for (const namespace of ['../kube-system', 'A', 'a/b', '-a', 'a'.repeat(64)]) {
    const { place } = kubernetesStore({ kubeconfig, namespace })
    await t.rejects(openStoreIn(place), /is not the name of a namespace\n {4}-> store\.namespace/, namespace)
  }
})
