// The rows about lists of versions again, where the list is the plain one of OpenDepot's own definition: who applies by force has
// the whole of it, and the server itself refuses a second manager without force.
import t from 'tap'
import { checkPlayed, playRows } from '../conformance/kube_door.ts'
import type { Played } from '../conformance/kube_door.ts'
import type { Row } from '../conformance/module_cases.ts'
import { ROWS } from '../conformance/module_table.ts'
import { openWorld } from '../conformance/module_world.ts'
import { openWebhookDoor } from '../conformance/webhook_door.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const LISTS = ROWS.filter(({ title, stored }) => /^WH-[VD]/.test(title) && stored !== undefined).map(asAtomic)

function asAtomic(row: Row): Row {
  return row.atomic === undefined || row.atomic === 'conflict' ? row : { ...row, expect: row.atomic }
}

function isConflict({ row }: Pick<Played, 'row'>): boolean {
  return row.atomic === 'conflict'
}

t.test('the table through the webhook, with the plain list', { skip, timeout: 300_000 }, async (t) => {
  const world = await openWorld(t, LISTS, 'opendepot-atomic')
  await openWebhookDoor(t, world, 'opendepot-atomic')
  const played = await playRows(world, LISTS)
  checkPlayed(
    t,
    'webhook',
    played.filter((one) => !isConflict(one)),
  )
  for (const { row, typed } of played.filter(isConflict)) {
    t.test(`${row.title} is refused by the server`, async (t) => {
      t.equal(typed.code, 1)
      t.match(typed.stderr, /Apply failed with 1 conflict: conflict with "ci-a": \.spec\.versions/)
      t.notMatch(typed.stderr, /WH-/)
    })
  }
})
