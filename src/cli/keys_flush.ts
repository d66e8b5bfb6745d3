// The end of `keys revoke --flush` and `keys flush`: shows each kube-apiserver a token of the fresh key until it is known
// that it has fetched our keys anew, and says of each whether it has.
import { readFileSync } from 'node:fs'
import type { Clock, RandomBytes } from '#core/clock.ts'
import { epochSeconds } from '#core/clock.ts'
import { metricHash } from '#core/kube/apiserver_metrics.ts'
import {
  flushClaims,
  flushDeadlineSeconds,
  flushPauseSeconds,
  flushRetrySeconds,
  freshTokenSeconds,
  oldTokenSeconds,
} from '#core/kube/key_flush.ts'
import { jwsHeader } from '#core/token/jws_header.ts'
import { uuidV4 } from '#core/token/uuid.ts'
import { createApiserverProbe } from '#platform/kube/apiserver_probe.ts'
import type { ApiserverProbe } from '#platform/kube/apiserver_probe.ts'
import type { SigningKey } from '#platform/keys/key_ring.ts'
import type { KubeApiserverConfig } from '../broker/config/broker_config.ts'

export type FlushResult = {
  readonly url: string
  readonly audience: string
  /** How it is known: it accepted the fresh key, or its metrics name the present key set. `undefined`: it is not known. */
  readonly proof: 'token' | 'metrics' | undefined
  /** What it makes of a token of the revoked key. `untried`: that key can no longer sign, or was never accepted. */
  readonly oldKey: 'refused' | 'accepted' | 'untried'
  /** From the revocation on. */
  readonly seconds: number
  /** Why it counts as not flushed. */
  readonly problem: string | undefined
}

export type FlushOrder = {
  readonly issuer: string
  readonly apiservers: readonly KubeApiserverConfig[]
  readonly fresh: SigningKey
  /** Tokens of the revoked key, made before it was revoked: two for each apiserver, in their order. */
  readonly oldTokens: readonly OldTokens[]
}

export type FlushWorld = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly sleep: (milliseconds: number) => Promise<void>
  /** The key set as the broker serves it now. */
  readonly keySet: () => Promise<string>
  readonly tell: (line: string) => void
}

type ShownToken = { readonly token: string; readonly nonce: string }
export type OldTokens = { readonly before: ShownToken; readonly after: ShownToken }

/** Called before the revocation: a revoked key signs nothing, not even this. */
export async function makeOldTokens(
  key: SigningKey,
  order: Pick<FlushOrder, 'issuer' | 'apiservers'>,
  world: Pick<FlushWorld, 'clock' | 'randomBytes'>,
): Promise<readonly OldTokens[]> {
  return Promise.all(
    order.apiservers.map(async ({ audience }) => {
      const make = () => mint(key, { issuer: order.issuer, audience, ttlSeconds: oldTokenSeconds }, world)
      return { before: await make(), after: await make() }
    }),
  )
}

/** All apiservers at once; done within `flushDeadlineSeconds` and the time of one last try. */
export async function flushApiservers(order: FlushOrder, world: FlushWorld): Promise<readonly FlushResult[]> {
  const began = world.clock()
  return Promise.all(
    order.apiservers.map(async (apiserver, index) => {
      const caPem = apiserver.caFile === undefined ? undefined : readFileSync(apiserver.caFile, 'utf8')
      const probe = createApiserverProbe({ url: apiserver.url, caPem })
      try {
        return await flushOne({ order, apiserver, probe, began, old: order.oldTokens[index], world })
      } finally {
        probe.close()
      }
    }),
  )
}

type One = {
  readonly order: FlushOrder
  readonly apiserver: KubeApiserverConfig
  readonly probe: ApiserverProbe
  readonly began: number
  readonly old: OldTokens | undefined
  readonly world: FlushWorld
}

