import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { JsonValue } from '../../src/core/claims.ts'
import { algorithmOf, ALGORITHM_NAMES, toOpensslSignature } from '../../src/core/jwt/algorithms.ts'
import type { Algorithm } from '../../src/core/jwt/algorithms.ts'
import { readKeySet, readPublicKey, selectKey } from '../../src/core/jwt/public_key.ts'
import { isRocaModulus } from '../../src/core/jwt/roca.ts'
import { rocaModulus } from '../support/roca_modulus.ts'
import { makeKey, publicJwk } from '../support/test_issuer.ts'

type Jwk = Record<string, JsonValue>

const row = (name: string): Algorithm => {
  const algorithm = algorithmOf(name)
  if (algorithm === undefined) throw new Error(name)
  return algorithm
}
const jwkOf = (alg: string, kid = 'k1'): Jwk => ({ ...strings(publicJwk(makeKey(alg))), kid })
const strings = (jwk: Record<string, unknown>): Jwk =>
  Object.fromEntries(Object.entries(jwk).map(([name, value]) => [name, String(value)]))
const without = (jwk: Jwk, name: string): Jwk =>
  Object.fromEntries(Object.entries(jwk).filter(([member]) => member !== name))
const setOf = (...keys: JsonValue[]) => {
  const set = readKeySet({ keys })
  if (!set.ok) throw new Error(set.denial)
  return set.value
}
const modulus = (bits: number, last = 1): string => {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0x5a)
  bytes[0] = 1 << ((bits - 1) % 8)
  bytes[bytes.length - 1] = last
  return bytes.toString('base64url')
}
const exponent = (value: bigint): string => {
  const hex = value.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
}

const rsa = jwkOf('RS256')
const goodModulus = modulus(2048)
const ec = jwkOf('ES256')
const p521 = jwkOf('ES512')
const ed = jwkOf('EdDSA')

t.test('the published form of every key that the table knows is usable', async (t) => {
  for (const alg of ALGORITHM_NAMES) {
    const jwk = jwkOf(alg)
    t.match(readPublicKey(jwk), { ok: true, value: { kid: 'k1', alg } }, alg)
    t.match(readPublicKey(without(jwk, 'alg')), { ok: true, value: { alg: undefined } }, `${alg}, unnamed`)
  }
})

