// The conformance table through ValidatingAdmissionPolicies alone, on a real kube-apiserver: what they refuse and warn of without
// a webhook, and the cells that they cannot see.
import t from 'tap'
import { audited, auditedOf, checkPlayed, eventsSince, playRows } from '../conformance/kube_door.ts'
import { expectedAt } from '../conformance/module_cases.ts'
import { ROWS } from '../conformance/module_table.ts'
import { openWorld } from '../conformance/module_world.ts'
import { openVapDoor } from '../conformance/vap_door.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(600_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

/** Fifty compiled policies are more than a server of other tests has, which would do nothing but collect garbage. */
const ROOMY = { GOMEMLIMIT: '1200MiB', GOGC: '100' }

t.test('the table through ValidatingAdmissionPolicies', { skip, timeout: 600_000 }, async (t) => {
  const began = Date.now()
  const world = await openWorld(t, ROWS, 'opendepot', ROOMY)
  await openVapDoor(world)
  const opened = new Date()
  const played = await playRows(world, ROWS)
  t.comment(
    `${ROWS.length} rows in ${Date.now() - opened.getTime()} ms, after ${opened.getTime() - began} ms`,
  )
  checkPlayed(t, 'vap', played)
  const events = await eventsSince(world, opened)
  t.test('and the audit log has the rules of each row', async (t) => {
    for (const row of ROWS) {
      t.same(auditedOf(events, row).rules, audited(expectedAt(row, 'vap')).rules, row.name)
    }
  })
})
