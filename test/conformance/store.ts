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

const whole = (key: string, expiresAt = start + minute) => ({ key, parts: [], expiresAt })
const part = (key: string, ...parts: readonly string[]) => ({ key, parts, expiresAt: start + minute })

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

  t.test('several claims are taken together or not at all', async (t) => {
    const { store } = await build(t)
    t.equal(await store.claimAllOnce([whole('a')]), true)
    t.equal(await store.claimAllOnce([whole('b'), whole('a')]), false)
    t.equal(await store.claimAllOnce([whole('a'), whole('b')]), false)
    t.equal(await store.get('b'), undefined, 'the refused pair took nothing')
    t.equal(await store.claimAllOnce([whole('b'), part('c', 'x')]), true)
    t.equal(await store.claimAllOnce([part('c', 'y'), whole('b')]), false)
    t.equal(await store.claimAllOnce([part('c', 'y')]), true, 'nor did this one')
    t.equal(await store.claimAllOnce([]), true)
  })

  t.test('a part is taken once, and a refused set of parts takes none of them', async (t) => {
    const { store } = await build(t)
    t.equal(await store.claimAllOnce([part('k', 'app')]), true)
    t.equal(await store.claimAllOnce([part('k', 'app')]), false)
    t.equal(await store.claimAllOnce([part('k', 'second', 'app')]), false)
    t.equal(await store.claimAllOnce([part('k', 'second', 'third')]), true)
    t.equal(await store.claimAllOnce([part('k', 'third')]), false)
    t.equal(await store.claimAllOnce([part('other', 'third')]), true, 'another key has parts of its own')
  })

  t.test('whole and part keep each other out', async (t) => {
    const { store } = await build(t)
    t.equal(await store.claimAllOnce([part('parts first', 'app')]), true)
    t.equal(await store.claimAllOnce([whole('parts first')]), false)
    t.equal(await store.claimOnce('parts first', start + minute), false)
    t.equal(await store.claimAllOnce([whole('whole first')]), true)
    t.equal(await store.claimAllOnce([part('whole first', 'app')]), false)
    t.equal(await store.claimOnce('claimed once', start + minute), true)
    t.equal(await store.claimAllOnce([part('claimed once', 'app')]), false)
    await store.put('mine', 'a value that stays')
    t.equal(await store.claimAllOnce([part('mine', 'app')]), false)
    t.equal(await store.get('mine'), 'a value that stays')
  })

  t.test('a part can have any name', async (t) => {
    const { store } = await build(t)
    const odd = ['', '"', '[]', 'a","b', '\u0000é🔑', '\n']
    for (const name of odd) t.equal(await store.claimAllOnce([part('k', name)]), true, JSON.stringify(name))
    for (const name of odd) t.equal(await store.claimAllOnce([part('k', name)]), false, JSON.stringify(name))
  })

  t.test('of 100 who claim the same set at once exactly one has it', async (t) => {
    const { store } = await build(t)
    const claims = await Promise.all(
      Array.from({ length: 100 }, async (_, index) =>
        store.claimAllOnce([part('k', `own ${index}`, 'shared'), whole(`w${index % 2}`)]),
      ),
    )
    t.equal(claims.filter(Boolean).length, 1)
    t.equal(await store.claimAllOnce([part('k', 'own 50')]), true)
  })

  t.test('a set of claims ends with the last of them, and then is free', async (t) => {
    const { store, at } = await build(t)
    t.equal(await store.claimAllOnce([part('k', 'app'), whole('w')]), true)
    t.equal(await store.claimAllOnce([{ key: 'k', parts: ['second'], expiresAt: start + 3 * minute }]), true)
    at(start + minute)
    t.equal(await store.claimAllOnce([whole('w', start + 2 * minute)]), true)
    t.equal(await store.claimAllOnce([part('k', 'app')]), false, 'a later part keeps the whole record')
    at(start + 3 * minute)
    t.equal(await store.claimAllOnce([{ key: 'k', parts: ['app'], expiresAt: start + 4 * minute }]), true)
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