const ignored: readonly [title: string, jwk: JsonValue, detail: string | RegExp, twin: JsonValue][] = [
  ['exponent 1 (TH-A07)', { ...rsa, e: 'AQ' }, /below 65537/, rsa],
  ['exponent 3 (TH-A08)', { ...rsa, e: 'Aw' }, /below 65537/, { ...rsa, e: 'AQAB' }],
  ['exponent 65536', { ...rsa, e: exponent(65_536n) }, /even or below/, { ...rsa, e: exponent(65_537n) }],
  ['an even exponent', { ...rsa, e: exponent(65_538n) }, /even or below/, { ...rsa, e: exponent(65_539n) }],
  [
    'an exponent of 65 bits',
    { ...rsa, e: exponent(2n ** 64n + 1n) },
    /more than 64 bits/,
    { ...rsa, e: exponent(2n ** 63n + 1n) },
  ],
  ['RSA of 1024 bits (TH-A08)', { ...rsa, n: modulus(1024) }, /of 1024 bits/, { ...rsa, n: modulus(2048) }],
  ['RSA of 2047 bits (TH-A08)', { ...rsa, n: modulus(2047) }, /of 2047 bits/, { ...rsa, n: modulus(3072) }],
  [
    'RSA of 2040 bits behind zeros',
    {
      ...rsa,
      n: Buffer.concat([Buffer.alloc(1), Buffer.from(modulus(2040), 'base64url')]).toString('base64url'),
    },
    /of 2040 bits/,
    {
      ...rsa,
      n: Buffer.concat([Buffer.alloc(1), Buffer.from(modulus(2048), 'base64url')]).toString('base64url'),
    },
  ],
  ['RSA of 8193 bits (TH-A08)', { ...rsa, n: modulus(8193) }, /of 8193 bits/, { ...rsa, n: modulus(8192) }],
  [
    'RSA of 16384 bits (TH-A08)',
    { ...rsa, n: modulus(16_384) },
    /of 16384 bits/,
    { ...rsa, n: modulus(4096) },
  ],
  [
    'an even modulus (TH-A08)',
    { ...rsa, n: modulus(2048, 2) },
    'even RSA modulus',
    { ...rsa, n: modulus(2048, 3) },
  ],
  ['a modulus with padding', { ...rsa, n: `${goodModulus}==` }, 'n or e is not base64url', rsa],
  ['no exponent', without(rsa, 'e'), 'n or e is not base64url', rsa],
  ['a modulus that is a number', { ...rsa, n: 5 }, 'n or e is not base64url', rsa],
  ['use enc (TH-A18)', { ...rsa, use: 'enc' }, 'use is not sig', without(rsa, 'use')],
  ['use that is no string', { ...rsa, use: ['sig'] }, 'use is not sig', rsa],
  [
    'key_ops without verify (TH-A18)',
    { ...rsa, key_ops: ['sign'] },
    'key_ops without verify',
    { ...rsa, key_ops: ['verify'] },
  ],
  [
    'use enc with key_ops verify (TH-A18)',
    { ...rsa, use: 'enc', key_ops: ['verify'] },
    'use is not sig',
    { ...rsa, key_ops: ['sign', 'verify'] },
  ],
  ['alg of encryption', { ...rsa, alg: 'RSA-OAEP' }, /not a signature algorithm/, { ...rsa, alg: 'PS256' }],
  ['alg none', { ...rsa, alg: 'none' }, /not a signature algorithm/, rsa],
  ['alg of another key type (TH-A05)', { ...rsa, alg: 'ES256' }, 'alg does not fit kty and crv', rsa],
  ['alg of another curve (TH-A05)', { ...ec, alg: 'ES384' }, 'alg does not fit kty and crv', ec],
  ['a misspelt curve algorithm', { ...p521, alg: 'ES521' }, /not a signature algorithm/, p521],
  ['secp256k1 (TH-A05)', { ...ec, crv: 'secp256k1' }, 'unknown crv', ec],
  ['a curve called __proto__', { ...ec, crv: '__proto__' }, 'unknown crv', ec],
  ['a point off the curve', { ...ec, y: ec['x'] ?? '' }, 'OpenSSL refuses it', ec],
  [
    'a coordinate too short',
    { ...ec, x: Buffer.alloc(31, 1).toString('base64url') },
    /not of the length/,
    ec,
  ],
  ['no y', without(ec, 'y'), 'x or y is not base64url', ec],
  ['Ed448', { ...ed, crv: 'Ed448' }, 'unknown crv', ed],
  ['X25519', { ...ed, crv: 'X25519' }, 'unknown crv', ed],
  [
    'an Ed25519 key too short',
    { ...ed, x: Buffer.alloc(31, 1).toString('base64url') },
    'x is not 32 bytes',
    ed,
  ],
  ['an unknown kty', { kid: 'k1', kty: 'AKP', pub: 'AAAA' }, 'unknown kty', ed],
  ['no kty', without(ed, 'kty'), 'unknown kty', ed],
  ['no kid (TH-A16)', without(rsa, 'kid'), 'no kid', rsa],
  ['an empty kid', { ...rsa, kid: '' }, 'no kid', rsa],
  ['a kid that is a number', { ...rsa, kid: 1 }, 'no kid', { ...rsa, kid: '1' }],
  [
    'a kid of 201 characters',
    { ...rsa, kid: 'k'.repeat(201) },
    'kid too long',
    { ...rsa, kid: 'k'.repeat(200) },
  ],
  ['a JWK that is a string', 'k1', 'not an object', rsa],
  ['null for a JWK', null, 'not an object', rsa],
]
for (const [title, jwk, detail, twin] of ignored) {
  t.test(`a key is left out and reported for ${title}`, async (t) => {
    t.match(readPublicKey(jwk), { ok: false, denial: { detail, alarm: false } })
    t.match(readPublicKey(twin), { ok: true })
    t.match(setOf(jwk, jwkOf('ES384', 'good')), { size: 1, ignored: [{ detail }] })
  })
}

t.test('private and symmetric key material is left out with an alarm (TH-A03, TH-A19)', async (t) => {
  const secret = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const leaked = { ...strings(secret), kid: 'leaked' }
  const symmetric = { kty: 'oct', k: 'AAAA', kid: 'hmac', alg: 'HS256' }
  const set = setOf(leaked, symmetric, ec)
  t.match(set, {
    size: 1,
    ignored: [
      { kid: 'leaked', alarm: true },
      { kid: 'hmac', alarm: true },
    ],
  })
  t.match(selectKey(set, row('ES256'), 'k1'), { found: 'key' })
  t.match(selectKey(set, row('ES256'), 'leaked'), { found: 'none' })
})

