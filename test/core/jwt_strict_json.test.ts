import t from 'tap'
import { readStrictJson, TOKEN_JSON_LIMITS } from '../../src/core/jwt/strict_json.ts'

const read = (text: string) => readStrictJson(Buffer.from(text), TOKEN_JSON_LIMITS)
const readBytes = (...bytes: number[]) => readStrictJson(Buffer.from(bytes), TOKEN_JSON_LIMITS)
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const names = (count: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, index])))

t.test('ordinary JSON is read as JSON.parse reads it, onto objects without a prototype', async (t) => {
  const text =
    ' {"a":[1,-2.5,0,1e3,true,false,null,"x",{}],"b":{"c":"\\u00e9\\n\\"\\\\/ \\ud83d\\ude00 é 😀"},"":[]}\r\n\t'
  const result = read(text)
  t.match(result, { ok: true })
  t.strictSame(JSON.parse(JSON.stringify(result.ok && result.value)), JSON.parse(text))
  t.equal(Object.getPrototypeOf(result.ok && result.value), null)
})

t.test('names that mean something to JavaScript are names like any other (TH-B15)', async (t) => {
  const result = read('{"__proto__":{"x":1},"constructor":2,"toString":3,"hasOwnProperty":4}')
  t.match(result, { ok: true })
  const value = result.ok ? result.value : undefined
  t.strictSame(Object.keys(Object(value)), ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
  t.equal(Object.getPrototypeOf(value), null)
})

const pairs: readonly [title: string, refused: string, problem: string, accepted: string][] = [
  ['a name twice (TH-B01)', '{"iss":1,"iss":1}', 'a name that comes twice', '{"iss":1,"isS":1}'],
  [
    'a name twice, once escaped (TH-B01)',
    '{"\\u0073ub":1,"sub":1}',
    'a name that comes twice',
    '{"\\u0073ub":1}',
  ],
  [
    'a name twice further down (TH-B01)',
    '{"a":[{"b":1,"b":2}]}',
    'a name that comes twice',
    '{"a":[{"b":1},{"b":2}]}',
  ],
  ['__proto__ twice (TH-B15)', '{"__proto__":1,"__proto__":1}', 'a name that comes twice', '{"__proto__":1}'],
  ['a byte order mark (TH-B02)', '\uFEFF{}', 'byte order mark', '{}'],
  ['a lone high surrogate (TH-B02)', '"\\ud800"', 'lone surrogate', '"\\ud83d\\ude00"'],
  ['a lone low surrogate (TH-B02)', '"\\udc00x"', 'lone surrogate', '"\\ufffd"'],
  ['surrogates the wrong way round (TH-B02)', '"\\ude00\\ud83d"', 'lone surrogate', '"\\uD83D\\uDE00"'],
  ['a lone surrogate in a name (TH-B02)', '{"\\ud800":1}', 'lone surrogate', '{"\\u00e9":1}'],
  ['depth 17 (TH-B03)', nested(17), 'nested too deep', nested(16)],
  ['depth 1000 (TH-B03)', nested(1000), 'nested too deep', nested(1)],
  ['a million levels (TH-B03)', '['.repeat(1_000_000), 'nested too deep', nested(2)],
  [
    'objects too deep (TH-B03)',
    '{"a":'.repeat(17) + '1' + '}'.repeat(17),
    'nested too deep',
    '{"a":{"a":1}}',
  ],
  ['257 names (TH-B04)', names(257), 'too many names', names(256)],
  ['1001 items (TH-B04)', `[${'1,'.repeat(1000)}1]`, 'too many items', `[${'1,'.repeat(999)}1]`],
  ['an infinite number (TH-B05)', '1e400', 'number out of range', '1e15'],
  ['a number past 2^53 (TH-B05)', '9007199254740993', 'number out of range', '9007199254740991'],
  ['a negative number past -2^53', '-9007199254740992', 'number out of range', '-9007199254740991'],
  ['an empty text (TH-B02)', '', 'not JSON', '""'],
  ['text after the value', '{}{}', 'text after the value', '{} '],
  ['NUL after the value', '{}\u0000', 'text after the value', '{}\n'],
  ['a comma at the end', '[1,]', 'not JSON', '[1]'],
  ['a comma at the end of an object', '{"a":1,}', 'not JSON', '{"a":1}'],
  ['single quotes', "{'a':1}", 'not JSON', '{"a":1}'],
  ['a comment', '{}/**/', 'text after the value', '{}'],
  ['NaN', '[NaN]', 'not JSON', '[null]'],
  ['a leading zero', '[01]', 'not JSON', '[0]'],
  ['a leading plus', '[+1]', 'not JSON', '[1]'],
  ['a bare dot', '[1.]', 'not JSON', '[1.0]'],
  ['a newline in a string', '"a\nb"', 'control character in a string', '"a\\nb"'],
  ['a control character after an escape', '"\\n\u0001"', 'control character in a string', '"\\n\\u0001"'],
  ['an unknown escape', '"\\x41"', 'unknown escape in a string', '"\\u0041"'],
  ['a short unicode escape', '"\\u12"', 'unknown escape in a string', '"\\u0012"'],
  ['an unfinished string', '"abc', 'not JSON', '"abc"'],
  ['an unfinished escape', '"abc\\"', 'not JSON', '"abc\\""'],
  ['an unfinished object', '{"a":1', 'not JSON', '{"a":1}'],
  ['a missing colon', '{"a" 1}', 'not JSON', '{"a" : 1}'],
  ['a form feed as white space', '\f1', 'not JSON', '\t1'],
  ['a misspelt word', 'nul', 'not JSON', 'null'],
]
for (const [title, refused, problem, accepted] of pairs) {
  t.test(`JSON is refused for ${title}`, async (t) => {
    t.strictSame(read(refused), { ok: false, denial: problem })
    t.match(read(accepted), { ok: true })
  })
}

t.test(
  'bytes that are not UTF-8 are refused, and a replacement character that was sent is not (TH-B02)',
  async (t) => {
    t.strictSame(readBytes(0x22, 0xff, 0x22), { ok: false, denial: 'invalid UTF-8' })
    t.strictSame(readBytes(0x22, 0xed, 0xa0, 0x80, 0x22), { ok: false, denial: 'invalid UTF-8' })
    t.strictSame(readBytes(0x22, 0xc0, 0xaf, 0x22), { ok: false, denial: 'invalid UTF-8' })
    t.strictSame(readBytes(0x22, 0xe2, 0x82), { ok: false, denial: 'invalid UTF-8' })
    t.strictSame(readBytes(0x22, 0xef, 0xbf, 0xbd, 0x22), { ok: true, value: '\uFFFD' })
  },
)

t.test('a limit holds for a whole text, not for one object', async (t) => {
  const limits = { maxDepth: 3, maxNames: 2, maxItems: 2 }
  const bounded = (text: string) => readStrictJson(Buffer.from(text), limits)
  t.strictSame(bounded('[{"a":1},{"b":1}]').ok, true)
  t.strictSame(bounded('[{"a":1},{"b":1,"c":1}]'), { ok: false, denial: 'too many names' })
  t.strictSame(bounded('[[1,2],[3,4]]').ok, true)
  t.strictSame(bounded('[1,2,3]'), { ok: false, denial: 'too many items' })
})
