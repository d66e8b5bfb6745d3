// The clock of this machine beside the one that all replicas share.
import t from 'tap'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import type { KeyRingDeps } from '../../src/platform/keys/key_ring.ts'
import { createRandomBytes } from '../../src/platform/random.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { openClockWatch } from '../../src/platform/clock_watch.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'

const START = Date.UTC(2026, 10, 21)

/** Three clocks, and what the log said. `fails`: the store does not answer. */
async function watched(change: { readonly ahead?: number } = {}) {
  const world = { own: START + (change.ahead ?? 0), shared: START, monotonic: 5000, fails: false, looks: 0 }
  const said: string[] = []
  const tell = (_fields: object, message: string): void => void said.push(message)
  const watch = await openClockWatch({
    clock: () => world.own,
    monotonic: () => world.monotonic,
    shared: async () => {
      world.looks += 1
      if (world.fails) throw new StoreFailure('the database is away')
      return world.shared
    },
    log: { error: tell, warn: tell, info: tell },
    lookEveryMs: 0,
  })
  const pass = (milliseconds: number): void => {
    world.own += milliseconds
    world.shared += milliseconds
    world.monotonic += milliseconds
  }
  return { watch, world, said, pass }
}

t.test('clocks that agree go on agreeing while time passes, and nothing is said', async (t) => {
  const { watch, said, pass } = await watched({ ahead: 29_000 })
  pass(3_600_000)
  t.equal(watch.offBySeconds(), undefined)
  t.strictSame(said, [])
})

t.test('a clock that is wrong at the start is known from the first request on', async (t) => {
  const { watch, said } = await watched({ ahead: -75_000 })
  t.equal(watch.offBySeconds(), -75)
  t.strictSame(said, ["the clock here is off the store's: nothing is issued until they agree"])
})

t.test('a clock that jumps is seen at once, not with the next look, and said once', async (t) => {
  const { watch, world, said } = await watched()
  world.own += 3_600_000
  t.equal(watch.offBySeconds(), 3600)
  t.equal(watch.offBySeconds(), 3600)
  t.equal(world.looks, 1)
  t.equal(said.length, 1)
  world.own -= 3_600_000
  t.equal(watch.offBySeconds(), undefined)
})

t.test('after a machine was suspended one look sets it right', async (t) => {
  const { watch, world, said } = await watched()
  // The monotonic clock stood still.
  world.own += 600_000
  world.shared += 600_000
  t.equal(watch.offBySeconds(), 600)
  world.monotonic += 1000
  t.equal(watch.offBySeconds(), 599)
  t.equal(world.looks, 2, 'who asks again has it looked at')
  await watch.look()
  t.equal(watch.offBySeconds(), undefined)
  t.equal(said.at(-1), "the clock here agrees with the store's again")
})

t.test('while the store is away what was seen last holds on', async (t) => {
  const { watch, world, pass } = await watched()
  world.fails = true
  pass(7_200_000)
  await t.rejects(watch.look(), new StoreFailure('the database is away'))
  t.equal(watch.offBySeconds(), undefined)
  world.own += 31_000
  t.equal(watch.offBySeconds(), 31)
})

function silent(): void {}

t.test('a store on this machine has no clock of its own', async (t) => {
  const watch = await openClockWatch({
    clock: () => START,
    monotonic: () => 0,
    log: { error: silent, warn: silent, info: silent },
  })
  t.equal(watch.isShared, false)
  t.equal(watch.offBySeconds(), undefined)
})

/** A ring whose keys sign for a week. */
function openWeekly(world: Pick<KeyRingDeps, 'store' | 'clock' | 'isClockOff'>) {
  return openKeyRing({
    ...world,
    randomBytes: createRandomBytes(),
    config: {
      algorithm: 'ES256',
      rotationSeconds: 7 * 86_400,
      sealingKeyFile: undefined,
      extraPublicKeysFile: undefined,
    },
    maxTokenTtlSeconds: 600,
    log: { info: silent, warn: silent },
    refreshSeconds: 0,
  })
}

for (const [says, isOff] of [
  ['that is off leaves the keys of all as they are', true],
  ['that is right rotates them', false],
] as const)
  t.test(`ten days later a replica with a clock ${says}`, async (t) => {
    const store = createMemoryStore({ clock: () => START })
    let now = START
    const ring = await openWeekly({ store, clock: () => now, isClockOff: () => isOff })
    const before = await store.get('keys/ring')
    t.ok(before, 'where there was none it made one')
    now += 10 * 86_400_000
    await ring.refresh()
    t.equal((await store.get('keys/ring')) === before, isOff)
    ring.close()
  })

t.test(
  'a clock that jumps while the store is slow changes no key either: what counts is when the plan is made',
  async (t) => {
    const inner = createMemoryStore({ clock: () => START })
    const world = { now: START, jumps: false }
    const ring = await openWeekly({
      store: {
        ...inner,
        get: async (key) => {
          if (world.jumps) world.now = START + 10 * 86_400_000
          return inner.get(key)
        },
      },
      clock: () => world.now,
      isClockOff: () => world.now !== START,
    })
    const before = await inner.get('keys/ring')
    world.jumps = true
    await ring.refresh()
    t.equal(world.now, START + 10 * 86_400_000)
    t.equal(await inner.get('keys/ring'), before)
    ring.close()
  },
)
