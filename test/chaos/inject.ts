// Does to the world what the schedule says, waits, and makes it whole again.
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GateMode } from '../support/tcp_gate.ts'
import type { Behaviour } from '../support/test_issuer.ts'
import { messageOf, pullLever, revokeKey, rotateKeys } from './commands.ts'
import type { Injection } from './commands.ts'
import type { Hindrance } from './history.ts'
import { familyOf, signalIfThere } from './process_family.ts'
import type { Fault } from './schedule.ts'
import { TTL_SECONDS, UPSTREAMS } from './world.ts'
import type { Broker, UpstreamName, World } from './world.ts'

/** Resolves with what came of it, when it is over. */
export async function inject(fault: Fault, injection: Injection): Promise<string> {
  const { kind, thing, way, lastsMs } = fault
  const { world, giveUp } = injection
  switch (kind.of) {
    case 'process':
      return onProcess(kind.name, brokerOf(world, thing), lastsMs, injection)
    case 'worker':
      return onWorker(way, brokerOf(world, thing), lastsMs, injection)
    case 'clock':
      return onClock(kind.name, way, brokerOf(world, thing), lastsMs, giveUp)
    case 'database':
      return onDatabase(way, lastsMs, injection)
    case 'link':
      return onLink(way, brokerOf(world, thing), lastsMs, injection)
    case 'file':
      return onFile(brokerOf(world, thing), lastsMs, injection)
    case 'disk':
      return onDisk(brokerOf(world, thing), lastsMs, injection)
    case 'upstream':
      return onUpstream(kind.name, way, upstreamOf(thing), lastsMs, world)
    case 'keys':
      return kind.name === 'rotate' ? rotateKeys(thing, injection) : revokeKey(thing, injection)
    case 'levers':
      return pullLever(way, thing, lastsMs, injection)
    case 'config':
      return reload(way, brokerOf(world, thing), lastsMs)
  }
}

function brokerOf({ brokers }: World, name: string): Broker {
  const found = brokers.find((broker) => broker.name === name)
  if (found === undefined) throw new Error(`there is no broker ${name}`)
  return found
}

function upstreamOf(name: string): UpstreamName {
  const found = UPSTREAMS.find((one) => one === name)
  if (found === undefined) throw new Error(`there is no issuer ${name}`)
  return found
}

/** What happens meanwhile keeps these brokers from something. */
async function hindering(
  kind: Hindrance['kind'],
  brokers: readonly Broker[],
  { recorder }: Injection,
  work: () => Promise<unknown>,
): Promise<void> {
  const from = Date.now()
  // Open until it is over: a run that ends in between is judged by what is known.
  const close = brokers.map(({ name }) => recorder.beginHindrance({ broker: name, kind, from }))
  try {
    await work()
  } finally {
    for (const end of close) end(Date.now())
  }
}

async function onProcess(
  name: string,
  broker: Broker,
  lastsMs: number,
  injection: Injection,
): Promise<string> {
  const { process: held } = broker
  await hindering('broker', [broker], injection, async () => {
    if (name === 'pause') {
      held.signal('SIGSTOP')
      await sleep(lastsMs)
      held.signal('SIGCONT')
      return
    }
    await held.end(name === 'kill' ? 'SIGKILL' : 'SIGTERM')
    await sleep(lastsMs)
    await held.start(injection.giveUp)
  })
  return name === 'pause' ? 'goes on' : 'is back'
}

async function onClock(
  name: string,
  way: string,
  { process: held }: Broker,
  lastsMs: number,
  giveUp: AbortSignal,
): Promise<string> {
  await held.setClock(Number(way), giveUp)
  if (name === 'clock') return 'is so'
  await sleep(lastsMs)
  await held.setClock(0, giveUp)
  return 'is right again'
}

/** One of the broker's workers; the supervisor starts another one, or waits for it. */
async function onWorker(way: string, broker: Broker, lastsMs: number, injection: Injection): Promise<string> {
  const [worker] = broker.process.workers()
  if (worker === undefined) return 'there is none at the moment'
  await hindering('broker', [broker], injection, async () => {
    if (way === 'killed') {
      signalIfThere(worker, 'SIGKILL')
      return
    }
    signalIfThere(worker, 'SIGSTOP')
    await sleep(lastsMs)
    signalIfThere(worker, 'SIGCONT')
  })
  return way === 'killed' ? 'is gone' : 'goes on'
}

