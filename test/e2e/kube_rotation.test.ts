// Rotation and revocation as the real kube-apiserver lives through them, in real time: a key set may be kept for 90 s and
// nobody can hurry that. The scenarios wait most of the time, so they run side by side, each with a cluster and a broker
// of its own; docs/kube-rotation.md is written from what they print.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { flushDeadlineSeconds } from '../../src/core/kube/key_flush.ts'
import { jwksMaxAgeSeconds, leadSeconds } from '../../src/core/key_rotation.ts'
import { freePort } from '../support/child_server.ts'
import { kubeBinaries, kubeVersions } from '../support/kube_binaries.ts'
import type { KubeVersion } from '../support/kube_binaries.ts'
import { KUBE_AUDIENCE, startKubeBroker } from '../support/kube_broker.ts'
import type { KubeBroker } from '../support/kube_broker.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeApiserver, KubeCluster } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { decodeToken } from '../support/test_broker.ts'

t.setTimeout(840_000)
process.setMaxListeners(100)
t.jobs = 3
/** Accepted keys stay in go-oidc for so long before it looks again, at the earliest. */
const lagSeconds = jwksMaxAgeSeconds - 30

type World = {
  readonly broker: KubeBroker
  readonly cluster: KubeCluster
  readonly servers: readonly KubeApiserver[]
}

async function build(
  t: Test,
  options: {
    readonly version: KubeVersion
    readonly keyAgeSeconds?: number
    readonly apiservers: 1 | 2
  },
): Promise<World> {
  const { apiservers, version, ...broker } = options
  const started = await startKubeBroker(t, broker)
  const authenticationConfig = await started.generatedConfig()
  const cluster = await kubeClusterFor(t, { version, authenticationConfig, apiservers })
  return { broker: started, cluster, servers: cluster.apiservers }
}

const kidOf = (token: string): string => String(decodeToken(token).header['kid'])

/** 201: the apiserver knows who it is; 401: it does not. */
async function present({ cluster }: World, token: string, server: KubeApiserver): Promise<number> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  return (await cluster.request(path, { method: 'POST', body: review, token, server })).status
}

async function presentEverywhere(world: World, token: string): Promise<readonly number[]> {
  return Promise.all(world.servers.map((server) => present(world, token, server)))
}

/** The key set that an apiserver fetched last, and the one that the broker serves. */
async function fetchedHash(server: KubeApiserver): Promise<string | undefined> {
  return /jwks_fetch_last_key_set_info\{.*[{,]hash="([^"]+)"/.exec(await server.metrics())?.[1]
}

async function servedHash(broker: KubeBroker): Promise<string | undefined> {
  return /^sallyport_jwks_info\{hash="([^"]+)"\}/m.exec(await broker.metrics())?.[1]
}

async function keyFetches(broker: KubeBroker): Promise<number> {
  return broker.metric('http_requests_total', 'handler="/keys"')
}

async function reloads(server: KubeApiserver, status: 'success' | 'failure'): Promise<number> {
  const line = new RegExp(
    `^apiserver_authentication_config_controller_automatic_reloads_total\\{.*status="${status}".*\\} (\\d+)`,
    'm',
  )
  return Number(line.exec(await server.metrics())?.[1] ?? 0)
}

type Shown = { readonly at: number; readonly kid: string; readonly statuses: readonly number[] }

