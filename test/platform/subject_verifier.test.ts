import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import http from 'node:http'
import { once } from 'node:events'
import t from 'tap'
import type { Connector } from '../../src/core/connector.ts'
import { ALGORITHM_NAMES } from '../../src/core/jwt/algorithms.ts'
import { parseCompact } from '../../src/core/jwt/compact.ts'
import { createIssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import { createCryptoPool } from '../../src/platform/crypto_pool.ts'
import { createSubjectVerifier } from '../../src/platform/subject_verifier.ts'
import {
  BROKER,
  connectorFor,
  NOW,
  NOW_SECONDS,
  VALID_CLAIMS,
  verificationOf,
} from '../support/subject_fixture.ts'
import {
  makeKey,
  portOf,
  publicJwk,
  segment,
  signCompact,
  signInput,
  startTestIssuer,
} from '../support/test_issuer.ts'

const issuer = await startTestIssuer({
  path: '/realms/platform',
  algorithms: ALGORITHM_NAMES,
  now: () => NOW,
})
const verification = verificationOf(issuer)
const { check } = verification
const valid = issuer.mint(VALID_CLAIMS)
const rs256 = issuer.key('RS256')
const es256 = issuer.key('ES256')
t.teardown(async () => {
  verification.close()
  await issuer.close()
})

t.test('a token of the issuer for this broker is accepted', async (t) => {
  t.match(await check(valid), {
    ok: true,
    value: { claims: { aud: BROKER, sub: VALID_CLAIMS.sub }, kid: rs256.kid, hash: /^[\w-]{43}$/ },
  })
})

t.test('every algorithm of the table verifies its own signatures and no others', async (t) => {
  for (const alg of ALGORITHM_NAMES) {
    const token = issuer.mint(VALID_CLAIMS, { alg })
    t.equal((await check(token, { algorithms: ALGORITHM_NAMES })).ok, true, alg)
    t.match(await check(token, { algorithms: ALGORITHM_NAMES.filter((name) => name !== alg) }), {
      denial: { reason: 'subject_algorithm_not_allowed', got: alg },
    })
    const forged = issuer.mint(VALID_CLAIMS, { alg, kid: issuer.key(alg).kid, key: makeKey(alg).privateKey })
    t.match(await check(forged, { algorithms: ALGORITHM_NAMES }), {
      denial: { reason: 'subject_signature_invalid', kid: issuer.key(alg).kid },
    })
  }
})

/** A token whose HMAC was made with something public. */
function hmacToken(secret: string | Buffer, kid = rs256.kid): string {
  const claims = JSON.parse(Buffer.from(valid.split('.')[1] ?? '', 'base64url').toString())
  const input = `${segment({ alg: 'HS256', typ: 'JWT', kid })}.${segment(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

/** The valid token with another header, signed again by the right key. */
const withHeader = (header: Record<string, unknown>) => issuer.mint(VALID_CLAIMS, { header })
const withClaims = (claims: Record<string, unknown>) => issuer.mint({ ...VALID_CLAIMS, ...claims })
const publicKey = createPublicKey(rs256.privateKey)
const pem = publicKey.export({ type: 'spki', format: 'pem' })
const [head = '', body = '', tail = ''] = valid.split('.')
const esToken = issuer.mint(VALID_CLAIMS, { alg: 'ES256' })
const esInput = esToken.slice(0, esToken.lastIndexOf('.'))
const esSigned = (signature: Buffer) => `${esInput}.${signature.toString('base64url')}`
const esSignature = signInput(esInput, 'ES256', es256.privateKey)
const stranger = makeKey('RS256')

type Row = readonly [title: string, token: string, denial: object, twin?: string, over?: Partial<Connector>]
const notAllowed = { reason: 'subject_algorithm_not_allowed' }
const badSignature = { reason: 'subject_signature_invalid' }

const refused: readonly Row[] = [
  ...['none', 'None', 'nOnE', 'NONE'].map((alg): Row => [
    `alg ${alg} (TH-A01)`,
    `${segment({ alg, kid: rs256.kid })}.${body}.${tail}`,
    { ...notAllowed, got: alg },
  ]),
  [
    'alg none although the connector lists it (TH-A01)',
    `${segment({ alg: 'none', kid: rs256.kid })}.${body}.${tail}`,
    notAllowed,
    valid,
    { algorithms: ['RS256', 'none'] },
  ],
  ['alg in lower case', withHeader({ alg: 'rs256' }), notAllowed],
  ['HMAC with the public key as PEM (TH-A02)', hmacToken(pem.toString()), notAllowed],
  ['HMAC with the public key as PEM behind a newline (TH-A02)', hmacToken(`\n${pem.toString()}`), notAllowed],
  [
    'HMAC with the public key as DER (TH-A02)',
    hmacToken(publicKey.export({ type: 'spki', format: 'der' })),
    notAllowed,
  ],
  ['HMAC with the public key as JWK (TH-A02)', hmacToken(JSON.stringify(publicJwk(rs256))), notAllowed],
  [
    'HMAC although the connector lists it (TH-A02)',
    hmacToken(pem.toString()),
    notAllowed,
    valid,
    { algorithms: ['RS256', 'HS256'] },
  ],
  [
    'PS256 with the key of RS256 (TH-A04)',
    issuer.mint(VALID_CLAIMS, { alg: 'PS256', kid: rs256.kid, key: rs256.privateKey }),
    { ...notAllowed, got: 'PS256' },
  ],
  [
    'PS256 with the key of RS256 where both are allowed (TH-A04)',
    issuer.mint(VALID_CLAIMS, { alg: 'PS256', kid: rs256.kid, key: rs256.privateKey }),
    { reason: 'subject_key_unfit', kid: rs256.kid },
    valid,
    { algorithms: ['RS256', 'PS256'] },
  ],
  [
    'ES256 under the kid of an RSA key (TH-A05)',
    issuer.mint(VALID_CLAIMS, { alg: 'ES256', kid: rs256.kid }),
    { reason: 'subject_key_unfit', kid: rs256.kid },
    esToken,
  ],
  [
    'ES256K (TH-A05)',
    `${segment({ alg: 'ES256K', kid: es256.kid })}.${body}.${tail}`,
    { ...notAllowed, got: 'ES256K' },
    esToken,
  ],
  [
    'EdDSA where it is not listed (TH-A05)',
    issuer.mint(VALID_CLAIMS, { alg: 'EdDSA' }),
    { ...notAllowed, got: 'EdDSA' },
    esToken,
  ],
  [
    'ECDSA in DER form (TH-A06)',
    esSigned(sign('sha256', Buffer.from(esInput), es256.privateKey)),
    badSignature,
    esToken,
  ],
  [
    'ECDSA with r = 0 (TH-A06)',
    esSigned(Buffer.concat([Buffer.alloc(32), esSignature.subarray(32)])),
    badSignature,
    esToken,
  ],
  [
    'ECDSA with s = 0 (TH-A06)',
    esSigned(Buffer.concat([esSignature.subarray(0, 32), Buffer.alloc(32)])),
    badSignature,
    esToken,
  ],
  ['ECDSA all zero (TH-A06)', esSigned(Buffer.alloc(64)), badSignature, esToken],
  ['ECDSA of 63 bytes (TH-A06)', esSigned(esSignature.subarray(1)), badSignature, esToken],
  [
    'ECDSA of 65 bytes (TH-A06)',
    esSigned(Buffer.concat([Buffer.alloc(1), esSignature])),
    badSignature,
    esToken,
  ],
  [
    'an RSA signature one byte short',
    `${head}.${body}.${Buffer.from(tail, 'base64url').subarray(1).toString('base64url')}`,
    badSignature,
  ],
  [
    'an RSA signature behind a zero byte',
    `${head}.${body}.${Buffer.concat([Buffer.alloc(1), Buffer.from(tail, 'base64url')]).toString('base64url')}`,
    badSignature,
  ],
  [
    'the signature of another token',
    `${head}.${body}.${withClaims({ sub: 'x' }).split('.')[2] ?? ''}`,
    badSignature,
  ],
  [
    'a changed payload',
    `${head}.${segment({ iss: issuer.url, ...VALID_CLAIMS, exp: NOW_SECONDS + 300, admin: true })}.${tail}`,
    badSignature,
  ],
  [
    'its own embedded key (TH-A12)',
    issuer.mint(VALID_CLAIMS, { key: stranger.privateKey, header: { jwk: publicJwk(stranger) } }),
    badSignature,
    withHeader({ jwk: publicJwk(stranger) }),
  ],
  [
    'its own embedded key under its own kid (TH-A12)',
    issuer.mint(VALID_CLAIMS, {
      key: stranger.privateKey,
      kid: stranger.kid,
      header: { jwk: publicJwk(stranger) },
    }),
    { reason: 'subject_key_unknown', kid: stranger.kid },
  ],
  ...['../../../../etc/passwd', "'; drop table", '${jndi:x}', '%00', '__proto__', 'constructor'].map(
    (kid): Row => [
      `the kid ${kid} (TH-A15)`,
      issuer.mint(VALID_CLAIMS, { kid }),
      { reason: 'subject_key_unknown', kid },
    ],
  ),
  [
    'no kid (TH-A16)',
    issuer.mint(VALID_CLAIMS, { kid: null }),
    { reason: 'subject_key_unknown', kid: undefined },
  ],
  ...[
    'at+jwt',
    'dpop+jwt',
    'logout+jwt',
    'secevent+jwt',
    'oauth-id-jag+jwt',
    'client-authentication+jwt',
  ].map((typ): Row => [
    `the header type ${typ} (TH-A25)`,
    withHeader({ typ }),
    { reason: 'subject_header_not_allowed', parameter: 'typ', got: typ },
    withHeader({ typ: 'jwt' }),
  ]),
  [
    'another issuer (TH-B10)',
    withClaims({ iss: 'https://other.example.test' }),
    { reason: 'subject_issuer_mismatch', got: 'https://other.example.test' },
  ],
  [
    'an issuer with a slash more (TH-B10)',
    withClaims({ iss: `${issuer.url}/` }),
    { reason: 'subject_issuer_mismatch' },
  ],
  ['no issuer (TH-B10)', withClaims({ iss: undefined }), { reason: 'subject_claim_invalid', claim: 'iss' }],
  ['no exp (TH-B05)', withClaims({ exp: undefined }), { reason: 'subject_claim_invalid', claim: 'exp' }],
  [
    'being expired (TH-B06)',
    withClaims({ exp: NOW_SECONDS - 30, iat: NOW_SECONDS - 60 }),
    { reason: 'subject_expired' },
    withClaims({ exp: NOW_SECONDS - 29, iat: NOW_SECONDS - 60 }),
  ],
  [
    'not being valid yet (TH-B07)',
    withClaims({ nbf: NOW_SECONDS + 31 }),
    { reason: 'subject_not_yet_valid' },
    withClaims({ nbf: NOW_SECONDS + 30 }),
  ],
  [
    'a year of life (TH-B08)',
    withClaims({ exp: NOW_SECONDS + 31_536_000 }),
    { reason: 'subject_lifetime_too_long' },
    withClaims({ exp: NOW_SECONDS + 86_400 }),
  ],
  [
    "the API server's audience (TH-B12)",
    withClaims({ aud: ['https://kubernetes.default.svc'] }),
    { reason: 'subject_audience_mismatch' },
  ],
  ['no audience (TH-B11)', withClaims({ aud: undefined }), { reason: 'subject_audience_mismatch', got: [] }],
  ['no subject (TH-B14)', withClaims({ sub: undefined }), { reason: 'subject_claim_invalid', claim: 'sub' }],
]
for (const [title, token, denial, twin = valid, over = {}] of refused) {
  t.test(`a subject token is refused for ${title}`, async (t) => {
    t.match(await check(token, over), { ok: false, denial })
    t.match(await check(twin, over), { ok: true })
  })
}

t.test('verification in place and on the thread pool say the same', async (t) => {
  const issuerKeys = createIssuerKeysRegistry({ clock: () => NOW })
  t.teardown(() => issuerKeys.close())
  const connector = connectorFor(issuer)
  for (const isIdle of [true, false]) {
    const pool = createCryptoPool({ isIdle: () => isIdle })
    t.teardown(() => pool.close())
    const verifier = createSubjectVerifier({ clock: () => NOW, issuerKeys, pool })
    const good = parseCompact(esToken)
    const bad = parseCompact(esSigned(Buffer.alloc(64, 1)))
    t.match(good.ok && (await verifier.verify(good.value, connector)), { ok: true })
    t.match(bad.ok && (await verifier.verify(bad.value, connector)), { denial: badSignature })
  }
})

t.test('key locations in the header cause no request (TH-A13)', async (t) => {
  let requests = 0
  const trap = http.createServer((_request, response) => {
    requests += 1
    response.end('{}')
  })
  trap.listen(0, '127.0.0.1')
  await once(trap, 'listening')
  t.teardown(() => trap.close())
  const location = `http://127.0.0.1:${portOf(trap)}/jwks`
  for (const header of [
    { jku: location },
    { x5u: location },
    { jku: 'http://169.254.169.254/' },
    { x5c: ['AAAA'] },
  ]) {
    t.match(await check(withHeader(header)), { ok: true })
    const forged = issuer.mint(VALID_CLAIMS, { key: stranger.privateKey, kid: stranger.kid, header })
    t.match(await check(forged), { denial: { reason: 'subject_key_unknown' } })
  }
  t.equal(requests, 0)
})

