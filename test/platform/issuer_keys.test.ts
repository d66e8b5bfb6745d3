// The keys of an issuer: when they are fetched, how long they are kept, and what never replaces them.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createIssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import { house, unavailable } from '../support/issuer_house.ts'
import { connectorFor, NOW } from '../support/subject_fixture.ts'
import { makeKey, publicJwk, startTestIssuer } from '../support/test_issuer.ts'

const unknown = { ok: false, denial: { reason: 'subject_key_unknown' } }

async function timed<T>(work: Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now()
  const value = await work
  return { value, ms: performance.now() - start }
}

t.test('keys are fetched on first use, once for everybody who waits, and then kept', async (t) => {
  const { issuer, keys, kid, events } = await house(t)
  t.match(keys.status(), { state: 'empty', keys: 0, attempts: 0 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => keys.find('ES256', kid())))
  t.ok(answers.every((answer) => answer.ok))
  t.match(await keys.find('ES256', kid()), { ok: true, value: { kid: kid() } })
  t.match(issuer.fetches, { discovery: 1, jwks: 1 })
  t.match(keys.status(), { state: 'fresh', keys: 1, loadedAt: NOW, attempts: 1, failures: 0 })
  t.match(events, [{ event: 'issuer_keys_loaded', connector: 'ci', keys: 1 }])
})

t.test('over HTTPS an issuer is believed only under the CA of its connector (TH-F07)', async (t) => {
  const good = await house(t, { scheme: 'https' })
  t.match(await good.keys.find('ES256', good.kid()), { ok: true })
  const bad = await house(t, { scheme: 'https' }, () => ({
    tls: { caPem: undefined, insecureSkipVerify: false },
  }))
  t.match(await bad.keys.find('ES256', bad.kid()), unavailable)
  const careless = await house(t, { scheme: 'https' }, () => ({
    tls: { caPem: undefined, insecureSkipVerify: true },
  }))
  t.match(await careless.keys.find('ES256', careless.kid()), { ok: true })
})

t.test(
  'an issuer that is down at first costs one attempt each few seconds and is found again (TH-F01)',
  async (t) => {
    const { issuer, keys, kid, pass, events } = await house(t)
    issuer.behave({ discovery: 'status500' })
    t.match(await keys.find('ES256', kid()), unavailable)
    for (let round = 0; round < 10; round += 1) t.match(await keys.find('ES256', kid()), unavailable)
    t.equal(issuer.fetches.discovery, 1)
    t.match(keys.status(), { state: 'failed', lastFailure: { detail: 'discovery: status 500' } })
    t.match(events, [{ event: 'issuer_keys_failed', detail: 'discovery: status 500', keysHeld: 0 }])
    issuer.behave({})
    pass(3)
    t.match(await keys.find('ES256', kid()), { ok: true })
  },
)

t.test(
  'an issuer that hangs at first is waited for once, not by every caller in turn (TH-F03)',
  async (t) => {
    for (const behaviour of ['hang', 'drip'] as const) {
      const { issuer, keys, kid, pass } = await house(t)
      issuer.behave({ jwks: behaviour })
      const all = await timed(Promise.all(Array.from({ length: 20 }, () => keys.find('ES256', kid()))))
      t.ok(all.value.every((answer) => !answer.ok && answer.denial.reason === 'issuer_keys_unavailable'))
      t.ok(all.ms < 1000, `${behaviour}: ${all.ms} ms`)
      t.equal(issuer.fetches.jwks, 1)
      const next = await timed(keys.find('ES256', kid()))
      t.match(next.value, unavailable)
      t.ok(next.ms < 50)
      issuer.behave({})
      pass(3)
      t.match(await keys.find('ES256', kid()), { ok: true })
    }
  },
)

