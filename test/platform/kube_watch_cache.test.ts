// One resource in memory: what a watch survives, and when it says that it is not in sync.
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { openKubeConnection } from '../../src/platform/kube/kube_connection.ts'
import type { KubeConnection } from '../../src/platform/kube/kube_connection.ts'
import { WatchCache } from '../../src/platform/kube/watch_cache.ts'
import type { Watched } from '../../src/platform/kube/watch_cache.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import type { ApiAnswer, ApiCall, FakeApiserver } from '../support/fake_apiserver.ts'
import { eventually } from '../support/kube_modules.ts'

const PATH = '/apis/example.test/v1/things'

type Thing = { readonly name: string; readonly version: string }

function thing(name: string, version: number | string): Record<string, unknown> {
  return { metadata: { namespace: 'infra', name, uid: `u-${name}`, resourceVersion: String(version) } }
}

function list(version: number, ...items: readonly unknown[]): ApiAnswer {
  return { body: { metadata: { resourceVersion: String(version) }, items } }
}

function event(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`
}

/** The watch answers with these, and stays open until it is told otherwise. */
function opens(response: ServerResponse, ...lines: readonly string[]): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.flushHeaders()
  for (const line of lines) response.write(line)
}

function watching(...lines: readonly string[]): ApiAnswer {
  return { stream: (response) => opens(response, ...lines) }
}

type House = {
  readonly api: FakeApiserver
  readonly cache: WatchCache<Thing>
  readonly changes: string[]
  readonly clock: { ms: number }
  readonly queries: (kind: 'list' | 'watch') => readonly URLSearchParams[]
}

async function house(
  t: Test,
  answer: (call: ApiCall, query: URLSearchParams, count: number) => ApiAnswer,
  given: Partial<Watched<Thing>> & { readonly staleAfterMs?: number } = {},
): Promise<House> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-watch-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const counts = new Map<string, number>()
  const api = await fakeApiserver(t, folder, (call) => {
    const query = new URL(call.path, 'https://x').searchParams
    const kind = query.get('watch') === '1' ? 'watch' : 'list'
    const count = (counts.get(kind) ?? 0) + 1
    counts.set(kind, count)
    return answer(call, query, count)
  })
  const connection = await open(t, api.kubeconfig)
  const changes: string[] = []
  const clock = { ms: 0 }
  const { staleAfterMs = 30_000, ...watched } = given
  const cache = new WatchCache<Thing>(
    {
      resource: 'things',
      path: PATH,
      pageSize: 100,
      whenUnknown: 'missing',
      project: (_object, { name, resourceVersion }) => ({ name, version: resourceVersion }),
      onChange: ({ key, before, after, isListed }) =>
        changes.push(`${key} ${before?.version ?? '-'}>${after?.version ?? '-'}${isListed ? ' listed' : ''}`),
      ...watched,
    },
    { connection, log: silent, now: () => clock.ms, random: () => 0, staleAfterMs },
  )
  t.teardown(() => cache.close())
  const queries = (kind: 'list' | 'watch') =>
    api.calls
      .map(({ path }) => new URL(path, 'https://x').searchParams)
      .filter((query) => (query.get('watch') === '1') === (kind === 'watch'))
  cache.start()
  return { api, cache, changes, clock, queries }
}

async function open(t: Test, kubeconfig: string): Promise<KubeConnection> {
  const connection = await openKubeConnection({ kubeconfig, context: undefined, env: {} })
  if (!connection.ok) throw new Error(connection.denial.message)
  t.teardown(() => connection.value.close())
  return connection.value
}

const nothing = (): void => undefined
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing }

const isWatch = (query: URLSearchParams): boolean => query.get('watch') === '1'
const changed = (changes: readonly string[], count: number) =>
  eventually(
    () => (changes.length >= count ? true : undefined),
    `${count} changes, there are ${changes.join(', ')}`,
  )

t.test('a list and what the watch tells are in memory, in order', async (t) => {
  const { cache, changes, queries } = await house(t, (_call, query) =>
    isWatch(query)
      ? watching(
          event('ADDED', thing('b', 11)),
          event('MODIFIED', thing('a', 12)),
          event('DELETED', thing('b', 13)),
        )
      : list(10, thing('a', 9)),
  )
  await changed(changes, 4)
  t.same(
    changes,
    ['infra/a ->9 listed', 'infra/b ->11', 'infra/a 9>12', 'infra/b 11>-'].map((text) =>
      text.replace(' ->', ' ->'),
    ),
  )
  t.same([...cache.values()], [{ name: 'a', version: '12' }])
  t.equal(cache.missing(), undefined)
  const [watch] = queries('watch')
  t.equal(watch?.get('resourceVersion'), '10')
  t.equal(watch?.get('allowWatchBookmarks'), 'true')
})

t.test('a long list comes in pages', async (t) => {
  const { cache, queries } = await house(
    t,
    (_call, query) => {
      if (isWatch(query)) return watching()
      const items = query.get('continue') === 'more' ? [thing('b', 2)] : [thing('a', 1)]
      const metadata = { resourceVersion: '10', ...(query.has('continue') ? {} : { continue: 'more' }) }
      return { body: { metadata, items } }
    },
    { pageSize: 1 },
  )
  await eventually(() => (cache.size === 2 ? true : undefined), 'both pages')
  t.same(
    queries('list').map((query) => query.get('limit')),
    ['1', '1'],
  )
})

t.test('it is not in sync before the first list, and says why', async (t) => {
  let isAllowed = false
  const { cache } = await house(t, (_call, query) => {
    if (isWatch(query)) return watching()
    return isAllowed ? list(1) : { status: 403, body: { kind: 'Status', message: 'things is forbidden' } }
  })
  t.equal(cache.missing(), 'things: not listed yet')
  const why = await eventually(
    () => (cache.missing()?.includes('403') === true ? cache.missing() : undefined),
    'why',
  )
  t.match(why, /^things: not listed yet: .*answers 403: things is forbidden$/)
  isAllowed = true
  await eventually(() => (cache.missing() === undefined ? true : undefined), 'in sync')
})

t.test('a resource that the cluster does not know is none, or is missing', async (t) => {
  const unknown: ApiAnswer = { status: 404, body: '404 page not found' }
  const missing = await house(t, () => unknown)
  await eventually(() => missing.cache.missing()?.includes('404'), 'it says so')
  const empty = await house(t, () => unknown, { whenUnknown: 'empty' })
  await eventually(() => (empty.cache.missing() === undefined ? true : undefined), 'in sync')
  t.equal(empty.cache.size, 0)
})

for (const whenUnknown of ['empty', 'missing'] as const) {
  t.test(
    `what was served and is not known any more (${whenUnknown}) stays as it was, and is not in sync`,
    async (t) => {
      let isServed = true
      const { cache, changes } = await house(
        t,
        (_call, query, count) => {
          if (!isServed) return { status: 404, body: '404 page not found' }
          if (!isWatch(query)) return list(10 * count, thing('a', 9))
          if (count > 1) return watching()
          // The definition goes: the watch is too old for whatever comes, and the list has nobody to answer it.
          isServed = false
          return { status: 410, body: { kind: 'Status', code: 410, message: 'too old' } }
        },
        { whenUnknown },
      )
      const why = await eventually(
        () => (cache.missing()?.includes('404') === true ? cache.missing() : undefined),
        'why',
      )
      t.match(why, /^things: catching up: the server does not know it any more: .*answers 404/)
      t.same(changes, ['infra/a ->9 listed'])
      t.equal(cache.size, 1)
      isServed = true
      await eventually(() => (cache.missing() === undefined ? true : undefined), 'in sync')
      t.same(changes, ['infra/a ->9 listed'])
    },
  )
}

t.test('a watch that nobody knows any more is not in sync at once, and nothing is called gone', async (t) => {
  let isServed = true
  const { cache, changes, queries } = await house(
    t,
    (_call, query) => {
      if (!isServed) return { status: 404, body: '404 page not found' }
      if (!isWatch(query)) return list(10, thing('a', 9))
      if (queries('watch').length > 2) return watching(event('BOOKMARK', thing('', 30)))
      isServed = false
      setTimeout(() => (isServed = true), 300)
      return { stream: (response) => response.writeHead(200).end() }
    },
    { whenUnknown: 'empty' },
  )
  await eventually(() => cache.missing()?.includes('does not know it any more'), 'it says so')
  await eventually(() => (cache.missing() === undefined ? true : undefined), 'in sync')
  t.same(changes, ['infra/a ->9 listed'])
  t.equal(queries('list').length, 1)
})

t.test('a resource that is installed later is followed from then on', async (t) => {
  let isServed = false
  const { cache } = await house(
    t,
    (_call, query) => {
      if (!isServed) return { status: 404, body: '404 page not found' }
      return isWatch(query) ? watching() : list(10, thing('a', 9))
    },
    { whenUnknown: 'empty' },
  )
  await eventually(() => (cache.isListed ? true : undefined), 'it is empty')
  t.equal(cache.isServed, false)
  isServed = true
  await eventually(() => (cache.size === 1 ? true : undefined), 'it is followed')
  t.equal(cache.isServed, true)
})

t.test('a watch goes on where the last event or bookmark was', async (t) => {
  const { cache, changes, queries } = await house(t, (_call, query, count) => {
    if (!isWatch(query)) return list(10, thing('a', 9))
    if (count > 1) return watching(event('MODIFIED', thing('a', 31)))
    return {
      stream: (response) => {
        opens(response, event('ADDED', thing('b', 20)), event('BOOKMARK', thing('', 30)))
        setTimeout(() => response.end(), 250)
      },
    }
  })
  await changed(changes, 3)
  t.same(
    queries('watch').map((query) => query.get('resourceVersion')),
    ['10', '30'],
  )
  t.equal(queries('list').length, 1)
  t.equal(cache.get('infra/a')?.version, '31')
})

for (const [title, gone] of [
  [
    'an error event',
    {
      stream: (response: ServerResponse) => {
        opens(response, event('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }))
        response.end()
      },
    },
  ],
  ['its answer', { status: 410, body: { kind: 'Status', code: 410, message: 'too old' } }],
] as const satisfies readonly (readonly [string, ApiAnswer])[]) {
  t.test(`a watch that ${title} calls too old begins with a list, which tells what went`, async (t) => {
    const { cache, changes, queries } = await house(t, (_call, query, count) => {
      if (isWatch(query)) return count === 1 ? gone : watching()
      return count === 1 ? list(10, thing('a', 5), thing('b', 6)) : list(50, thing('b', 6), thing('c', 40))
    })
    await changed(changes, 4)
    t.same(changes.slice(2).sort(), ['infra/a 5>- listed', 'infra/c ->40 listed'].sort())
    await eventually(() => (queries('watch').length === 2 ? true : undefined), 'it watches again')
    t.equal(queries('watch')[1]?.get('resourceVersion'), '50')
    t.equal(cache.missing(), undefined)
  })
}

for (const [title, breakOff] of [
  [
    'broke off within a line',
    (response: ServerResponse) => {
      opens(response, event('ADDED', thing('b', 11)).slice(0, 20))
      setTimeout(() => response.destroy(), 20)
    },
  ],
  [
    'ended within a line',
    (response: ServerResponse) => {
      opens(response)
      response.end('{"type":"ADD')
    },
  ],
  [
    'sent no JSON',
    (response: ServerResponse) => {
      opens(response)
      response.end('<html>\n')
    },
  ],
  [
    'sent JSON that is no event',
    (response: ServerResponse) => {
      opens(response)
      response.end('[]\n{"type":"ADDED"}\n')
    },
  ],
  [
    'was refused',
    (response: ServerResponse) => {
      response.writeHead(503)
      response.end('{}')
    },
  ],
] as const) {
  t.test(`a watch that ${title} is asked again from where it was, and loses nothing`, async (t) => {
    const { cache, changes, queries } = await house(t, (_call, query, count) => {
      if (!isWatch(query)) return list(10, thing('a', 9))
      return count === 1 ? { stream: breakOff } : watching(event('ADDED', thing('b', 11)))
    })
    await changed(changes, 2)
    t.same(changes, ['infra/a ->9 listed', 'infra/b ->11'])
    t.same(
      queries('watch').map((query) => query.get('resourceVersion')),
      ['10', '10'],
    )
    t.equal(queries('list').length, 1)
    t.equal(cache.missing(), undefined)
  })
}

t.test('an event in pieces, with letters of several bytes cut through, is one event', async (t) => {
  const line = Buffer.from(event('ADDED', { ...thing('b', 11), spec: 'ä€😀' }))
  const projected: unknown[] = []
  const { changes } = await house(
    t,
    (_call, query) => {
      if (!isWatch(query)) return list(10)
      return {
        stream: (response) => {
          opens(response)
          const send = async (): Promise<void> => {
            for (const byte of line) {
              response.write(Buffer.from([byte]))
              if (byte > 127) await pause(2)
            }
          }
          void send()
        },
      }
    },
    {
      project: (object, { name, resourceVersion }) => {
        projected.push(object['spec'])
        return { name, version: resourceVersion }
      },
    },
  )
  await changed(changes, 1)
  t.same(projected, ['ä€😀'])
})

t.test(
  'silence is borne for so long and no longer, and then it catches up before it is in sync',
  async (t) => {
    const watches: ServerResponse[] = []
    const { cache, clock, queries, changes } = await house(t, (_call, query) => {
      if (!isWatch(query)) return list(10, thing('a', 9))
      return {
        stream: (answer) => {
          opens(answer)
          watches.push(answer)
        },
      }
    })
    await eventually(() => watches[0], 'the watch is open')
    t.equal(queries('watch')[0]?.get('timeoutSeconds'), '15', 'it hears something well before it is stale')
    clock.ms = 29_000
    t.equal(cache.missing(), undefined)
    clock.ms = 31_000
    t.equal(cache.missing(), 'things: nothing heard for 31 s')
    watches[0]?.destroy()
    await eventually(() => (queries('watch').length === 2 ? true : undefined), 'it watches again')
    t.equal(queries('watch')[1]?.get('timeoutSeconds'), '3')
    await eventually(
      () => (cache.missing()?.startsWith('things: catching up') === true ? true : undefined),
      'it is behind',
    )
    watches[1]?.write(event('MODIFIED', thing('a', 12)) + event('BOOKMARK', thing('', 20)))
    await eventually(() => (cache.missing() === undefined ? true : undefined), 'it has caught up')
    t.same(changes, ['infra/a ->9 listed', 'infra/a 9>12'])
  },
)

t.test('a server that is silent is given up', async (t) => {
  const { queries } = await house(t, (_call, query) => (isWatch(query) ? { stream: nothing } : list(10)), {
    staleAfterMs: 100,
  })
  await eventually(() => (queries('watch').length > 1 ? true : undefined), 'it asks again')
  t.equal(queries('list').length, 1)
})

t.test('what a write showed is not undone by events from before it', async (t) => {
  let response: ServerResponse | undefined
  const { cache, changes } = await house(t, (_call, query) => {
    if (!isWatch(query)) return list(10, thing('a', 9))
    return {
      stream: (answer) => {
        opens(answer)
        response = answer
      },
    }
  })
  const live = await eventually(() => response, 'the watch is open')
  cache.take(Object(thing('a', 15)))
  live.write(
    event('MODIFIED', thing('a', 12)) +
      event('MODIFIED', thing('a', 15)) +
      event('MODIFIED', thing('a', 100)),
  )
  await changed(changes, 3)
  t.same(changes, ['infra/a ->9 listed', 'infra/a 9>15', 'infra/a 15>100'])
})

t.test('what is not kept is not there, and what was kept before it is gone', async (t) => {
  const { cache, changes } = await house(
    t,
    (_call, query) =>
      isWatch(query)
        ? watching(event('MODIFIED', thing('a', 11)), event('MODIFIED', thing('b', 12)))
        : list(10, thing('a', 8), thing('b', 9)),
    {
      project: (_object, { name, resourceVersion: version }) =>
        version === '12' ? undefined : { name, version },
    },
  )
  await changed(changes, 4)
  t.same(changes.slice(2), ['infra/a 8>11', 'infra/b 9>-'])
  t.same(
    [...cache.values()].map(({ name }) => name),
    ['a'],
  )
})
