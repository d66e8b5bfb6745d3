import { randomBytes, verify } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { leadSeconds } from '../../src/core/key_rotation.ts'
import { makeKeyPair } from '../../src/platform/keys/key_material.ts'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import type { KeyRing, KeyRingDeps } from '../../src/platform/keys/key_ring.ts'
import { ringStoreKey } from '../../src/platform/keys/ring_state.ts'
import { createMemoryStore } from '../../src/platform/store/memory_store.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { StoreFailure } from '../../src/platform/store/store.ts'
import type { Store } from '../../src/platform/store/store.ts'

const start = Date.UTC(2026, 10, 21)
const hour = 3_600_000
const lead = leadSeconds * 1000
const config: KeyRingDeps['config'] = {
  algorithm: 'ES256',
  rotationSeconds: 6 * 3600,
  sealingKeyFile: undefined,
  extraPublicKeysFile: undefined,
}

type World = {
  now: number
  readonly store: Store
  readonly logged: string[]
  readonly open: (over?: Partial<KeyRingDeps['config']>) => Promise<KeyRing>
}

function build(t: Test, given?: Store): World {
  const world: World = {
    now: start,
    store: given ?? createMemoryStore({ clock: () => world.now }),
    logged: [],
    async open(over = {}) {
      const log = (fields: object, message: string): void => {
        world.logged.push(`${message} ${JSON.stringify(fields)}`)
      }
      const ring = await openKeyRing({
        store: world.store,
        clock: () => world.now,
        randomBytes,
        config: { ...config, ...over },
        maxTokenTtlSeconds: 3600,
        log: { info: log, warn: log },
        refreshSeconds: 0,
      })
      t.teardown(() => ring.close())
      return ring
    },
  }
  return world
}

type Jwk = Readonly<Record<string, string>>
const jwksOf = (ring: KeyRing): readonly Jwk[] => JSON.parse(ring.jwks().body).keys
const kidsOf = (ring: KeyRing): readonly (string | undefined)[] => jwksOf(ring).map((key) => key['kid'])

async function signs(ring: KeyRing, by = ring): Promise<boolean> {
  const key = by.current()
  const publicKey = ring.publicKey(key.kid)
  if (publicKey === undefined) return false
  const signature = await key.sign('header.payload')
  const dsaEncoding = 'ieee-p1363' as const
  return verify(
    'sha256',
    Buffer.from('header.payload'),
    { key: publicKey, dsaEncoding },
    Buffer.from(signature, 'base64url'),
  )
}

function fileWith(t: Test, name: string, content: string | Buffer): string {
  const file = join(t.testdir(), name)
  writeFileSync(file, content)
  return file
}

t.test('the first start makes a key that signs at once, and the JWKS shows it', async (t) => {
  const ring = await build(t).open()
  t.equal(await signs(ring), true)
  t.same(kidsOf(ring), [ring.current().kid])
  t.match(jwksOf(ring), [{ use: 'sig', kty: 'EC', crv: 'P-256', alg: 'ES256' }])
  t.same(ring.algorithms(), ['ES256'])
})

t.test('RS256 is one setting away', async (t) => {
  const ring = await build(t).open({ algorithm: 'RS256' })
  t.equal(await signs(ring), true)
  t.match(jwksOf(ring), [{ kty: 'RSA', alg: 'RS256', e: 'AQAB' }])
  t.equal(Buffer.from(await ring.current().sign('x'), 'base64url').length, 256)
})

t.test('a JWKS never has another member than kty, crv, x, y, n, e, kid, alg, use', async (t) => {
  const world = build(t)
  const ring = await world.open()
  await world.open({ algorithm: 'RS256' }).then(async (other) => other.rotate())
  await ring.refresh()
  t.ok(jwksOf(ring).length >= 2)
  const allowed = new Set(['kty', 'crv', 'x', 'y', 'n', 'e', 'kid', 'alg', 'use'])
  for (const key of jwksOf(ring)) t.ok(Object.keys(key).every((name) => allowed.has(name)))
})

