// Other people's vectors: Wycheproof's JOSE files and the cookbook of RFC 7520, read from the folder that
// SALLYPORT_SHARED names (they are not copied into the project); skipped without it. Where we differ stands in a list
// with its reason, and nothing else may: a vector that is listed and agrees after all fails, too.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isJsonObject } from '../../src/core/claims.ts'
import type { JsonObject, JsonValue } from '../../src/core/claims.ts'
import { algorithmOf } from '../../src/core/jwt/algorithms.ts'
import { parseJws } from '../../src/core/jwt/compact.ts'
import { readKeySet, readPublicKey, selectKey } from '../../src/core/jwt/public_key.ts'
import { readStrictJson } from '../../src/core/jwt/strict_json.ts'
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import { verifySignature } from '../../src/platform/jws_signature.ts'

const shared = process.env['SALLYPORT_SHARED']
const options = {
  skip: shared === undefined ? 'SALLYPORT_SHARED does not name the folder with the vectors' : false,
}

/** The files are far larger than anything that a stranger may send. */
const LIMITS = { maxDepth: 32, maxNames: 100_000, maxItems: 10_000 }

function readVectors(...path: string[]): JsonObject {
  const read = readStrictJson(readFileSync(join(shared ?? '', 'vectors', ...path)), LIMITS)
  if (!read.ok || !isJsonObject(read.value)) throw new Error(`${path.join('/')} is not a JSON object`)
  return read.value
}

function objects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : []
}

/** JWS level: the payloads of these vectors are no claims. `undefined`: accepted; otherwise why not. */
async function refusal(jws: JsonValue | undefined, jwks: JsonValue | undefined): Promise<string | undefined> {
  if (typeof jws !== 'string') return 'JSON serialization'
  const parsed = parseJws(jws)
  if (!parsed.ok) return parsed.denial.reason
  const { alg, kid } = parsed.value.header
  const algorithm = algorithmOf(alg)
  if (algorithm === undefined) return 'subject_algorithm_not_allowed'
  const set = readKeySet(jwks ?? null)
  if (!set.ok || kid === undefined) return 'subject_key_unknown'
  const selection = selectKey(set.value, algorithm, kid)
  if (selection.found !== 'key') return `subject_key_${selection.found === 'none' ? 'unknown' : 'unfit'}`
  const holds = await verifySignature(algorithm, selection.key, parsed.value, inPlacePool)
  return holds !== undefined ? undefined : 'subject_signature_invalid'
}

/** The public keys of a group, as the issuer would publish them. */
function keysOf(group: JsonObject): JsonValue | undefined {
  const published = group['public'] ?? group['private']
  return isJsonObject(published) && published['keys'] === undefined ? { keys: [published] } : published
}

type Differences = Readonly<Record<number, string>>

const NO_EMPTY = 'an empty payload is a JWS, never a JWT'
const OTHER_ALG = 'the JWK is reserved for another algorithm than the header names'
const HMAC = 'a shared secret is nobody’s signature: no HMAC is in the table of algorithms'
const TYPO = 'the JWK names an algorithm that does not exist (ES521)'
const FOREIGN = 'characters foreign to base64url inside a segment are a second spelling'

type Compared = {
  readonly wrong: readonly string[]
  readonly signed: number
  /** JWE in all their forms. */
  readonly encrypted: number
}

/** Every vector of the file is judged; how many of each kind there were is a part of the answer. */
async function compare(file: string, differences: Differences): Promise<Compared> {
  const wrong: string[] = []
  const counts = { signed: 0, encrypted: 0 }
  for (const group of objects(readVectors('wycheproof', file)['testGroups'])) {
    for (const vector of objects(group['tests'])) {
      const { tcId, jws, jwe, result, comment } = vector
      // No issuer encrypts to this broker: what is not signed in the open is refused, however valid.
      const isEncrypted = jws === undefined
      const why = await refusal(isEncrypted ? jwe : jws, keysOf(group))
      counts[isEncrypted ? 'encrypted' : 'signed'] += 1
      const isExpected = isEncrypted ? why !== undefined : (why === undefined) === (result === 'valid')
      const isListed = typeof tcId === 'number' && differences[tcId] !== undefined
      if (!isExpected && !isListed) wrong.push(JSON.stringify([tcId, comment, result, why ?? 'accepted']))
      if (isExpected && isListed) wrong.push(JSON.stringify([tcId, 'is listed as a difference and is none']))
    }
  }
  return { wrong, ...counts }
}

t.test('Wycheproof: JSON Web Signature (TH-A28)', options, async (t) => {
  const differences: Differences = {
    ...Object.fromEntries([259, 264, 268, 272, 320, 325].map((tcId) => [tcId, NO_EMPTY])),
    ...Object.fromEntries([1, 348, 352, 357, 358, 359, 376, 377].map((tcId) => [tcId, HMAC])),
    346: OTHER_ALG,
    350: OTHER_ALG,
    347: TYPO,
    351: TYPO,
    372: FOREIGN,
    373: FOREIGN,
  }
  t.strictSame(await compare('json_web_signature_test.json', differences), {
    wrong: [],
    signed: 401,
    encrypted: 0,
  })
})

