// What a key that signs tokens means, wherever its private half is: `describeSigningKey` for all of them, and
// `describeRemoteSigner` for those behind a signer elsewhere, which can hang, fail and lie.
import { createPublicKey } from 'node:crypto'
import { compactVerify, importJWK } from 'jose'
import type { Test } from 'tap'
import type { SigningAlgorithm } from '../../src/core/key_rotation.ts'
import { jwkThumbprint, jwksDocument } from '../../src/core/public_jwk.ts'
import type { PublicJwk } from '../../src/core/public_jwk.ts'
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import type { SigningKey } from '../../src/platform/keys/signer.ts'
import { guardSigner } from '../../src/platform/remote_signer/guarded_signer.ts'
import type { GuardedSigner, GuardDeps } from '../../src/platform/remote_signer/guarded_signer.ts'
import { createRemoteKey } from '../../src/platform/remote_signer/remote_key.ts'
import type { RemoteSigner } from '../../src/platform/remote_signer/remote_signer.ts'

/** A key and what is published of it. */
type OpenKey = { readonly key: SigningKey; readonly jwk: PublicJwk }

export type SigningWorld = { open(t: Test, algorithm: SigningAlgorithm): Promise<OpenKey> }

export type RemoteWorld = {
  /** A signer of its own, with `ec`, `ec-next` and `rsa`; closed by the test. */
  open(): RemoteSigner
  /** Signatures that are asked for hang from now on, until `heal`, which answers them. */
  hang(): Promise<void>
  heal(): Promise<void>
  /** What must never be said: credential and private keys. */
  secrets(): Promise<readonly string[]>
}

/** Enough for numbers with a sign byte, without, and a byte short (one in 128 signatures). */
const SIGNATURES = 400

/** The token of `input` as a relying party reads it with our JWKS. */
async function verifies({ key, jwk }: OpenKey, payload: string): Promise<boolean> {
  const { kid, algorithm: alg } = key
  const header = base64url(JSON.stringify({ alg, kid, typ: 'JWT' }))
  const input = `${header}.${base64url(payload)}`
  const token = `${input}.${await key.sign(input)}`
  const [published] = JSON.parse(jwksDocument([{ kid, alg, jwk }])).keys
  const verified = await compactVerify(token, await importJWK(published, alg), { algorithms: [alg] })
  return Buffer.from(verified.payload).toString() === payload
}

export function describeSigningKey(t: Test, world: SigningWorld): void {
  for (const algorithm of ['ES256', 'RS256'] as const) {
    t.test(
      `${algorithm} tokens verify with jose and the published JWK, whatever their signature's length`,
      async (t) => {
        const open = await world.open(t, algorithm)
        t.equal(open.key.algorithm, algorithm)
        t.equal(open.key.kid, jwkThumbprint(open.jwk))
        const count = algorithm === 'ES256' ? SIGNATURES : 20
        let verified = 0
        for (let done = 0; done < count; done += 20) {
          const batch = Array.from({ length: 20 }, async (_, index) =>
            verifies(open, `payload ${done + index}`),
          )
          verified += (await Promise.all(batch)).filter(Boolean).length
        }
        t.equal(verified, count)
      },
    )
  }

  t.test('a signature holds for its own input alone', async (t) => {
    const { key, jwk } = await world.open(t, 'ES256')
    const signature = await key.sign('a.b')
    t.equal(Buffer.from(signature, 'base64url').length, 64)
    await t.rejects(compactVerify(`a.c.${signature}`, await importJWK({ ...jwk }, 'ES256')))
  })
}

/** A remote key over `signer`, guarded; the world of `describeSigningKey` for it. */
export function guardedWorld(open: () => RemoteSigner): SigningWorld {
  return {
    async open(t, algorithm) {
      const guard = guarded(t, open(), { limits: { timeoutMs: 10_000, maxConcurrent: 2, maxWaiting: 64 } })
      return openRemote(guard, algorithm === 'ES256' ? 'ec' : 'rsa', algorithm)
    },
  }
}

function guarded(
  t: Test,
  signer: RemoteSigner,
  deps: Pick<GuardDeps, 'limits'> & Partial<GuardDeps>,
): GuardedSigner {
  const guard = guardSigner(signer, { now: () => performance.now(), pool: inPlacePool, ...deps })
  t.teardown(() => guard.close())
  return guard
}

async function openRemote(
  guard: GuardedSigner,
  name: string,
  algorithm: SigningAlgorithm = 'ES256',
): Promise<OpenKey> {
  const jwk = await guard.publicKey(name)
  const publicKey = createPublicKey({ key: { ...jwk }, format: 'jwk' })
  return { jwk, key: createRemoteKey({ kid: jwkThumbprint(jwk), algorithm, key: name, publicKey }, guard) }
}

/** How a signature that is asked for ends: `ok`, or the failure's cause. */
async function endOf(signature: Promise<string>): Promise<string> {
  return signature.then(
    () => 'ok',
    (error: unknown) => (error instanceof Error && 'why' in error ? String(error.why) : String(error)),
  )
}

const limits = { timeoutMs: 1000, maxConcurrent: 2, maxWaiting: 2 }
const rules = { failures: 2, openMs: 1000, longestOpenMs: 4000 }

/** Time that passes when the test says so. */
function manualTimers() {
  const pending = new Set<() => void>()
  return {
    after: (_ms: number, callback: () => void): (() => void) => {
      pending.add(callback)
      return () => void pending.delete(callback)
    },
    /** Everything that waits for its time has waited long enough. */
    fire(): void {
      const due = [...pending]
      pending.clear()
      for (const callback of due) callback()
    },
  }
}