t.test('a restart finds the same keys and serves the same bytes', async (t) => {
  const world = build(t)
  const before = await world.open()
  const after = await world.open()
  t.equal(after.current().kid, before.current().kid)
  t.same(after.jwks(), before.jwks())
  t.equal(await signs(after, before), true)
})

t.test('the bytes are the very same until something changes', async (t) => {
  const world = build(t)
  const ring = await world.open()
  const { body } = ring.jwks()
  world.now += hour
  await ring.refresh()
  t.equal(ring.jwks().body, body)
})

t.test(
  'a rotation publishes, waits, signs, and retires; tokens of both keys verify all along (TH-H01)',
  async (t) => {
    const world = build(t)
    const ring = await world.open()
    const old = ring.current().kid
    let changes = 0
    ring.onChange(() => {
      changes += 1
    })

    world.now = start + 6 * hour - lead
    await ring.refresh()
    t.equal(ring.current().kid, old)
    t.equal(kidsOf(ring).length, 2)
    t.equal(changes, 1)

    // The switch comes by the clock alone, without a look at the store.
    world.now = start + 6 * hour
    const fresh = ring.current().kid
    t.not(fresh, old)
    t.same(kidsOf(ring), [fresh, old])
    t.ok(ring.publicKey(old))
    t.equal(await signs(ring), true)
    t.equal(changes, 2)

    world.now += (3600 + 70) * 1000
    await ring.refresh()
    t.same(kidsOf(ring), [fresh])
    t.equal(ring.publicKey(old), undefined)
  },
)

t.test('the same keys are the same bytes, whichever of them signs', async (t) => {
  const world = build(t)
  const ring = await world.open()
  await ring.rotate()
  const before = { body: ring.jwks().body, kid: ring.current().kid }
  world.now += lead
  t.not(ring.current().kid, before.kid)
  t.equal(ring.jwks().body, before.body)
})

t.test(
  'replicas agree: one key is made, and each serves the next before any signs with it (TH-H03)',
  async (t) => {
    const world = build(t)
    const rings = await Promise.all([world.open(), world.open(), world.open()])
    t.equal(new Set(rings.map((ring) => ring.current().kid)).size, 1)
    world.now = start + 6 * hour - lead
    await Promise.all(rings.map(async (ring) => ring.refresh()))
    t.equal(new Set(rings.map((ring) => ring.jwks().etag)).size, 1)
    t.equal(rings[0]?.list().length, 2)
    world.now = start + 6 * hour
    t.equal(new Set(rings.map((ring) => ring.current().kid)).size, 1)
  },
)

t.test('a rotation by hand says which key will sign, and when', async (t) => {
  const world = build(t)
  const ring = await world.open()
  const next = await ring.rotate()
  t.match(next, { state: 'next', publishedAt: start, signsFrom: start + lead })
  t.same(await ring.rotate(), next, 'asking twice makes one key')
  world.now = start + lead
  t.equal(ring.current().kid, next.kid)
})

t.test('a change of the algorithm goes through publish, wait and sign', async (t) => {
  const world = build(t)
  const old = (await world.open()).current().kid
  world.now += hour
  const ring = await world.open({ algorithm: 'RS256' })
  t.equal(ring.current().kid, old)
  t.same(ring.algorithms(), ['ES256', 'RS256'])
  world.now += lead
  t.equal(ring.current().algorithm, 'RS256')
  t.same(ring.algorithms(), ['RS256', 'ES256'])
})

t.test('a revoked key is gone at once and the broker goes on signing', async (t) => {
  const world = build(t)
  const ring = await world.open()
  const old = ring.current().kid
  t.equal(await ring.revoke(old), true)
  t.not(ring.current().kid, old)
  t.equal(ring.publicKey(old), undefined)
  t.notOk(kidsOf(ring).includes(old))
  t.equal(await signs(ring), true)
  t.equal(await ring.revoke(old), false)
})

t.test(
  'a fresh key takes the place of a revoked one in one step, and can sign before its turn',
  async (t) => {
    const world = build(t)
    const ring = await world.open()
    const old = ring.current().kid
    const next = await ring.rotate()
    const fresh = await ring.publishFresh(old)
    t.equal(ring.current().kid, next.kid, 'the published next one signs from now on')
    t.same(kidsOf(ring), [fresh?.kid, next.kid])
    t.equal(ring.signer(old), undefined)
    t.equal(ring.signer(fresh?.kid ?? '')?.kid, fresh?.kid)
    t.same(
      ring.list().map(({ state }) => state),
      ['signing', 'next'],
    )
  },
)