t.test('Wycheproof: JSON Web Crypto (TH-A28)', options, async (t) => {
  t.strictSame(await compare('json_web_crypto_test.json', { 1: HMAC, 48: HMAC }), {
    wrong: [],
    signed: 49,
    encrypted: 34,
  })
})

t.test('Wycheproof: JSON Web Key (TH-A28)', options, async (t) => {
  t.strictSame(await compare('json_web_key_test.json', { 2: HMAC, 13: HMAC, 14: HMAC, 15: HMAC }), {
    wrong: [],
    signed: 26,
    encrypted: 0,
  })
})

t.test('Wycheproof: JSON Web Encryption is nothing to exchange (TH-A28, TH-A20)', options, async (t) => {
  t.strictSame(await compare('json_web_encryption_test.json', {}), {
    wrong: [],
    signed: 0,
    encrypted: 139,
  })
})

/** A cookbook example's compact form under the public half of its key, with the kid that its header has. */
async function cookbookRefusal(...path: string[]): Promise<string | undefined> {
  const { input, output } = readVectors('jose-cookbook', ...path)
  if (!isJsonObject(input) || !isJsonObject(output) || !isJsonObject(input['key']))
    throw new Error(path.join('/'))
  return refusal(output['compact'] ?? output['compact_det'], { keys: [publicHalf(input['key'])] })
}

function publicHalf(jwk: JsonObject): JsonObject {
  const { kty = null, crv = null, kid = null, n = null, e = null, x = null, y = null } = jwk
  return { kty, crv, kid, n, e, x, y }
}

t.test('RFC 7520: asymmetric signatures verify, everything else is refused', options, async (t) => {
  t.equal(await cookbookRefusal('jws', '4_1.rsa_v15_signature.json'), undefined)
  t.equal(await cookbookRefusal('jws', '4_2.rsa-pss_signature.json'), undefined)
  t.equal(await cookbookRefusal('jws', '4_3.ecdsa_signature.json'), undefined)
  t.equal(
    await cookbookRefusal('jws', '4_4.hmac-sha2_integrity_protection.json'),
    'subject_algorithm_not_allowed',
  )
  t.equal(await cookbookRefusal('jws', '4_5.signature_with_detached_content.json'), 'subject_malformed')
  t.equal(await cookbookRefusal('jws', '4_6.protecting_specific_header_fields.json'), 'JSON serialization')
  t.equal(await cookbookRefusal('jws', '4_7.protecting_content_only.json'), 'JSON serialization')
  t.equal(await cookbookRefusal('rfc7797', 'hmac-sha2_b64_false.json'), 'subject_malformed')
  t.equal(await cookbookRefusal('rfc7797', '4.2.hmac-sha2_b64_false.json'), 'JSON serialization')
})

t.test('RFC 8037: the Ed25519 example verifies once its key has a kid', options, async (t) => {
  const { input, output } = readVectors('jose-cookbook', 'curve25519', 'jws.json')
  if (!isJsonObject(input) || !isJsonObject(output) || !isJsonObject(input['key']))
    throw new Error('jws.json')
  const jwk = { ...publicHalf(input['key']), kid: 'k1' }
  t.equal(await refusal(output['compact'], { keys: [jwk] }), 'subject_key_unknown')
  const { compact } = output
  const [key, parsed] = [readPublicKey(jwk), parseJws(typeof compact === 'string' ? compact : '')]
  const algorithm = algorithmOf('EdDSA')
  t.ok(
    key.ok &&
      parsed.ok &&
      algorithm &&
      (await verifySignature(algorithm, key.value, parsed.value, inPlacePool)) !== undefined,
  )
})

t.test('RFC 7520: a message of several signatures is none of ours', options, async (t) => {
  const { output } = readVectors('jose-cookbook', 'jws', '4_8.multiple_signatures.json')
  if (!isJsonObject(output)) throw new Error('4_8.multiple_signatures.json')
  t.equal(await refusal(output['compact'], { keys: [] }), 'JSON serialization')
  t.equal(await refusal(JSON.stringify(output['json']), { keys: [] }), 'subject_malformed')
})

t.test('RFC 8037: an encrypted message is nothing to exchange', options, async (t) => {
  const { output } = readVectors('jose-cookbook', 'curve25519', 'ecdh-es.json')
  if (!isJsonObject(output)) throw new Error('ecdh-es.json')
  t.equal(await refusal(output['compact'], { keys: [] }), 'subject_malformed')
})

const readCookbookKey = (name: string) => readPublicKey(readVectors('jose-cookbook', 'jwk', name))

t.test('RFC 7520: public keys are read, private and symmetric ones raise the alarm', options, async (t) => {
  t.match(readCookbookKey('3_1.ec_public_key.json'), { ok: true, value: { crv: 'P-521' } })
  t.match(readCookbookKey('3_3.rsa_public_key.json'), { ok: true, value: { kty: 'RSA' } })
  const secrets = [
    '3_2.ec_private_key.json',
    '3_4.rsa_private_key.json',
    '3_5.symmetric_key_mac_computation.json',
    '3_6.symmetric_key_encryption.json',
  ]
  for (const name of secrets) t.match(readCookbookKey(name), { ok: false, denial: { alarm: true } }, name)
})
