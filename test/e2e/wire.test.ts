// The same Dex configuration and the same requests to the real Dex and to ours. What is not equal must be on the closed
// list, and an entry of the list that no longer differs must go.
import t from 'tap'
import { DEX_DIFFERENCES } from '../../src/broker/wire/dex_differences.ts'
import { dexBinary, peerOrSkip, startDex } from '../support/peers.ts'
import { startSallyport } from '../support/sallyport.ts'
import { probesOf, startPair, startWireUpstream, worlds } from './wire/arena.ts'
import { judgeDifferences } from './wire/closed_list.ts'
import type { Compared } from './wire/closed_list.ts'
import { unexpected } from './wire/contender.ts'

const dex = await peerOrSkip(dexBinary)
const compared: Compared[] = []

for (const world of worlds) {
  t.test(`both brokers answer the probes of the ${world} world`, { skip: dex.skip }, async (t) => {
    const upstream = await startWireUpstream()
    t.teardown(() => upstream.stop())
    const pair = await startPair(
      world,
      upstream,
      (config) => startDex({ config }),
      (config) => startSallyport({ dexConfig: config }),
    )
    t.teardown(() => pair.stop())
    for (const probe of probesOf(world)) {
      const outcome = await pair.compare(probe)
      compared.push({ probe: probe.name, differences: outcome.differences })
      t.equal(unexpected(outcome.dex, probe.dex), undefined, `Dex: ${probe.name} (${probe.proves})`)
      t.equal(unexpected(outcome.ours, probe.ours ?? probe.dex), undefined, `ours: ${probe.name}`)
    }
  })
}

t.test('what is not equal is on the closed list', { skip: dex.skip }, async (t) => {
  const { unlisted } = judgeDifferences(compared, DEX_DIFFERENCES)
  for (const { probe, aspect, dex: theirs, ours } of unlisted) {
    t.fail(`${probe} > ${aspect}`, { dex: theirs, ours })
  }
  t.ok(compared.length >= 100, `${compared.length} probes were compared`)
})

t.test('every entry of the closed list still differs', { skip: dex.skip }, async (t) => {
  t.same(judgeDifferences(compared, DEX_DIFFERENCES).stale, [])
})
