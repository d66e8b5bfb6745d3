// Runs `sallyport keys`: opens the ring of the configured store, does one thing, says what it did.
import { existsSync } from 'node:fs'
import { flushDeadlineSeconds } from '#core/kube/key_flush.ts'
import { MAX_LEVER_TEXT } from '#core/levers.ts'
import { uuidV4 } from '#core/token/uuid.ts'
import { KeyFailure } from '#platform/keys/key_failure.ts'
import type { KeyDescription, KeyRing } from '#platform/keys/key_ring.ts'
import { ringStoreKey } from '#platform/keys/ring_state.ts'
import { announce, writeStamp } from '#platform/levers/lever_store.ts'
import { createLog } from '#platform/log.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { Store } from '#platform/store/store.ts'
import type { BrokerConfig, StoreConfig } from '../broker/config/broker_config.ts'
import { inStore, openKeys } from './broker_runtime.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { loadConfig, tellFindings } from './config_source.ts'
import type { KeysFlags, KeysJob } from './keys.ts'
import type { FlushResult } from './keys_flush.ts'
import { personOf } from './person.ts'

type Output = Pick<CommandIo, 'stdout' | 'stderr'> & { readonly json: boolean }

export async function runKeys(job: KeysJob, flags: KeysFlags, io: CommandIo): Promise<ExitCode> {
  const load = await loadConfig(flags, io)
  const { config } = load
  // What is only worth a warning is said by serve and `config check`, not before each list of keys.
  if (config === undefined) {
    tellFindings(load, io, false)
    return EXIT.configuration
  }
  const unfit = unfitStore(config.store)
  if (unfit !== undefined) {
    io.stderr.write(`sallyport keys: ${unfit}\n`)
    return EXIT.configuration
  }
  if (needsApiservers(job) && config.kube.apiservers.length === 0) {
    io.stderr.write('sallyport keys: nothing was done: the configuration lists no kube.apiservers to flush\n')
    return EXIT.configuration
  }
  const output: Output = { stdout: io.stdout, stderr: io.stderr, json: flags.json === true }
  try {
    const log = createLog({ level: 'warn', format: 'text' })
    return await inStore(config.store, { clock: io.clock, log }, async (store) => {
      if ((await store.get(ringStoreKey)) === undefined)
        throw new StoreFailure('there are no keys in the store yet: start the broker once')
      const ring = await openKeys(config, store, { ...io, log, version: '' })
      ring.close()
      return runJob(job, { ring, output, config, io, store })
    })
  } catch (error) {
    if (!(error instanceof KeyFailure) && !(error instanceof StoreFailure)) throw error
    io.stderr.write(`sallyport keys: ${error.message}\n`)
    return EXIT.denied
  }
}

function listKeys(ring: KeyRing, output: Output): ExitCode {
  const described = ring.list()
  if (output.json) writeJson({ keys: described.map((key) => asJson(key)) }, output)
  else for (const key of described) output.stdout.write(`${asLine(key)}\n`)
  return EXIT.ok
}

async function rotateKeys(ring: KeyRing, output: Output): Promise<ExitCode> {
  const next = await ring.rotate()
  if (output.json) writeJson({ next: asJson(next) }, output)
  else output.stdout.write(`${asLine(next)}\n`)
  return EXIT.ok
}

async function revokeKey(job: Revocation, { ring, output, io, store }: Work): Promise<ExitCode> {
  const { kid } = job
  if (!(await ring.revoke(kid))) {
    output.stderr.write(`sallyport keys: ${unknownKey(ring, kid)}\n`)
    return EXIT.denied
  }
  await tellBrokers(job, { io, store })
  const signing = ring.list().find((key) => key.state === 'signing')
  if (output.json) {
    writeJson({ revoked: kid, signing: signing === undefined ? undefined : asJson(signing) }, output)
    return EXIT.ok
  }
  output.stdout.write(`revoked  ${kid}\n${signing === undefined ? '' : `${asLine(signing)}\n`}`)
  // reference: a kube-apiserver keeps the keys it fetched until a token with a key it does not know makes it look.
  output.stderr.write(
    'Every running broker follows within 2 s. Verifiers may hold the old key in their cache: present one token of the\n' +
      'new key to every kube-apiserver replica, which makes it fetch the keys again (`sallyport keys flush` does).\n',
  )
  return EXIT.ok
}

type Revocation = Extract<KeysJob, { job: 'revoke' }>

type Work = {
  readonly ring: KeyRing
  readonly output: Output
  readonly config: BrokerConfig
  readonly io: CommandIo
  readonly store: Store
}

/** By whom and why, for the audit log of the brokers; it makes them look at the keys at once, too. */
async function tellBrokers(
  { kid, why, by }: Revocation,
  { io, store }: Pick<Work, 'io' | 'store'>,
): Promise<void> {
  const lever = { did: 'revoked', action: 'revoke', kind: 'key', id: kid } as const
  const said = { by: personOf(by, io), why: (why ?? '').slice(0, MAX_LEVER_TEXT) }
  try {
    await announce(store, { id: uuidV4(io.randomBytes), at: io.clock(), lever: { ...lever, ...said } })
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    // The key is out, and whoever reads only of a failure would not know.
    io.stderr.write(
      `sallyport keys: ${kid} is revoked; the brokers could not be told (${error.message}): they follow within 10 s, and ` +
        'their audit logs may lack the event\n',
    )
  }
}

