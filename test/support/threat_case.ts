// One row of the threat table: an input that must not pass, its twin that must, and what holds whatever the row is about.
// Each row asserts the answer, the audit reason, one event and no more, counters that moved by one, the requests that
// reached the issuer, that nothing like a credential left in an answer, event, log line or metric, and that the broker
// works afterwards. What a row means alone (a header, a second table) it asserts itself in `also`.
//
//   const { refuses, accepts, refusesConfig } = threatTable(t, world)
//   refuses({ id: 'B06', says: 'an expired token', reason: 'subject_expired', attack: (world) => world.exchange(...) })
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { AuditEvent } from '../../src/core/audit_event.ts'
import type { DenialReason } from '../../src/core/denial.ts'
import { SECRETS } from './broker_config.ts'
import type { Config, Reply, TestBroker } from './test_broker.ts'
import type { TestIssuer } from './test_issuer.ts'

type Ask = (world: TestBroker) => Promise<Reply>
type Fetches = Readonly<Partial<TestIssuer['fetches']>>

/** Status and, unless it says nothing of the body, the exact text. */
export type ExpectedAnswer = { readonly status: number; readonly text?: string }

export type RefusedRow = {
  readonly id: string
  /** Completes "<says> is refused". */
  readonly says: string
  /** `undefined`: refused before there is a request that could be decided: no event, no decision. */
  readonly reason: DenialReason | undefined
  readonly attack: Ask
  /** The same without the mutation. Default: the valid exchange. */
  readonly twin?: Ask
  /** Default: the uniform denial. */
  readonly answer?: ExpectedAnswer
  readonly evidence?: object
  /** Default: `deny`. `fail`: ours or the network's, nothing was decided. */
  readonly decision?: AuditEvent['decision']
  /** Requests that the attack costs the issuer. Default: none. `background`: what a refresh behind the answer costs. */
  readonly fetches?: Fetches | 'background'
  /** Events and decisions of the attack, where it is several requests. The last one is the one that is judged. */
  readonly requests?: number
  readonly also?: (t: Test, reply: Reply, world: TestBroker) => Promise<void> | void
}

/** `twin`: what passes beside it, and loads the keys of its connector. */
export type AcceptedRow = Pick<RefusedRow, 'id' | 'says' | 'twin' | 'fetches' | 'requests' | 'also'> & {
  readonly ask: Ask
}

export type ConfigRow = {
  readonly id: string
  /** Completes "a configuration with <says> does not load". */
  readonly says: string
  readonly change: (config: Config, issuer: TestIssuer) => void
  /** In the finding's text: its code, or the words that tell this finding from others. */
  readonly finding: string | RegExp
  /** The same without the mutation. Default: the valid configuration. */
  readonly twin?: (config: Config, issuer: TestIssuer) => void
}

export type ThreatTable = {
  readonly refuses: (row: RefusedRow) => void
  readonly accepts: (row: AcceptedRow) => void
  readonly refusesConfig: (row: ConfigRow) => void
}

/** The answer to everything about a subject token or a policy. */
export const DENIED: ExpectedAnswer = { status: 401, text: '{"error":"access_denied"}' }
export const WRONG_CLIENT = invalid('invalid_client', 'Invalid client credentials.', 401)
export const NO_CONNECTOR = invalid('invalid_request', 'Requested connector does not exist.')
export const NOT_TRUSTED = invalid('invalid_target', 'The client may not request this audience.')
export const MALFORMED: ExpectedAnswer = { status: 400, text: '{"error":"invalid_request"}' }
export const BODY_TOO_LARGE = invalid('invalid_request', 'The body is larger than 65536 bytes.', 413)
export const UNAVAILABLE: ExpectedAnswer = { status: 503, text: '{"error":"temporarily_unavailable"}' }

export function invalid(error: string, description: string, status = 400): ExpectedAnswer {
  return { status, text: JSON.stringify({ error, error_description: description }) }
}

/** Discovery is asked for anew after an hour, keys after ten minutes, and for an unknown kid once in 30 s. */
const PAST_KEY_LIFE_MS = 61 * 60_000
const PAST_KEY_COOLDOWN_MS = 31_000

function title(id: string, says: string): string {
  return `TH-${id}: ${says}`
}

const VALID: Ask = (world) => world.exchange()