async function onDatabase(way: string, lastsMs: number, injection: Injection): Promise<string> {
  const { postgres, brokers } = injection.world
  const users = brokers.filter(({ link }) => link !== undefined)
  await hindering('store', users, injection, async () => {
    if (way === 'frozen') {
      const pids = familyOf(postgres.process().pid)
      for (const pid of pids) signalIfThere(pid, 'SIGSTOP')
      await sleep(lastsMs)
      for (const pid of pids) signalIfThere(pid, 'SIGCONT')
      return
    }
    // SIGQUIT is PostgreSQL's immediate shutdown: it recovers from its log at the next start, as after a crash.
    if (way === 'crashed') {
      postgres.process().signal('SIGQUIT')
      await postgres.process().exited
    }
    await postgres.stop()
    await sleep(lastsMs)
    await postgres.start()
  })
  return 'is back'
}

const GATE_MODES: readonly GateMode[] = ['deaf', 'silent', 'closed']

async function onLink(way: string, broker: Broker, lastsMs: number, injection: Injection): Promise<string> {
  const { link } = broker
  if (link === undefined) throw new Error(`broker ${broker.name} has no link`)
  await hindering('store', [broker], injection, async () => {
    link.set(GATE_MODES.find((mode) => mode === way) ?? 'open')
    if (way === 'closed' || way === 'cut') link.cut()
    if (way !== 'cut') await sleep(lastsMs)
    // What was swallowed leaves the connection out of step: it ends, as it would behind a router that came back.
    if (way === 'deaf' || way === 'silent') link.cut()
    link.set('open')
  })
  return 'is open'
}

async function onFile(broker: Broker, lastsMs: number, injection: Injection): Promise<string> {
  const { storeFile } = broker
  if (storeFile === undefined) throw new Error(`broker ${broker.name} has no file`)
  let outcome = 'is let go'
  await hindering('store', [broker], injection, async () => {
    const database = new DatabaseSync(storeFile, { timeout: 500 })
    try {
      database.exec('BEGIN IMMEDIATE')
      await sleep(lastsMs)
      database.exec('ROLLBACK')
    } catch (error) {
      // A full disk at the same time is a store outage as well.
      outcome = `was not locked: ${messageOf(error)}`
    } finally {
      database.close()
    }
  })
  return outcome
}

async function onDisk(broker: Broker, lastsMs: number, injection: Injection): Promise<string> {
  const { disk, storeFile } = broker
  if (disk === undefined) throw new Error(`broker ${broker.name} has no disk of its own`)
  const full = async (): Promise<void> => {
    await disk.fill()
    await sleep(lastsMs)
    await disk.free()
  }
  await hindering('disk', [broker], injection, () =>
    storeFile === undefined ? full() : hindering('store', [broker], injection, full),
  )
  return 'has room'
}

const BEHAVIOURS: readonly Behaviour[] = [
  'hang',
  'drip',
  'status500',
  'status404',
  'huge',
  'not_json',
  'empty',
]

async function onUpstream(
  name: string,
  way: string,
  upstream: UpstreamName,
  lastsMs: number,
  { upstreams }: World,
): Promise<string> {
  const issuer = upstreams[upstream]
  if (name === 'upstream_keys') {
    issuer.rotate({ keepOld: way === 'beside' })
    return 'done'
  }
  const behaviour = BEHAVIOURS.find((one) => one === way) ?? 'hang'
  issuer.behave({ jwks: behaviour, discovery: behaviour })
  await sleep(lastsMs)
  issuer.behave({})
  return 'is well'
}

let moved = 0

async function reload(way: string, broker: Broker, lastsMs: number): Promise<string> {
  const { configure, folder, process: held } = broker
  if (way === 'changed') configure(TTL_SECONDS + 15)
  if (way === 'broken') configure(TTL_SECONDS, true)
  if (way === 'moved') {
    moved += 1
    const file = join(folder, 'data', 'audit.log')
    renameSync(file, `${file}.${moved}`)
  }
  held.signal('SIGHUP')
  await sleep(lastsMs)
  if (way === 'changed' || way === 'broken') {
    configure(TTL_SECONDS)
    held.signal('SIGHUP')
  }
  return 'over'
}
