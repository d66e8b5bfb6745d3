// Group A: which algorithm and which key a subject token may be signed with, and what of its header is believed.
import { createHmac, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import t from 'tap'
import { rocaModulus } from '../support/roca_modulus.ts'
import { makeKey, portOf, publicJwk, segment, signInput } from '../support/test_issuer.ts'
import { startTestBroker } from '../support/test_broker.ts'
import type { Config } from '../support/test_broker.ts'
import { threatTable } from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import {
  altered,
  badSignature,
  malformed,
  mint,
  noKey,
  notAllowed,
  tokenRows,
} from '../support/threat_tokens.ts'
import type { Make, TokenRow } from '../support/threat_tokens.ts'

const broker = await startTestBroker(t, { change: addWideConnector })
const { issuer } = broker
const table = threatTable(t, broker)
const { refuses, accepts } = table
const token = tokenRows(table)
const stranger = makeKey('RS256')
const rs256 = issuer.key('RS256')
const es256 = issuer.key('ES256')

/** `wide` takes ECDSA and PSS as well, from the same issuer. */
function addWideConnector(config: Config): void {
  const { connectors, policies } = config
  if (!Array.isArray(connectors) || !Array.isArray(policies)) throw new Error('no lists')
  connectors.push({
    ...connectors[0],
    id: 'wide',
    type: 'oidc',
    algorithms: ['RS256', 'PS256', 'ES256'],
  })
  policies.push({ ...policies[0], name: 'wide', connector: 'wide' })
}

const atWide =
  (make: Make): RefusedRow['attack'] =>
  (world) =>
    world.exchange({ connector_id: 'wide', subject_token: make(world) })

/** The same at the connector `wide`. */
const wide: TokenRow = (id, says, make, row, twin = mint({ alg: 'ES256' })) =>
  refuses({ id, says, attack: atWide(make), twin: atWide(twin), ...row })

const publicKey = createPublicKey(rs256.privateKey)
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
const hmacSecrets: readonly (readonly [string, string | Buffer])[] = [
  ['the public key as PEM', pem],
  ['the public key as PEM behind a space', ` ${pem}`],
  ['the public key as PEM behind a newline', `\n${pem}`],
  ['the public key as DER', publicKey.export({ type: 'spki', format: 'der' })],
  ['the public key as JWK', JSON.stringify(publicJwk(rs256))],
]
function hmac(secret: string | Buffer, kid: string): Make {
  return altered((_head, body) => {
    const input = `${segment({ alg: 'HS256', typ: 'JWT', kid })}.${body}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  })
}
for (const [says, secret] of hmacSecrets)
  token('A02', `an HMAC made with ${says}`, hmac(secret, rs256.kid), notAllowed)

/** Publishes this set for as long as the attack takes, so that an unknown kid finds it. */
function published(keys: readonly Record<string, unknown>[], make: Make): RefusedRow['attack'] {
  return async (world) => {
    issuer.setJwks({ keys: [...keys, ...issuer.publicJwks().keys] })
    try {
      return await world.exchange({ subject_token: make(world) })
    } finally {
      issuer.setJwks(undefined)
    }
  }
}

/** What health says of keys that are published and not taken. */
const isNamedAsIgnored =
  (pattern: RegExp): NonNullable<RefusedRow['also']> =>
  (t) => {
    const [status] = broker.issuers.statuses()
    t.match(JSON.stringify(status?.ignored), pattern)
  }

const octSecret = Buffer.alloc(32, 7)
const oct = { kty: 'oct', kid: 'shared', alg: 'HS256', k: octSecret.toString('base64url') }
refuses({
  id: 'A03',
  says: 'an HMAC under a symmetric key that the issuer publishes',
  ...notAllowed,
  attack: published([oct], hmac(octSecret, 'shared')),
})
refuses({
  id: 'A03',
  says: 'a token under the kid of a symmetric key',
  ...noKey,
  attack: published([oct], mint({ kid: 'shared' })),
  also: isNamedAsIgnored(/shared/),
})

for (const alg of ['PS256', 'RS512'])
  token('A04', `${alg} with the key of RS256`, mint({ alg, kid: rs256.kid, key: rs256.privateKey }), {
    ...notAllowed,
    evidence: { got: alg },
  })
const { alg: _alg, ...jwkWithoutAlg } = publicJwk(rs256)
refuses({
  id: 'A04',
  says: 'RS512 with a key whose JWK names no algorithm',
  ...notAllowed,
  attack: published(
    [{ ...jwkWithoutAlg, kid: 'bare' }],
    mint({ alg: 'RS512', kid: 'bare', key: rs256.privateKey }),
  ),
})
wide(
  'A04',
  'PS256 with a key that is reserved for RS256',
  mint({ alg: 'PS256', kid: rs256.kid, key: rs256.privateKey }),
  { reason: 'subject_key_unfit' },
)

wide('A05', 'ES256 under the kid of an RSA key', mint({ alg: 'ES256', kid: rs256.kid }), {
  reason: 'subject_key_unfit',
})
for (const alg of ['ES256K', 'EdDSA'])
  wide('A05', `${alg} where it is not listed`, mint({ header: { alg } }), notAllowed)

type Signature = (input: string) => Buffer
const esSigned =
  (make: Signature): Make =>
  (world) => {
    const text = world.mint({}, { alg: 'ES256' })
    const input = text.slice(0, text.lastIndexOf('.'))
    return `${input}.${make(input).toString('base64url')}`
  }
const rightEs: Signature = (input) => signInput(input, 'ES256', es256.privateKey)
const esSignatures: readonly (readonly [string, Signature])[] = [
  ['in DER form', (input) => sign('sha256', Buffer.from(input), es256.privateKey)],
  ['with r = 0', (input) => Buffer.concat([Buffer.alloc(32), rightEs(input).subarray(32)])],
  ['with s = 0', (input) => Buffer.concat([rightEs(input).subarray(0, 32), Buffer.alloc(32)])],
  ['all zero', () => Buffer.alloc(64)],
  ['of 63 bytes', (input) => rightEs(input).subarray(1)],
  ['of 65 bytes', (input) => Buffer.concat([Buffer.alloc(1), rightEs(input)])],
]
for (const [says, make] of esSignatures)
  wide('A06', `an ECDSA signature ${says}`, esSigned(make), badSignature, esSigned(rightEs))

/** A key that is too weak to be taken, and a token that it signed: refused because the key does not exist here. */
function weakKey(id: string, says: string, jwk: Record<string, unknown>, make: Make, why: RegExp): void {
  refuses({ id, says, ...noKey, attack: published([jwk], make), also: isNamedAsIgnored(why) })
}

const strong = publicJwk(rs256)
weakKey(
  'A07',
  'a signature under an RSA key with exponent 1',
  { ...strong, kid: 'weak', e: 'AQ' },
  altered((_head, body) => {
    const header = segment({ alg: 'RS256', typ: 'JWT', kid: 'weak' })
    return `${header}.${body}.${Buffer.alloc(256, 1).toString('base64url')}`
  }),
  /weak.*exponent/,
)

function rsaKey(modulusLength: number, publicExponent = 65_537): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey
}
const weakRsa: readonly (readonly [string, string, KeyObject])[] = [
  ['a modulus of 1024 bits', 'bits1024', rsaKey(1024)],
  ['a modulus of 2047 bits', 'bits2047', rsaKey(2047)],
  ['exponent 3', 'exponent3', rsaKey(2048, 3)],
]
for (const [says, kid, privateKey] of weakRsa)
  weakKey(
    'A08',
    `an RSA key with ${says}`,
    publicJwk({ kid, alg: 'RS256', privateKey }),
    mint({ alg: 'RS256', kid, key: privateKey }),
    new RegExp(kid),
  )
const hugeModulus = randomBytes(2048)
hugeModulus[0] = 0x80
hugeModulus[2047] = 1
const evenModulus = Buffer.from(String(strong['n']), 'base64url')
evenModulus[evenModulus.length - 1] = 2
for (const [says, kid, modulus] of [
  ['a modulus of 16384 bits', 'bits16384', hugeModulus],
  ['an even modulus', 'even', evenModulus],
] as const)
  weakKey(
    'A08',
    `an RSA key with ${says}`,
    { ...strong, kid, n: modulus.toString('base64url') },
    mint({ kid }),
    new RegExp(kid),
  )

weakKey(
  'A09',
  'an RSA key with the ROCA fingerprint',
  { ...strong, kid: 'roca', n: rocaModulus().toString('base64url') },
  mint({ kid: 'roca' }),
  /roca.*ROCA/,
)

const ownKey = { jwk: publicJwk(stranger) }
token(
  'A12',
  'a token signed by the key that it embeds',
  mint({ key: stranger.privateKey, kid: rs256.kid, header: ownKey }),
  badSignature,
  mint({ header: ownKey }),
)
token(
  'A12',
  'a token signed by the key that it embeds, under its kid',
  mint({ key: stranger.privateKey, kid: stranger.kid, header: ownKey }),
  noKey,
  mint({ header: ownKey }),
)

let trapped = 0
const trap = http.createServer((_request, response) => {
  trapped += 1
  response.end(JSON.stringify({ keys: [publicJwk(stranger)] }))
})
trap.listen(0, '127.0.0.1')
await once(trap, 'listening')
t.teardown(() => trap.close())
const location = `http://127.0.0.1:${portOf(trap)}/jwks`
for (const header of [
  { jku: location },
  { x5u: location },
  { jku: 'http://169.254.169.254/latest/meta-data/' },
]) {
  const [[name, value] = []] = Object.entries(header)
  token(
    'A13',
    `a token whose ${name} is ${value === location ? 'the attacker’s' : 'a metadata service'}`,
    mint({ key: stranger.privateKey, kid: stranger.kid, header }),
    { ...noKey, also: (t) => void t.equal(trapped, 0, 'requests to the location') },
    mint({ header }),
  )
}

for (const kid of [
  '../../../../etc/passwd',
  "'; drop table keys",
  '${jndi:x}',
  '%00',
  '__proto__',
  'constructor',
])
  token('A15', `the kid ${kid}`, mint({ kid }), { ...noKey, evidence: { kid } })
for (const [says, kid] of [
  ['of 10 KB', 'k'.repeat(10_240)],
  ['that is a number', 7],
  ['that is an array', [rs256.kid]],
  ['that is an object', { kid: rs256.kid }],
  ['that is empty', ''],
] as const)
  token('A15', `a kid ${says}`, mint({ header: { kid } }), malformed)
token('A15', 'a kid with a line break', mint({ kid: 'a\nb' }), { ...noKey, evidence: { kid: 'a\\u000ab' } })

token('A16', 'a token without kid', mint({ kid: null }), { reason: 'subject_key_unknown' })

const twin = makeKey('RS256')
accepts({
  id: 'A17',
  says: 'of two keys with one kid the one whose type fits the algorithm is taken',
  fetches: { jwks: 1 },
  ask: published(
    [publicJwk({ ...twin, kid: 'both' }), publicJwk({ ...es256, kid: 'both' })],
    mint({ kid: 'both', key: twin.privateKey }),
  ),
})
refuses({
  id: 'A17',
  says: 'a token under a kid that two keys of one type have',
  reason: 'subject_key_unfit',
  fetches: { jwks: 1 },
  attack: published(
    [publicJwk({ ...twin, kid: 'same' }), publicJwk({ ...stranger, kid: 'same' })],
    mint({ kid: 'same', key: twin.privateKey }),
  ),
})

for (const [says, members] of [
  ['use "enc"', { use: 'enc' }],
  ['key_ops ["sign"]', { key_ops: ['sign'] }],
  ['key_ops ["verify"] and use "enc"', { key_ops: ['verify'], use: 'enc' }],
] as const) {
  const kid = says.replaceAll(/\W/g, '')
  refuses({
    id: 'A18',
    says: `a token under a key of ${says}`,
    ...noKey,
    attack: published([{ ...publicJwk({ ...twin, kid }), ...members }], mint({ kid, key: twin.privateKey })),
  })
}

refuses({
  id: 'A19',
  says: 'a token under a key that was published with its private half',
  ...noKey,
  attack: published(
    [{ ...twin.privateKey.export({ format: 'jwk' }), kid: 'leaked', alg: 'RS256', use: 'sig' }],
    mint({ kid: 'leaked', key: twin.privateKey }),
  ),
  also: isNamedAsIgnored(/leaked.*private/),
})
