// Levers in the store, and how a replica follows them. Two replicas on one PostgreSQL are in test/e2e/emergency.test.ts.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Registry } from 'prom-client'
import t from 'tap'
import type { Test } from 'tap'
import { MAX_LEVERS, MAX_REVOKED, MAX_REVOKED_BY_CLIENT } from '../../src/core/levers.ts'
import type { Lever, LeverName } from '../../src/core/levers.ts'
import { openLeverBook } from '../../src/platform/levers/lever_book.ts'
import type { LeverBook, LeverBookDeps } from '../../src/platform/levers/lever_book.ts'
import { leverMetrics } from '../../src/platform/levers/lever_metrics.ts'
import {
  liftLever,
  pullLever,
  readLevers,
  writeRevoked,
  writeStamp,
} from '../../src/platform/levers/lever_store.ts'
import type { LeverEvent } from '../../src/platform/levers/lever_store.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { folder } from '../support/cli.ts'

const START = Date.UTC(2026, 10, 21)
const HOUR = 3_600_000

type World = {
  readonly clock: { now: number }
  readonly store: Store
  readonly lines: string[]
  readonly told: LeverEvent[]
  /** A replica; nobody looks but the test, unless it says how often. */
  readonly open: (over?: Partial<LeverBookDeps>) => Promise<LeverBook>
  readonly pull: (name: LeverName, until?: number) => Promise<boolean>
  readonly lift: (name: LeverName) => Promise<boolean>
}

function makeWorld(t: Test, made?: Store): World {
  const clock = { now: START }
  const store = made ?? createMemoryStore({ clock: () => clock.now })
  const lines: string[] = []
  const told: LeverEvent[] = []
  let changes = 0
  const log = (_fields: object, message: string): void => void lines.push(message)
  const event = (did: 'denied' | 'lifted', name: LeverName): LeverEvent => {
    changes += 1
    return { id: `change-${changes}`, at: clock.now, lever: { did, ...name, by: 'jane', why: '' } }
  }
  return {
    clock,
    store,
    lines,
    told,
    async open(over = {}) {
      const book = await openLeverBook({
        store,
        clock: () => clock.now,
        randomBytes,
        log: { info: log, warn: log, error: log },
        onStamp: async () => {},
        tell: async (one) => void told.push(one),
        lookEveryMs: 0,
        ...over,
      })
      t.teardown(() => book.close())
      return book
    },
    pull: (name, until) =>
      pullLever(store, { ...name, at: clock.now, until, by: 'jane', why: '' }, event('denied', name)),
    lift: (name) => liftLever(store, name, event('lifted', name)),
  }
}

const client: LeverName = { action: 'disable', kind: 'client', id: 'ci' }
const policy: LeverName = { action: 'deny', kind: 'policy', id: 'group/project main' }
const isOff = (book: LeverBook): boolean => book.current().disabled('client').has('ci')
const isDenied = (book: LeverBook, jti: string): boolean => book.current().denialOf({ jti }) !== undefined

function revoked(id: string, by: string): Lever {
  return { action: 'deny', kind: 'token', id, at: START, until: START + HOUR, by, why: '' }
}

for (const [name, openStore] of [
  ['memory', async () => createMemoryStore({ clock: () => START })],
  ['SQLite', async (t: Test) => openSqliteStore({ file: join(folder(t), 's.db'), clock: () => START })],
] as const)
  t.test(`${name}: what one process pulls and lifts the others obey, whatever its id holds`, async (t) => {
    const store = await openStore(t)
    t.teardown(() => store.close())
    const world = makeWorld(t, store)
    const books = [await world.open(), await world.open()]
    for (const lever of [client, policy]) t.equal(await world.pull(lever, START + HOUR), true)
    for (const book of books) {
      t.equal(isOff(book), false, 'it has not looked yet')
      await book.refresh()
      t.equal(isOff(book), true)
      t.ok(book.current().denialOf({ policy: policy.id, iat: START / 1000 }))
    }
    const late = await world.open()
    t.equal(isOff(late), true, 'who starts later obeys from the start')
    t.equal(await world.lift(client), true)
    t.equal(await world.lift(client), false, 'there is nothing left to lift')
    for (const book of [...books, late]) {
      await book.refresh()
      t.equal(isOff(book), false)
      t.ok(book.current().denialOf({ policy: policy.id, iat: START / 1000 }))
    }
    t.same(
      world.told.map(({ lever }) => `${lever.did} ${lever.kind}`).toSorted(),
      ['denied client', 'denied policy', 'lifted client'],
      'each told once',
    )
  })

