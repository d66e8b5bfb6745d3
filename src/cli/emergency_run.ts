// Runs `sallyport emergency`: opens the configured store, does one thing, says what it did. The event is written into the
// audit log by the first broker that obeys, so that it stands where all others stand.
import { MAX_LEVERS, MAX_LEVER_TEXT, denialEnds } from '#core/levers.ts'
import type { Lever, LeverName } from '#core/levers.ts'
import { nearest } from '#core/nearest.ts'
import { uuidV4 } from '#core/token/uuid.ts'
import { KeyFailure } from '#platform/keys/key_failure.ts'
import { readRing, ringStoreKey } from '#platform/keys/ring_state.ts'
import { leverName, liftLever, pullLever, readLevers } from '#platform/levers/lever_store.ts'
import type { LeverEvent } from '#platform/levers/lever_store.ts'
import { createLog } from '#platform/log.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { Store } from '#platform/store/store.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import { inStore, longestLifetime } from './broker_runtime.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { loadConfig, tellFindings } from './config_source.ts'
import type { EmergencyFlags, EmergencyJob } from './emergency.ts'
import { unfitStore } from './keys_run.ts'
import { personOf } from './person.ts'

type Work = {
  readonly store: Store
  readonly config: BrokerConfig
  readonly flags: EmergencyFlags
  readonly io: CommandIo
}

export async function runEmergency(
  job: EmergencyJob,
  flags: EmergencyFlags,
  io: CommandIo,
): Promise<ExitCode> {
  const name = job.job === 'list' ? undefined : leverName(job.action, job.kind, job.id)
  const wrong = job.job === 'list' ? undefined : problemOf(job, name, flags)
  if (wrong !== undefined) return tell(wrong, EXIT.usage, io)
  const load = await loadConfig(flags, io)
  const { config } = load
  if (config === undefined) {
    tellFindings(load, io, false)
    return EXIT.configuration
  }
  const unfit = unfitStore(config.store)
  if (unfit !== undefined) return tell(unfit, EXIT.configuration, io)
  const stranger = job.job === 'pull' && name !== undefined ? strangerTo(config, name, flags) : undefined
  if (stranger !== undefined) return tell(stranger, EXIT.denied, io)
  try {
    const log = createLog({ level: 'warn', format: 'text' })
    return await inStore(config.store, { clock: io.clock, log }, (store) =>
      runJob(job, name, { store, config, flags, io }),
    )
  } catch (error) {
    if (!(error instanceof StoreFailure) && !(error instanceof KeyFailure)) throw error
    return tell(
      `${error.message}\n    -> look at \`sallyport emergency list\` whether it was done`,
      EXIT.denied,
      io,
    )
  }
}

function runJob(job: EmergencyJob, name: LeverName | undefined, work: Work): Promise<ExitCode> {
  if (job.job === 'list' || name === undefined) return list(work)
  return job.job === 'pull' ? pull(name, work) : lift(name, work)
}

async function list({ store, flags, io }: Work): Promise<ExitCode> {
  const { pulled, revoked } = await readLevers(store)
  if (flags.json === true) {
    writeJson({ pulled: pulled.map(asJson), revokedByClients: revoked.map(asJson) }, io)
    return EXIT.ok
  }
  for (const lever of pulled) io.stdout.write(`${asLine(lever)}\n`)
  if (pulled.length === 0) io.stdout.write('nothing is switched off or denied\n')
  if (revoked.length > 0)
    io.stdout.write(`${revoked.length} token${revoked.length === 1 ? '' : 's'} revoked by their clients\n`)
  return EXIT.ok
}

async function pull(name: LeverName, work: Work): Promise<ExitCode> {
  const { store, io, flags } = work
  const at = io.clock()
  const until = name.action === 'deny' ? denialEnds(at, await longestToken(work)) : undefined
  const lever: Lever = { ...name, at, until, ...said(work) }
  const did = name.action === 'disable' ? 'disabled' : 'denied'
  if (!(await pullLever(store, lever, eventOf(did, lever, io))))
    return tell(
      `nothing was done: ${MAX_LEVERS} levers are pulled already\n    -> lift some`,
      EXIT.denied,
      io,
    )
  if (flags.json === true) writeJson({ [did]: asJson(lever) }, io)
  else io.stdout.write(`${asLine(lever)}\n`)
  io.stderr.write(`${reach(name)}\n`)
  return EXIT.ok
}

