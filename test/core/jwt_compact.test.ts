import t from 'tap'
import { parseCompact, tokenHash } from '../../src/core/jwt/compact.ts'
import type { DenialReason } from '../../src/core/denial.ts'
import { segment } from '../support/test_issuer.ts'

// Nothing here is verified: any bytes will do as a signature.
const HEADER = { alg: 'RS256', kid: 'k1', typ: 'JWT' }
const CLAIMS = { iss: 'https://issuer.example.test', sub: 's' }
const SIGNATURE = Buffer.alloc(256, 7).toString('base64url')
const token = (header: unknown = HEADER, claims: unknown = CLAIMS, signature = SIGNATURE) =>
  `${segment(header)}.${segment(claims)}.${signature}`
const valid = token()
const [head = '', body = '', tail = ''] = valid.split('.')

t.test('a compact token is taken apart', async (t) => {
  t.match(parseCompact(valid), {
    ok: true,
    value: {
      header: { alg: 'RS256', kid: 'k1', typ: 'JWT' },
      claims: CLAIMS,
      signingInput: `${head}.${body}`,
    },
  })
})

const hashOf = (text: string) => {
  const parsed = parseCompact(text)
  return parsed.ok ? tokenHash(parsed.value.signingInput) : undefined
}

t.test('the hash names header and payload, whatever the signature is', async (t) => {
  t.match(hashOf(valid), /^[\w-]{43}$/)
  t.equal(hashOf(valid), hashOf(token(HEADER, CLAIMS, 'AAAA')))
  t.not(hashOf(valid), hashOf(token(HEADER, { ...CLAIMS, jti: '1' })))
})