t.test('nobody has to ask: the book looks by itself', async (t) => {
  const world = makeWorld(t)
  const book = await world.open({ lookEveryMs: 1 })
  await world.pull(client)
  while (!isOff(book)) await sleep(1)
  t.pass('it follows')
})

t.test(
  'a look at an old stamp reads one key; now and then all is read, and what has expired is gone',
  async (t) => {
    const world = makeWorld(t)
    let lists = 0
    const store: Store = {
      ...world.store,
      list: async (prefix) => {
        lists += 1
        return world.store.list(prefix)
      },
    }
    const book = await world.open({ store })
    await world.pull(policy, START + HOUR)
    await book.refresh()
    t.equal(lists, 2)
    world.clock.now += HOUR
    for (let look = 0; look < 19; look += 1) await book.refresh()
    t.equal(lists, 2)
    t.equal(book.current().all.length, 1)
    await book.refresh()
    t.equal(lists, 3)
    t.equal(book.current().all.length, 0)
  },
)

t.test('a clock that runs ahead for a while makes nobody forget what is denied', async (t) => {
  const world = makeWorld(t)
  const off = { is: false }
  let keys = 0
  const book = await world.open({ isClockOff: () => off.is, onStamp: async () => void (keys += 1) })
  await world.pull(policy, START + HOUR)
  await book.refresh()
  Object.assign(off, { is: true })
  world.clock.now += 2 * HOUR
  for (let look = 0; look < 25; look += 1) await book.refresh()
  t.equal(book.current().all.length, 1, 'its time is over by this clock alone')
  const before = keys
  t.equal(book.isWhole(), true)
  await world.pull(client)
  await book.refresh()
  t.ok(keys > before, 'a key that was revoked is seen all the same')
  t.same([book.current().all.length, isOff(book)], [2, true], 'and so is what is switched off')
  t.equal(
    book.isWhole(),
    false,
    'of what was denied since, the store left out what has expired by this clock',
  )
  Object.assign(off, { is: false })
  world.clock.now = START
  t.same([book.current().all.length, book.isWhole()], [2, false])
  await book.refresh()
  t.same([book.current().all.length, book.isWhole()], [2, true])
})

t.test(
  'a lever that is pulled anew under a wrong clock, and one that is lifted, are as they were written',
  async (t) => {
    const world = makeWorld(t)
    const off = { is: false }
    const book = await world.open({ isClockOff: () => off.is })
    await world.pull(client)
    await world.pull(policy, START + HOUR)
    await book.refresh()
    Object.assign(off, { is: true })
    await world.pull(policy, START + 3 * HOUR)
    await world.lift(client)
    await book.refresh()
    t.same(
      book
        .current()
        .all.filter(({ id }) => id === policy.id)
        .map(({ until }) => until),
      [START + 3 * HOUR],
    )
    t.equal(isOff(book), true, 'a lift waits for the right clock')
    Object.assign(off, { is: false })
    await book.refresh()
    t.equal(isOff(book), false)
  },
)

t.test('nothing is read again and again while the clock is off', async (t) => {
  const world = makeWorld(t)
  const off = { is: true }
  let lists = 0
  const list: Store['list'] = async (prefix) => {
    lists += 1
    return world.store.list(prefix)
  }
  const book = await world.open({ store: { ...world.store, list }, isClockOff: () => off.is })
  for (let look = 0; look < 25; look += 1) await book.refresh()
  t.equal(lists, 1)
  Object.assign(off, { is: false })
  await book.refresh()
  t.same([lists, book.isWhole()], [2, true], 'also where no lever was ever pulled')
})

t.test('a clock that jumps while levers are read makes nobody forget either', async (t) => {
  const world = makeWorld(t)
  const off = { is: false }
  const list: Store['list'] = async (prefix) => {
    const found = await world.store.list(prefix)
    Object.assign(off, { is: world.clock.now !== START })
    return found
  }
  const book = await world.open({ store: { ...world.store, list }, isClockOff: () => off.is })
  await world.pull(policy, START + HOUR)
  await book.refresh()
  world.clock.now += 2 * HOUR
  for (let look = 0; look < 20; look += 1) await book.refresh()
  t.equal(book.current().all.length, 1)
})

t.test('a start under a clock that is off knows that it does not know all', async (t) => {
  const world = makeWorld(t)
  const off = { is: true }
  await world.pull(policy, START + HOUR)
  world.clock.now += 2 * HOUR
  const book = await world.open({ isClockOff: () => off.is })
  t.equal(book.isWhole(), false)
  Object.assign(off, { is: false })
  world.clock.now = START
  t.equal(book.isWhole(), false, 'nothing was read since')
  await book.refresh()
  t.equal(book.isWhole(), true)
  t.equal(book.current().all.length, 1)
})

