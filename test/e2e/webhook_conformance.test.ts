// The conformance table through the webhook, on a real kube-apiserver: every row as somebody types it.
import t from 'tap'
import { audited, auditedOf, checkPlayed, eventsSince, playRows } from '../conformance/kube_door.ts'
import { ROWS } from '../conformance/module_table.ts'
import { openWorld } from '../conformance/module_world.ts'
import { recordedRequests, recording, writeRecorded } from '../conformance/recorded.ts'
import { openWebhookDoor } from '../conformance/webhook_door.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

t.test('the table through the webhook', { skip, timeout: 300_000 }, async (t) => {
  const began = Date.now()
  const world = await openWorld(t, ROWS, 'opendepot')
  const { recorder } = await openWebhookDoor(t, world, 'opendepot')
  const records = recording(recorder.requests)
  const opened = Date.now()
  const played = await playRows(world, ROWS, records.done)
  t.comment(`${ROWS.length} rows in ${Date.now() - opened} ms, after ${opened - began} ms`)
  checkPlayed(t, 'webhook', played)

  const events = await eventsSince(world, new Date(opened))
  t.test('and the audit log has the rules and modes of each row', async (t) => {
    for (const row of ROWS) t.same(auditedOf(events, row), audited(row.expect), row.name)
  })

  t.test('what the server sent is what the rules are held to without a cluster', async (t) => {
    const sent = records.records(ROWS)
    if (process.env['SALLYPORT_RECORD_CONFORMANCE'] === '1') writeRecorded(sent)
    const kept = recordedRequests()
    t.equal(sent.length, ROWS.length)
    for (const { row, request } of sent) t.same(request, kept.get(row), row)
  })
})
