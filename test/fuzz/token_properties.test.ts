// Tokens, JSON and subjects: made to be nearly right, beside slow references.
import {
  array,
  boolean,
  constant,
  constantFrom,
  integer,
  json,
  jsonValue,
  oneof,
  record,
  string,
  tuple,
  uint8Array,
} from 'fast-check'
import t from 'tap'
import { decodeSubject, encodeSubject } from '../../src/core/dex/subject.ts'
import { decodeSegment, parseCompact } from '../../src/core/jwt/compact.ts'
import { readStrictJson, TOKEN_JSON_LIMITS } from '../../src/core/jwt/strict_json.ts'
import { anyText, holdsForAll } from './property.ts'
import { slowJson } from './reference/json.ts'
import { slowBase64url } from './reference/text.ts'
import { agree, must } from './target.ts'
import { targetNamed } from './targets.ts'

const oddText = oneof(string(), anyText(), constantFrom('__proto__', '\ud800', '\u2028', '\u0000', ''))

t.test('the JSON scanner takes what the grammar takes, whatever the spelling', async (t) => {
  const { check } = targetNamed('json')
  const spaced = tuple(jsonValue({ maxDepth: 5 }), constantFrom(undefined, 1, '\t', '\r\n')).map(
    ([value, indent]) => JSON.stringify(value, undefined, indent),
  )
  // Every character as an escape, in objects whose names may meet.
  const escaped = array(tuple(oddText, oddText), { maxLength: 4 }).map(
    (members) => `{${members.map(([name, value]) => `${inEscapes(name)}: ${inEscapes(value)}`).join(',')}}`,
  )
  // Names that meet, without any escape.
  const meeting = array(tuple(constantFrom('a', 'b', '__proto__', '1'), jsonValue({ maxDepth: 1 })), {
    maxLength: 4,
  }).map((members) => `{${members.map(([name, value]) => `"${name}":${JSON.stringify(value)}`).join(',')}}`)
  const scraps = array(
    constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      '-0',
      '1e5',
      'true',
      'null',
      ' ',
      '"\\u0061"',
      '"\\',
    ),
    { maxLength: 14 },
  )
  holdsForAll(
    t,
    2000,
    oneof(
      spaced,
      json(),
      escaped,
      meeting,
      scraps.map((parts) => parts.join('')),
    ),
    (text) => {
      check(Buffer.from(text))
    },
  )
})

function inEscapes(text: string): string {
  const units = Array.from({ length: text.length }, (_, index) => text.charCodeAt(index))
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
}