t.test('a change whose stamp was never written is seen all the same', async (t) => {
  const world = makeWorld(t)
  const book = await world.open()
  const failing: Store = {
    ...world.store,
    put: async (key, ...rest) => {
      if (key.endsWith('/stamp')) throw new StoreFailure('away')
      return world.store.put(key, ...rest)
    },
  }
  const lever = { ...client, at: START, until: undefined, by: '', why: '' } as const
  const event = { id: 'e', at: START, lever: { did: 'disabled', ...client, by: '', why: '' } } as const
  await t.rejects(pullLever(failing, lever, event), /away/)
  for (let look = 0; look < 20; look += 1) await book.refresh()
  t.equal(isOff(book), true)
})

t.test('what is held stays while the store is away, which is said once, and so is its return', async (t) => {
  const world = makeWorld(t)
  await world.pull(client)
  const away = { is: false }
  const looks = { count: 0 }
  const store: Store = {
    ...world.store,
    get: async (key) => {
      looks.count += 1
      if (away.is) throw new StoreFailure('away')
      return world.store.get(key)
    },
  }
  const book = await world.open({ store, lookEveryMs: 1 })
  const look = async (count: number): Promise<void> => {
    const until = looks.count + count
    while (looks.count < until) await sleep(1)
  }
  away.is = true
  await look(5)
  t.equal(isOff(book), true)
  t.equal(book.failure(), 'away')
  away.is = false
  await look(5)
  t.equal(book.failure(), undefined)
  t.same(world.lines, [
    'emergency',
    'levers not read: those that are held stay, new ones are not seen',
    'levers are followed again',
  ])
  away.is = true
  await t.rejects(world.open({ store }), /away/, 'who cannot know what is denied does not start')
})

t.test(
  'a new stamp makes it look at the keys, again until that worked, and levers do not wait for it',
  async (t) => {
    const world = makeWorld(t)
    const failures = ['the ring is away', 'still']
    let looked = 0
    const book = await world.open({
      onStamp: async () => {
        looked += 1
        const failure = failures.shift()
        if (failure !== undefined) throw new StoreFailure(failure)
      },
    })
    await book.refresh()
    t.equal(looked, 0, 'the stamp is the one that it began with')
    await world.pull(client)
    await t.rejects(book.refresh(), /the ring is away/)
    t.equal(isOff(book), true)
    await t.rejects(book.refresh(), /still/)
    await book.refresh()
    await book.refresh()
    t.equal(looked, 3)
    await writeStamp(world.store, 'a key was revoked')
    await book.refresh()
    t.equal(looked, 4)
  },
)

t.test(
  'a revoked token is refused here at once, elsewhere with the next look, for as long as it lives',
  async (t) => {
    const world = makeWorld(t)
    const [here, there] = [await world.open(), await world.open()]
    t.equal(await here.revoke({ jti: 'j', client: 'ci', exp: START / 1000 + 600 }), 'revoked')
    t.equal(isDenied(here, 'j'), true)
    await there.refresh()
    t.equal(isDenied(there, 'j'), true)
    t.equal(
      await there.revoke({ jti: 'j', client: 'ci', exp: START / 1000 + 600 }),
      'revoked',
      'twice is once',
    )
    t.equal((await readLevers(world.store)).revoked.length, 1)
    world.clock.now += 660_001
    t.equal((await readLevers(world.store)).revoked.length, 0)
    t.same(world.told, [], 'its event is the request’s')
    t.equal(await world.lift({ action: 'deny', kind: 'token', id: 'j' }), false)
  },
)

t.test('a token that is revoked while the store is being read stays revoked', async (t) => {
  const world = makeWorld(t)
  const { promise: gate, resolve: release } = Promise.withResolvers<void>()
  const slow = { is: false }
  const store: Store = {
    ...world.store,
    list: async (prefix) => {
      const found = await world.store.list(prefix)
      if (slow.is) await gate
      return found
    },
  }
  const book = await world.open({ store })
  await world.pull(client)
  slow.is = true
  const looking = book.refresh()
  await sleep(5)
  await book.revoke({ jti: 'j', client: 'ci', exp: START / 1000 + 600 })
  release()
  await looking
  t.equal(isOff(book), true)
  t.equal(isDenied(book, 'j'), true)
})