/** Every one has `valid` as its accepted twin unless it names another. */
const refused: readonly [
  title: string,
  token: string,
  reason: DenialReason,
  detail: string,
  twin?: string,
][] = [
  ['one segment (TH-A22)', head, 'subject_malformed', 'not three non-empty segments'],
  ['two segments (TH-A22)', `${head}.${body}`, 'subject_malformed', 'not three non-empty segments'],
  ['four segments (TH-A22)', `${valid}.${tail}`, 'subject_malformed', 'more than three segments'],
  [
    'the five parts of a JWE (TH-A20)',
    `${valid}.${tail}.${tail}`,
    'subject_malformed',
    'more than three segments',
  ],
  ['an empty header (TH-A22)', `.${body}.${tail}`, 'subject_malformed', 'not three non-empty segments'],
  ['a detached payload (TH-A20)', `${head}..${tail}`, 'subject_malformed', 'not three non-empty segments'],
  ['no signature (TH-A01)', `${head}.${body}.`, 'subject_malformed', 'not three non-empty segments'],
  ['nothing at all', '', 'subject_malformed', 'not three non-empty segments'],
  ['only dots (TH-A22)', '....', 'subject_malformed', 'not three non-empty segments'],
  [
    'JSON serialization (TH-A20)',
    JSON.stringify({ payload: body, protected: head, signature: tail }),
    'subject_malformed',
    'not three non-empty segments',
  ],
  ['padding (TH-A23)', `${valid}==`, 'subject_malformed', 'not canonical base64url'],
  ['padding inside (TH-A23)', `${head}=.${body}.${tail}`, 'subject_malformed', 'not canonical base64url'],
  [
    'the other alphabet (TH-A23)',
    token(HEADER, CLAIMS, '++//'),
    'subject_malformed',
    'not canonical base64url',
    token(HEADER, CLAIMS, '--__'),
  ],
  [
    'a space inside (TH-A23)',
    `${head}.${body.slice(0, 4)} ${body.slice(4)}.${tail}`,
    'subject_malformed',
    'not canonical base64url',
  ],
  [
    'a line break inside (TH-A23)',
    `${head}.${body}.${tail.slice(0, 8)}\r\n${tail.slice(8)}`,
    'subject_malformed',
    'not canonical base64url',
  ],
  ['a tab inside (TH-A23)', `${head}\t.${body}.${tail}`, 'subject_malformed', 'not canonical base64url'],
  ['a leading space (TH-A23)', ` ${valid}`, 'subject_malformed', 'not canonical base64url'],
  ['a trailing newline (TH-A23)', `${valid}\n`, 'subject_malformed', 'not canonical base64url'],
  ['a zero-width space (TH-A23)', `${valid}\u200b`, 'subject_malformed', 'not canonical base64url'],
  ['a byte order mark in front (TH-A23)', `\ufeff${valid}`, 'subject_malformed', 'not canonical base64url'],
  [
    'spare bits in the signature (TH-A24)',
    token(HEADER, CLAIMS, 'AAB'),
    'subject_malformed',
    'not canonical base64url',
    token(HEADER, CLAIMS, 'AAA'),
  ],
  [
    'an impossible length (TH-A24)',
    token(HEADER, CLAIMS, 'AAAAA'),
    'subject_malformed',
    'not canonical base64url',
    token(HEADER, CLAIMS, 'AAAA'),
  ],
  [
    'alg twice (TH-A26)',
    token('{"alg":"RS256","alg":"RS256","kid":"k1"}'),
    'subject_malformed',
    'header: a name that comes twice',
    token('{"alg":"RS256","kid":"k1"}'),
  ],
  [
    'kid twice, once escaped (TH-A26)',
    token('{"alg":"RS256","kid":"k1","\\u006bid":"k1"}'),
    'subject_malformed',
    'header: a name that comes twice',
  ],
  ['a header that is no object (TH-A27)', token('["RS256"]'), 'subject_malformed', 'header: not an object'],
  [
    'a header with a byte order mark (TH-A27)',
    token('\ufeff{"alg":"RS256"}'),
    'subject_malformed',
    'header: byte order mark',
    token('{"alg":"RS256"}'),
  ],
  [
    'a header of invalid UTF-8 (TH-A27)',
    `${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${body}.${tail}`,
    'subject_malformed',
    'header: invalid UTF-8',
  ],
  [
    'a header past 4 KiB (TH-A27)',
    token({ ...HEADER, pad: 'x'.repeat(4096) }),
    'subject_malformed',
    'header too large',
    token({ ...HEADER, pad: 'x'.repeat(4000) }),
  ],
  [
    'a header nested too deep (TH-A27)',
    token(`{"alg":"RS256","x":${'['.repeat(16)}${']'.repeat(16)}}`),
    'subject_malformed',
    'header: nested too deep',
    token(`{"alg":"RS256","x":${'['.repeat(15)}${']'.repeat(15)}}`),
  ],
  ['no alg', token({ kid: 'k1' }), 'subject_malformed', 'header: alg is not a string'],
  ['alg a number', token({ ...HEADER, alg: 256 }), 'subject_malformed', 'header: alg is not a string'],
  ['typ an array', token({ ...HEADER, typ: ['JWT'] }), 'subject_malformed', 'header: typ is not a string'],
  [
    'kid a number (TH-A15)',
    token({ ...HEADER, kid: 1 }),
    'subject_malformed',
    'header: kid is not a string with content',
  ],
  [
    'kid an array (TH-A15)',
    token({ ...HEADER, kid: ['k1'] }),
    'subject_malformed',
    'header: kid is not a string with content',
  ],
  [
    'kid an object (TH-A15)',
    token({ ...HEADER, kid: {} }),
    'subject_malformed',
    'header: kid is not a string with content',
  ],
  [
    'kid null (TH-A15)',
    token({ ...HEADER, kid: null }),
    'subject_malformed',
    'header: kid is not a string with content',
  ],
  [
    'kid empty (TH-A15)',
    token({ ...HEADER, kid: '' }),
    'subject_malformed',
    'header: kid is not a string with content',
  ],
  [
    'kid of 201 characters (TH-A15)',
    token({ ...HEADER, kid: 'k'.repeat(201) }),
    'subject_malformed',
    'header: kid too long',
    token({ ...HEADER, kid: 'k'.repeat(200) }),
  ],
  [
    'an array as payload (TH-B02)',
    token(HEADER, '[]'),
    'subject_malformed',
    'payload: not an object',
    token(HEADER, '{}'),
  ],
  ['null as payload (TH-B02)', token(HEADER, 'null'), 'subject_malformed', 'payload: not an object'],
  ['a number as payload (TH-B02)', token(HEADER, '1'), 'subject_malformed', 'payload: not an object'],
  ['a string as payload (TH-B02)', token(HEADER, '"{}"'), 'subject_malformed', 'payload: not an object'],
  ['a payload that is no JSON (TH-B02)', token(HEADER, 'hello'), 'subject_malformed', 'payload: not JSON'],
  [
    'a payload with a byte order mark (TH-B02)',
    token(HEADER, '\ufeff{}'),
    'subject_malformed',
    'payload: byte order mark',
    token(HEADER, '{}'),
  ],
  [
    'a lone surrogate in the payload (TH-B02)',
    token(HEADER, '{"sub":"\\ud800"}'),
    'subject_malformed',
    'payload: lone surrogate',
    token(HEADER, '{"sub":"\\ud83d\\ude00"}'),
  ],
  [
    'sub twice (TH-B01)',
    token(HEADER, '{"sub":"a","sub":"b"}'),
    'subject_malformed',
    'payload: a name that comes twice',
    token(HEADER, '{"sub":"a","SUB":"b"}'),
  ],
  [
    '257 claims (TH-B04)',
    token(HEADER, Object.fromEntries(Array.from({ length: 257 }, (_, index) => [`c${index}`, 1]))),
    'subject_malformed',
    'payload: too many names',
  ],
  [
    'exp 1e400 (TH-B05)',
    token(HEADER, '{"exp":1e400}'),
    'subject_malformed',
    'payload: number out of range',
    token(HEADER, '{"exp":1e9}'),
  ],
]
for (const [title, text, reason, detail, twin = valid] of refused) {
  t.test(`a token is refused for ${title}`, async (t) => {
    t.strictSame(parseCompact(text), { ok: false, denial: { reason, detail } })
    t.match(parseCompact(twin), { ok: true })
  })
}

