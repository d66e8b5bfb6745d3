import { generateKeyPairSync, sign, verify } from 'node:crypto'
import t from 'tap'
import type { SigningAlgorithm } from '../../src/core/key_rotation.ts'
import { makeKeyPair } from '../../src/platform/keys/key_material.ts'
import { createCryptoPool, inPlacePool } from '../../src/platform/crypto_pool.ts'
import type { CryptoPool } from '../../src/platform/crypto_pool.ts'
import { es256FromDer } from '../../src/platform/keys/es256_der.ts'
import { createSigner } from '../../src/platform/keys/signer.ts'

const input = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0'
const inPlace = inPlacePool
const pooled = createCryptoPool({ isIdle: () => false })

async function signAndVerify(algorithm: SigningAlgorithm, pool: CryptoPool): Promise<boolean> {
  const pair = await makeKeyPair(algorithm)
  const signature = await createSigner({ ...pair, algorithm }, pool).sign(input)
  const dsaEncoding = 'ieee-p1363' as const
  return verify(
    'sha256',
    Buffer.from(input),
    { key: pair.privateKey, dsaEncoding },
    Buffer.from(signature, 'base64url'),
  )
}

t.test('ES256 and RS256 signatures verify, made in place or in the pool', async (t) => {
  t.equal(await signAndVerify('ES256', inPlace), true)
  t.equal(await signAndVerify('ES256', pooled), true)
  t.equal(await signAndVerify('RS256', inPlace), true)
  t.equal(await signAndVerify('RS256', pooled), true)
})

t.test('every DER signature becomes the 64 bytes that JWS wants, short numbers and long ones', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const lengths = new Set<number>()
  // Enough for numbers with a sign byte, without, and one byte short (one in 256).
  for (let index = 0; index < 3000; index += 1) {
    const der = sign('sha256', Buffer.from(`${index}`), privateKey)
    lengths.add(der.length)
    const raw = es256FromDer(der)
    if (raw.length !== 64) t.fail(`length ${raw.length}`)
    if (der.length === 72 || der.length === 71 || der.length === 70) continue
    t.ok(verify('sha256', Buffer.from(`${index}`), { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw))
  }
  t.ok(lengths.size >= 3, [...lengths].join())
})

t.test('a handmade DER signature with tiny numbers is padded on the left', async (t) => {
  const raw = es256FromDer(Buffer.from([0x30, 0x07, 0x02, 0x01, 0x05, 0x02, 0x02, 0x00, 0xff]))
  t.equal(raw.toString('hex'), `${'00'.repeat(31)}05${'00'.repeat(31)}ff`)
})

t.test('bytes that are no DER signature are refused', async (t) => {
  for (const hex of ['', '3006020105020106ff', '31060201050201', '3007020105030200ff']) {
    t.throws(() => es256FromDer(Buffer.from(hex, 'hex')), /not a DER signature/, hex)
  }
})

t.test('no kid begins with a dash, which the command line would take for an option', async (t) => {
  // One in 64 would: of 400 none is chance in two of a thousand runs.
  const pairs = await Promise.all(Array.from({ length: 400 }, () => makeKeyPair('ES256')))
  t.strictSame(
    pairs.filter(({ kid }) => kid.startsWith('-')),
    [],
  )
})