function needsApiservers(job: KeysJob): boolean {
  return job.job === 'flush' || (job.job === 'revoke' && job.flush)
}

async function runJob(job: KeysJob, work: Work): Promise<ExitCode> {
  const { ring, output } = work
  switch (job.job) {
    case 'list':
      return listKeys(ring, output)
    case 'rotate':
      return rotateKeys(ring, output)
    case 'revoke':
      return job.flush ? flushKeys(job, work) : revokeKey(job, work)
    case 'flush':
      return flushKeys(undefined, work)
  }
}

/** Takes `revoked` out, if one is named, and tells of every kube-apiserver whether it has fetched the keys since. */
async function flushKeys(
  job: Revocation | undefined,
  { ring, output, config, io, store }: Work,
): Promise<ExitCode> {
  const revoked = job?.kid
  const { flushApiservers, makeOldTokens } = await import('./keys_flush.ts')
  const { issuer, kube } = config
  const order = { issuer, apiservers: kube.apiservers }
  if (config.keys.signer?.key !== undefined) {
    output.stderr.write(
      'sallyport keys: nothing was done: a flush proves itself by a key made for it, and keys of a signer elsewhere are not\n' +
        '    -> revoke without --flush, and present a token of the new key to each kube-apiserver (docs/remote-signing.md)\n',
    )
    return EXIT.configuration
  }
  // 1. while the key may still sign: what will show later that it is no longer trusted
  const oldKey = revoked === undefined ? undefined : ring.signer(revoked)
  const oldTokens = oldKey === undefined ? [] : await makeOldTokens(oldKey, order, io)
  // 2. out with it
  const fresh = await ring.publishFresh(revoked)
  if (fresh === undefined) {
    output.stderr.write(`sallyport keys: ${unknownKey(ring, revoked ?? '')}\n`)
    return EXIT.denied
  }
  if (job === undefined) await writeStamp(store, uuidV4(io.randomBytes))
  else await tellBrokers(job, { io, store })
  const signing = ring.list().find((key) => key.state === 'signing')
  if (!output.json) {
    if (revoked !== undefined) output.stdout.write(`revoked  ${revoked}\n`)
    if (signing !== undefined) output.stdout.write(`${asLine(signing)}\n`)
  }
  // 3. who still knows it
  const tell = (line: string): void => void output.stderr.write(`sallyport keys: ${line}\n`)
  tell(`flushing ${kube.apiservers.length} kube-apiservers, up to ${flushDeadlineSeconds} s`)
  const keySet = async (): Promise<string> => {
    await ring.refresh()
    return ring.jwks().body
  }
  const results = await flushApiservers({ ...order, fresh, oldTokens }, { ...io, keySet, tell })
  if (output.json)
    writeJson({ revoked, signing: signing && asJson(signing), apiservers: results.map(flushJson) }, output)
  else for (const result of results) output.stdout.write(`${flushLine(result)}\n`)
  const missed = results.filter(({ problem }) => problem !== undefined)
  if (missed.length === 0) return EXIT.ok
  tell(`${missed.length} of ${results.length} NOT flushed: mend them and run \`sallyport keys flush\``)
  return EXIT.denied
}

function flushLine({ url, audience, proof, oldKey, seconds, problem }: FlushResult): string {
  const where = `${url}  ${audience}`
  if (problem !== undefined) return `NOT flushed  ${where}  ${problem}`
  const how = proof === 'token' ? 'accepts the new key' : 'its metrics name the present key set'
  const old = oldKey === 'refused' ? ', refuses the revoked one' : ''
  return `flushed      ${where}  after ${seconds} s: ${how}${old}`
}

function flushJson(result: FlushResult): object {
  const { url, audience, proof, oldKey, seconds, problem } = result
  return { url, audience, flushed: problem === undefined, proof, oldKey, seconds, problem }
}

/** Why the store holds no keys to work on. Opening a file would make it. */
export function unfitStore(store: StoreConfig): string | undefined {
  if (store.type === 'memory') return 'the store is memory: its keys live and die with the running broker'
  if (store.type === 'sqlite' && !existsSync(store.file))
    return `there is no store at ${store.file} yet: start the broker once`
  return undefined
}

function unknownKey(ring: KeyRing, kid: string): string {
  const isExtra = ring.list().some((key) => key.kid === kid)
  if (isExtra) return `${kid} comes from the extra public keys file: take it out there`
  return `no key has the kid ${kid}; \`sallyport keys list\` shows those that are there`
}

function asLine(key: KeyDescription): string {
  const when: Readonly<Record<KeyDescription['state'], string>> = {
    signing: `since ${iso(key.signsFrom)}`,
    next: `from ${iso(key.signsFrom)}`,
    retired: `served until ${iso(key.publicUntil)}`,
    extra: 'from the extra public keys file',
  }
  return `${key.state.padEnd(7)}  ${key.kid}  ${key.algorithm}  ${when[key.state]}`
}

function asJson(key: KeyDescription): object {
  const { kid, algorithm, state } = key
  const times = { publishedAt: key.publishedAt, signsFrom: key.signsFrom, publicUntil: key.publicUntil }
  const set = Object.entries(times).flatMap(([name, time]) => (time === undefined ? [] : [[name, iso(time)]]))
  return { kid, algorithm, state, ...Object.fromEntries(set) }
}

function iso(time: number | undefined): string {
  return time === undefined ? '-' : new Date(time).toISOString()
}

function writeJson(value: object, output: Output): void {
  output.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}
