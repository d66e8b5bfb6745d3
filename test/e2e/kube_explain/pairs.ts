// Pairs of a configuration and a token: good ones, and each changed in one thing. What becomes of them is asked of the
// apiserver's own code and of ours.
import { Buffer } from 'node:buffer'
import type { KeyObject } from 'node:crypto'
import { segment, signInput } from '../../support/test_issuer.ts'

export type Layout = { readonly name: string; readonly body: Readonly<Record<string, unknown>> }

/** Without issuer.url and certificateAuthority, which the caller puts in. */
export const LAYOUTS: readonly Layout[] = [
  {
    name: 'claims',
    body: {
      issuer: { audiences: ['kube:local'] },
      claimValidationRules: [
        { claim: 'token_use', requiredValue: 'kube' },
        { claim: 'marker', requiredValue: '' },
      ],
      claimMappings: {
        username: { claim: 'sub', prefix: 'ci:' },
        groups: { claim: 'groups', prefix: 'ci:' },
        uid: { claim: 'repository_id' },
      },
    },
  },
  {
    name: 'expressions',
    body: {
      issuer: { audiences: ['kube:local'] },
      claimValidationRules: [
        {
          expression: 'claims.exp - claims.iat <= 900.0',
          message: 'token lifetime must not exceed 15 minutes',
        },
        { expression: "claims.token_use == 'kube'", message: 'not for a cluster' },
      ],
      claimMappings: {
        username: { expression: "'ci:' + claims.sub" },
        groups: { expression: "dyn(claims.groups).map(g, 'ci:' + g)" },
        uid: { expression: 'claims.repository_id' },
        extra: [
          { key: 'sallyport.dev/repository', valueExpression: 'claims.repository' },
          { key: 'sallyport.dev/environment', valueExpression: "claims.?environment.orValue('')" },
          { key: 'sallyport.dev/ref', valueExpression: 'has(claims.ref) ? claims.ref : ""' },
        ],
      },
      userValidationRules: [
        { expression: "!user.username.startsWith('ci:system:')", message: 'reserved user name' },
        { expression: "user.groups.all(g, !g.startsWith('system:'))", message: 'reserved group' },
      ],
    },
  },
  {
    name: 'several audiences',
    body: {
      issuer: { audiences: ['kube:local', 'kube:other'], audienceMatchPolicy: 'MatchAny' },
      claimMappings: {
        username: { claim: 'sub', prefix: '' },
        groups: { claim: 'role', prefix: '' },
        extra: [{ key: 'sallyport.dev/all', valueExpression: 'claims.groups' }],
      },
    },
  },
  {
    name: 'addresses',
    body: {
      issuer: { audiences: ['kube:local'] },
      claimMappings: {
        username: { claim: 'email', prefix: '' },
        groups: { claim: 'groups', prefix: 'dex:' },
      },
      userValidationRules: [{ expression: "user.username.endsWith('@example.test')" }],
    },
  },
  {
    name: 'bare',
    body: {
      issuer: { audiences: ['kube:local'] },
      claimMappings: { username: { expression: 'claims.sub' } },
    },
  },
]

export function goodClaims(nowSeconds: number): Readonly<Record<string, unknown>> {
  return {
    aud: 'kube:local',
    sub: 'repo:acme/terraform-aws-vpc',
    iat: nowSeconds - 5,
    nbf: nowSeconds - 5,
    exp: nowSeconds + 600,
    jti: '69abb511-6d6a-4a6f-b161-ef6023706d1f',
    token_use: 'kube',
    marker: '',
    repository: 'acme/terraform-aws-vpc',
    repository_id: '4711',
    ref: 'refs/heads/main',
    environment: 'production',
    groups: ['publishers', 'builders'],
    role: 'admin',
    email: 'deploy@example.test',
    email_verified: true,
  }
}

export type Change = {
  readonly name: string
  readonly claims?: Readonly<Record<string, unknown>>
  /** The payload's very text instead. */
  readonly payload?: (claims: Readonly<Record<string, unknown>>) => string
  readonly header?: Readonly<Record<string, unknown>> | string
  readonly alg?: string
  /** Of the finished token. */
  readonly spoil?: (token: string) => string
  readonly foreignKey?: boolean
  /** Beside the good key in the key set. */
  readonly odd?: Readonly<Record<string, unknown>>
}