t.test('no client fills the deny-list for all, and no clients together fill the memory', async (t) => {
  const world = makeWorld(t)
  const book = await world.open()
  for (let index = 0; index < MAX_REVOKED_BY_CLIENT; index += 1)
    await writeRevoked(world.store, revoked(`a${index}`, 'greedy'), 's1')
  await book.refresh()
  const token = { jti: 'new', exp: START / 1000 + 600 }
  t.equal(await book.revoke({ ...token, client: 'greedy' }), 'full')
  t.equal(isDenied(book, 'new'), false)
  t.equal(await book.revoke({ ...token, client: 'ci' }), 'revoked')
  for (let index = 0; index < MAX_REVOKED - MAX_REVOKED_BY_CLIENT; index += 1)
    await writeRevoked(world.store, revoked(`b${index}`, `client-${index % 100}`), 's2')
  await book.refresh()
  t.equal(await book.revoke({ jti: 'newer', exp: START / 1000 + 600, client: 'another' }), 'full')
  t.equal(await world.pull(client), true, 'levers of people have room of their own')
})

t.test('there are a thousand levers at most; one that is pulled can be pulled anew', async (t) => {
  const world = makeWorld(t)
  for (let index = 0; index < MAX_LEVERS; index += 1)
    await world.pull({ action: 'deny', kind: 'token', id: `j${index}` }, START + HOUR)
  t.equal(await world.pull(client), false)
  t.equal(await world.pull({ action: 'deny', kind: 'token', id: 'j7' }, START + 2 * HOUR), true)
  t.equal(await world.lift({ action: 'deny', kind: 'token', id: 'j8' }), true)
  t.equal(await world.pull(client), true)
})

t.test('an entry that is damaged is obeyed; one of a newer release is named, once', async (t) => {
  const world = makeWorld(t)
  await world.store.put('emergency/lever/deny/client/ci', '{"at":')
  await world.store.put('emergency/lever/disable/audience/kubernetes', '{}')
  await world.store.put('emergency/event/e', '{"id":"e"}')
  const book = await world.open()
  t.ok(book.current().denialOf({ client_id: 'ci', iat: START / 1000 + 999_999 }), 'whenever it was issued')
  await writeStamp(world.store, 'again')
  await book.refresh()
  t.same(world.lines, ['levers of a newer release, not obeyed here'])
})

t.test('what cannot be written into the audit log is told later', async (t) => {
  const world = makeWorld(t)
  const broken = await world.open({ tell: async () => Promise.reject(new Error('the disk is full')) })
  await world.pull(client)
  await broken.refresh()
  t.equal(isOff(broken), true)
  t.same(world.told, [])
  const whole = await world.open()
  t.equal(isOff(whole), true)
  t.equal(world.told.length, 1)
})

t.test('metrics say how much is pulled, how much was revoked, and whether new levers are seen', async (t) => {
  const world = makeWorld(t)
  const book = await world.open()
  const registry = new Registry()
  leverMetrics(registry).levers(book)
  const shown = async (): Promise<readonly string[]> =>
    (await registry.metrics()).split('\n').filter((line) => /^sallyport.* [^0]\d*$/.test(line))
  t.strictSame(await shown(), ['sallyport_levers_followed 1'])
  await world.pull({ action: 'disable', kind: 'client', id: 'ci' })
  await world.pull({ action: 'disable', kind: 'client', id: 'open' })
  await world.pull({ action: 'deny', kind: 'client', id: 'ci' }, START + HOUR)
  await book.refresh()
  await book.revoke({ jti: 'a', client: 'ci', exp: (START + HOUR) / 1000 })
  t.strictSame(await shown(), [
    'sallyport_levers{action="disable",kind="client"} 2',
    'sallyport_levers{action="deny",kind="client"} 1',
    'sallyport_revoked_tokens 1',
    'sallyport_levers_followed 1',
  ])
  await world.lift({ action: 'disable', kind: 'client', id: 'open' })
  await book.refresh()
  t.match(await registry.metrics(), /^sallyport_levers\{action="disable",kind="client"\} 1$/m)
  t.match(await registry.metrics(), /^sallyport_levers\{action="disable",kind="policy"\} 0$/m, 'told, too')
})

t.test('a replica that cannot ask its store says so in its metrics', async (t) => {
  const registry = new Registry()
  leverMetrics(registry).levers({ inForce: () => ({ pulled: [], revoked: 0 }), failure: () => 'away' })
  t.match(await registry.metrics(), /^sallyport_levers_followed 0$/m)
})
