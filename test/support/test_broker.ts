// A whole broker inside the test's process: configuration text through the real loaders, real keys, real verifier and a
// real issuer over HTTPS; only clock, audit destination and log are the test's. One valid configuration and one valid
// request; each test changes one thing.
//
//   const broker = await startTestBroker(t)                       // native; { dex: {...} } for a Dex configuration
//   const answer = await broker.exchange({ scope: undefined })     // the valid exchange with one thing changed
//   answer.status, answer.json, answer.token?.claims, broker.audit()?.reason
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import { existsSync, readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { emergencyEvent } from '../../src/core/audit_event.ts'
import type { AuditEvent } from '../../src/core/audit_event.ts'
import { CLIENT_CREDENTIALS, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { createPublicApp } from '../../src/broker/app.ts'
import { createBroker } from '../../src/broker/broker.ts'
import type { Broker } from '../../src/broker/broker.ts'
import type { BrokerConfig } from '../../src/broker/config/broker_config.ts'
import { loadDexConfig } from '../../src/broker/config/dex/load.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import type { BrokerParts } from '../../src/broker/live_broker.ts'
import { createOpsApp } from '../../src/broker/ops_app.ts'
import { openClockWatch } from '../../src/platform/clock_watch.ts'
import { AuditFailure } from '../../src/platform/audit_sink.ts'
import { formatFinding } from '../../src/platform/config/finding.ts'
import { createIssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import type { IssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import { openLeverBook } from '../../src/platform/levers/lever_book.ts'
import type { Log } from '../../src/platform/log.ts'
import { createMetrics } from '../../src/platform/metrics.ts'
import { createRandomBytes } from '../../src/platform/random.ts'
import type { RemoteKeys } from '../../src/platform/remote_signer/ring_keys.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { createSubjectVerifier } from '../../src/platform/subject_verifier.ts'
import { createUpstreamLookups } from '../../src/platform/upstream_lookups.ts'
import { SECRETS, SIGNER_KEY, nativeConfig } from './broker_config.ts'
import { issuerClaims } from './issuer_fixtures.ts'
import { publicJwk, startTestIssuer } from './test_issuer.ts'
import type { MintOptions, TestIssuer } from './test_issuer.ts'

/** 2026-11-21T12:00:00Z, in milliseconds. */
export const START = 1_795_262_400_000
export const BROKER_ISSUER = 'https://broker.example.test/dex'

export type Form = Readonly<Record<string, string | readonly string[] | undefined>>

export type PostOptions = {
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The body as it stands, instead of the form. */
  readonly body?: string | Buffer
  readonly address?: string
}

export type DecodedToken = {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

export type Reply = {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
  /** Decoded `access_token` and `id_token`, when there are any. */
  readonly token: DecodedToken | undefined
  readonly idToken: DecodedToken | undefined
}

export type Config = Record<string, unknown>

export type TestBrokerOptions = {
  /** Changes the valid native configuration in place. */
  readonly change?: (config: Config, issuer: TestIssuer) => void
  /** A Dex configuration instead of the native one, and its overlay. */
  readonly dex?: (issuer: TestIssuer) => Config
  readonly overlay?: Config
  readonly issuer?: TestIssuer
  readonly env?: Readonly<Record<string, string>>
  readonly store?: Store
  /** A signer elsewhere in place of keys of its own. */
  readonly remote?: RemoteKeys
  /** The clock of another broker, for two that share an issuer or a store. */
  readonly clock?: { now: number }
  /** The clock of the store, where it has one of its own. */
  readonly sharedClock?: () => Promise<number>
}

/** Faults of ours that a test switches on. */
export type Faults = { store: boolean; audit: boolean; signing: boolean; broken: boolean }

export type TestBroker = {
  readonly app: FastifyInstance
  readonly ops: FastifyInstance
  readonly broker: Broker
  readonly config: BrokerConfig
  readonly issuer: TestIssuer
  readonly issuers: IssuerKeysRegistry
  readonly clock: { now: number }
  readonly faults: Faults
  readonly events: AuditEvent[]
  /** Log lines as JSON. */
  readonly lines: string[]
  /** Everything that left: bodies, headers, events, log lines. For "no token anywhere" tests. */
  readonly said: string[]
  /** Every body that was posted, as it went out: what must not come back in `said`. */
  readonly sent: string[]
  readonly audit: () => AuditEvent | undefined
  /** A GitLab push token of the fixture, fresh. */
  readonly mint: (claims?: Readonly<Record<string, unknown>>, options?: MintOptions) => string
  readonly post: (form: Form, options?: PostOptions) => Promise<Reply>
  /** The valid token exchange with some parameters changed; `undefined` leaves one out. */
  readonly exchange: (change?: Form, options?: PostOptions) => Promise<Reply>
  /** The valid client_credentials request likewise. */
  readonly credentials: (change?: Form, options?: PostOptions) => Promise<Reply>
  readonly get: (path: string, headers?: Readonly<Record<string, string>>) => Promise<Reply>
  /** Loads the configuration with a further change and puts it to work. */
  readonly reload: (change: (config: Config, issuer: TestIssuer) => void) => BrokerConfig
}

export async function startTestBroker(t: Test, options: TestBrokerOptions = {}): Promise<TestBroker> {
  const clock = options.clock ?? { now: START }
  const now = (): number => clock.now
  const issuer = options.issuer ?? (await startTestIssuer({ now }))
  if (options.issuer === undefined) t.teardown(() => issuer.close())
  const faults: Faults = { store: false, audit: false, signing: false, broken: false }
  const events: AuditEvent[] = []
  const lines: string[] = []
  const said: string[] = []
  const sent: string[] = []
  const config = loadTestConfig(issuer, options)
  const log = collectingLog(lines, said)
  const store = faultyStore(options.store ?? createMemoryStore({ clock: now }), faults)
  const randomBytes = createRandomBytes()
  const keyRing = await openKeyRing({
    store,
    clock: now,
    randomBytes,
    config: config.keys,
    maxTokenTtlSeconds: 86_400,
    log,
    refreshSeconds: 0,
    remote: options.remote,
  })
  const issuers = createIssuerKeysRegistry({ clock: now })
  const audit = collectingSink(events, said, faults)
  const clockWatch = await openClockWatch({
    clock: now,
    monotonic: () => 0,
    shared: options.sharedClock,
    log,
    lookEveryMs: 0,
  })
  const levers = await openLeverBook({
    store,
    clock: now,
    randomBytes,
    log,
    isClockOff: () => clockWatch.offBySeconds() !== undefined,
    onStamp: () => keyRing.refresh(),
    tell: (event) => audit.write(emergencyEvent(event, new Date(event.at).toISOString())),
    lookEveryMs: 0,
  })
  const parts: BrokerParts = {
    store,
    clockWatch,
    levers,
    keyRing: {
      ...keyRing,
      current: () =>
        faults.signing
          ? { ...keyRing.current(), sign: async () => Promise.reject(new Error('the signer is broken')) }
          : keyRing.current(),
    },
    verifier: createSubjectVerifier({ clock: now, issuerKeys: issuers }),
    ...createUpstreamLookups(issuers),
    audit,
    metrics: createMetrics('0.0.0-test'),
    log,
    clock: now,
    randomBytes,
    pool: inPlacePool,
  }
  const broker = createBroker(config, parts)
  const app = await createPublicApp(broker, { https: undefined, isIdle: () => false })
  const ops = createOpsApp(broker, () => issuers.statuses())
  t.teardown(async () => {
    await app.close()
    await ops.close()
    issuers.close()
    keyRing.close()
  })

  const read = (response: Parameters<typeof readReply>[0]): Reply => {
    const answer = readReply(response)
    // What a caller gets on success is a token; everything else must hold none.
    if (answer.status !== 200) said.push(answer.text)
    said.push(JSON.stringify(answer.headers))
    return answer
  }
  const post: TestBroker['post'] = async (form, { path = '/token', headers, body, address } = {}) => {
    const payload = body ?? encodeForm(form)
    sent.push(payload.toString())
    return read(
      await app.inject({
        method: 'POST',
        url: `${basePath(config)}${path}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        payload,
        ...(address === undefined ? {} : { remoteAddress: address }),
      }),
    )
  }
  const mint: TestBroker['mint'] = (claims = {}, mintOptions = {}) =>
    issuer.mint({ ...gitlabClaims(config.issuer), ...claims }, mintOptions)
  return {
    app,
    ops,
    broker,
    config,
    issuer,
    issuers,
    clock,
    faults,
    events,
    lines,
    said,
    sent,
    audit: () => events.at(-1),
    mint,
    post,
    exchange: (change = {}, postOptions = {}) =>
      post(
        {
          grant_type: TOKEN_EXCHANGE,
          client_id: 'ci',
          client_secret: SECRETS.ci,
          connector_id: 'gitlab',
          subject_token_type: ID_TOKEN_TYPE,
          scope: 'openid audience:server:client_id:app',
          ...change,
          subject_token: 'subject_token' in change ? change['subject_token'] : mint(),
        },
        postOptions,
      ),
    credentials: (change = {}, postOptions = {}) =>
      post(
        {
          grant_type: CLIENT_CREDENTIALS,
          client_id: 'ci-pipeline',
          client_secret: SECRETS.pipeline,
          scope: 'openid',
          ...change,
        },
        postOptions,
      ),
    get: async (path, headers = {}) =>
      read(await app.inject({ method: 'GET', url: `${basePath(config)}${path}`, headers })),
    reload(change) {
      const next = loadTestConfig(issuer, {
        ...options,
        change: (file) => {
          options.change?.(file, issuer)
          change(file, issuer)
        },
      })
      broker.reload(next)
      return next
    },
  }
}

/** The claims of `gitlab-push-main`, without the times and ids that the issuer fills in. */
export function gitlabClaims(audience: string): Record<string, unknown> {
  const {
    iss: _iss,
    iat: _iat,
    nbf: _nbf,
    exp: _exp,
    jti: _jti,
    ...claims
  } = issuerClaims('gitlab-push-main')
  return { ...claims, aud: audience }
}

export function encodeForm(form: Form): string {
  const pairs: [string, string][] = []
  for (const [name, value] of Object.entries(form)) {
    if (typeof value === 'string') pairs.push([name, value])
    else for (const item of value ?? []) pairs.push([name, item])
  }
  return new URLSearchParams(pairs).toString()
}

/** `Authorization: Basic`, both halves form-encoded as RFC 6749 §2.3.1 wants it. */
export function basic(id: string, secret: string): { authorization: string } {
  const encoded = [id, secret].map((half) => encodeURIComponent(half)).join(':')
  return { authorization: `Basic ${Buffer.from(encoded).toString('base64')}` }
}

export function decodeToken(token: string): DecodedToken {
  const [header = '', claims = ''] = token.split('.')
  return { header: readPart(header), claims: readPart(claims) }
}

function readPart(part: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
}

function loadTestConfig(issuer: TestIssuer, options: TestBrokerOptions): BrokerConfig {
  const env = {
    env: {
      CI_SECRET: SECRETS.ci,
      PIPELINE_SECRET: SECRETS.pipeline,
      OTHER_SECRET: SECRETS.other,
      ...options.env,
    },
    readFile: (path: string) => {
      if (path.endsWith('/ca.pem')) return issuer.caPem
      if (path.endsWith('/signer.jwks.json')) return JSON.stringify({ keys: [publicJwk(SIGNER_KEY)] })
      if (existsSync(path)) return readFileSync(path, 'utf8')
      throw new Error(`ENOENT: ${path}`)
    },
    baseDir: '/etc/sallyport',
    randomBytes: createRandomBytes(),
  }
  if (options.dex !== undefined) {
    const overlay =
      options.overlay === undefined
        ? {}
        : { overlay: { file: 'overlay.yaml', text: JSON.stringify(options.overlay) } }
    const load = loadDexConfig('dex.yaml', JSON.stringify(options.dex(issuer)), env, {
      ...overlay,
      flags: { development: true },
    })
    return loaded(load)
  }
  const file = nativeConfig(issuer, BROKER_ISSUER)
  options.change?.(file, issuer)
  return loaded(loadNativeConfig('sallyport.yaml', JSON.stringify(file), env))
}

function loaded(load: ReturnType<typeof loadNativeConfig>): BrokerConfig {
  if (load.config !== undefined) return load.config
  throw new Error(`the test's configuration does not load:\n${load.findings.map(formatFinding).join('\n')}`)
}

function basePath(config: BrokerConfig): string {
  return new URL(config.issuer).pathname.replace(/\/+$/, '')
}

type Response = { readonly statusCode: number; readonly headers: object; readonly payload: string }

function readReply(response: Response): Reply {
  const json = readJson(response.payload)
  const [access, id] = [json['access_token'], json['id_token']]
  return {
    status: response.statusCode,
    headers: { ...response.headers },
    text: response.payload,
    json,
    token: typeof access === 'string' ? decodeToken(access) : undefined,
    idToken: typeof id === 'string' ? decodeToken(id) : undefined,
  }
}

function readJson(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text))
  } catch {
    // Go's 404 page and the health texts are no JSON.
    return {}
  }
}

function collectingSink(events: AuditEvent[], said: string[], faults: Faults): BrokerParts['audit'] {
  return {
    async write(event) {
      if (faults.audit) throw new AuditFailure('the disk is full')
      events.push(event)
      said.push(JSON.stringify(event))
    },
    failure: () => (faults.audit ? 'the disk is full' : undefined),
    reopen: () => {},
    close: () => {},
  }
}

function collectingLog(lines: string[], said: string[]): Log {
  const collect =
    (level: string) =>
    (fields: unknown, message?: string): void => {
      const line = JSON.stringify({ level, message, fields: plainError(fields) })
      lines.push(line)
      said.push(line)
    }
  return { debug: collect('debug'), info: collect('info'), warn: collect('warn'), error: collect('error') }
}

/** As pino's serializer: an error is its message and stack, not `{}`. */
function plainError(fields: unknown): unknown {
  const record: Record<string, unknown> = Object(fields)
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      name,
      value instanceof Error ? `${value.message} ${value.stack ?? ''}` : value,
    ]),
  )
}

function faultyStore(store: Store, faults: Faults): Store {
  const check = (): void => {
    if (faults.store) throw new StoreFailure('the database is locked')
  }
  return {
    ...store,
    async get(key) {
      check()
      return store.get(key)
    },
    async put(key, value, expiresAt) {
      check()
      return store.put(key, value, expiresAt)
    },
    async claimAllOnce(claims) {
      check()
      if (faults.broken) throw new Error('secret /path/to/db')
      return store.claimAllOnce(claims)
    },
    async ping() {
      check()
      return store.ping()
    },
  }
}