t.test('a modulus with the ROCA fingerprint is left out (TH-A09)', async (t) => {
  const bytes = rocaModulus()
  t.equal(isRocaModulus(bytes), true)
  t.match(readPublicKey({ ...rsa, n: bytes.toString('base64url') }), { denial: { detail: /ROCA/ } })
  t.equal(isRocaModulus(Buffer.from(goodModulus, 'base64url')), false)
})

t.test('two keys of one kid are told apart by type and algorithm, or not used (TH-A17)', async (t) => {
  const mixed = setOf(rsa, ec)
  t.match(selectKey(mixed, row('RS256'), 'k1'), { found: 'key', key: { kty: 'RSA' } })
  t.match(selectKey(mixed, row('ES256'), 'k1'), { found: 'key', key: { kty: 'EC' } })
  const byAlg = setOf({ ...rsa, alg: 'RS256' }, { ...jwkOf('PS256'), alg: 'PS256' })
  t.match(selectKey(byAlg, row('PS256'), 'k1'), { found: 'key', key: { alg: 'PS256' } })
  const twins = setOf(rsa, jwkOf('RS256'))
  t.match(selectKey(twins, row('RS256'), 'k1'), { found: 'unfit', detail: /several/ })
})

t.test('a key that names an algorithm is used for no other one (TH-A04)', async (t) => {
  t.match(selectKey(setOf(rsa), row('RS256'), 'k1'), { found: 'key' })
  t.match(selectKey(setOf(rsa), row('PS256'), 'k1'), { found: 'unfit' })
  t.match(selectKey(setOf(without(rsa, 'alg')), row('PS256'), 'k1'), { found: 'key' })
  t.match(selectKey(setOf(rsa), row('ES256'), 'k1'), { found: 'unfit' })
})

t.test('a kid is only a name (TH-A15)', async (t) => {
  const set = setOf(rsa)
  for (const kid of [
    '__proto__',
    'constructor',
    'toString',
    '../../../../etc/passwd',
    "'; drop table",
    '${jndi:x}',
    '%00',
    'K1',
  ]) {
    t.match(selectKey(set, row('RS256'), kid), { found: 'none' }, kid)
    t.match(selectKey(setOf({ ...rsa, kid }), row('RS256'), kid), { found: 'key' }, kid)
  }
})

const keys = (count: number) => ({
  keys: Array.from({ length: count }, (_, index) => ({ ...ec, kid: `k${index}` })),
})

t.test('what is not a key set is none, and one key too many makes it none', async (t) => {
  t.match(readKeySet(keys(64)), { ok: true, value: { size: 64 } })
  t.match(readKeySet(keys(65)), { ok: false, denial: 'more than 64 keys' })
  t.match(readKeySet({}), { ok: false, denial: 'no array "keys"' })
  t.match(readKeySet({ keys: null }), { ok: false, denial: 'no array "keys"' })
  t.match(readKeySet([]), { ok: false, denial: 'not an object' })
  t.match(readKeySet({ keys: [] }), { ok: true, value: { size: 0 } })
})

const half = (value: number) => Buffer.alloc(32, value)

t.test('only well-formed ECDSA signatures are turned into DER (TH-A06)', async (t) => {
  const der = (r: Buffer, s: Buffer) => toOpensslSignature(row('ES256'), Buffer.concat([r, s]))
  t.equal(der(half(0), half(1)), undefined)
  t.equal(der(half(1), half(0)), undefined)
  t.equal(der(half(0), half(0)), undefined)
  t.equal(der(half(1), half(1).subarray(1)), undefined)
  t.equal(der(half(1), Buffer.concat([half(1), half(1).subarray(31)])), undefined)
  t.equal(der(half(1), half(2))?.toString('hex'), `30440220${'01'.repeat(32)}0220${'02'.repeat(32)}`)
  t.equal(der(half(0x80), half(2))?.toString('hex'), `3045022100${'80'.repeat(32)}0220${'02'.repeat(32)}`)
  const small = Buffer.concat([Buffer.alloc(31), Buffer.from([5])])
  t.equal(der(small, small)?.toString('hex'), '3006020105020105')
  const long = toOpensslSignature(row('ES512'), Buffer.alloc(132, 1))
  t.equal(long?.subarray(0, 3).toString('hex'), '308188')
  t.equal(toOpensslSignature(row('EdDSA'), Buffer.alloc(63, 1)), undefined)
  t.equal(toOpensslSignature(row('RS256'), Buffer.alloc(0)), undefined)
})