t.test('an issuer that fails later delays nobody whose key is at hand (TH-F02)', async (t) => {
  for (const behaviour of [
    'hang',
    'drip',
    'status500',
    'huge',
    'gzip',
    'redirect',
    'not_json',
    'empty',
  ] as const) {
    const { issuer, keys, kid, pass } = await house(t)
    t.match(await keys.find('ES256', kid()), { ok: true })
    issuer.behave({ discovery: behaviour, jwks: behaviour })
    pass(601)
    for (let round = 0; round < 5; round += 1) {
      const { value, ms } = await timed(keys.find('ES256', kid()))
      t.match(value, { ok: true }, behaviour)
      t.ok(ms < 150, `${behaviour}: ${ms} ms`)
    }
    await t.resolves(keys.refresh())
    t.match(keys.status(), { state: 'stale', keys: 1, lastFailure: { at: Number } })
    pass(86_400 - 602)
    t.match(await keys.find('ES256', kid()), { ok: true }, `${behaviour}, nearly a day later`)
    pass(3)
    t.match(await keys.find('ES256', kid()), unavailable, `${behaviour}, a day later`)
    issuer.behave({})
    pass(30)
    t.match(await keys.find('ES256', kid()), { ok: true })
  }
})

t.test('a busy connector is refreshed in the background before its keys are old', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  await keys.find('ES256', kid())
  pass(470)
  await keys.find('ES256', kid())
  t.equal(issuer.fetches.jwks, 1)
  pass(20)
  issuer.behave({ jwks: 'hang' })
  const { value, ms } = await timed(keys.find('ES256', kid()))
  t.match(value, { ok: true })
  t.ok(ms < 50)
  t.match(keys.status(), { attempts: 2, state: 'fresh' })
})

t.test('a key that the issuer took back is refused once its age is over (TH-F14)', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  const old = kid()
  t.match(await keys.find('ES256', old), { ok: true })
  issuer.rotate()
  pass(400)
  t.match(await keys.find('ES256', old), { ok: true })
  pass(200)
  t.match(await keys.find('ES256', old), unknown)
  t.match(await keys.find('ES256', kid()), { ok: true })
})

t.test('a refresh on command takes a removed or poisoned key out at once (TH-F14, TH-F15)', async (t) => {
  const { issuer, keys, kid } = await house(t)
  const attacker = makeKey('ES256')
  issuer.setJwks({ keys: [publicJwk(attacker), ...issuer.publicJwks().keys] })
  t.match(await keys.find('ES256', attacker.kid), { ok: true })
  issuer.setJwks(undefined)
  t.equal(await keys.refresh(), true)
  t.match(await keys.find('ES256', attacker.kid), unknown)
  t.match(await keys.find('ES256', kid()), { ok: true })
})

t.test('a Cache-Control shortens the age, not below a minute, and never lengthens it', async (t) => {
  const cases: readonly [string | undefined, number][] = [
    ['max-age=120', 120],
    ['public, max-age=1', 60],
    ['no-store', 60],
    ['max-age=86400', 600],
    ['max-age=nonsense', 600],
    [undefined, 600],
  ]
  for (const [cacheControl, age] of cases) {
    const { keys, kid, pass } = await house(t, cacheControl === undefined ? {} : { cacheControl })
    await keys.find('ES256', kid())
    pass(age - 1)
    t.equal(keys.status().state, 'fresh', cacheControl ?? 'none')
    pass(1)
    t.equal(keys.status().state, 'stale', cacheControl ?? 'none')
  }
})

t.test('ten thousand unknown kids cause one more fetch in thirty seconds (TH-F11)', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  await keys.find('ES256', kid())
  for (let index = 0; index < 10_000; index += 1) {
    const answer = await keys.find('ES256', `flood-${index}`)
    if (answer.ok || answer.denial.reason !== 'subject_key_unknown') t.fail(`flood-${index}`)
  }
  t.equal(issuer.fetches.jwks, 2)
  pass(30)
  await keys.find('ES256', 'flood-again')
  t.equal(issuer.fetches.jwks, 3)
  t.match(await keys.find('ES256', kid()), { ok: true })
})