const VALUES: readonly (readonly [string, unknown])[] = [
  ['absent', undefined],
  ['null', null],
  ['a number', 4711],
  ['a fraction', 1.5],
  ['true', true],
  ['false', false],
  ['empty', ''],
  ['a text', 'text'],
  ['an object', { a: 'b' }],
  ['an empty object', {}],
  ['a list', ['a', 'b']],
  ['a list of one empty text', ['']],
  ['a list with a number', ['a', 1]],
  ['an empty list', []],
  ['a list with null', [null, 'a']],
]
const VARIED = [
  'sub',
  'aud',
  'jti',
  'token_use',
  'marker',
  'repository',
  'repository_id',
  'ref',
  'environment',
  'groups',
  'role',
  'email',
  'email_verified',
  'exp',
  'iat',
  'nbf',
  'nonce',
  '_claim_names',
]

/** One thing each. `nowSeconds` is the clock by which the token was made. */
export function changes(nowSeconds: number, issuer: string): readonly Change[] {
  return [
    { name: 'nothing' },
    ...VARIED.flatMap((claim) =>
      VALUES.map(([called, value]): Change => ({ name: `${claim}: ${called}`, claims: { [claim]: value } })),
    ),
    ...claimChanges(nowSeconds, issuer),
    ...payloadChanges(issuer),
    ...HEADER_CHANGES,
    ...TOKEN_CHANGES,
    ...KEY_CHANGES,
  ]
}

function claimChanges(now: number, issuer: string): readonly Change[] {
  return [
    { name: 'expired a second ago', claims: { exp: now - 1 } },
    { name: 'expires now', claims: { exp: now } },
    { name: 'expires in a second', claims: { exp: now + 1 } },
    { name: 'exp as text', claims: { exp: String(now + 60) } },
    { name: 'exp as text with a fraction', claims: { exp: `${now + 60}.5` } },
    { name: 'exp as no number', claims: { exp: 'tomorrow' } },
    { name: 'exp 0', claims: { exp: 0 } },
    { name: 'exp negative', claims: { exp: -62_135_596_801 } },
    { name: 'exp in the year 9999', claims: { exp: 253_402_300_799 } },
    { name: 'nbf in fifty seconds', claims: { nbf: now + 50 } },
    { name: 'nbf in sixty seconds', claims: { nbf: now + 60 } },
    { name: 'nbf in seventy seconds', claims: { nbf: now + 70 } },
    { name: 'iat in the future', claims: { iat: now + 3600 } },
    { name: 'lives 900 s', claims: { iat: now - 300, exp: now + 600 } },
    { name: 'lives 901 s', claims: { iat: now - 301, exp: now + 600 } },
    { name: 'for another cluster', claims: { aud: 'kube:other' } },
    { name: 'for two clusters', claims: { aud: ['kube:x', 'kube:local'] } },
    { name: 'aud in other case', claims: { aud: 'KUBE:local' } },
    { name: 'token_use registry', claims: { token_use: 'registry' } },
    { name: 'reserved name', claims: { sub: 'system:admin' } },
    { name: 'reserved group', claims: { groups: ['system:masters'] } },
    {
      name: 'group authenticated already',
      claims: { groups: ['system:authenticated'], role: 'system:authenticated' },
    },
    { name: 'iss with a slash', claims: { iss: `${issuer}/` } },
    { name: 'iss absent', claims: { iss: undefined } },
    { name: 'iss a number', claims: { iss: 7 } },
    { name: 'iss in capitals', claims: { iss: issuer.toUpperCase() } },
    { name: 'a quoted audience', claims: { aud: 'a"b\\c\n\u2028' } },
    { name: 'sub with odd letters', claims: { sub: 'ü 日本 \u0001' } },
    {
      name: 'distributed claims',
      claims: { _claim_names: { x: 'src' }, _claim_sources: { src: { endpoint: '' } } },
    },
    { name: 'distributed claims without source', claims: { _claim_names: { x: 'src' } } },
    { name: 'distributed claims with an empty source', claims: { _claim_names: { x: '' } } },
  ]
}

/** One member more, as written. */
function behind(text: string): (claims: Readonly<Record<string, unknown>>) => string {
  return (claims) => `${JSON.stringify(claims).slice(0, -1)},${text}}`
}

