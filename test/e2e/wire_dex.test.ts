// Dex against itself: every probe gets from Dex what the dialect says, and two Dexes differ in nothing that is compared.
// Without this the comparison with our broker (wire.test.ts) would prove little.
import t from 'tap'
import { dexBinary, peerOrSkip, startDex } from '../support/peers.ts'
import { probesOf, startPair, startWireUpstream, worlds } from './wire/arena.ts'
import { unexpected } from './wire/contender.ts'
import { probes } from './wire/probes.ts'

const dex = await peerOrSkip(dexBinary)

t.test('there are at least 100 probes', async (t) => {
  t.ok(probes.length >= 100, `${probes.length} probes`)
})

for (const world of worlds) {
  t.test(
    `Dex answers every probe of the ${world} world as written, twice the same`,
    { skip: dex.skip },
    async (t) => {
      const upstream = await startWireUpstream()
      t.teardown(() => upstream.stop())
      const pair = await startPair(
        world,
        upstream,
        (config) => startDex({ config }),
        (config) => startDex({ config }),
      )
      t.teardown(() => pair.stop())
      for (const probe of probesOf(world)) {
        const outcome = await pair.compare(probe)
        t.equal(unexpected(outcome.dex, probe.dex), undefined, `${probe.name} (${probe.proves})`)
        t.same(outcome.differences, [], `${probe.name}: the same from another Dex`)
      }
    },
  )
}