t.test('a fresh key without a revocation waits behind the published next one', async (t) => {
  const ring = await build(t).open()
  const signing = ring.current().kid
  const next = await ring.rotate()
  const fresh = await ring.publishFresh(undefined)
  t.same(
    ring.list().map(({ kid, state }) => [kid, state]),
    [
      [signing, 'signing'],
      [next.kid, 'next'],
      [fresh?.kid, 'next'],
    ],
  )
})

t.test('nothing is published for a key that is not there', async (t) => {
  const ring = await build(t).open()
  const before = kidsOf(ring)
  t.equal(await ring.publishFresh('nothing'), undefined)
  t.same(kidsOf(ring), before)
})

t.test('a key revoked by another process is gone after the next refresh (TH-H02)', async (t) => {
  const world = build(t)
  const [server, admin] = [await world.open(), await world.open()]
  const old = server.current().kid
  await admin.revoke(old)
  await server.refresh()
  t.same(kidsOf(server), kidsOf(admin))
  t.equal(server.publicKey(old), undefined)
})

t.test('a clock that jumps back by days changes no key', async (t) => {
  const world = build(t)
  const ring = await world.open()
  const { kid } = ring.current()
  world.now -= 100 * hour
  t.equal(ring.current().kid, kid)
  await ring.refresh()
  t.equal(ring.current().kid, kid)
  t.equal(await signs(ring), true)
  world.now += 6 * hour
  await ring.refresh()
  t.equal(ring.list().length, 2, 'and rotation goes on from there')
})

t.test(
  'private keys are sealed in the store when a sealing key is given, and open again with it',
  async (t) => {
    const world = build(t)
    const sealingKeyFile = fileWith(t, 'seal', `${randomBytes(32).toString('base64')}\n`)
    const ring = await world.open({ sealingKeyFile })
    const stored = (await world.store.get(ringStoreKey)) ?? ''
    t.match(JSON.parse(stored).keys[0].privateKey, /^sealed:/)
    const again = await world.open({ sealingKeyFile })
    t.equal(await signs(again, ring), true)
  },
)