t.test('a forged token for an RSA key with exponent 1 is refused because the key is (TH-A07)', async (t) => {
  const poisoned = await startTestIssuer({ now: () => NOW })
  const other = verificationOf(poisoned)
  t.teardown(async () => {
    other.close()
    await poisoned.close()
  })
  const weak = { ...publicJwk(poisoned.key('RS256')), e: 'AQ', kid: 'weak' }
  poisoned.setJwks({ keys: [weak, publicJwk(poisoned.key('RS256'))] })
  const good = poisoned.mint(VALID_CLAIMS)
  const header = segment({ alg: 'RS256', kid: 'weak' })
  const forged = `${header}.${good.split('.')[1] ?? ''}.${Buffer.alloc(256, 1).toString('base64url')}`
  t.match(await other.check(forged), { denial: { reason: 'subject_key_unknown', kid: 'weak' } })
  t.match(await other.check(good), { ok: true })
})

t.test('a token of one issuer does not pass at the connector of another (TH-B10)', async (t) => {
  const other = await startTestIssuer({ now: () => NOW })
  t.teardown(() => other.close())
  const foreign = other.mint(VALID_CLAIMS)
  const posing = other.mint(
    { ...VALID_CLAIMS, iss: issuer.url },
    { kid: rs256.kid, key: other.key('RS256').privateKey },
  )
  t.match(await check(foreign), { denial: { reason: 'subject_issuer_mismatch', got: other.url } })
  t.match(await check(posing), { denial: badSignature })
  t.equal(other.fetches.jwks, 0)
})

t.test('an Ed25519 or P-521 token is verified where its connector allows it', async (t) => {
  for (const alg of ['EdDSA', 'ES512']) {
    t.match(await check(issuer.mint(VALID_CLAIMS, { alg }), { algorithms: [alg] }), { ok: true })
    t.match(await check(issuer.mint(VALID_CLAIMS, { alg })), { denial: notAllowed })
  }
})

t.test('a key on a curve nobody allowed signs nothing (TH-A05)', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const input = `${segment({ alg: 'ES256', kid: es256.kid })}.${body}`
  const token = `${input}.${signInput(input, 'ES256', privateKey).toString('base64url')}`
  t.match(await check(token), { denial: badSignature })
  t.match(
    await check(
      signCompact(
        { alg: 'ES256', kid: es256.kid },
        { iss: issuer.url, ...VALID_CLAIMS, iat: NOW_SECONDS, exp: NOW_SECONDS + 60 },
        'ES256',
        es256.privateKey,
      ),
    ),
    { ok: true },
  )
})