async function lift(name: LeverName, work: Work): Promise<ExitCode> {
  const { store, io, flags } = work
  const lever: Lever = { ...name, at: io.clock(), until: undefined, ...said(work) }
  if (!(await liftLever(store, name, eventOf('lifted', lever, io))))
    return tell(
      `nothing to lift: ${wordsOf(name)} is not pulled; \`sallyport emergency list\` shows what is`,
      EXIT.denied,
      io,
    )
  if (flags.json === true) writeJson({ lifted: { ...name } }, io)
  else io.stdout.write(`lifted  ${wordsOf(name)}\n`)
  io.stderr.write('Every running broker follows within 2 s.\n')
  return EXIT.ok
}

/** Seconds: of this configuration, and of each key that may have signed under another. */
async function longestToken({ store, config }: Work): Promise<number> {
  const ring = await store.get(ringStoreKey)
  const keys = ring === undefined ? [] : readRing(ring)
  return Math.max(longestLifetime(config), ...keys.map(({ maxTtlSeconds }) => maxTtlSeconds))
}

function said({ flags, io }: Work): Pick<Lever, 'by' | 'why'> {
  return { by: personOf(flags.by, io), why: flags.why ?? '' }
}

function eventOf(did: LeverEvent['lever']['did'], lever: Lever, io: CommandIo): LeverEvent {
  const { action, kind, id, at, until, by, why } = lever
  const end = until === undefined ? {} : { until: new Date(until).toISOString() }
  return { id: uuidV4(io.randomBytes), at, lever: { did, action, kind, id, ...end, by, why } }
}

function problemOf(
  { action, kind, id }: Exclude<EmergencyJob, { job: 'list' }>,
  name: LeverName | undefined,
  { why = '', by = '' }: EmergencyFlags,
): string | undefined {
  if (name === undefined) return `there is no ${kind} to ${action}: see --help`
  if (id === '') return 'the id is empty'
  if (kind === 'token' && /^eyJ|\./.test(id))
    return 'give the jti of the token, not the token: `sallyport token FILE` shows it'
  // What a list prints must be one line of printable text, and what PostgreSQL keeps must have no NUL.
  for (const [what, text] of [
    ['the id', id],
    ['--why', why],
    ['--by', by],
  ] as const) {
    if (text.length > MAX_LEVER_TEXT) return `${what} is longer than ${MAX_LEVER_TEXT} characters`
    if (/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(text)) return `${what} holds control characters`
  }
  return undefined
}

/** A slip of the pen must not look like a lever that was pulled. */
function strangerTo(config: BrokerConfig, name: LeverName, flags: EmergencyFlags): string | undefined {
  if (flags.unknown === true || name.kind === 'token') return undefined
  const known = idsOf(config, name.kind)
  if (known.includes(name.id)) return undefined
  const near = nearest(name.id, known)
  const meant = near === undefined ? '' : `; did you mean ${near}?`
  return (
    `nothing was done: the configuration has no ${name.kind} ${name.id}${meant}\n` +
    '    -> --unknown, if the running brokers have another configuration'
  )
}

function idsOf(config: BrokerConfig, kind: 'client' | 'connector' | 'policy'): readonly string[] {
  switch (kind) {
    case 'client':
      return config.clients.map(({ id }) => id)
    case 'connector':
      return config.connectors.map(({ id }) => id)
    case 'policy':
      return config.policies.map(({ name }) => name)
  }
}

function reach(name: LeverName): string {
  const follows = 'Every running broker follows within 2 s.'
  if (name.action === 'deny')
    return (
      `${follows} Userinfo, introspection and token review refuse what is denied.\n` +
      'kube-apiserver, and a registry that verifies by itself, do not ask: only a revoked key reaches them\n' +
      '(`sallyport keys revoke KID --flush`).'
    )
  if (name.kind === 'connector') return `${follows} Tokens that were issued live on until they expire.`
  return `${follows} Tokens that were issued live on: \`sallyport emergency deny ${name.kind} ${name.id}\` reaches them.`
}

function wordsOf({ action, kind, id }: LeverName): string {
  return `${action} ${kind} ${id}`
}

function asLine(lever: Lever): string {
  const { at, until, by, why } = lever
  const end = until === undefined ? 'until lifted' : `until ${iso(until)}`
  return `${wordsOf(lever)}  since ${iso(at)}  ${end}  by ${by}${why === '' ? '' : `  ${why}`}`
}

function asJson({ action, kind, id, at, until, by, why }: Lever): object {
  return { action, kind, id, since: iso(at), until: until === undefined ? null : iso(until), by, why }
}

/** An entry that is damaged has no time of its own. */
function iso(time: number): string {
  return Number.isNaN(new Date(time).getTime()) ? '?' : new Date(time).toISOString()
}

function writeJson(value: object, { stdout }: CommandIo): void {
  stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}

function tell(message: string, code: ExitCode, { stderr }: CommandIo): ExitCode {
  stderr.write(`sallyport emergency: ${message}\n`)
  return code
}