/** The same bytes with one of the spare bits of the last character set: 'A' has none. */
const withSpareBit = (part: string) => part.replace(/A$/, 'B')

t.test('a second spelling of the same bytes is refused in each segment (TH-A24)', async (t) => {
  const parts = [segment('{"alg":"RS256"} '), segment('{"a":1} '), 'AA']
  t.match(parseCompact(parts.join('.')), { ok: true })
  for (const [index, part] of parts.entries()) {
    const other = withSpareBit(part)
    t.ok(
      Buffer.from(other, 'base64url').equals(Buffer.from(part, 'base64url')),
      'a forgiving decoder sees no difference',
    )
    t.match(parseCompact(parts.with(index, other).join('.')), {
      denial: { reason: 'subject_malformed', detail: 'not canonical base64url' },
    })
  }
})

const parameters: readonly [title: string, member: Record<string, unknown>, parameter: string][] = [
  ['crit with an unknown name (TH-A10)', { crit: ['x'], x: 1 }, 'crit'],
  ['crit that is empty (TH-A10)', { crit: [] }, 'crit'],
  ['crit naming exp (TH-A10)', { crit: ['exp'], exp: 1 }, 'crit'],
  ['crit naming b64 (TH-A10)', { crit: ['b64'], b64: true }, 'crit'],
  ['b64 false with crit (TH-A11)', { crit: ['b64'], b64: false }, 'crit'],
  ['b64 false without crit (TH-A11)', { b64: false }, 'b64'],
  ['zip', { zip: 'DEF' }, 'zip'],
  ['cty JWT (TH-A20)', { cty: 'JWT' }, 'cty'],
  ['cty application/jwt (TH-A20)', { cty: 'application/jwt' }, 'cty'],
  ['cty that is no string', { cty: 1 }, 'cty'],
]
for (const [title, member, parameter] of parameters) {
  t.test(`a header parameter that changes the meaning is refused: ${title}`, async (t) => {
    t.match(parseCompact(token({ ...HEADER, ...member })), {
      denial: { reason: 'subject_header_not_allowed', parameter },
    })
    t.match(parseCompact(token({ ...HEADER, x: 1 })), { ok: true })
  })
}

t.test('crit in the payload is refused, other claims of its kind are not (TH-A10)', async (t) => {
  t.match(parseCompact(token(HEADER, { ...CLAIMS, crit: ['x'] })), {
    denial: { reason: 'subject_claim_invalid', claim: 'crit' },
  })
  t.match(parseCompact(token(HEADER, { ...CLAIMS, critical: ['x'] })), { ok: true })
})

t.test('a token of one byte more than 16 KiB is refused before anything is read (TH-B04)', async (t) => {
  const fit = 'A'.repeat(16_384 - head.length - body.length - 2)
  t.match(parseCompact(`${head}.${body}.${fit}`), { ok: true })
  t.match(parseCompact(`${head}.${body}.${fit}A`), {
    denial: { reason: 'subject_too_large', bytes: 16_385, maxBytes: 16_384 },
  })
  t.match(parseCompact('.'.repeat(1_000_000)), { denial: { reason: 'subject_too_large' } })
})

t.test('hostile input costs less than a millisecond (TH-A22, TH-B03)', async (t) => {
  const hostile = ['.'.repeat(1_000_000), token(HEADER, '['.repeat(11_000)), `${'A'.repeat(16_000)}.A.A`]
  for (const text of hostile) {
    parseCompact(text)
    const times = Array.from({ length: 21 }, () => {
      const start = performance.now()
      parseCompact(text)
      return performance.now() - start
    })
    // The median: a turn in which another process had the core says nothing of the parser.
    const median = times.toSorted((a, b) => a - b)[10] ?? Infinity
    t.ok(median < 1)
  }
})