t.test('each limit of the JSON scanner is met to the one', async (t) => {
  const nested = integer({ min: 14, max: 18 }).map((depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`)
  const named = integer({ min: 254, max: 258 }).map(
    (names) => `{${Array.from({ length: names }, (_, n) => `"${n}":0`).join()}}`,
  )
  const listed = integer({ min: 998, max: 1002 }).map((items) =>
    JSON.stringify(Array.from({ length: items }, () => 0)),
  )
  holdsForAll(t, 60, tuple(oneof(nested, named, listed), boolean()), ([text, isEscaped]) => {
    // An escape sends the text the long way.
    const bytes = Buffer.from(isEscaped ? `[${text},"\\u0061"]` : text)
    agree(
      'accepted',
      readStrictJson(bytes, TOKEN_JSON_LIMITS).ok,
      slowJson(bytes, TOKEN_JSON_LIMITS) !== undefined,
    )
  })
})

t.test('what JSON.parse takes and we refuse is refused for a reason that we name', async (t) => {
  const parts = constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"\\ud800"',
    '1e999',
    '9007199254740993',
    'null',
    ' ',
  )
  const reasons = new Set<string>()
  const twice = jsonValue({ maxDepth: 1 }).map((value) => `{"a":${JSON.stringify(value)},"\\u0061":1}`)
  holdsForAll(
    t,
    3000,
    oneof(
      twice,
      array(parts, { maxLength: 6 }).map((all) => all.join('')),
    ),
    (text) => {
      const read = readStrictJson(Buffer.from(text), TOKEN_JSON_LIMITS)
      if (read.ok || !isJson(text)) return
      reasons.add(read.denial)
    },
  )
  t.same([...reasons].sort(), ['a name that comes twice', 'lone surrogate', 'number out of range'])
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    // JSON.parse throws for exactly what is no JSON.
    return false
  }
}

t.test('of a key set every key is read or ignored, whatever it says', async (t) => {
  const member = oneof(
    constantFrom<unknown>(
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
    ),
    jsonValue({ maxDepth: 1 }),
  )
  const names = ['kty', 'crv', 'kid', 'alg', 'use', 'key_ops', 'n', 'e', 'x', 'y', 'd']
  const key = record(Object.fromEntries(names.map((name) => [name, member])), { requiredKeys: [] })
  holdsForAll(
    t,
    1000,
    array(
      oneof(
        key.map((jwk): unknown => jwk),
        member,
      ),
      { maxLength: 4 },
    ),
    (keys) => {
      targetNamed('jwks').check(Buffer.from(JSON.stringify({ keys })))
    },
  )
})

t.test('random bytes are refused or read as the reference reads them', async (t) => {
  holdsForAll(t, 2000, uint8Array({ maxLength: 40 }), (bytes) => {
    for (const name of ['json', 'compact', 'compact-inside', 'jwks', 'dex-subject'])
      targetNamed(name).check(Buffer.from(bytes))
  })
})

/** A good header in which one parameter, or none, is odd: two wrongs would hide each other. */
const odd = oneof(
  tuple(constantFrom('alg', 'kid', 'typ', 'cty', 'jku', 'crit', 'b64', 'zip'), jsonValue({ maxDepth: 1 })),
  constantFrom<[string, unknown]>(
    ['alg', ''],
    ['kid', ''],
    ['kid', 'k'.repeat(200)],
    ['kid', 'k'.repeat(201)],
    ['cty', 'JWT'],
    ['cty', 'x-Jose'],
    ['cty', 'json'],
    ['crit', []],
    ['b64', false],
    ['zip', 'DEF'],
    ['zip', null],
    ['jwk', {}],
  ),
)
const header = odd.map(([name, value]): unknown => ({ alg: 'ES256', kid: 'k', typ: 'JWT', [name]: value }))

t.test('a compact token is taken apart as the reference does, and only in one spelling', async (t) => {
  const { check } = targetNamed('compact')
  const payload = oneof(
    constantFrom<unknown>({ iss: 'i' }, [], null, { crit: 1 }, { crit: null }),
    record({ iss: oddText, aud: jsonValue({ maxDepth: 2 }) }),
  )
  const spelling = constantFrom(
    (token: string) => token,
    (token: string) => `${token}=`,
    (token: string) => token.replace('.', '..'),
    (token: string) => token.replaceAll('-', '+'),
    (token: string) => `${token}.`,
    (token: string) => ` ${token}`,
    (token: string) => token.slice(0, -1),
  )
  holdsForAll(
    t,
    2000,
    tuple(header, payload, uint8Array({ maxLength: 70 }), spelling),
    ([head, body, signature, spell]) => {
      const encoded = [JSON.stringify(head), JSON.stringify(body), signature].map((part) =>
        Buffer.from(part).toString('base64url'),
      )
      check(Buffer.from(spell(encoded.join('.')), 'latin1'))
    },
  )
})

const said = (text: string) => JSON.stringify(parseCompact(text))

t.test('a token changed in one character is refused or says something else', async (t) => {
  const token = [{ alg: 'ES256', kid: 'k' }, { iss: 'i', sub: 's', aud: ['a'] }, 'x'.repeat(64)]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const original = said(token)
  holdsForAll(t, 2000, tuple(integer({ min: 0, max: token.length - 1 }), anyText(1)), ([at, other]) => {
    const changed = token.slice(0, at) + other + token.slice(at + 1)
    must(changed === token || said(changed) !== original, 'two spellings of one token')
  })
})

t.test('base64url is read in its one spelling, which gives back every byte', async (t) => {
  const alphabet = constantFrom(
    'A',
    'B',
    '/',
    '+',
    '-',
    '_',
    '=',
    'a',
    'Q',
    'g',
    'w',
    ' ',
    '\n',
    '9',
    '\u00e9',
  )
  holdsForAll(
    t,
    2000,
    oneof(
      uint8Array().map((bytes) => Buffer.from(bytes).toString('base64url')),
      array(alphabet, { maxLength: 9 }).map((parts) => parts.join('')),
    ),
    (text) => {
      agree('bytes', [...(decodeSegment(text) ?? [])], [...(slowBase64url(text) ?? [])])
      agree('read', decodeSegment(text) === undefined, slowBase64url(text) === undefined)
    },
  )
})

t.test("Dex's subject says user and connector, and both come back", async (t) => {
  const name = oneof(
    anyText(),
    constant(''),
    integer({ min: 120, max: 16_500 }).map((length) => 'é'.repeat(length)),
  )
  holdsForAll(t, 1000, tuple(name, name), ([userId, connectorId]) => {
    const [user, connector] = [userId.toWellFormed(), connectorId.toWellFormed()]
    const encoded = encodeSubject(user, connector)
    const isEmpty = user === '' && connector === ''
    agree('decoded', decodeSubject(encoded), isEmpty ? undefined : { userId: user, connectorId: connector })
    if (encoded.length < 3000) targetNamed('dex-subject').check(Buffer.from(encoded))
  })
})

t.test("what is nearly a subject of Dex's is no second spelling of one", async (t) => {
  const field = tuple(
    constantFrom(0x0a, 0x12, 0x1a, 0x08, 0x0b),
    constantFrom([0], [1], [2], [0x81, 0], [0x80], [0xff, 0xff, 0xff, 0xff, 0x0f]),
    uint8Array({ maxLength: 3 }),
  )
  holdsForAll(t, 3000, array(field, { maxLength: 3 }), (fields) => {
    const bytes = Buffer.from(fields.flatMap(([tag, length, content]) => [tag, ...length, ...content]))
    targetNamed('dex-subject').check(Buffer.from(bytes.toString('base64url')))
  })
})
