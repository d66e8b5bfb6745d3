// Shares of an issuer's word on opaque tokens, at an issuer that answers when the test says so.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { Connector } from '../../src/core/connector.ts'
import { createIssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import { createUpstreamLookups } from '../../src/platform/upstream_lookups.ts'
import type { UpstreamLookups } from '../../src/platform/upstream_lookups.ts'
import { testConnector } from '../support/connectors.ts'
import { portOf } from '../support/test_issuer.ts'

const BUSY = { ok: false, denial: { reason: 'issuer_busy', connector: 'gitlab', retryAfterSeconds: 1 } }
const REFUSED = { ok: false, denial: { reason: 'subject_userinfo_failed' } }

type World = {
  readonly lookups: UpstreamLookups
  readonly connector: Connector
  /** Tokens that the issuer was asked about and has not answered. */
  readonly open: Map<string, ServerResponse>
  /** Resolves when so many wait at the issuer. */
  readonly asked: (count: number) => Promise<void>
  readonly answer: (token: string) => void
  /** Ends everybody's patience. */
  readonly loseAll: () => void
}

async function start(t: Test): Promise<World> {
  const open = new Map<string, ServerResponse>()
  const server = createServer((request, response) => {
    open.set(String(request.headers.authorization).replace('Bearer ', ''), response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const baseUrl = `http://127.0.0.1:${portOf(server)}`
  const issuers = createIssuerKeysRegistry({ clock: Date.now })
  t.teardown(() => {
    issuers.close()
    server.closeAllConnections()
    server.close()
  })
  const gitlabApi = {
    baseUrl,
    useLoginAsId: false,
    groups: [],
    getGroupsPermission: false,
    inheritedGroups: false,
  }
  const timers = new Set<() => void>()
  const after = (_ms: number, callback: () => void): (() => void) => {
    timers.add(callback)
    return () => void timers.delete(callback)
  }
  return {
    lookups: createUpstreamLookups(issuers, {
      limits: { maxConcurrent: 4, maxOfCaller: 2, maxWaiting: 4 },
      after,
    }),
    connector: testConnector('oidc', { id: 'gitlab', issuer: baseUrl, gitlabApi }),
    open,
    async asked(count) {
      while (open.size < count) await sleep(2)
    },
    answer(token) {
      open.get(token)?.writeHead(401).end()
      open.delete(token)
    },
    loseAll() {
      for (const lose of timers) lose()
    },
  }
}

t.test('one caller has two of four places, and an issuer that hangs for it answers others', async (t) => {
  const { lookups, connector, open, asked, answer } = await start(t)
  const show = (token: string, caller: string) => lookups.gitlabIdentity(token, connector, caller)
  const bad = ['bad1', 'bad2', 'bad3'].map((token) => show(token, 'mallory 203.0.113.7'))
  await asked(2)
  const good = show('good', 'ci 198.51.100.9')
  await asked(3)
  t.strictSame([...open.keys()].sort(), ['bad1', 'bad2', 'good'])
  answer('good')
  t.match(await good, REFUSED)
  answer('bad1')
  while (!open.has('bad3')) await sleep(2)
  answer('bad2')
  answer('bad3')
  for (const end of bad) t.match(await end, REFUSED)
})

t.test(
  'whose patience ends is busy, and so is at once whoever finds the queue full of its own',
  async (t) => {
    const { lookups, connector, open, asked, answer, loseAll } = await start(t)
    const show = (token: string, caller = 'mallory 203.0.113.7') =>
      lookups.gitlabIdentity(token, connector, caller)
    const running = [show('bad1'), show('bad2')]
    await asked(2)
    const waiting = ['bad3', 'bad4', 'bad5', 'bad6'].map((token) => show(token))
    t.match(await show('bad7'), BUSY)
    loseAll()
    for (const end of waiting) t.match(await end, BUSY)
    t.equal(open.size, 2, 'none of them was asked about')
    answer('bad1')
    answer('bad2')
    for (const end of running) t.match(await end, REFUSED)
    const next = show('bad8')
    await asked(1)
    answer('bad8')
    t.match(await next, REFUSED, 'and afterwards it has its places again')
  },
)

t.test('each issuer has places of its own', async (t) => {
  const first = await start(t)
  const { lookups, connector, asked, answer } = first
  const bad = ['bad1', 'bad2'].map((token) => lookups.gitlabIdentity(token, connector, 'mallory'))
  await asked(2)
  const second = await start(t)
  const there = lookups.gitlabIdentity('bad3', { ...second.connector, id: 'other' }, 'mallory')
  await second.asked(1)
  second.answer('bad3')
  t.match(await there, REFUSED)
  answer('bad1')
  answer('bad2')
  await Promise.all(bad)
})
