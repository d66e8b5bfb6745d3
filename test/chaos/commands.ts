// What a person does to running brokers from a shell: keys are rotated and revoked, levers pulled and lifted.
import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { MAIN, SERVE_ENV } from '../support/served.ts'
import type { DomainName } from './history.ts'
import type { Recorder } from './recorder.ts'
import type { World } from './world.ts'

export type Injection = {
  readonly world: World
  readonly recorder: Recorder
  /** Aborted when nothing more is waited for: what is not back by then is a mishap. */
  readonly giveUp: AbortSignal
}

const run = promisify(execFile)

const COMMAND_TIMEOUT_MS = 20_000
const RETRY_MS = 300

/** In the folder of a broker, beside it. Rejects with what the command said. */
async function command({ brokers }: World, domain: DomainName, ...args: readonly string[]): Promise<void> {
  const broker = brokers.find((one) => one.domain === domain)
  if (broker === undefined) throw new Error(`there is no broker in ${domain}`)
  const options = { cwd: broker.folder, env: SERVE_ENV, timeout: COMMAND_TIMEOUT_MS }
  await run(process.execPath, [MAIN, ...args], options)
}

/** Again and again while the store is away, as a person in a hurry does; says whether it was done. */
async function insist(
  { world, giveUp }: Injection,
  domain: DomainName,
  args: readonly string[],
  /** What the command says when an attempt of before was carried out, although it did not learn of it. */
  wasDone?: string,
): Promise<string | undefined> {
  for (;;) {
    try {
      await command(world, domain, ...args)
      return undefined
    } catch (error) {
      const message = messageOf(error)
      if (wasDone !== undefined && message.includes(wasDone)) return undefined
      if (giveUp.aborted) return message
      await sleep(RETRY_MS)
    }
  }
}

export async function rotateKeys(domain: DomainName, { world }: Injection): Promise<string> {
  try {
    await command(world, domain, 'keys', 'rotate')
    return 'done'
  } catch (error) {
    // The store is away at the moment; nothing was promised.
    return `refused: ${messageOf(error)}`
  }
}

/** Of the key that signed the youngest token. */
export async function revokeKey(domain: DomainName, injection: Injection): Promise<string> {
  const token = injection.recorder.latestToken(domain)
  if (token === undefined) return 'nothing was signed yet'
  const { kid = '' } = decodeProtectedHeader(token)
  // Recorded before it is done: what a command did that died on its way, nobody knows.
  const settle = injection.recorder.beginRevocation({ domain, kid, from: Date.now() })
  const refusal = await insist(injection, domain, ['keys', 'revoke', kid], 'no key has the kid')
  if (refusal !== undefined) return `refused: ${refusal}`
  settle(Date.now())
  return `${kid} is revoked`
}

/** A connector is switched off for a while; a token is denied for good, and asked about from then on. */
export async function pullLever(
  way: string,
  domain: DomainName,
  lastsMs: number,
  injection: Injection,
): Promise<string> {
  const { recorder } = injection
  if (way === 'token') {
    const token = recorder.latestToken(domain)
    if (token === undefined) return 'nothing was signed yet'
    const { jti: id = '' } = decodeJwt(token)
    const lever = recorder.beginLever({ domain, kind: 'token', id, from: Date.now() })
    const refusal = await insist(injection, domain, ['emergency', 'deny', 'token', id])
    if (refusal !== undefined) return `refused: ${refusal}`
    lever.settle(Date.now())
    recorder.watch(domain, token)
    return `${id} is denied`
  }
  const lever = recorder.beginLever({ domain, kind: 'connector', id: way, from: Date.now() })
  const pulled = await insist(injection, domain, ['emergency', 'disable', 'connector', way])
  if (pulled !== undefined) return `refused: ${pulled}`
  lever.settle(Date.now())
  await sleep(lastsMs)
  lever.lift(Date.now())
  const lifted = await insist(
    injection,
    domain,
    ['emergency', 'lift', 'disable', 'connector', way],
    'is not pulled',
  )
  return lifted === undefined ? 'is lifted' : `was not lifted: ${lifted}`
}

/** The last line of what a command said. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
  return text.trim().split('\n').at(-1)?.slice(0, 200) ?? ''
}
