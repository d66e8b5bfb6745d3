// The list that a watch begins with, where it is large or ends too soon.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { openKubeConnection } from '../../src/platform/kube/kube_connection.ts'
import { WatchCache } from '../../src/platform/kube/watch_cache.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import type { ApiAnswer } from '../support/fake_apiserver.ts'
import { eventually } from '../support/kube_modules.ts'

type House = {
  readonly cache: WatchCache<string>
  /** `a listed`, `a gone`. */
  readonly changes: string[]
  /** `limit` of each list that was asked for. */
  readonly limits: string[]
}

const OPEN: ApiAnswer = { stream: (response) => response.writeHead(200).flushHeaders() }

async function house(
  t: Test,
  pageSize: number,
  answer: (query: URLSearchParams) => ApiAnswer,
): Promise<House> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-lists-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const limits: string[] = []
  const api = await fakeApiserver(t, folder, ({ path }) => {
    const query = new URL(path, 'https://x').searchParams
    if (query.get('watch') !== '1') limits.push(query.get('limit') ?? '')
    return answer(query)
  })
  const connection = await openKubeConnection({ kubeconfig: api.kubeconfig, context: undefined, env: {} })
  if (!connection.ok) throw new Error(connection.denial.message)
  t.teardown(() => connection.value.close())
  const changes: string[] = []
  const cache = new WatchCache<string>(
    {
      resource: 'things',
      path: '/apis/example.test/v1/things',
      pageSize,
      whenUnknown: 'missing',
      project: (_object, { name }) => name,
      onChange: ({ key, after }) => changes.push(`${key} ${after === undefined ? 'gone' : 'listed'}`),
    },
    { connection: connection.value, log: silent, now: () => 0, random: () => 0, staleAfterMs: 30_000 },
  )
  t.teardown(() => cache.close())
  cache.start()
  return { cache, changes, limits }
}

const nothing = (): void => undefined
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }

function thing(name: string, version: number, bytes = 0): Readonly<Record<string, unknown>> {
  return { metadata: { name, resourceVersion: String(version) }, padding: 'x'.repeat(bytes) }
}

t.test('a page of more than 4 MiB is asked for in smaller ones, and one object may have more', async (t) => {
  const all = ['a', 'b', 'c', 'd'].map((name, index) => thing(name, index + 1, 6 * 1024 * 1024))
  const { cache, limits } = await house(t, 4, (query) => {
    if (query.get('watch') === '1') return OPEN
    const from = Number(query.get('continue') ?? 0)
    const until = from + Number(query.get('limit'))
    const metadata = { resourceVersion: '10', ...(until < all.length ? { continue: String(until) } : {}) }
    return { body: { metadata, items: all.slice(from, until) } }
  })
  await eventually(() => (cache.isListed ? true : undefined), 'listed')
  t.equal(cache.size, 4)
  t.same(limits, ['4', '2', '1', '1', '1', '1'])
})

t.test(
  'a size that was not too large is kept for the next lists, and twice as much tried after four',
  async (t) => {
    // The large ones come last: whoever begins with too many has read nearly all of it in vain.
    const sizes = [0, 0, 2.5, 2.5]
    const all = sizes.map((mebibytes, index) => thing(`t${index}`, index + 1, mebibytes * 1024 * 1024))
    let watches = 0
    const { limits } = await house(t, 4, (query) => {
      if (query.get('watch') === '1') {
        watches += 1
        return watches > 4 ? OPEN : { status: 410, body: { kind: 'Status', code: 410 } }
      }
      const from = Number(query.get('continue') ?? 0)
      const until = from + Number(query.get('limit'))
      const metadata = { resourceVersion: '10', ...(until < all.length ? { continue: String(until) } : {}) }
      return { body: { metadata, items: all.slice(from, until) } }
    })
    await eventually(() => (watches > 4 ? true : undefined), 'it was listed five times')
    const ones = ['1', '1', '1', '1']
    const [first, fifth] = [
      ['4', '2', '2', ...ones],
      ['2', '2', ...ones],
    ]
    t.same(limits, [...first, ...ones, ...ones, ...ones, ...fifth])
  },
)

t.test('a server that gives no answer for a while is asked for whole pages by the next list', async (t) => {
  let [lists, watches] = [0, 0]
  const { limits } = await house(t, 4, (query) => {
    if (query.get('watch') === '1') {
      watches += 1
      return watches > 1 ? OPEN : { status: 410, body: { kind: 'Status', code: 410 } }
    }
    lists += 1
    if (lists <= 2) return { stream: (response) => response.destroy() }
    return { body: { metadata: { resourceVersion: '10' }, items: [thing('a', 1)] } }
  })
  await eventually(() => (watches > 1 ? true : undefined), 'it was listed twice')
  t.equal(limits.at(-1), '4')
  t.ok(limits.length > 2)
})

t.test('who stops within a list calls nothing gone that the rest of it may have', async (t) => {
  const asked = Promise.withResolvers<void>()
  const closing = Promise.withResolvers<void>()
  let lists = 0
  const { cache, changes } = await house(t, 2, (query) => {
    if (query.get('watch') === '1') return { status: 410, body: { kind: 'Status', code: 410 } }
    lists += 1
    if (lists === 1)
      return { body: { metadata: { resourceVersion: '10' }, items: [thing('a', 1), thing('b', 2)] } }
    const page = { metadata: { resourceVersion: '20', continue: 'more' }, items: [thing('c', 3)] }
    return {
      stream(response) {
        asked.resolve()
        void closing.promise.then(() => response.end(JSON.stringify(page)))
      },
    }
  })
  await asked.promise
  const closed = cache.close()
  closing.resolve()
  await closed
  t.same(changes, ['a listed', 'b listed', 'c listed'])
  t.same([...cache.values()], ['a', 'b', 'c'])
})
