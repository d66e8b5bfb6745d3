import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { STORE_DEFINITIONS } from '../../src/platform/store/kube_definitions.ts'
import { entryName, entryObject, readEntry } from '../../src/platform/store/kube_entries.ts'

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