t.test('a rotation in the middle of such a flood is noticed within thirty seconds (TH-F12)', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  const old = kid()
  await keys.find('ES256', old)
  await keys.find('ES256', 'flood')
  issuer.rotate({ keepOld: true })
  t.match(await keys.find('ES256', kid()), unknown)
  pass(29)
  t.match(await keys.find('ES256', kid()), unknown)
  pass(1)
  t.match(await keys.find('ES256', kid()), { ok: true })
  t.match(await keys.find('ES256', old), { ok: true })
})

t.test('an abrupt rotation is noticed by the first token of the new key (TH-F13)', async (t) => {
  const { issuer, keys, kid } = await house(t)
  await keys.find('ES256', kid())
  issuer.rotate()
  const answers = await Promise.all(Array.from({ length: 10 }, () => keys.find('ES256', kid())))
  t.ok(answers.every((answer) => answer.ok))
  t.equal(issuer.fetches.jwks, 2)
})

t.test('a kid that a fetch did not bring is not asked for again for a minute', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  await keys.find('ES256', kid())
  t.match(await keys.find('ES256', 'dead'), unknown)
  t.equal(issuer.fetches.jwks, 2)
  pass(31)
  t.match(await keys.find('ES256', 'dead'), unknown)
  t.equal(issuer.fetches.jwks, 2)
  pass(30)
  t.match(await keys.find('ES256', 'dead'), unknown)
  t.equal(issuer.fetches.jwks, 3)
})

t.test('an unknown kid at an issuer that cannot be asked is the fault of the issuer', async (t) => {
  const { issuer, keys, kid } = await house(t)
  await keys.find('ES256', kid())
  issuer.behave({ jwks: 'hang' })
  const waiting = keys.find('ES256', 'new-kid')
  const { value, ms } = await timed(keys.find('ES256', kid()))
  t.match(value, { ok: true })
  t.ok(ms < 50)
  t.match(await waiting, unavailable)
  t.match(await keys.find('ES256', 'newer-kid'), unavailable)
  issuer.behave({})
  t.equal(await keys.refresh(), true)
  t.match(await keys.find('ES256', 'newest-kid'), unknown)
})

t.test('a set that is worse than the one at hand never replaces it (TH-F15)', async (t) => {
  const { issuer, keys, kid } = await house(t)
  await keys.find('ES256', kid())
  const worse: unknown[] = [
    {},
    { keys: [] },
    { keys: null },
    [],
    'x',
    { keys: [{ kty: 'oct', k: 'AAAA', kid: 'x' }] },
    { keys: Array.from({ length: 65 }, () => publicJwk(makeKey('ES256'))) },
  ]
  for (const jwks of worse) {
    issuer.setJwks(jwks)
    t.equal(await keys.refresh(), false)
    t.match(await keys.find('ES256', kid()), { ok: true })
  }
  issuer.setJwks({ keys: [{ kty: 'AKP', kid: 'odd' }, 'nonsense', ...issuer.publicJwks().keys] })
  t.equal(await keys.refresh(), true)
  t.match(keys.status(), {
    keys: 1,
    ignored: [{ kid: 'odd', detail: 'unknown kty' }, { detail: 'not an object' }],
  })
  t.match(await keys.find('ES256', 'odd'), unknown)
})

t.test('a late answer never undoes a newer one', async (t) => {
  const { issuer, keys, kid } = await house(t)
  const old = kid()
  const oldJwks = issuer.publicJwks()
  issuer.behave({
    jwks: (_request, response) => {
      setTimeout(() => response.end(JSON.stringify(oldJwks)), 150)
    },
  })
  const late = keys.refresh()
  await new Promise((resolve) => setTimeout(resolve, 75))
  issuer.rotate()
  issuer.behave({})
  t.equal(await keys.refresh(), true)
  t.equal(await late, true)
  t.match(await keys.find('ES256', kid()), { ok: true })
  t.match(await keys.find('ES256', old), unknown)
})

