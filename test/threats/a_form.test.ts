// Group A: how a subject token is written. Which key may have signed it stands in a_keys.test.ts.
import t from 'tap'
import { segment, signCompact, signInput } from '../support/test_issuer.ts'
import { startTestBroker } from '../support/test_broker.ts'
import type { TestBroker } from '../support/test_broker.ts'
import { threatTable } from '../support/threat_case.ts'
import {
  altered,
  badClaim,
  badHeader,
  decoded,
  malformed,
  mint,
  notAllowed,
  parts,
  tokenRows,
} from '../support/threat_tokens.ts'
import type { Make } from '../support/threat_tokens.ts'

const broker = await startTestBroker(t)
const table = threatTable(t, broker)
const token = tokenRows(table)
const rs256 = broker.issuer.key('RS256')

/** The valid claims under exactly this header text, signed as they should be. */
const signedUnder =
  (header: (kid: string) => string): Make =>
  (world) => {
    const [, body] = parts(world.mint())
    return signCompact(header(rs256.kid), decoded(body), 'RS256', rs256.privateKey)
  }

for (const alg of ['none', 'None', 'nOnE', 'NONE']) {
  const header = segment({ alg, typ: 'JWT', kid: rs256.kid })
  token(
    'A01',
    `alg ${alg} without a signature`,
    altered((_head, body) => `${header}.${body}.`),
    malformed,
  )
  token(
    'A01',
    `alg ${alg} with a signature`,
    altered((_head, body, tail) => `${header}.${body}.${tail}`),
    {
      ...notAllowed,
      evidence: { got: alg },
    },
  )
}

for (const [says, header] of [
  ['an unknown name in crit', { crit: ['x'], x: 1 }],
  ['an empty crit', { crit: [] }],
  ['crit naming exp', { crit: ['exp'], exp: 1 }],
  ['crit naming b64', { crit: ['b64'], b64: true }],
] as const)
  token('A10', says, mint({ header }), badHeader)
token('A10', 'crit in the payload', mint({}, { crit: ['exp'] }), badClaim)

token('A11', 'b64 false with crit', mint({ header: { crit: ['b64'], b64: false } }), badHeader)
token('A11', 'b64 false without crit', mint({ header: { b64: false } }), badHeader)

token(
  'A20',
  'the five parts of a JWE',
  altered((...all) => [...all, 'AAAA', 'BBBB'].join('.')),
  malformed,
)
token(
  'A20',
  'a token within a token',
  (world) =>
    signCompact({ alg: 'RS256', kid: rs256.kid, cty: 'JWT' }, world.mint(), 'RS256', rs256.privateKey),
  badHeader,
)
token('A20', 'cty JWT', mint({ header: { cty: 'JWT' } }), badHeader)
token(
  'A20',
  'the flattened JSON form',
  altered((head, body, tail) => JSON.stringify({ protected: head, payload: body, signature: tail })),
  malformed,
)
token(
  'A20',
  'the general JSON form',
  altered((head, body, tail) =>
    JSON.stringify({ payload: body, signatures: [{ protected: head, signature: tail }] }),
  ),
  malformed,
)
token(
  'A20',
  'a detached payload',
  altered((head, _body, tail) => `${head}..${tail}`),
  malformed,
)

for (const [says, change] of [
  ['one segment', (head: string) => head],
  ['two segments', (head: string, body: string) => `${head}.${body}`],
  ['four segments', (...all: string[]) => [...all, 'AAAA'].join('.')],
  ['six segments', (...all: string[]) => [...all, 'AAAA', 'AAAA', 'AAAA'].join('.')],
  ['an empty header', (_head: string, body: string, tail: string) => `.${body}.${tail}`],
  ['an empty payload', (head: string, _body: string, tail: string) => `${head}..${tail}`],
  ['an empty signature', (head: string, body: string) => `${head}.${body}.`],
  ['only dots', () => '.'.repeat(16_000)],
] as const)
  token('A22', `a token of ${says}`, altered(change), malformed)

