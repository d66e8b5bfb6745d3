// Everything that a run breaks: two brokers on one real PostgreSQL, each with a way to it of its own, a third one on
// SQLite, two issuers, and a small disk for each broker.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { SECRETS } from '../support/broker_config.ts'
import { freePorts } from '../support/child_server.ts'
import { POSTGRES_PASSWORD, postgresFolder, startPostgres } from '../support/postgres.ts'
import type { PostgresServer } from '../support/postgres.ts'
import { startTcpGate } from '../support/tcp_gate.ts'
import type { TcpGate } from '../support/tcp_gate.ts'
import { startTestIssuer } from '../support/test_issuer.ts'
import type { TestIssuer } from '../support/test_issuer.ts'
import type { BrokerName, DomainName } from './history.ts'
import type { ThingKind } from './schedule.ts'
import { mountSmallDisk } from './small_disk.ts'
import type { SmallDisk } from './small_disk.ts'
import { superviseBroker } from './supervised_broker.ts'
import type { BrokerDiary, SupervisedBroker } from './supervised_broker.ts'
import type { Teardowns } from './teardowns.ts'

export const AUDIENCE = 'app'
export const CLIENT = { id: 'ci', secret: SECRETS.ci } as const

export type Broker = {
  readonly name: BrokerName
  readonly domain: DomainName
  readonly issuer: string
  /** Base of its endpoints, without a slash at the end. */
  readonly url: string
  readonly opsUrl: string
  readonly folder: string
  readonly process: SupervisedBroker
  /** `undefined` where full disks are left out. */
  readonly disk: SmallDisk | undefined
  /** Its way to PostgreSQL; `undefined` with SQLite. */
  readonly link: TcpGate | undefined
  /** Its SQLite file; `undefined` with PostgreSQL. */
  readonly storeFile: string | undefined
  /** Writes the configuration, as it is or broken. */
  readonly configure: (ttlSeconds: number, isBroken?: boolean) => void
}

export type World = {
  readonly brokers: readonly Broker[]
  readonly postgres: PostgresServer
  /** The tokens of `once` are good for one exchange, those of `many` until they expire. */
  readonly upstreams: Readonly<Record<UpstreamName, TestIssuer>>
  readonly things: Readonly<Record<ThingKind, readonly string[]>>
}

/** Brokers that serve with several processes. */
export const WITH_WORKERS: readonly BrokerName[] = ['b']

export const UPSTREAMS = ['once', 'many'] as const
export type UpstreamName = (typeof UPSTREAMS)[number]

export type WorldOptions = {
  readonly diary: BrokerDiary
  /** Of each broker's disk; `undefined`: the folder's own, which cannot be filled. */
  readonly diskMebibytes: number | undefined
}

/** Seconds that an issued token lives: short, so that a run sees the end of it. */
export const TTL_SECONDS = 60

/** Made, but no broker is started yet. */
export async function makeWorld(teardowns: Teardowns, options: WorldOptions): Promise<World> {
  const [once, many] = [await startTestIssuer(), await startTestIssuer()]
  const upstreams = { once, many }
  teardowns.teardown(() => Promise.all([once.close(), many.close()]))
  const postgres = await startPostgres(teardowns, await postgresFolder())
  const { database } = await postgres.database()
  const ports = await freePorts(6)
  const portAt = (index: number): number => ports[index] ?? 0
  const shared = `http://127.0.0.1:${portAt(0)}/dex`
  const brokers: Broker[] = []
  for (const [index, name] of ['a', 'b'].entries()) {
    const link = await startTcpGate(postgres.socket)
    teardowns.teardown(() => link.close())
    const url = `postgres://postgres:${POSTGRES_PASSWORD}@127.0.0.1:${link.port}/${database}\n`
    const [port, opsPort] = [portAt(2 * index), portAt(2 * index + 1)]
    const place: Place = { name, domain: 'postgres', issuer: shared, port, opsPort, link, storeUrl: url }
    brokers.push(makeBroker(teardowns, place, upstreams, options))
  }
  const alone = `http://127.0.0.1:${portAt(4)}/dex`
  brokers.push(
    makeBroker(
      teardowns,
      {
        name: 'c',
        domain: 'sqlite',
        issuer: alone,
        port: portAt(4),
        opsPort: portAt(5),
        link: undefined,
        storeUrl: undefined,
      },
      upstreams,
      options,
    ),
  )
  const names = brokers.map(({ name }) => name)
  const namesOf = (has: (broker: Broker) => boolean): readonly string[] =>
    brokers.filter(has).map(({ name }) => name)
  return {
    brokers,
    postgres,
    upstreams,
    things: {
      process: names,
      worker: WITH_WORKERS,
      clock: names,
      config: names,
      disk: namesOf(({ disk }) => disk !== undefined),
      link: namesOf(({ link }) => link !== undefined),
      file: namesOf(({ storeFile }) => storeFile !== undefined),
      database: ['postgres'],
      keys: ['postgres', 'sqlite'],
      levers: ['postgres', 'sqlite'],
      upstream: UPSTREAMS,
    },
  }
}