export function threatTable(t: Test, world: TestBroker): ThreatTable {
  return {
    refuses(row) {
      t.test(title(row.id, `${row.says} is refused`), async (t) => {
        const twin = row.twin ?? VALID
        // Each row begins with keys that its twin loads, and with buckets that are full.
        world.clock.now += PAST_KEY_LIFE_MS
        await whileKeysLoad(world, () => assertAllowed(t, world, twin, 'the twin'))
        world.clock.now += PAST_KEY_COOLDOWN_MS
        const before = await lookAt(world)
        const refusedBefore = await refusedFor(world, row.reason)
        const reply = await row.attack(world)
        const after = await lookAt(world)
        const refused = (await refusedFor(world, row.reason)) - refusedBefore
        const { status, text } = row.answer ?? DENIED
        t.equal(reply.status, status, 'the status')
        if (text !== undefined) t.equal(reply.text, text, 'the body')
        if (status === 401 && text === DENIED.text) assertUniformHeaders(t, reply)
        const requests = row.reason === undefined ? 0 : (row.requests ?? 1)
        assertCounted(t, before, after, { requests, fetches: row.fetches ?? {} })
        if (row.reason !== undefined) {
          assertDenied(t, world, reply, { reason: row.reason, decision: row.decision ?? 'deny' })
          t.ok(requests === 1 ? refused === 1 : refused > 0, 'counted under its reason')
        }
        if (row.evidence !== undefined) t.match(world.audit()?.evidence, row.evidence)
        await row.also?.(t, reply, world)
        await assertAllowed(t, world, twin, 'the twin afterwards')
        await assertSilent(t, world, before)
      })
    },
    accepts(row) {
      t.test(title(row.id, row.says), async (t) => {
        world.clock.now += PAST_KEY_LIFE_MS
        await whileKeysLoad(world, () => assertAllowed(t, world, row.twin ?? VALID, 'the twin'))
        world.clock.now += PAST_KEY_COOLDOWN_MS
        const before = await lookAt(world)
        const reply = await row.ask(world)
        const after = await lookAt(world)
        t.equal(reply.status, 200, 'the status')
        t.match(world.audit(), { decision: 'allow', requestId: reply.headers['x-request-id'] })
        assertCounted(t, before, after, { requests: row.requests ?? 1, fetches: row.fetches ?? {} })
        await row.also?.(t, reply, world)
        await assertSilent(t, world, before)
      })
    },
    refusesConfig(row) {
      t.test(title(row.id, `a configuration with ${row.says} does not load`), async (t) => {
        world.clock.now += PAST_KEY_LIFE_MS
        const served = world.broker.live().config
        t.throws(() => world.reload(row.change), { message: row.finding })
        t.equal(world.broker.live().config, served, 'what was served is served on')
        await assertAllowed(t, world, VALID, 'the exchange under it')
        t.ok(world.reload(row.twin ?? (() => {})), 'the twin loads')
        world.reload(() => {})
      })
    },
  }
}

const DECISIONS = 'sallyport_token_decisions_total'

type Look = {
  readonly events: number
  readonly said: number
  readonly sent: number
  readonly fetches: TestIssuer['fetches']
  readonly decisions: number
  readonly requests: number
}

async function lookAt(world: TestBroker): Promise<Look> {
  const basePath = new URL(world.config.issuer).pathname
  return {
    events: world.events.length,
    said: world.said.length,
    sent: world.sent.length,
    fetches: { ...world.issuer.fetches },
    decisions: await countOf(world, DECISIONS),
    requests: await countOf(world, 'http_requests_total', { handler: `${basePath}/token` }),
  }
}

/** The sum over all series of a counter, or over those that have these labels. */
export async function countOf(
  world: TestBroker,
  metric: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const counter = await world.broker.parts.metrics.registry.getSingleMetric(metric)?.get()
  if (counter === undefined) throw new Error(`there is no metric ${metric}`)
  return counter.values
    .filter((series) => Object.entries(labels).every(([name, value]) => series.labels[name] === value))
    .reduce((sum, series) => sum + series.value, 0)
}

/** Decisions that were counted with this reason. */
async function refusedFor(world: TestBroker, reason: DenialReason | undefined): Promise<number> {
  return reason === undefined ? 0 : countOf(world, DECISIONS, { reason })
}