function payloadChanges(issuer: string): readonly Change[] {
  return [
    { name: 'sub twice', payload: behind('"sub":"second"') },
    { name: 'token_use twice', payload: behind('"token_use":"registry"') },
    { name: 'iss twice', payload: behind('"iss":"https://other.example.test"') },
    { name: 'iss twice, the same', payload: behind(`"iss":${JSON.stringify(issuer)}`) },
    { name: 'ISS in capitals behind', payload: behind('"ISS":"https://other.example.test"') },
    { name: 'AUD in capitals behind', payload: behind('"AUD":"kube:second"') },
    { name: 'EXP in capitals behind', payload: behind('"EXP":1') },
    { name: 'iss twice, null behind', payload: behind('"iss":null') },
    { name: 'exp with an exponent', payload: behind('"exp":3e9') },
    { name: 'exp beyond int64', payload: behind('"exp":1e19') },
    { name: 'exp beyond a double', payload: behind('"exp":1e400') },
    { name: 'a lone surrogate', payload: behind(String.raw`"sub":"a\ud800b"`) },
    { name: 'an escaped name', payload: behind(String.raw`"\u0073ub":"escaped"`) },
    { name: 'white space around', payload: (claims) => ` \n${JSON.stringify(claims, undefined, 2)}\t` },
    { name: 'text behind', payload: (claims) => `${JSON.stringify(claims)}x` },
    { name: 'a list', payload: (claims) => JSON.stringify([claims]) },
    { name: 'null', payload: () => 'null' },
    { name: 'a comma too many', payload: (claims) => JSON.stringify(claims).replace(/}$/, ',}') },
    { name: 'a control character', payload: behind('"sub":"a\u0001"') },
  ]
}

const HEADER_CHANGES: readonly Change[] = [
  { name: 'no kid', header: { kid: undefined } },
  { name: 'unknown kid', header: { kid: 'nobody' } },
  { name: 'empty kid', header: { kid: '' } },
  { name: 'kid a number', header: { kid: 5 } },
  { name: 'kid null', header: { kid: null } },
  { name: 'kid an object', header: { kid: { a: 1 } } },
  { name: 'alg a number', header: { alg: 256 } },
  { name: 'alg absent', header: { alg: undefined } },
  { name: 'alg none', header: { alg: 'none' } },
  { name: 'alg HS256', header: { alg: 'HS256' } },
  { name: 'alg in small letters', header: { alg: 'es256' } },
  { name: 'alg of another key', header: { alg: 'RS256' } },
  { name: 'alg of another size', header: { alg: 'ES384' } },
  { name: 'EdDSA', alg: 'EdDSA' },
  { name: 'RS256', alg: 'RS256' },
  { name: 'PS384', alg: 'PS384' },
  { name: 'ES512', alg: 'ES512' },
  { name: 'typ at+jwt', header: { typ: 'at+jwt' } },
  { name: 'typ a number', header: { typ: 7 } },
  { name: 'crit', header: { crit: ['exp'] } },
  { name: 'crit b64', header: { crit: ['b64'], b64: true } },
  { name: 'crit no list', header: { crit: 'exp' } },
  { name: 'crit empty', header: { crit: [] } },
  { name: 'jwk broken', header: { jwk: { kty: 'AKP' } } },
  { name: 'jwk secret', header: { jwk: { kty: 'oct', k: 'AAAA' } } },
  { name: 'nonce a number', header: { nonce: 1 } },
  { name: 'b64 false', header: { b64: false } },
  { name: 'header a list', header: '[]' },
  { name: 'header null', header: 'null' },
  { name: 'header no JSON', header: '{x' },
  { name: 'header cut', header: '{"alg":"ES256"' },
  { name: 'header alg twice', header: '{"alg":"ES256","alg":"ES256"}' },
  { name: 'header ALG', header: '{"ALG":"ES256"}' },
  { name: 'header with text behind', header: '{"alg":"ES256"} x' },
]

