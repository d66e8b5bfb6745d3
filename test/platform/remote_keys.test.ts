// Keys of a signer elsewhere in the ring: published with the same wait, followed by name, never back once they left.
import { createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import { leadSeconds } from '../../src/core/key_rotation.ts'
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import { publicJwkOf } from '../../src/platform/keys/key_material.ts'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import type { KeyRing } from '../../src/platform/keys/key_ring.ts'
import { guardSigner } from '../../src/platform/remote_signer/guarded_signer.ts'
import { SignerFailure } from '../../src/platform/remote_signer/remote_signer.ts'
import type { RemoteKeys } from '../../src/platform/remote_signer/ring_keys.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'

const start = Date.UTC(2026, 10, 22)
const lead = leadSeconds * 1000
const hour = 3_600_000

const ec = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const held: Readonly<Record<string, KeyObject>> = {
  one: ec(),
  two: ec(),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
}

/** A signer that has the keys above, and is away while `isAway`. */
function newSigner(world: { readonly isAway: boolean }) {
  const keyOf = (name: string): KeyObject => {
    const key = held[name]
    if (world.isAway || key === undefined) throw new SignerFailure('unreachable', 'it is away')
    return key
  }
  const signer = {
    publicKey: async (name: string) => publicJwkOf(keyOf(name)),
    sign: async ({ key, input }: { readonly key: string; readonly input: string }) =>
      sign('sha256', Buffer.from(input), { key: keyOf(key), dsaEncoding: 'ieee-p1363' }),
    close: () => {},
  }
  const limits = { timeoutMs: 10_000, maxConcurrent: 4, maxWaiting: 4 }
  return guardSigner(signer, { limits, now: () => 0, pool: inPlacePool })
}

type World = {
  now: number
  isAway: boolean
  readonly logged: string[]
  readonly stored: () => Promise<string>
  /** `key`: what keys.signer.key names; `local`: no signer; `leave`: one without a key. */
  readonly open: (key: string, change?: Partial<RemoteKeys>) => Promise<KeyRing>
}

function build(t: Test): World {
  const store = createMemoryStore({ clock: () => world.now })
  const world: World = {
    now: start,
    isAway: false,
    logged: [],
    stored: async () => (await store.get('keys/ring')) ?? '',
    async open(key, change = {}) {
      const log = (fields: object, message: string): void =>
        void world.logged.push(`${message} ${JSON.stringify(fields)}`)
      const named = key === 'leave' ? undefined : key
      const ring = await openKeyRing({
        store,
        clock: () => world.now,
        randomBytes,
        config: {
          algorithm: 'ES256',
          rotationSeconds: 6 * 3600,
          sealingKeyFile: undefined,
          extraPublicKeysFile: undefined,
        },
        maxTokenTtlSeconds: 600,
        log: { info: log, warn: log },
        refreshSeconds: 0,
        remote:
          key === 'local' ? undefined : { kind: 'http', key: named, signer: newSigner(world), ...change },
      })
      t.teardown(() => ring.close())
      return ring
    },
  }
  return world
}

/** Which of our names the key has that signs now; `here` for one that the broker made. */
function signing(ring: KeyRing): string {
  const jwk = ring.publicKey(ring.current().kid)?.export({ format: 'jwk' })
  const found = Object.entries(held).find(
    ([, key]) => createPublicKey(key).export({ format: 'jwk' }).x === jwk?.x,
  )
  return found?.[0] ?? 'here'
}

const published = (ring: KeyRing): number => JSON.parse(ring.jwks().body).keys.length

async function pass(world: World, ring: KeyRing, ms: number): Promise<void> {
  world.now += ms
  await ring.refresh()
}

t.test('the first key of a store signs at once, and its tokens verify with what is published', async (t) => {
  const ring = await build(t).open('one')
  t.equal(signing(ring), 'one')
  t.equal(published(ring), 1)
  const key = ring.publicKey(ring.current().kid)
  const signature = Buffer.from(await ring.current().sign('a.b'), 'base64url')
  t.ok(key && verify('sha256', Buffer.from('a.b'), { key, dsaEncoding: 'ieee-p1363' }, signature))
})

t.test('the ring in the store names the key elsewhere and holds nothing private', async (t) => {
  const world = build(t)
  await world.open('one')
  t.match(await world.stored(), /"privateKey":"elsewhere:http:one"/)
  const { d = '-' } = held['one']?.export({ format: 'jwk' }) ?? {}
  t.notOk((await world.stored()).includes(d))
})

t.test(
  'another name is published first, and signs when every verifier has had time to fetch it',
  async (t) => {
    const world = build(t)
    await world.open('one')
    const ring = await world.open('two')
    t.equal(signing(ring), 'one')
    t.equal(published(ring), 2)
    await pass(world, ring, lead - 1)
    t.equal(signing(ring), 'one')
    await pass(world, ring, 1)
    t.equal(signing(ring), 'two')
    t.equal(published(ring), 2)
    await pass(world, ring, 600_000 + 71_000)
    t.equal(published(ring), 1)
  },
)

t.test('a replica that still names the old key follows, during the change and ever after', async (t) => {
  const world = build(t)
  const old = await world.open('one')
  const ring = await world.open('two')
  await pass(world, old, lead)
  await pass(world, ring, hour)
  await pass(world, old, hour)
  t.equal(signing(old), 'two')
  const again = await world.open('one')
  t.equal(signing(again), 'two')
  t.equal(published(again), 1)
})

t.test('time alone changes no key elsewhere', async (t) => {
  const world = build(t)
  const ring = await world.open('one')
  await pass(world, ring, 100 * hour)
  t.equal(signing(ring), 'one')
  t.equal(published(ring), 1)
  await t.rejects(ring.rotate(), {
    code: 'SALLYPORT_KEYS',
    message: /naming another one under keys.signer.key/,
  })
})

t.test(
  'keys of the broker give way to one elsewhere, and the other way round, with the same wait',
  async (t) => {
    const world = build(t)
    await world.open('local')
    const there = await world.open('one')
    t.equal(signing(there), 'here')
    await pass(world, there, lead)
    t.equal(signing(there), 'one')
    const back = await world.open('leave')
    await pass(world, back, lead)
    t.equal(signing(back), 'one')
    await pass(world, back, lead)
    t.equal(signing(back), 'here')
  },
)

t.test('a revoked key is gone at once and never comes back by its name', async (t) => {
  const world = build(t)
  const old = await world.open('one')
  const { kid } = old.current()
  const ring = await world.open('two')
  t.equal(await ring.revoke(kid), true)
  t.equal(signing(ring), 'two')
  t.equal(published(ring), 1)
  await pass(world, old, 0)
  t.equal(signing(old), 'two')
  t.equal(signing(await world.open('one')), 'two')
})

t.test('the only key that could sign is not revoked: name another one first', async (t) => {
  const world = build(t)
  const ring = await world.open('one')
  await t.rejects(ring.revoke(ring.current().kid), { code: 'SALLYPORT_KEYS', message: /name another one/ })
  t.equal(signing(ring), 'one')
  t.equal(published(ring), 1)
})

t.test('a signer that is away, or has no such key, or one of another kind, ends the start', async (t) => {
  const world = build(t)
  await t.rejects(world.open('nobody'), { code: 'SALLYPORT_KEYS', message: /it is away/ })
  await t.rejects(world.open('rsa'), { code: 'SALLYPORT_KEYS', message: /RSA key.*keys.algorithm ES256/ })
  world.isAway = true
  await t.rejects(world.open('one'), { code: 'SALLYPORT_KEYS' })
  t.equal(await world.stored(), '')
})

t.test('commands see the ring without the signer, and take a key out that another one follows', async (t) => {
  const world = build(t)
  const { kid } = (await world.open('one')).current()
  await world.open('two')
  world.isAway = true
  const ring = await world.open('two', { signer: undefined })
  t.strictSame(
    ring.list().map(({ state }) => state),
    ['signing', 'next'],
  )
  t.equal(await ring.revoke(kid), true)
  t.equal(signing(ring), 'two')
  await t.rejects(ring.revoke(ring.current().kid), { code: 'SALLYPORT_KEYS' })
  await t.rejects(ring.publishFresh(undefined), { code: 'SALLYPORT_KEYS', message: /not made here/ })
})

t.test(
  'where no such signer is configured the key is published all the same, and nothing is signed',
  async (t) => {
    const world = build(t)
    await world.open('one')
    for (const ring of [await world.open('local'), await world.open('leave', { kind: 'pkcs11' })]) {
      t.equal(signing(ring), 'one')
      t.match(ring.refusal(), { code: 'SALLYPORT_SIGNER', message: /not configured here/ })
      await t.rejects(ring.current().sign('a.b'), { code: 'SALLYPORT_SIGNER' })
    }
  },
)

t.test('a signer that goes away later leaves the ring as it is', async (t) => {
  const world = build(t)
  const ring = await world.open('one')
  t.equal(ring.refusal(), undefined)
  world.isAway = true
  await pass(world, ring, hour)
  t.equal(published(ring), 1)
  await t.rejects(ring.current().sign('a.b'), { code: 'SALLYPORT_SIGNER', why: 'unreachable' })
  t.match(ring.signerStatus(), { breaker: 'closed', lastFailure: 'it is away' })
})