t.test('keys stored in the open are sealed at the next start with a sealing key', async (t) => {
  const world = build(t)
  const { kid } = (await world.open()).current()
  t.match(await world.store.get(ringStoreKey), /"plain:/)
  const ring = await world.open({ sealingKeyFile: fileWith(t, 'seal', randomBytes(32)) })
  t.equal(ring.current().kid, kid)
  t.notMatch(await world.store.get(ringStoreKey), /"plain:/)
})

t.test('a missing, another or an unusable sealing key refuses to start and says why (TH-H04)', async (t) => {
  const world = build(t)
  const dir = t.testdir({ other: randomBytes(32).toString('hex'), short: 'c2hvcnQ=' })
  writeFileSync(join(dir, 'seal'), randomBytes(32))
  await world.open({ sealingKeyFile: join(dir, 'seal') })
  const refused = async (sealingKeyFile: string | undefined, message: RegExp): Promise<void> => {
    await t.rejects(world.open({ sealingKeyFile }), { code: 'SALLYPORT_KEYS', message })
  }
  await refused(undefined, /no sealing key file is configured/)
  await refused(join(dir, 'other'), /cannot be opened with this sealing key/)
  await refused(join(dir, 'short'), /must hold 32 bytes/)
  await refused(join(dir, 'absent'), /cannot be read/)
  await t.resolves(world.open({ sealingKeyFile: join(dir, 'seal') }))
})

t.test('a sealed key that was moved to another kid does not open', async (t) => {
  const world = build(t)
  const sealingKeyFile = fileWith(t, 'seal', randomBytes(32))
  const ring = await world.open({ sealingKeyFile })
  await ring.rotate()
  const stored = JSON.parse((await world.store.get(ringStoreKey)) ?? '')
  const [first, second] = stored.keys
  ;[first.privateKey, second.privateKey] = [second.privateKey, first.privateKey]
  await world.store.put(ringStoreKey, JSON.stringify(stored))
  await t.rejects(world.open({ sealingKeyFile }), { code: 'SALLYPORT_KEYS', message: /altered/ })
})

t.test('a damaged ring refuses to start, and later leaves the held keys in use (TH-H04)', async (t) => {
  const world = build(t)
  const ring = await world.open()
  const good = (await world.store.get(ringStoreKey)) ?? ''
  const [key] = JSON.parse(good).keys
  const damaged: readonly [string, RegExp][] = [
    ['not json', /damaged/],
    ['{"version":1}', /damaged/],
    [JSON.stringify({ version: 2, keys: [] }), /has version 2/],
    [JSON.stringify({ version: 1, keys: [{ ...key, kid: 'another' }] }), /damaged at key 0/],
    [JSON.stringify({ version: 1, keys: [{ ...key, signsFrom: 'soon' }] }), /damaged at key 0/],
    [JSON.stringify({ version: 1, keys: [{ ...key, privateKey: 'plain:AAAA' }] }), /cannot be read/],
    [JSON.stringify({ version: 1, keys: [{ ...key, algorithm: 'RS256' }] }), /does not fit RS256/],
  ]
  for (const [text, message] of damaged) {
    await world.store.put(ringStoreKey, text)
    await t.rejects(world.open(), { code: 'SALLYPORT_KEYS', message }, text.slice(0, 40))
  }
  await t.rejects(ring.refresh(), { code: 'SALLYPORT_KEYS' })
  t.equal(await signs(ring), true)
  await world.store.put(ringStoreKey, good)
  await t.resolves(world.open())
})

t.test('a store that fails leaves the held keys in use and is told to the log', async (t) => {
  const store = createMemoryStore({ clock: () => start })
  let broken = false
  const flaky: Store = {
    ...store,
    get: async (key) => {
      if (broken) throw new StoreFailure('gone')
      return store.get(key)
    },
  }
  const ring = await build(t, flaky).open()
  broken = true
  await t.rejects(ring.refresh(), StoreFailure)
  t.equal(await signs(ring), true)
  broken = false
  await t.resolves(ring.refresh())
})

t.test('a store that lost the ring gets it back', async (t) => {
  const world = build(t)
  const ring = await world.open()
  await world.store.compareAndSet(ringStoreKey, await world.store.get(ringStoreKey), undefined)
  await ring.refresh()
  t.equal((await world.open()).current().kid, ring.current().kid)
})

t.test("extra public keys are served after ours, with their own kid and only a key's members", async (t) => {
  const dex = await makeKeyPair('RS256')
  const entry = {
    ...dex.jwk,
    kid: '9ef2c5cd93bdbc2771041c3644e32713257a1b32',
    use: 'sig',
    alg: 'RS256',
    x5c: ['MII'],
  }
  const file = fileWith(t, 'dex.json', JSON.stringify({ keys: [entry] }))
  const ring = await build(t).open({ extraPublicKeysFile: file })
  t.same(kidsOf(ring), [ring.current().kid, entry.kid])
  t.same(Object.keys(jwksOf(ring)[1] ?? {}), ['use', 'kty', 'kid', 'alg', 'n', 'e'])
  t.ok(ring.publicKey(entry.kid))
  t.equal(ring.list()[1]?.state, 'extra')
  t.equal(await ring.revoke(entry.kid), false)
})

t.test('extra keys that are private, weak, nameless, doubled or ours refuse to start (TH-H04)', async (t) => {
  const dex = await makeKeyPair('ES256')
  const good = { ...dex.jwk, kid: 'dex' }
  const world = build(t)
  const own = (await world.open()).current().kid
  const cases: readonly [string, unknown, RegExp][] = [
    ['private', { keys: [dex.privateKey.export({ format: 'jwk' })] }, /holds a private/],
    ['secret', { keys: [{ kty: 'oct', k: 'AAAA', kid: 'x' }] }, /holds a private or secret/],
    ['nameless', { keys: [{ ...good, kid: undefined }] }, /no usable kid/],
    ['encrypting', { keys: [{ ...good, use: 'enc' }] }, /use is not sig/],
    ['off the curve', { keys: [{ ...good, y: good.kid }] }, /not a valid key/],
    ['misnamed', { keys: [{ ...good, alg: 'RS256' }] }, /alg does not fit/],
    [
      'weak',
      { keys: [{ kty: 'RSA', n: Buffer.alloc(128, 0xff).toString('base64url'), e: 'AQAB', kid: 'x' }] },
      /too weak/,
    ],
    ['doubled', { keys: [good, good] }, /two keys have the kid dex/],
    ['ours', { keys: [{ ...good, kid: own }] }, /is a key of this broker/],
    ['foreign', { keys: [{ kty: 'OKP', crv: 'Ed25519', x: 'AAAA', kid: 'x' }] }, /only EC and RSA/],
    ['shapeless', [good], /not a JWKS/],
    [
      'many',
      { keys: Array.from({ length: 33 }, (_, index) => ({ ...good, kid: `${index}` })) },
      /more than 32/,
    ],
  ]
  for (const [name, content, message] of cases) {
    const extraPublicKeysFile = fileWith(t, `${name}.json`, JSON.stringify(content))
    await t.rejects(world.open({ extraPublicKeysFile }), { code: 'SALLYPORT_KEYS', message }, name)
  }
  await t.rejects(world.open({ extraPublicKeysFile: '/nowhere.json' }), { message: /cannot be read/ })
  await t.resolves(
    world.open({ extraPublicKeysFile: fileWith(t, 'good.json', JSON.stringify({ keys: [good] })) }),
  )
})

t.test('no private key is in what is served, listed, logged or said in an error (TH-H05)', async (t) => {
  const world = build(t)
  const ring = await world.open()
  await ring.rotate()
  await ring.revoke(ring.current().kid)
  const stored = JSON.parse((await world.store.get(ringStoreKey)) ?? '')
  const secrets: readonly string[] = stored.keys.map((key: Jwk) => key['privateKey'] ?? '')
  t.ok(secrets.every((secret) => secret.startsWith('plain:')))
  stored.keys[0].privateKey = `${stored.keys[0].privateKey.slice(0, -20)}AAAAAAAAAAAAAAAAAAAA`
  await world.store.put(ringStoreKey, JSON.stringify(stored))
  const error = await ring.refresh().then(
    () => '',
    (failure: unknown) => String(failure),
  )
  const seen = [ring.jwks().body, JSON.stringify(ring.list()), world.logged.join(), error].join()
  for (const secret of secrets) t.notOk(seen.includes(secret.slice(6, 60)))
})

t.test('the ring in SQLite survives a restart, and a signature made before verifies after', async (t) => {
  const file = join(t.testdir(), 'keys.db')
  const first = await openSqliteStore({ file, clock: () => start })
  const before = await build(t, first).open()
  const { kid } = before.current()
  const signature = Buffer.from(await before.current().sign('header.payload'), 'base64url')
  await first.close()
  const second = await openSqliteStore({ file, clock: () => start })
  t.teardown(async () => second.close())
  const key = (await build(t, second).open()).publicKey(kid)
  if (key === undefined) throw new Error('the key is gone')
  t.ok(verify('sha256', Buffer.from('header.payload'), { key, dsaEncoding: 'ieee-p1363' }, signature))
  t.notOk(verify('sha256', Buffer.from('header.other'), { key, dsaEncoding: 'ieee-p1363' }, signature))
})

t.test('a configuration with longer tokens keeps an old key public for as long as they live', async (t) => {
  const world = build(t)
  const ring = await world.open()
  const { kid } = ring.current()
  const publicUntil = (): number => Number(ring.list().find((key) => key.kid === kid)?.publicUntil)
  await ring.rotate()
  const before = publicUntil()
  await ring.lengthenTokens(3600)
  t.equal(publicUntil(), before, 'as long as it was')
  await ring.lengthenTokens(7200)
  t.equal(publicUntil(), before + 3_600_000)
  await ring.lengthenTokens(60)
  t.equal(publicUntil(), before + 3_600_000, 'longer tokens may be out there')
})
