// Properties of the parsers over random input: they never throw, and what they accept is what JSON.parse and a plain
// base64url decoder make of it. The generator is seeded, so that a failure can be run again.
import t from 'tap'
import type { JsonValue } from '../../src/core/claims.ts'
import { parseCompact } from '../../src/core/jwt/compact.ts'
import { readKeySet } from '../../src/core/jwt/public_key.ts'
import { readStrictJson, TOKEN_JSON_LIMITS } from '../../src/core/jwt/strict_json.ts'
import { segment } from '../support/test_issuer.ts'

/** mulberry32: small, and good enough to wander. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Random = () => number

const below = (random: Random, limit: number) => Math.floor(random() * limit)
const pick = <T>(random: Random, items: readonly T[]): T | undefined => items[below(random, items.length)]

const SCRAPS = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  '\\',
  '\\u',
  'd800',
  'true',
  'null',
  '-',
  '1',
  '.5',
  'e9',
  ' ',
  '\n',
  '"a"',
  '"__proto__"',
  'é',
  '😀',
  '\uFEFF',
  '\u0000',
]

function scrapText(random: Random): string {
  return Array.from({ length: below(random, 12) }, () => pick(random, SCRAPS)).join('')
}

function anyString(random: Random): string {
  return Array.from({ length: below(random, 8) }, () =>
    pick(random, ['a', '"', '\\', '\n', '\u0000', 'é', '😀', '\u2028', 'Z']),
  ).join('')
}

/** JSON data of at most `depth` levels, with names unlikely to meet. */
function anyJson(random: Random, depth: number): JsonValue {
  const kind = below(random, depth > 0 ? 7 : 5)
  if (kind === 0) return null
  if (kind === 1) return random() < 0.5
  if (kind === 2) return below(random, 2_000_000) - 1_000_000
  if (kind === 3) return (random() - 0.5) * 1e6
  if (kind === 4) return anyString(random)
  const size = below(random, 5)
  if (kind === 5) return Array.from({ length: size }, () => anyJson(random, depth - 1))
  return Object.fromEntries(
    Array.from({ length: size }, (_, index) => [`${anyString(random)}${index}`, anyJson(random, depth - 1)]),
  )
}

/** JSON.stringify with random escapes and white space: the same data in another spelling. */
function spelled(random: Random, value: JsonValue): string {
  const space = () => pick(random, ['', '', ' ', '\n', '\t\r']) ?? ''
  if (typeof value === 'string') return spelledString(random, value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value))
    return `[${space()}${value.map((item: JsonValue) => spelled(random, item)).join(`${space()},`)}${space()}]`
  const members = Object.entries(value).map(
    ([name, item]) => `${spelledString(random, name)}${space()}:${space()}${spelled(random, item)}`,
  )
  return `{${space()}${members.join(`,${space()}`)}${space()}}`
}

function spelledString(random: Random, value: string): string {
  const units = Array.from({ length: value.length }, (_, index) => value.charCodeAt(index))
  if (random() < 0.3) return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
  return JSON.stringify(value)
}

const parseOrUndefined = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

t.test('whatever is valid and modest is read as JSON.parse reads it, in every spelling', async (t) => {
  const random = randomOf(1)
  for (let round = 0; round < 5000; round += 1) {
    const value = anyJson(random, 4)
    const text = spelled(random, value)
    const read = readStrictJson(Buffer.from(text), TOKEN_JSON_LIMITS)
    if (!read.ok) t.fail(`${read.denial}: ${text}`)
    else if (JSON.stringify(read.value) !== JSON.stringify(JSON.parse(text))) t.fail(text)
  }
})

t.test('scraps of JSON are never read as something that JSON.parse does not see', async (t) => {
  const random = randomOf(2)
  let accepted = 0
  for (let round = 0; round < 100_000; round += 1) {
    const text = scrapText(random)
    const read = readStrictJson(Buffer.from(text), TOKEN_JSON_LIMITS)
    if (!read.ok) continue
    accepted += 1
    if (JSON.stringify(read.value) !== JSON.stringify(parseOrUndefined(text))) t.fail(JSON.stringify(text))
  }
  t.ok(accepted > 500)
})

t.test('what JSON.parse takes and we refuse is refused for a reason that we name', async (t) => {
  const random = randomOf(3)
  const reasons = new Set<string>()
  for (let round = 0; round < 100_000; round += 1) {
    const text = scrapText(random)
    const read = readStrictJson(Buffer.from(text), TOKEN_JSON_LIMITS)
    if (!read.ok && parseOrUndefined(text) !== undefined) reasons.add(read.denial)
  }
  for (const reason of reasons)
    t.match(reason, /^(a name that comes twice|lone surrogate|number out of range)$/)
})

t.test('random bytes never make a parser throw', async (t) => {
  const random = randomOf(4)
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(Array.from({ length: below(random, 40) }, () => below(random, 256)))
    readStrictJson(bytes, TOKEN_JSON_LIMITS)
    parseCompact(bytes.toString('latin1'))
    parseCompact([bytes, bytes, bytes].map((part) => part.toString('base64url')).join('.'))
    const header = Buffer.concat([Buffer.from('{"alg":"RS256",'), bytes])
    parseCompact(`${header.toString('base64url')}.e30.AA`)
  }
  t.pass()
})

t.test('a token changed in one character is refused or says something else', async (t) => {
  const random = randomOf(5)
  const token = `${segment({ alg: 'ES256', kid: 'k' })}.${segment({ iss: 'i', sub: 's', aud: ['a'] })}.${segment('x'.repeat(64))}`
  const same = JSON.stringify(parseCompact(token))
  for (let round = 0; round < 20_000; round += 1) {
    const at = below(random, token.length)
    const other = String.fromCharCode(below(random, 0x180))
    if (other === token[at]) continue
    const changed = token.slice(0, at) + other + token.slice(at + 1)
    if (JSON.stringify(parseCompact(changed)) === same) t.fail(`position ${at}: ${JSON.stringify(other)}`)
  }
  t.pass()
})

t.test('random JSON never makes the key set reader throw', async (t) => {
  const random = randomOf(6)
  const names = ['kty', 'crv', 'kid', 'alg', 'use', 'key_ops', 'n', 'e', 'x', 'y', 'd']
  const values: readonly JsonValue[] = [
    'RSA',
    'EC',
    'OKP',
    'P-256',
    'Ed25519',
    'sig',
    ['verify'],
    'AQAB',
    'ES256',
    'A'.repeat(43),
    'z'.repeat(342),
    1,
    null,
  ]
  for (let round = 0; round < 5000; round += 1) {
    const jwk = Object.fromEntries(
      names.filter(() => random() < 0.7).map((name) => [name, pick(random, values) ?? null]),
    )
    const set = readKeySet({ keys: [jwk, anyJson(random, 2)] })
    if (!set.ok || set.value.size + set.value.ignored.length !== 2) t.fail(JSON.stringify(jwk))
  }
  t.pass()
})