t.test('a clock that jumps back or ahead asks the issuer again and goes on meanwhile (TH-G13)', async (t) => {
  const { issuer, keys, kid, pass } = await house(t)
  await keys.find('ES256', kid())
  pass(-3600)
  t.match(await keys.find('ES256', kid()), { ok: true })
  t.equal(issuer.fetches.jwks, 2)
  pass(3600)
  t.match(await keys.find('ES256', kid()), { ok: true })
  t.equal(issuer.fetches.jwks, 3)
  issuer.behave({ discovery: 'hang', jwks: 'hang' })
  pass(-3600)
  t.match(await keys.find('ES256', kid()), { ok: true })
})

t.test('keys come from a file, which is read again when it changes (TH-F17)', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'jwks.json')
  const [first, second] = [makeKey('ES256'), makeKey('ES256')]
  const publish = (key: typeof first) =>
    writeFileSync(path, JSON.stringify({ keys: [publicJwk(key)] }), { mode: 0o644 })
  const { keys, pass } = await house(t, {}, () => ({ keys: { kind: 'file', path } }))
  t.match(await keys.find('ES256', first.kid), {
    denial: { reason: 'issuer_keys_unavailable', detail: 'key file: ENOENT' },
  })
  publish(first)
  pass(3)
  t.match(await keys.find('ES256', first.kid), { ok: true })
  publish(second)
  pass(5)
  t.match(await keys.find('ES256', second.kid), { ok: true })
  t.match(await keys.find('ES256', first.kid), unknown)
  chmodSync(path, 0o666)
  pass(5)
  t.match(await keys.find('ES256', second.kid), { ok: true })
  t.match(keys.status(), { state: 'stale', lastFailure: { detail: 'key file is world-writable' } })
  writeFileSync(path, '{"keys":[]}')
  chmodSync(path, 0o644)
  t.equal(await keys.refresh(), false)
  t.match(await keys.find('ES256', second.kid), { ok: true })
  writeFileSync(path, ' '.repeat(256 * 1024 + 1))
  t.equal(await keys.refresh(), false)
  t.match(keys.status(), { lastFailure: { detail: 'key file too large' } })
})

t.test('a key file that everybody may write is refused from the start (TH-F17)', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-keys-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'jwks.json')
  const key = makeKey('ES256')
  writeFileSync(path, JSON.stringify({ keys: [publicJwk(key)] }))
  chmodSync(path, 0o646)
  const { keys, pass } = await house(t, {}, () => ({ keys: { kind: 'file', path } }))
  t.match(await keys.find('ES256', key.kid), {
    denial: { reason: 'issuer_keys_unavailable', detail: /world-writable/ },
  })
  chmodSync(path, 0o644)
  pass(3)
  t.match(await keys.find('ES256', key.kid), { ok: true })
})

t.test(
  'the registry keeps keys across a reload that means the same issuer, and forgets the rest',
  async (t) => {
    const issuer = await startTestIssuer({ algorithms: ['ES256'] })
    const registry = createIssuerKeysRegistry({ clock: () => NOW })
    t.teardown(async () => {
      registry.close()
      await issuer.close()
    })
    const connector = connectorFor(issuer)
    const keys = registry.of(connector)
    t.match(await keys.find('ES256', issuer.key().kid), { ok: true })
    const renamed = { ...connector, name: 'other name', audiences: ['x'] }
    t.equal(registry.of(renamed), keys)
    t.not(registry.of({ ...connector, trustedHosts: ['a.example.test'] }), keys)
    t.equal(registry.of({ ...connector }), keys, 'requests of the old configuration go on')
    t.equal(registry.of({ ...connector }), keys, 'requests of the old configuration go on')
    registry.retain([])
    t.strictSame(registry.statuses(), [])
    registry.warmUp([{ ...connector, kind: 'mock' }])
    t.strictSame(registry.statuses(), [])
    t.equal(
      registry.of(connector),
      keys,
      'a request of the forgotten configuration ends with the keys it began with',
    )
    t.strictSame(registry.statuses(), [])
    const reloaded = { ...connector }
    registry.warmUp([reloaded])
    t.match(await registry.of(reloaded).find('ES256', issuer.key().kid), { ok: true })
    t.match(registry.statuses(), [{ connector: 'ci', state: 'fresh', attempts: 1 }])
    t.equal(issuer.fetches.jwks, 2)
  },
)
