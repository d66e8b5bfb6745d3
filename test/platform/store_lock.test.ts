// The lock of a server on its store file; what a kill leaves of it is in test/cli/serving_store.test.ts.
import { existsSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { lockStore } from '../../src/platform/store/store_lock.ts'

t.test('a lock is held once, until it is released, also under another name of the file', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'own', 'sallyport.db')
  const first = await lockStore(file, 0)
  t.ok(first)
  t.ok(existsSync(`${file}.lock`), 'the folder is made as for the store')
  t.notOk(existsSync(file), 'and the store itself is left to its owner')
  symlinkSync(join(folder, 'own'), join(folder, 'link'))
  t.equal(await lockStore(file, 0), undefined)
  t.equal(await lockStore(join(folder, 'link', 'sallyport.db'), 0), undefined)
  const other = await lockStore(join(folder, 'own', 'other.db'), 0)
  t.ok(other, 'another store is free')
  other?.release()
  first?.release()
  const next = await lockStore(file, 0)
  t.ok(next)
  next?.release()
})

t.test('a server that comes while the last one ends waits for it', async (t) => {
  const file = join(t.testdir(), 'sallyport.db')
  const first = await lockStore(file, 0)
  setTimeout(() => first?.release(), 150)
  const second = await lockStore(file)
  t.ok(second)
  second?.release()
})

t.test('a folder that cannot be made is a StoreFailure that names the lock', async (t) => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'blocked'), '')
  const failed = lockStore(join(folder, 'blocked', 'sallyport.db'), 0)
  await t.rejects(failed, { name: 'StoreFailure', message: /sallyport\.db\.lock: / })
})