/** One fresh token for every apiserver, three times a second, until `stop`. */
function streamTokens(world: World): { readonly seen: readonly Shown[]; stop(): Promise<void> } {
  const seen: Shown[] = []
  const stopping = new AbortController()
  const running = (async () => {
    while (!stopping.signal.aborted) {
      const token = await world.broker.token()
      const at = Date.now()
      seen.push({ at, kid: kidOf(token), statuses: await presentEverywhere(world, token) })
      await sleep(330)
    }
  })()
  return {
    seen,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

/** Seconds until `holds`, asked each half second. */
async function until(holds: () => Promise<boolean>, limitSeconds: number): Promise<number> {
  const began = performance.now()
  while (!(await holds())) {
    const seconds = (performance.now() - began) / 1000
    if (seconds > limitSeconds) throw new Error(`it does not hold after ${limitSeconds} s`)
    await sleep(500)
  }
  return Math.round((performance.now() - began) / 100) / 10
}

/** Seconds for which this machine stood still, so far: no promise about time holds over them. */
function watchStalls(t: Test): () => number {
  let stalledMs = 0
  let last = Date.now()
  const timer = setInterval(() => {
    const now = Date.now()
    if (now - last > 3000) stalledMs += now - last
    last = now
  }, 500)
  t.teardown(() => clearInterval(timer))
  return () => Math.ceil(stalledMs / 1000)
}

/** A token whose key nobody publishes. */
function unknownKid(token: string): string {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const fields: object = JSON.parse(Buffer.from(header, 'base64url').toString())
  const changed = Buffer.from(JSON.stringify({ ...fields, kid: crypto.randomUUID() })).toString('base64url')
  return `${changed}.${payload}.${signature}`
}

/** A scheduled rotation refuses nobody, and a flood of unknown keys costs one fetch a minute. */
async function playRotation(t: Test, version: KubeVersion): Promise<void> {
  // The next key is published some 25 s after the start: the apiservers have fetched the set before, without it.
  const world = await build(t, { version, keyAgeSeconds: leadSeconds - 25, apiservers: 2 })
  const { broker, servers } = world
  const [plain, flooded] = servers
  if (plain === undefined || flooded === undefined) throw new Error('two apiservers')
  const began = Date.now()
  const seen: { readonly kid: string; readonly statuses: readonly number[] }[] = []
  const floods: number[] = []
  let switchedAt: number | undefined
  const flooding = new AbortController()

  const first = await broker.token()
  t.same(await presentEverywhere(world, first), [201, 201])
  const flood = (async () => {
    while (!flooding.signal.aborted) {
      floods.push(await present(world, unknownKid(first), flooded))
      await sleep(100)
    }
  })()
  const fetchesBefore = await keyFetches(broker)
  const floodBegan = Date.now()
  let fetchesUnderFlood = 0
  let floodSeconds = 0
  let longestMs = 0

  // One fresh token for both apiservers, three times a second, until 20 s after the switch.
  while (switchedAt === undefined || Date.now() < switchedAt + 20_000) {
    const asked = Date.now()
    const token = await broker.token()
    const kid = kidOf(token)
    seen.push({ kid, statuses: await presentEverywhere(world, token) })
    longestMs = Math.max(longestMs, Date.now() - asked)
    if (kid !== kidOf(first)) switchedAt ??= Date.now()
    if (!flooding.signal.aborted && Date.now() - floodBegan > 125_000) {
      flooding.abort()
      await flood
      fetchesUnderFlood = (await keyFetches(broker)) - fetchesBefore
      floodSeconds = (Date.now() - floodBegan) / 1000
    }
    if (Date.now() - began > 300_000) throw new Error('the key never changed')
    await sleep(330)
  }

  const refused = seen.filter(({ statuses }) => statuses.some((status) => status !== 201))
  t.same(refused, [], 'not one 401')
  t.equal(new Set(seen.map(({ kid }) => kid)).size, 2, 'tokens of both keys')
  const late = seen.filter(({ kid }) => kid !== kidOf(first)).length
  t.comment(
    `rotation: ${seen.length} tokens at two apiservers, ${late} of the new key, switch ${(switchedAt - began) / 1000} s after the first, longest wait for token and both answers ${longestMs} ms`,
  )
  for (const server of servers)
    t.equal(await fetchedHash(server), await servedHash(broker), 'it holds the set that is served')

  t.same([...new Set(floods)], [401])
  // The stream of the other apiserver knows its key all along and fetches nothing.
  t.ok(fetchesUnderFlood >= 1, 'the flood does make it look')
  t.ok(
    fetchesUnderFlood <= Math.floor(floodSeconds / lagSeconds) + 1,
    `${fetchesUnderFlood} fetches in ${floodSeconds} s`,
  )
  t.comment(
    `flood: ${floods.length} unknown kids in ${Math.round(floodSeconds)} s, ${fetchesUnderFlood} fetches at the broker`,
  )
}

/** Keys revoke --flush makes every apiserver forget the key, idle ones too, and names who did not. */
async function playFlush(t: Test, version: KubeVersion): Promise<void> {
  const world = await build(t, { version, apiservers: 2 })
  const { broker, servers, cluster } = world
  const gone = `https://127.0.0.1:${await freePort()}`
  const listed = servers.map(({ url }) => ({ url, audience: KUBE_AUDIENCE, caFile: cluster.caFile }))
  const list = (apiservers: readonly object[]): void =>
    broker.write((config) => void Object.assign(config, { kube: { apiservers } }))
  list([...listed, { url: gone, audience: KUBE_AUDIENCE }])
  const old = [await broker.token(), await broker.token(), await broker.token()]
  const oldKid = kidOf(old[0] ?? '')
  t.same(
    await presentEverywhere(world, old[0] ?? ''),
    [201, 201],
    'the caches have just been filled: the worst moment',
  )
  const filled = Date.now()
  const stalled = watchStalls(t)

  const stream = streamTokens(world)
  const flushed = await broker.keys('revoke', oldKid, '--flush', '--json')
  const flushedAt = Date.now()
  await sleep(5000)
  await stream.stop()
  t.equal(flushed.code, 1, 'one of three was not reached')
  t.match(flushed.stderr, /1 of 3 NOT flushed/)
  const report: unknown = JSON.parse(flushed.stdout)
  t.match(report, {
    revoked: oldKid,
    apiservers: [
      { flushed: true, proof: 'token', oldKey: 'refused' },
      { flushed: true, proof: 'token', oldKey: 'refused' },
      { url: gone, flushed: false, problem: /ECONNREFUSED/ },
    ],
  })
  const times = flushTimes(report).slice(0, 2)
  for (const seconds of times)
    t.ok(seconds >= lagSeconds - 15 && seconds <= flushDeadlineSeconds + stalled(), `after ${seconds} s`)
  t.comment(
    `flush with caches just filled: ${times.join(' and ')} s; the machine stood still for ${stalled()} s`,
  )
  t.ok(flushedAt - filled < (flushDeadlineSeconds + 15 + stalled()) * 1000)
  playedUnderLoad(t, stream.seen, oldKid, flushedAt)
  t.same(await presentEverywhere(world, old[1] ?? ''), [401, 401])
  for (const server of servers)
    t.equal(await fetchedHash(server), await servedHash(broker), 'proved by its metrics')

  // Without the flush a key is trusted for as long as nobody comes with another.
  list(listed)
  const next = await broker.token()
  const held = [next, await broker.token(), await broker.token(), await broker.token()]
  t.same(await presentEverywhere(world, next), [201, 201])
  const fetches = await keyFetches(broker)
  t.equal((await broker.keys('revoke', kidOf(next))).code, 0)
  await sleep((jwksMaxAgeSeconds + 5) * 1000)
  t.same(await presentEverywhere(world, held[1] ?? ''), [201, 201], 'idle apiservers go on trusting it')
  t.equal(await keyFetches(broker), fetches, 'and have not looked')
  const later = await broker.keys('flush', '--json')
  t.equal(later.code, 0, later.stderr)
  t.match(JSON.parse(later.stdout), {
    apiservers: [
      { flushed: true, proof: 'token' },
      { flushed: true, proof: 'token' },
    ],
  })
  t.comment(`flush of idle apiservers: ${flushTimes(JSON.parse(later.stdout)).join(' and ')} s`)
  t.same(await presentEverywhere(world, held[2] ?? ''), [401, 401], 'until the flush')
  t.same(await presentEverywhere(world, await broker.token()), [201, 201], 'the broker goes on')
}

/** Jobs that come meanwhile: none is refused for a token of the old key, and none at all once the flush is done. */
function playedUnderLoad(t: Test, seen: readonly Shown[], oldKid: string, flushedAt: number): void {
  const refused = seen.filter(({ statuses }) => statuses.some((status) => status !== 201))
  t.same(
    refused.filter(({ kid, at }) => kid === oldKid || at >= flushedAt),
    [],
    'only tokens of the new key, and only until the flush is done',
  )
  t.ok(
    seen.some(({ kid, at }) => kid !== oldKid && at >= flushedAt),
    'tokens came afterwards, too',
  )
  const [from = flushedAt, to = flushedAt] = [refused.at(0)?.at, refused.at(-1)?.at]
  t.comment(
    `revoked under load: ${seen.length} tokens at two apiservers, ${refused.length} of the new key refused within ${Math.round((to - from) / 1000)} s`,
  )
}

function flushTimes(report: unknown): readonly number[] {
  const apiservers: unknown = Object(report).apiservers
  return Array.isArray(apiservers) ? apiservers.map((one: unknown) => Number(Object(one).seconds)) : []
}

/** A broker that is down, slow, restarted, renewed or beside a dead issuer. */
async function playFaults(t: Test, version: KubeVersion): Promise<void> {
  const world = await build(t, { version, apiservers: 1 })
  const { broker, cluster, servers } = world
  const [server] = servers
  if (server === undefined) throw new Error('an apiserver')
  const review = (token: string): Promise<number> => present(world, token, server)
  const held = await Promise.all(Array.from({ length: 12 }, () => broker.token()))
  const known = (): string => held.pop() ?? ''
  t.equal(await review(known()), 201)
  const filledAt = Date.now()

  // 1. a second, dead issuer: the file is not taken, and nothing of it
  const dead = {
    issuer: { url: `https://localhost:${await freePort()}`, audiences: ['x'] },
    claimMappings: { username: { claim: 'sub', prefix: 'x:' } },
  }
  const deadSince = Date.now()
  await cluster.writeAuthenticationConfig(broker.authenticationConfig({ jwt: [dead] }))

  // 2. down: who is known stays known
  await broker.kill()
  t.equal(await review(known()), 201, 'killed: a token of a key that the apiserver holds')
  t.equal(await review(unknownKid(known())), 401, 'and an unknown one is refused as ever')

  // 3. restarted: the same keys, nothing to fetch
  await broker.start()
  t.equal(await review(await broker.token()), 201, 'restarted: tokens of the same key')
  t.equal(await keyFetches(broker), 0, 'nobody had to look')

  // 4. a new certificate of the same CA, then a slow broker; both meet the fetch for a new key
  const before = await broker.keySet()
  await broker.renewCertificate()
  const oldKid = kidOf(await broker.token())
  t.equal((await broker.keys('revoke', oldKid)).code, 0)
  const seconds = await until(async () => (await broker.keySet()) !== before, 15)
  t.comment(`a running broker follows a revocation after ${seconds} s`)
  const [fresh, another] = [await broker.token(), await broker.token()]
  t.equal(await review(fresh), 401, `the new key is unknown for ${lagSeconds} s after the last fetch`)
  await sleep(Math.max(0, filledAt + (lagSeconds + 2) * 1000 - Date.now()))
  broker.signal('SIGSTOP')
  const slow = review(another)
  const asked = performance.now()
  await sleep(1000)
  t.equal(await review(known()), 201, 'slow: who is known does not wait')
  t.ok(performance.now() - asked < 4000, 'while the other one does')
  await sleep(4000)
  broker.signal('SIGCONT')
  t.equal(await slow, 201, 'the fetch that hung ends well, over the new certificate')
  t.comment(
    `slow: the token of the new key waited ${Math.round(performance.now() - asked) / 1000} s, those of known keys did not`,
  )
  t.equal(await review(known()), 401, 'from then on the revoked key is refused')

  // 5. what became of the file with the dead issuer
  await until(async () => (await reloads(server, 'failure')) > 0, 60)
  t.comment(
    `dead issuer: refused ${Math.round((Date.now() - deadSince) / 1000)} s after the edit at the latest`,
  )
  t.equal(await reloads(server, 'success'), 0)
  t.match(await server.log(), /failed to update authentication config.*is not healthy/)
  t.equal(await review(await broker.token()), 201, 'the old rules go on')
  await cluster.writeAuthenticationConfig(broker.authenticationConfig({ message: 'changed' }))
  const mended = await until(async () => (await reloads(server, 'success')) > 0, 90)
  t.comment(`the mended file: live after ${mended} s`)

  // 6. a reload forgets the keys, and a certificate that nobody knows stands in the way of new ones
  await broker.renewCertificate({ foreign: true })
  await sleep(1000)
  const tokens = [fresh, another]
  await broker.kill()
  await broker.start().catch(() => undefined)
  for (const token of tokens)
    t.equal(await review(token), 401, 'no keys, no way to get them: everybody is refused')
  t.match(await cluster.reviewToken(fresh), { error: /certificate signed by unknown authority/ })
  await broker.renewCertificate()
  await sleep(1000)
  const healed = await until(async () => (await review(fresh)) === 201, 20)
  t.comment(`certificate mended: accepted after ${healed} s, a failed fetch is not cached`)
}

for (const version of kubeVersions()) {
  const { skip } = await peerOrSkip(() => kubeBinaries(version))
  // Options of one test each: tap writes into them.
  const alone = () => ({ skip, buffered: true, timeout: 400_000 })
  t.test(
    `${version}: a scheduled rotation refuses nobody, and a flood of unknown keys costs one fetch a minute`,
    alone(),
    (t) => playRotation(t, version),
  )
  t.test(
    `${version}: keys revoke --flush makes every apiserver forget the key, idle ones too, and names who did not`,
    alone(),
    (t) => playFlush(t, version),
  )
  t.test(
    `${version}: a broker that is down, slow, restarted, renewed or beside a dead issuer`,
    alone(),
    (t) => playFaults(t, version),
  )
}
