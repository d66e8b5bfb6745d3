// What a token goes through before anything is verified.
import { parseCompact } from '../../../src/core/jwt/compact.ts'
import { readKeySet } from '../../../src/core/jwt/public_key.ts'
import { readStrictJson, TOKEN_JSON_LIMITS } from '../../../src/core/jwt/strict_json.ts'
import { decodeSubject, encodeSubject } from '../../../src/core/dex/subject.ts'
import { slowJson } from '../reference/json.ts'
import { slowSubject } from '../reference/subject.ts'
import { slowToken } from '../reference/token.ts'
import { agree, must } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

const JSON_WORDS =
  '{ } [ ] : , " \\ \\u \\ud800 \\udc00 \\" true false null - 1 0 .5 e9 e308 -0 9007199254740993 "a" "a":1 {"a": [[[[ }}}} "__proto__" \ufeff é 😀 \u2028 \u0000'.split(
    ' ',
  )

const strictJson: FuzzTarget = {
  name: 'json',
  about: 'the strict JSON scanner, beside RFC 8259 one character at a time',
  seeds: [
    '{"a":[1,-0.5e3,"x\\n\\u00e9"],"b":{"c":null,"d":true}}',
    '{"a":1,"\\u0061":2}',
    '"\\ud83d\\ude00"',
    '[9007199254740991,-9007199254740991]',
    ' \t\r\n{}\n',
  ],
  words: [...JSON_WORDS, ' ', '\n'],
  check: (input) => {
    const read = readStrictJson(input, TOKEN_JSON_LIMITS)
    const reference = slowJson(input, TOKEN_JSON_LIMITS)
    must(
      read.ok === (reference !== undefined),
      `${read.ok ? 'accepted' : read.denial}; the reference differs`,
    )
    if (!read.ok) return `refused: ${read.denial}`
    agree('value', read.value, reference)
    return `accepted: ${typeof read.value}`
  },
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

const compact: FuzzTarget = {
  name: 'compact',
  about: 'the compact JWS, beside a parser that decodes bit by bit',
  seeds: [
    `${encoded({ alg: 'ES256', kid: 'k', typ: 'JWT' })}.${encoded({ iss: 'i', aud: ['a'], exp: 1 })}.AAAA`,
    `${encoded({ alg: 'RS256', cty: 'text' })}.e30.AA`,
    `${encoded({ alg: 'none', crit: ['b64'], b64: false })}.e30.AA`,
  ],
  words: ['.', '..', '=', '-', '_', '+', '/', 'e30', 'AA', 'eyJhbGciOiJSUzI1NiJ9', 'IiwiYSI6', ' ', '\n'],
  check: (input) => {
    const token = input.toString('latin1')
    const parsed = parseCompact(token)
    const reference = slowToken(token)
    must(
      parsed.ok === (reference !== undefined),
      `${parsed.ok ? 'accepted' : parsed.denial.reason}; the reference differs`,
    )
    if (!parsed.ok) return `refused: ${parsed.denial.reason}`
    const { header, claims, signingInput } = parsed.value
    agree('token', { ...header, claims }, reference)
    must(token.startsWith(`${signingInput}.`), 'the signing input is not what was sent')
    return 'accepted'
  },
}

/** The same behind base64url, so that mutations reach the header and the claims. */
const compactInside: FuzzTarget = {
  name: 'compact-inside',
  about: 'header and claims of a compact JWS, separated by a line feed in the input',
  seeds: ['{"alg":"ES256","kid":"k","typ":"JWT"}\n{"iss":"i","aud":["a"]}', '{"alg":"RS256","cty":"x"}\n{}'],
  words: [
    ...JSON_WORDS,
    '\n',
    '"crit":',
    '"zip":',
    '"b64":',
    '"kid":',
    '"cty":',
    '"alg":',
    '"typ":',
    'jwt',
    '""',
  ],
  check: (input) => {
    const at = input.indexOf('\n')
    const [head, body] =
      at === -1 ? [input, Buffer.from('{}')] : [input.subarray(0, at), input.subarray(at + 1)]
    return compact.check(Buffer.from(`${head.toString('base64url')}.${body.toString('base64url')}.AA`))
  },
}

const subject: FuzzTarget = {
  name: 'dex-subject',
  about: "Dex's sub, beside a naive protobuf reader; what is read is written again as it was",
  seeds: [encodeSubject('user', 'gitlab'), encodeSubject('é', ''), encodeSubject('u'.repeat(200), 'c')],
  words: ['Cg', 'Eg', 'CgE', 'ASAB', '_', '-', '=', 'A'],
  check: (input) => {
    const text = input.toString('latin1')
    const ours = decodeSubject(text)
    agree('subject', ours, slowSubject(text))
    if (ours === undefined) return 'refused'
    must(encodeSubject(ours.userId, ours.connectorId) === text, 'a second spelling of one subject')
    return `accepted: ${ours.userId === '' ? '-' : 'u'}${ours.connectorId === '' ? '-' : 'c'}`
  },
}

const keySet: FuzzTarget = {
  name: 'jwks',
  about: 'a key set; every key is either read or ignored with a reason',
  seeds: [
    '{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"","y":""}]}',
    '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA","kid":"b","use":"sig","alg":"EdDSA"},{"kty":"RSA","n":"AQAB","e":"AQAB"}]}',
  ],
  words: [
    ...JSON_WORDS,
    '"kty":',
    '"crv":',
    '"P-256"',
    '"kid":',
    '"n":',
    '"e":',
    '"x":',
    '"AQAB"',
    '"use":"enc"',
    '"key_ops":["verify"]',
  ],
  check: (input) => {
    const json = readStrictJson(input, TOKEN_JSON_LIMITS)
    if (!json.ok) return 'not JSON'
    const set = readKeySet(json.value)
    if (!set.ok) return `refused: ${typeof set.denial}`
    const keys =
      typeof json.value === 'object' && json.value !== null
        ? Object.entries(json.value).find(([name]) => name === 'keys')?.[1]
        : undefined
    must(Array.isArray(keys), 'a key set without keys')
    agree('keys', set.value.size + set.value.ignored.length, keys.length)
    return `read ${Math.min(2, set.value.size)}, ignored ${Math.min(3, set.value.ignored.length)}`
  },
}

export const TOKEN_TARGETS: readonly FuzzTarget[] = [strictJson, compact, compactInside, subject, keySet]