for (const [says, change] of [
  ['padding', (text: string) => `${text}==`],
  ['padding inside', (text: string) => text.replace('.', '=.')],
  ['the other alphabet', (text: string) => `${text.slice(0, -4)}+/+/`],
  ['a space inside', (text: string) => `${text.slice(0, 40)} ${text.slice(40)}`],
  ['a line break inside', (text: string) => `${text.slice(0, 40)}\r\n${text.slice(40)}`],
  ['a tab inside', (text: string) => `${text.slice(0, 40)}\t${text.slice(40)}`],
  ['a leading space', (text: string) => ` ${text}`],
  ['a trailing newline', (text: string) => `${text}\n`],
  ['a zero-width space', (text: string) => `${text}\u200b`],
  ['a byte order mark', (text: string) => `\ufeff${text}`],
] as const)
  token('A23', `a token with ${says}`, (world) => change(world.mint()), malformed)

/** Sets the spare bits of a segment's last character, which no decoder looks at. */
function spareBits(part: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return part.slice(0, -1) + alphabet.charAt(alphabet.indexOf(part.slice(-1)) + 1)
}

/** Ends each segment on a byte that leaves bits to spare: RS256 signatures do (256 bytes), the rest is padded to. */
const loose = (world: TestBroker): [string, string, string] => {
  for (let pad = 0; pad < 3; pad += 1) {
    const [head, body, tail] = parts(world.mint({ pad: 'p'.repeat(pad) }, { header: { pad: 'p' } }))
    if (head.length % 4 !== 0 && body.length % 4 !== 0) return [head, body, tail]
    const [longer, other, end] = parts(world.mint({ pad: 'p'.repeat(pad) }, { header: { pad: 'pp' } }))
    if (longer.length % 4 !== 0 && other.length % 4 !== 0) return [longer, other, end]
  }
  throw new Error('every length is a multiple of three')
}
for (const [says, at] of [
  ['header', 0],
  ['payload', 1],
  ['signature', 2],
] as const)
  token(
    'A24',
    `spare bits that are set in the ${says}`,
    (world) =>
      loose(world)
        .map((part, index) => (index === at ? spareBits(part) : part))
        .join('.'),
    malformed,
    (world) => loose(world).join('.'),
  )

for (const typ of [
  'at+jwt',
  'dpop+jwt',
  'logout+jwt',
  'secevent+jwt',
  'oauth-id-jag+jwt',
  'client-authentication+jwt',
])
  token('A25', `the header type ${typ}`, mint({ header: { typ } }), { ...badHeader, evidence: { got: typ } })
for (const typ of ['JWT', 'jwt', 'application/jwt', undefined])
  table.accepts({
    id: 'A25',
    says: `the header type ${typ ?? 'left out'} is an ordinary one`,
    ask: (world) => world.exchange({ subject_token: world.mint({}, { header: { typ } }) }),
  })

for (const [says, header] of [
  ['alg twice', (kid: string) => `{"alg":"none","alg":"RS256","kid":"${kid}"}`],
  ['kid twice', (kid: string) => `{"alg":"RS256","kid":"x","kid":"${kid}"}`],
  ['kid twice, once escaped', (kid: string) => `{"alg":"RS256","\\u006bid":"x","kid":"${kid}"}`],
] as const)
  token('A26', `a header with ${says}`, signedUnder(header), malformed)

const plainHeader = (kid: string): string => `{"alg":"RS256","kid":"${kid}"}`
for (const [says, header] of [
  ['is no object', () => '["RS256"]'],
  ['is longer than 4 KB', (kid: string) => `{"alg":"RS256","kid":"${kid}","x":"${'x'.repeat(4096)}"}`],
  [
    'is nested too deep',
    (kid: string) => `{"alg":"RS256","kid":"${kid}","x":${'['.repeat(40)}${']'.repeat(40)}}`,
  ],
  ['begins with a byte order mark', (kid: string) => `\ufeff${plainHeader(kid)}`],
] as const)
  token('A27', `a header that ${says}`, signedUnder(header), malformed, signedUnder(plainHeader))
token(
  'A27',
  'a header that is no UTF-8',
  (world) => {
    const [, body] = parts(world.mint())
    const header = Buffer.concat([
      Buffer.from(`{"alg":"RS256","kid":"${rs256.kid}","x":"`),
      Buffer.from([0xff]),
      Buffer.from('"}'),
    ])
    const input = `${header.toString('base64url')}.${body}`
    return `${input}.${signInput(input, 'RS256', rs256.privateKey).toString('base64url')}`
  },
  malformed,
  signedUnder(plainHeader),
)