/** Keys that are slow to come arrive after the twin was answered; else the attack would be blamed for that request. */
async function whileKeysLoad({ issuers }: TestBroker, act: () => Promise<void>): Promise<void> {
  const before = new Map(issuers.statuses().map(({ connector, attempts }) => [connector, attempts]))
  await act()
  const isLoading = (): boolean =>
    issuers
      .statuses()
      .some(({ connector, attempts, state }) => attempts !== before.get(connector) && state === 'stale')
  const deadline = performance.now() + 2000
  while (isLoading() && performance.now() < deadline) await sleep(5)
}

async function assertAllowed(t: Test, world: TestBroker, ask: Ask, says: string): Promise<void> {
  const before = await lookAt(world)
  const reply = await ask(world)
  t.equal(reply.status, 200, says)
  const event = world.audit()
  t.match(event, { decision: 'allow', requestId: reply.headers['x-request-id'] }, `${says}: its event`)
  t.equal(world.events.length - before.events, 1, `${says}: one event`)
  t.equal((await lookAt(world)).decisions - before.decisions, 1, `${says}: one decision counted`)
}

function assertCounted(
  t: Test,
  before: Look,
  after: Look,
  expected: { readonly requests: number; readonly fetches: Fetches | 'background' },
): void {
  const { requests } = expected
  t.equal(after.events - before.events, requests, 'audit events')
  t.equal(after.decisions - before.decisions, requests, 'decisions counted')
  if (requests > 0) t.equal(after.requests - before.requests, requests, 'requests counted')
  const fetched = Object.fromEntries(
    (['discovery', 'jwks', 'userinfo', 'other'] as const).map((kind) => [
      kind,
      after.fetches[kind] - before.fetches[kind],
    ]),
  )
  if (expected.fetches === 'background')
    t.ok(Number(fetched['jwks']) <= 2, 'no more than a refresh for each time')
  else
    t.same(
      fetched,
      { discovery: 0, jwks: 0, userinfo: 0, other: 0, ...expected.fetches },
      'requests upstream',
    )
}

function assertDenied(
  t: Test,
  world: TestBroker,
  reply: Reply,
  expected: { readonly reason: DenialReason; readonly decision: AuditEvent['decision'] },
): void {
  const event = world.audit()
  t.equal(event?.reason, expected.reason, 'the reason in the audit event')
  t.equal(event?.decision, expected.decision, 'denied, or failed')
  t.equal(event?.requestId, reply.headers['x-request-id'], 'the request id joins answer and event')
  t.equal(event?.issued, undefined, 'nothing was issued')
  t.notOk('access_token' in reply.json)
}

const UNIFORM_HEADERS = {
  'content-type': 'application/json',
  'cache-control': 'no-store',
  pragma: 'no-cache',
  'content-length': '25',
  connection: 'keep-alive',
}

function assertUniformHeaders(t: Test, reply: Reply): void {
  const { 'x-request-id': _id, date: _date, ...headers } = reply.headers
  t.same({ ...headers, connection: 'keep-alive' }, UNIFORM_HEADERS, 'the headers')
}

const TOKEN_LIKE = /(?:eyJ|ewog|ewoi|eyAi|ewkJ)[\w-]{10,}/
const CREDENTIALS = ['client_secret', 'client_assertion', 'subject_token', 'actor_token'] as const
/** What is shorter may be a word that stands in an answer anyway. */
const SHORTEST_CREDENTIAL = 16

/** Nothing that was sent as a credential since then, and nothing that looks like one, left in any form. */
async function assertSilent(t: Test, world: TestBroker, since: Look): Promise<void> {
  const metrics = await world.ops.inject({ url: '/metrics' })
  const said = [...world.said.slice(since.said), metrics.payload].join('\n')
  t.notMatch(said, TOKEN_LIKE, 'nothing like a token is said')
  const credentials = world.sent.slice(since.sent).flatMap(credentialsIn)
  for (const credential of new Set([...credentials, ...Object.values(SECRETS)]))
    if (said.includes(credential)) t.fail('a credential is said', { credential })
}

function credentialsIn(body: string): readonly string[] {
  const form = new URLSearchParams(body)
  return CREDENTIALS.flatMap((name) => form.getAll(name))
    .flatMap((value) => [value, value.slice(value.lastIndexOf('.') + 1)])
    .filter((value) => value.length >= SHORTEST_CREDENTIAL)
}
