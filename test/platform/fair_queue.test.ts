// Whose turn it is, with jobs that end when the test says so.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createFairQueue } from '../../src/platform/fair_queue.ts'
import type { FairQueueOptions } from '../../src/platform/fair_queue.ts'

type World = {
  /** What happened, in order. */
  readonly seen: string[]
  readonly enter: (lane: string, name: string) => Promise<void>
  /** Ends the oldest running job. */
  readonly end: () => Promise<void>
}

type Limits = Pick<FairQueueOptions, 'maxConcurrent' | 'maxOfLane' | 'maxQueued' | 'patience'>

function build(limits: Limits): World {
  const queue = createFairQueue({ ...limits, refusal: () => new Error('full') })
  const seen: string[] = []
  const ends: (() => void)[] = []
  const job = async (name: string): Promise<void> => {
    seen.push(name)
    await new Promise<void>((resolve) => ends.push(resolve))
  }
  return {
    seen,
    async enter(lane, name) {
      queue(lane, async () => job(name)).catch(() => seen.push(`${name} refused`))
      await turn()
    },
    async end() {
      ends.shift()?.()
      await turn()
    },
  }
}

async function crowd({ enter }: World, lane: string, names: readonly string[]): Promise<void> {
  for (const name of names) await enter(lane, name)
}

t.test('lanes take turns: one waiter does not stand behind a crowd in another lane', async (t) => {
  const world = build({ maxConcurrent: 1, maxQueued: 10 })
  await crowd(world, 'a', ['a1', 'a2', 'a3', 'a4'])
  await world.enter('b', 'b1')
  await world.enter('b', 'b2')
  await world.enter('c', 'c1')
  for (let step = 0; step < 7; step += 1) await world.end()
  t.same(world.seen, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4'])
  await world.enter('a', 'a5')
  t.equal(world.seen.at(-1), 'a5', 'and afterwards there is room at once')
})

t.test('as many run at once as may', async (t) => {
  const world = build({ maxConcurrent: 2, maxQueued: 10 })
  await crowd(world, 'a', ['a1', 'a2', 'a3'])
  t.same(world.seen, ['a1', 'a2'])
  await world.end()
  t.same(world.seen, ['a1', 'a2', 'a3'])
})

t.test('a full queue refuses whom is of the longest lane', async (t) => {
  const world = build({ maxConcurrent: 1, maxQueued: 3 })
  await crowd(world, 'a', ['a1', 'a2', 'a3', 'a4', 'a5'])
  t.same(world.seen, ['a1', 'a5 refused'], 'its own newcomer')
  await world.enter('b', 'b1')
  t.same(world.seen.splice(0), ['a1', 'a5 refused', 'a4 refused'], 'its last, for a shorter lane')
  await world.enter('b', 'b2')
  t.same(world.seen.splice(0), ['b2 refused'], 'never for one that would be as long')
  await world.enter('c', 'c1')
  t.same(world.seen.splice(0), ['a3 refused'])
  await world.enter('d', 'd1')
  t.same(world.seen.splice(0), ['d1 refused'], 'one waiter in each lane is as fair as it gets')
  for (let step = 0; step < 4; step += 1) await world.end()
  t.same(world.seen, ['a2', 'b1', 'c1'])
})

t.test('a job that fails gives its place on', async (t) => {
  const queue = createFairQueue({ maxConcurrent: 1, maxQueued: 1, refusal: () => new Error('full') })
  const failing = queue('a', async () => Promise.reject(new Error('broken')))
  const next = queue('a', async () => 'next')
  await t.rejects(failing, { message: 'broken' })
  t.equal(await next, 'next')
})

t.test(
  'a lane has its share of the places and no more, and a place that it may not have is not given away',
  async (t) => {
    const world = build({ maxConcurrent: 3, maxOfLane: 2, maxQueued: 10 })
    await crowd(world, 'a', ['a1', 'a2', 'a3', 'a4'])
    t.same(world.seen.splice(0), ['a1', 'a2'], 'the third place stays free')
    await world.enter('b', 'b1')
    t.same(world.seen.splice(0), ['b1'])
    await world.enter('b', 'b2')
    await world.end()
    t.same(world.seen.splice(0), ['a3'], 'first of those that wait')
    await world.end()
    t.same(world.seen.splice(0), ['b2'], 'the other lane has its turn')
    await world.end()
    await world.end()
    await world.end()
    t.same(world.seen.splice(0), ['a4'])
    await world.end()
    await crowd(world, 'c', ['c1', 'c2'])
    t.same(world.seen, ['c1', 'c2'], 'and afterwards all places are there again')
  },
)

t.test('whoever has waited for too long is refused, and whoever runs is left alone', async (t) => {
  const timers = new Map<() => void, number>()
  const after = (ms: number, callback: () => void): (() => void) => {
    timers.set(callback, ms)
    return () => void timers.delete(callback)
  }
  const world = build({ maxConcurrent: 1, maxQueued: 2, patience: { ms: 2000, after } })
  await crowd(world, 'a', ['a1', 'a2'])
  await world.enter('b', 'b1')
  t.same([...timers.values()], [2000, 2000], 'who runs has no timer')
  const [first] = timers.keys()
  first?.()
  await turn()
  t.same(world.seen.splice(0), ['a1', 'a2 refused'])
  await world.enter('c', 'c1')
  t.same(world.seen, [], 'its room is free for another')
  await world.end()
  await world.end()
  t.same(world.seen.splice(0), ['b1', 'c1'])
  t.equal(timers.size, 0, 'and nothing is left of those that had their turn')
})