export function describeRemoteSigner(t: Test, world: RemoteWorld): void {
  t.test('another key of the signer is another key', async (t) => {
    const guard = guarded(t, world.open(), { limits, ...manualTimers() })
    const [one, two] = [await openRemote(guard, 'ec'), await openRemote(guard, 'ec-next')]
    t.not(one.key.kid, two.key.kid)
    t.equal(await verifies(one, 'x'), true)
    t.equal(await verifies(two, 'x'), true)
  })

  t.test(
    'a key that is not there, or of a kind that is not served, is told before anything is signed',
    async (t) => {
      const guard = guarded(t, world.open(), { limits, ...manualTimers() })
      await t.rejects(guard.publicKey('nobody'), { code: 'SALLYPORT_SIGNER' })
      await t.rejects(guard.publicKey('p384'), { code: 'SALLYPORT_SIGNER', why: 'key_unfit' })
    },
  )

  t.test('a signature by another key than the published one is refused', async (t) => {
    const guard = guarded(t, world.open(), { limits, ...manualTimers() })
    const [one, two] = [await openRemote(guard, 'ec'), await openRemote(guard, 'ec-next')]
    const publicKey = createPublicKey({ key: { ...two.jwk }, format: 'jwk' })
    const mixed = createRemoteKey({ kid: two.key.kid, algorithm: 'ES256', key: 'ec', publicKey }, guard)
    t.equal(await endOf(mixed.sign('a.b')), 'signature_invalid')
    t.equal(await endOf(one.key.sign('a.b')), 'ok')
  })

  t.test(
    'a signer that hangs: time-outs, then nobody is let to it, and one trial brings it back',
    async (t) => {
      let now = 0
      const timers = manualTimers()
      const states: string[] = []
      const guard = guarded(t, world.open(), {
        limits,
        rules,
        now: () => now,
        after: timers.after,
        onBreaker: (state) => states.push(state),
      })
      const { key } = await openRemote(guard, 'ec')
      await world.hang()
      const hanging = [key.sign('a.b'), key.sign('a.b'), key.sign('a.b')].map(async (each) => endOf(each))
      t.match(guard.status(), { running: 2, waiting: 1, breaker: 'closed' })
      timers.fire()
      t.strictSame(await Promise.all(hanging), ['timeout', 'timeout', 'breaker_open'])
      await world.heal()
      await settled(guard)
      t.match(guard.status(), { breaker: 'open', isTrialDue: false }, 'late answers change nothing')
      t.equal(await endOf(key.sign('a.b')), 'breaker_open')
      t.equal(guard.refusal()?.why, 'breaker_open')

      now += rules.openMs
      t.match(guard.status(), { breaker: 'open', isTrialDue: true })
      t.equal(guard.refusal(), undefined)
      const trial = key.sign('a.b')
      t.equal(await endOf(key.sign('a.b')), 'breaker_open')
      t.equal(await endOf(trial), 'ok')
      t.match(guard.status(), { breaker: 'closed', lastFailure: undefined })
      t.equal(await endOf(key.sign('a.b')), 'ok')
      t.strictSame(states, ['open', 'half_open', 'closed'])
    },
  )

  t.test('so many wait for a turn and no more, and all of them are told', async (t) => {
    const timers = manualTimers()
    const guard = guarded(t, world.open(), { limits, after: timers.after })
    const { key } = await openRemote(guard, 'ec')
    await world.hang()
    const signatures = Array.from({ length: 7 }, async () => endOf(key.sign('a.b')))
    t.match(guard.status(), { running: 2, waiting: 2 })
    t.equal(guard.refusal()?.why, 'busy')
    timers.fire()
    const ends = await Promise.all(signatures)
    t.strictSame(ends.toSorted(), ['busy', 'busy', 'busy', 'busy', 'busy', 'timeout', 'timeout'])
    await world.heal()
    await settled(guard)
    t.equal(await endOf(key.sign('a.b')), 'ok')
  })

  t.test('those that wait get their turn in the order of their coming', async (t) => {
    const guard = guarded(t, world.open(), { limits: { ...limits, maxConcurrent: 1 }, ...manualTimers() })
    const { key } = await openRemote(guard, 'ec')
    const order: number[] = []
    await Promise.all([0, 1, 2].map(async (index) => key.sign('a.b').then(() => order.push(index))))
    t.strictSame(order, [0, 1, 2])
  })

  t.test('what it says of failures holds neither credential nor key', async (t) => {
    const said: unknown[] = []
    const timers = manualTimers()
    const guard = guarded(t, world.open(), {
      limits,
      after: timers.after,
      onBreaker: (...told) => said.push(...told),
      onCall: (call) => said.push(call),
    })
    const { key } = await openRemote(guard, 'ec')
    await guard.publicKey('nobody').catch((error: unknown) => said.push(error))
    await world.hang()
    const hanging = endOf(key.sign('a.b').catch((error: unknown) => (said.push(error), 'refused')))
    timers.fire()
    await hanging
    said.push(guard.status(), key)
    await world.heal()
    await settled(guard)
    const text = said.map((each) => textOf(each)).join('\n')
    t.match(text, /no answer of the signer/)
    const lines = (await world.secrets()).flatMap((secret) => secret.split('\n'))
    for (const line of lines) if (/^[^-].{4}/.test(line)) t.notOk(text.includes(line))
  })
}

/** No call is under way any more. */
async function settled(guard: GuardedSigner): Promise<void> {
  while (guard.status().running > 0) await new Promise((resolve) => setTimeout(resolve, 5))
}

function textOf(value: unknown): string {
  const cause = value instanceof Error ? textOf(value.cause) : ''
  return value instanceof Error
    ? `${value.stack} ${JSON.stringify(value)} ${cause}`
    : (JSON.stringify(value) ?? '')
}

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url')
}
