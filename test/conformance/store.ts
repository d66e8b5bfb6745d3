// What every store must do, whatever holds it. Each implementation's test calls this with a way to open one.
import type { Test } from 'tap'
import type { Clock } from '../../src/core/clock.ts'
import type { Store } from '../../src/platform/store/store.ts'

export type StoreUnderTest = {
  /** A new, empty store; the caller closes it. */
  readonly open: (t: Test, clock: Clock) => Promise<Store>
}

const start = Date.UTC(2026, 10, 21)
const minute = 60_000

export function describeStore(t: Test, subject: StoreUnderTest): void {
  function build(tt: Test): Promise<{ store: Store; at: (time: number) => void }> {
    let now = start
    const opened = subject.open(tt, () => now)
    return opened.then((store) => {
      tt.teardown(async () => store.close())
      return {
        store,
        at: (time: number) => {
          now = time
        },
      }
    })
  }

  t.test('what was put is there, and what was not is undefined', async (t) => {
    const { store } = await build(t)
    await store.put('a/1', '{"n":1}')
    t.equal(await store.get('a/1'), '{"n":1}')
    t.equal(await store.get('a/2'), undefined)
  })

  t.test('a second put replaces the value and the expiry', async (t) => {
    const { store, at } = await build(t)
    await store.put('a/1', 'old', start + minute)
    await store.put('a/1', 'new')
    at(start + 2 * minute)
    t.equal(await store.get('a/1'), 'new')
  })

  t.test('keys and values keep every character', async (t) => {
    const { store } = await build(t)
    const odd = 'a/%_*\'"\\ \u0001é漢🔑?#'
    await store.put(odd, `v${odd}`)
    await store.put('a/empty', '')
    t.equal(await store.get(odd), `v${odd}`)
    t.equal(await store.get('a/empty'), '')
  })

  t.test('an entry lives until the very millisecond in which it expires', async (t) => {
    const { store, at } = await build(t)
    await store.put('a/1', 'x', start + minute)
    at(start + minute - 1)
    t.equal(await store.get('a/1'), 'x')
    at(start + minute)
    t.equal(await store.get('a/1'), undefined)
    t.same(await store.list('a/'), [])
  })

  t.test('compare-and-set writes only over the value that was expected', async (t) => {
    const { store } = await build(t)
    t.equal(await store.compareAndSet('k', 'nothing like it', 'x'), false)
    t.equal(await store.compareAndSet('k', undefined, 'one'), true)
    t.equal(await store.compareAndSet('k', undefined, 'two'), false)
    t.equal(await store.compareAndSet('k', 'one', 'two'), true)
    t.equal(await store.get('k'), 'two')
  })

  t.test('compare-and-set deletes, and an expired value counts as absent', async (t) => {
    const { store, at } = await build(t)
    await store.put('k', 'one', start + minute)
    t.equal(await store.compareAndSet('k', 'other', undefined), false)
    t.equal(await store.compareAndSet('k', 'one', undefined), true)
    t.equal(await store.get('k'), undefined)
    await store.put('k', 'two', start + minute)
    at(start + minute)
    t.equal(await store.compareAndSet('k', 'two', 'three'), false)
    t.equal(await store.compareAndSet('k', undefined, 'three', start + 2 * minute), true)
    at(start + 2 * minute)
    t.equal(await store.get('k'), undefined)
  })

  t.test('of 100 who change one value at once exactly one does', async (t) => {
    const { store } = await build(t)
    await store.put('k', 'start')
    const wrote = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => store.compareAndSet('k', 'start', `by ${index}`)),
    )
    t.equal(wrote.filter(Boolean).length, 1)
    t.equal(await store.get('k'), `by ${wrote.indexOf(true)}`)
  })

  t.test('of 100 who claim one key at once exactly one has it', async (t) => {
    const { store } = await build(t)
    const claims = await Promise.all(
      Array.from({ length: 100 }, async () => store.claimOnce('replay/jti', start + minute)),
    )
    t.equal(claims.filter(Boolean).length, 1)
    t.equal(await store.claimOnce('replay/jti', start + minute), false)
    t.equal(await store.claimOnce('replay/other', start + minute), true)
  })

  t.test('a claim can be made again once it has expired', async (t) => {
    const { store, at } = await build(t)
    t.equal(await store.claimOnce('replay/jti', start + minute), true)
    at(start + minute - 1)
    t.equal(await store.claimOnce('replay/jti', start + 3 * minute), false)
    at(start + minute)
    t.equal(await store.claimOnce('replay/jti', start + 3 * minute), true)
    at(start + 2 * minute)
    t.equal(await store.claimOnce('replay/jti', start + 3 * minute), false)
  })

  t.test('a value that stays cannot be claimed away', async (t) => {
    const { store } = await build(t)
    await store.put('k', 'mine')
    t.equal(await store.claimOnce('k', start + minute), false)
    t.equal(await store.get('k'), 'mine')
  })

  t.test('a list holds what begins with the prefix, taken literally, in the order of bytes', async (t) => {
    const { store } = await build(t)
    const keys = [
      'p_/b',
      'p_/a',
      'p_/',
      'p_/é',
      'p_/🔑',
      'p_/\u{10ffff}z',
      'p_/B',
      'px/a',
      'p%/a',
      'p_',
      'P_/a',
    ]
    for (const key of keys) await store.put(key, `value of ${key}`)
    t.same(
      (await store.list('p_/')).map((entry) => entry.key),
      ['p_/', 'p_/B', 'p_/a', 'p_/b', 'p_/é', 'p_/🔑', 'p_/\u{10ffff}z'],
    )
    t.same(await store.list('p%'), [{ key: 'p%/a', value: 'value of p%/a' }])
    t.equal((await store.list('')).length, keys.length)
    t.same(await store.list('q'), [])
  })

  t.test('expire removes what has expired, nothing else, and says how many', async (t) => {
    const { store, at } = await build(t)
    await Promise.all(
      Array.from({ length: 2500 }, async (_, index) => store.claimOnce(`c/${index}`, start + minute)),
    )
    await store.put('stays', 'x')
    await store.put('later', 'x', start + 3 * minute)
    t.equal(await store.expire(), 0)
    at(start + 2 * minute)
    t.equal(await store.expire(), 2500)
    t.equal(await store.expire(), 0)
    t.same(await store.list(''), [
      { key: 'later', value: 'x' },
      { key: 'stays', value: 'x' },
    ])
  })

  t.test('a store in order answers a ping', async (t) => {
    const { store } = await build(t)
    await t.resolves(store.ping())
  })
}