const TOKEN_CHANGES: readonly Change[] = [
  { name: 'garbage', spoil: () => 'garbage' },
  { name: 'a.b.c', spoil: () => 'a.b.c' },
  { name: 'empty segments', spoil: () => '..' },
  { name: 'four segments', spoil: (token) => `${token}.x` },
  { name: 'two segments', spoil: (token) => token.slice(0, token.lastIndexOf('.')) },
  { name: 'five segments', spoil: (token) => `${token}.a.b` },
  { name: 'padding behind the signature', spoil: (token) => `${token}=` },
  { name: 'a foreign letter in the signature', spoil: (token) => `${token.slice(0, -1)}!` },
  { name: 'a foreign letter in the header', spoil: (token) => `*${token.slice(1)}` },
  { name: 'a foreign letter in the payload', spoil: (token) => token.replace('.', '.*') },
  { name: 'no signature', spoil: (token) => token.slice(0, token.lastIndexOf('.') + 1) },
  { name: 'signature cut', spoil: (token) => token.slice(0, -4) },
  { name: 'signature cut by one letter', spoil: (token) => token.slice(0, -1) },
  { name: 'signature changed', spoil: (token) => flip(token, token.length - 10) },
  { name: 'payload changed', spoil: (token) => respell(token) },
  { name: 'spare bits of the header', spoil: spareBits },
  { name: 'no header', spoil: (token) => token.slice(token.indexOf('.')) },
]

const KEY_CHANGES: readonly Change[] = [
  { name: 'signed by somebody else', foreignKey: true },
  ...(
    [
      ['AKP', { kty: 'AKP', alg: 'ML-DSA-65', pub: 'AAAA' }],
      ['X25519', { kty: 'OKP', crv: 'X25519', x: 'AAAA' }],
      ['Ed25519', { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }],
      ['secp256k1', { kty: 'EC', crv: 'secp256k1', x: 'AAAA', y: 'AAAA' }],
      ['no kty', { kid: 'x' }],
      ['oct', { kty: 'oct', k: 'AAAA' }],
      ['oct without k', { kty: 'oct' }],
      ['RSA without n', { kty: 'RSA', e: 'AQAB' }],
      ['small RSA', { kty: 'RSA', e: 'Aw', n: 'AQAB' }],
      ['EC off the curve', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'A'.repeat(43) }],
      ['EC with short y', { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'AAAA' }],
      ['EC without x', { kty: 'EC', crv: 'P-256', y: 'AAAA' }],
      ['bad x5t', { kty: 'oct', k: 'AAAA', x5t: '!' }],
      ['short x5t', { kty: 'oct', k: 'AAAA', x5t: 'AAAA' }],
      ['bad x5t#S256', { kty: 'oct', k: 'AAAA', 'x5t#S256': 'AAAA' }],
      ['bad x5c', { kty: 'oct', k: 'AAAA', x5c: ['bm8='] }],
      ['x5c no base64', { kty: 'oct', k: 'AAAA', x5c: ['!'] }],
      ['kid a number', { kty: 'oct', k: 'AAAA', kid: 7 }],
      ['kid null', { kty: 'oct', k: 'AAAA', kid: null }],
      ['n not base64', { kty: 'RSA', e: 'AQAB', n: '!' }],
    ] as const
  ).map(([name, odd]): Change => ({ name: `beside a key: ${name}`, odd })),
]

function flip(text: string, at: number): string {
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
}

/** Another payload under the same signature. */
function respell(token: string): string {
  const [head = '', body = '', tail = ''] = token.split('.')
  const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString('utf8'))
  return `${head}.${segment({ ...Object(claims), sub: 'somebody else' })}.${tail}`
}

/** The same bytes with other bits behind the last one: go-jose writes them anew before it verifies. */
function spareBits(token: string): string {
  const [head = '', ...rest] = token.split('.')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  if (head.length % 4 === 0) return token
  const next = alphabet[alphabet.indexOf(head.at(-1) ?? 'A') ^ 1] ?? 'A'
  return [head.slice(0, -1) + next, ...rest].join('.')
}

export type Signer = { readonly kid: string; readonly alg: string; readonly privateKey: KeyObject }

/** The token of one change. */
export function tokenOf(
  change: Change,
  claims: Readonly<Record<string, unknown>>,
  key: Signer,
  foreign: Signer,
): string {
  const changed = { ...claims, ...change.claims }
  const payload = change.payload?.(changed) ?? JSON.stringify(changed)
  const header =
    typeof change.header === 'string'
      ? change.header
      : JSON.stringify({ alg: key.alg, kid: key.kid, typ: 'JWT', ...change.header })
  const input = `${segment(header)}.${segment(payload)}`
  const signer = change.foreignKey === true ? foreign : key
  const token = `${input}.${signInput(input, signer.alg, signer.privateKey).toString('base64url')}`
  return change.spoil?.(token) ?? token
}