async function flushOne(one: One): Promise<FlushResult> {
  const { apiserver, probe, old, world } = one
  const { url, audience } = apiserver
  // 1. what it makes of the old key as long as it trusts it: only then its refusal will say something
  const before = old === undefined ? undefined : await probe.present(old.before.token, old.before.nonce)
  // 2. until every replica of the broker serves the fresh key
  await world.sleep(Math.max(0, flushPauseSeconds * 1000 - (world.clock() - one.began)))
  // 3. the fresh key, again and again
  const { proof, problem } = await presentFresh(one)
  // 4. and the old one, once
  const isAlive = secondsSince(one) < oldTokenSeconds - freshTokenSeconds
  const wasTrusted = before?.outcome === 'accepted' && proof !== undefined && isAlive
  const after =
    old !== undefined && wasTrusted ? await probe.present(old.after.token, old.after.nonce) : undefined
  const oldKey = after === undefined || after.outcome === 'failed' ? 'untried' : after.outcome
  const seconds = secondsSince(one)
  const result = { url, audience, proof, oldKey, seconds } as const
  if (oldKey === 'accepted')
    return { ...result, problem: 'it still accepts the revoked key: does it trust another copy of it?' }
  return { ...result, problem: proof === undefined ? (problem ?? refusal(before?.outcome)) : undefined }
}

type Proof = { readonly proof: FlushResult['proof']; readonly problem: string | undefined }

async function presentFresh(one: One): Promise<Proof> {
  const { order, apiserver, probe, world } = one
  let problem: string | undefined
  let isLast = false
  for (;;) {
    const wanted = { issuer: order.issuer, audience: apiserver.audience, ttlSeconds: freshTokenSeconds }
    const { token, nonce } = await mint(order.fresh, wanted, world)
    const presented = await probe.present(token, nonce)
    if (presented.outcome === 'accepted') return { proof: 'token', problem: undefined }
    if (presented.outcome === 'refused' && (await holdsPresentKeys(one)))
      return { proof: 'metrics', problem: undefined }
    const said = presented.outcome === 'failed' ? presented.detail : undefined
    if (said !== problem && said !== undefined) world.tell(`${apiserver.url}: ${said}; trying again`)
    problem = said
    if (isLast) return { proof: undefined, problem }
    // Once more after the time is over: a machine that slept through it has only broken connections to tell of.
    isLast = secondsSince(one) >= flushDeadlineSeconds
    await world.sleep(flushRetrySeconds * 1000)
  }
}

async function holdsPresentKeys({ order, apiserver, probe, world }: One): Promise<boolean> {
  if (apiserver.metricsTokenFile === undefined) return false
  const metricsToken = readFileSync(apiserver.metricsTokenFile, 'utf8').trim()
  const held = await probe.lastKeySet(metricsToken, order.issuer)
  return held !== undefined && held === metricHash(await world.keySet())
}

function refusal(before: 'accepted' | 'refused' | 'failed' | undefined): string {
  if (before === 'accepted') return `it did not accept the new key within ${flushDeadlineSeconds} s`
  return (
    `it refuses every token of the flush: it does not trust this issuer and audience, cannot reach the issuer, or its ` +
    `rules want claims that these tokens lack; then give it metricsTokenFile`
  )
}

async function mint(
  key: SigningKey,
  wanted: { readonly issuer: string; readonly audience: string; readonly ttlSeconds: number },
  { clock, randomBytes }: Pick<FlushWorld, 'clock' | 'randomBytes'>,
): Promise<ShownToken> {
  const nonce = uuidV4(randomBytes)
  const claims = flushClaims({ ...wanted, nonce, nowSeconds: epochSeconds(clock) })
  const payload = Buffer.from(JSON.stringify(claims), 'utf8').toString('base64url')
  const input = `${jwsHeader(key, 'kubernetes')}.${payload}`
  const signature = await key.sign(input)
  return { token: `${input}.${signature}`, nonce }
}

function secondsSince({ began, world }: One): number {
  return Math.round((world.clock() - began) / 100) / 10
}