type Place = {
  readonly name: BrokerName
  readonly domain: DomainName
  readonly issuer: string
  readonly port: number
  readonly opsPort: number
  readonly link: TcpGate | undefined
  /** Of PostgreSQL; `undefined`: SQLite. */
  readonly storeUrl: string | undefined
}

function makeBroker(
  teardowns: Teardowns,
  place: Place,
  upstreams: World['upstreams'],
  { diary, diskMebibytes }: WorldOptions,
): Broker {
  const { name, domain, issuer, port, opsPort, link, storeUrl } = place
  const folder = mkdtempSync(join(tmpdir(), `sallyport-chaos-${name}-`))
  teardowns.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  const disk = diskMebibytes === undefined ? undefined : mountSmallDisk(teardowns, data, diskMebibytes)
  if (disk === undefined) mkdirSync(data)
  writeFileSync(join(folder, 'ca.pem'), upstreams.once.caPem)
  if (storeUrl !== undefined) writeFileSync(join(folder, 'store.url'), storeUrl, { mode: 0o600 })
  const file = join(folder, 'sallyport.yaml')
  const configure = (ttlSeconds: number, isBroken = false): void => {
    const text = stringify(configOf(place, upstreams, ttlSeconds))
    writeFileSync(file, isBroken ? text.slice(0, text.length / 2) : text)
  }
  configure(TTL_SECONDS)
  const opsUrl = `http://127.0.0.1:${opsPort}`
  const workers = WITH_WORKERS.includes(name) ? 2 : undefined
  const supervised = superviseBroker({ name, folder, opsUrl, diary, workers })
  teardowns.teardown(() => supervised.end('SIGTERM'))
  return {
    name,
    domain,
    issuer,
    url: `http://127.0.0.1:${port}/dex`,
    opsUrl,
    folder,
    process: supervised,
    disk,
    link,
    storeFile: storeUrl === undefined ? join(data, 'sallyport.db') : undefined,
    configure,
  }
}

function configOf(
  { issuer, port, opsPort, storeUrl }: Place,
  upstreams: World['upstreams'],
  ttlSeconds: number,
): Readonly<Record<string, unknown>> {
  return {
    issuer,
    listen: { public: `127.0.0.1:${port}`, ops: `127.0.0.1:${opsPort}`, drain: '1s' },
    store:
      storeUrl === undefined
        ? { type: 'sqlite', file: 'data/sallyport.db' }
        : { type: 'postgres', urlFile: 'store.url' },
    audit: { destination: 'data/audit.log' },
    tokens: { ttl: `${ttlSeconds}s` },
    connectors: UPSTREAMS.map((id) => ({
      id,
      type: 'gitlab-ci',
      issuer: upstreams[id].url,
      caFile: 'ca.pem',
      clockSkew: '30s',
      singleUse: id === 'once' ? 'once' : 'off',
    })),
    clients: [
      {
        id: CLIENT.id,
        auth: { method: 'client_secret', secretEnv: 'CI_SECRET' },
        grants: ['token-exchange', 'client_credentials'],
      },
    ],
    audiences: [{ id: AUDIENCE, clients: [CLIENT.id] }],
    policies: UPSTREAMS.map((id) => ({
      name: `acme-${id}`,
      connector: id,
      claims: { project_id: '48291', ref: 'main' },
      grant: { audiences: [AUDIENCE] },
    })),
  }
}

/** Every line that the broker wrote, over all audit files. */
export function auditLinesOf({ folder }: Broker): readonly string[] {
  const data = join(folder, 'data')
  return readdirSync(data)
    .filter((name) => name.startsWith('audit.log'))
    .flatMap((name) => readFileSync(join(data, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
}
