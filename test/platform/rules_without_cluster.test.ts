// The rules and the ledger where there is no cluster: an object source asks them as functions before it accepts an edit, and
// tells the ledger of what it accepted. The ledger is a SQLite file, so that it survives the source.
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import { moduleKeyOf, writesOfCommit } from '../../src/core/module/ledger_feed.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import { denialOf } from '../../src/core/module/verdict_message.ts'
import { openStoreLedger } from '../../src/platform/ledger/store_ledger.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { aModule, alice, MUTABLE, NOON } from '../support/module_changes.ts'

const nothing = (): void => undefined
const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** What a registry without a cluster is to the rules: it holds one object, and accepts an edit or says why not. */
async function openSource(t: Test, file: string) {
  const store = await openSqliteStore({ file, clock: () => NOON * 1000, busyTimeoutMs: 5000 })
  t.teardown(() => store.close())
  const ledger = await openStoreLedger({ store, log })
  let stored: ModuleObject | undefined
  return {
    ledger,
    async edit(next: ModuleObject | undefined): Promise<string> {
      const old = stored
      const object = next ?? old
      if (object === undefined) return ''
      const key = moduleKeyOf(object)
      const { namespace, name } = key
      const replaced = next === undefined ? 'DELETE' : 'UPDATE'
      const operation = old === undefined ? 'CREATE' : replaced
      const about = { resource: 'modules', subResource: '', namespace, name, dryRun: false } as const
      const facts = { ...NO_FACTS, published: ledger.published(key), module: old }
      const asker = { user: alice, mayDo: new Set<never>(), atSeconds: NOON }
      const verdict = judgeUnderPolicies({ ...about, operation, old, new: next }, asker, [], facts)
      const denial = denialOf(verdict)
      if (denial !== undefined) return denial.message
      stored = next
      const author = { attribution: { by: alice.username } }
      const writes = writesOfCommit(
        { before: old, after: next, seen: { author, atSeconds: NOON, revision: '' } },
        {
          published: (module) => ledger.published(module),
          digestOf: () => undefined,
          isRequiredImmutable: () => false,
        },
      )
      await ledger.record(key, writes)
      return verdict.warnings.filter((text) => !text.startsWith('WH-P1')).join('\n')
    },
  }
}

t.test('an edit that re-tags is refused before it is accepted, and after a restart, too', async (t) => {
  const file = join(t.testdir(), 'own', 'sallyport.db')
  const source = await openSource(t, file)
  t.equal(await source.edit(aModule()), '')
  t.match(
    await source.edit(aModule({ versions: ['1.1.0'] })),
    /^WH-V1: version 1\.0\.0 was published by "alice"/,
  )
  t.match(await source.edit(undefined), /^WH-M12: /)
  t.equal(
    await source.edit(aModule({ versions: ['1.0.0', '1.1.0', '1.2.0'] })),
    '',
    'the next one is accepted',
  )
  await source.ledger.close()

  // Its objects are lost with it; the ledger is not.
  const again = await openSource(t, file)
  t.match(
    await again.edit(aModule()),
    /^WH-M13: version 1\.0\.0 was published before under this name by "alice"/,
  )
  t.equal(await again.edit(aModule({ versions: ['2.0.0'] })), '')
  await again.ledger.close()
})

t.test('where nothing is immutable a version goes and comes back, is told and remembered', async (t) => {
  const source = await openSource(t, join(t.testdir(), 'own', 'sallyport.db'))
  t.match(await source.edit(aModule(MUTABLE)), /^WH-M4: /)
  t.match(
    await source.edit(aModule({ ...MUTABLE, versions: ['1.1.0'] })),
    /^WH-V1: version 1\.0\.0 was published/,
  )
  const { namespace, name } = aModule().meta
  const facts = source.ledger.published({ kind: 'Module', namespace, name }).get('1.0.0')
  t.match(facts, { state: 'unpublished', removedBy: 'alice' })
  t.match(await source.edit(aModule(MUTABLE)), /^WH-V2: version 1\.0\.0 was published before/)
  await source.ledger.close()
})
