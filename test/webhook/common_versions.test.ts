import { array, constantFrom, nat, oneof, option, record, string, tuple } from 'fast-check'
import t from 'tap'
import { parseWithCommonVersions } from '../../webhook/review/common_versions.ts'
import { holdsForAll } from '../fuzz/property.ts'
import { RECORDED_REVIEWS, recordedReview } from '../support/admission_reviews.ts'

/** Whatever is common, however short, is parsed once. */
const ALWAYS = { worthIt: 1, step: 3 }

type Entries = readonly unknown[]

function versions(count: number): Entries {
  return Array.from({ length: count }, (_, index) => ({ version: `1.0.${index}` }))
}

function update(before: unknown, after: unknown): Record<string, unknown> {
  return { request: { uid: 'u', object: listing(after), oldObject: listing(before) } }
}

function listing(list: unknown): object {
  return { metadata: { name: 'vpc' }, spec: { moduleConfig: {}, versions: list } }
}

function isShared(value: unknown): boolean {
  const request = Object(value).request
  return request.object.spec.versions[0] === request.oldObject.spec.versions[0]
}

t.test('entries that both lists begin with are parsed once', async (t) => {
  const text = JSON.stringify(update(versions(20), versions(21)))
  const value = parseWithCommonVersions(text, ALWAYS)
  t.strictSame(value, JSON.parse(text))
  t.ok(isShared(value))
})

t.test('of a list that stays as it is all but the last are', async (t) => {
  const text = JSON.stringify(update(versions(20), versions(20)))
  const value = parseWithCommonVersions(text, ALWAYS)
  t.strictSame(value, JSON.parse(text))
  t.ok(isShared(value))
})

t.test('short lists are parsed as they are', async (t) => {
  const text = JSON.stringify(update(versions(20), versions(21)))
  t.notOk(isShared(parseWithCommonVersions(text)))
})

t.test('long lists are parsed once without being asked to', async (t) => {
  const text = JSON.stringify(update(versions(5000), versions(5001)))
  const value = parseWithCommonVersions(text)
  t.strictSame(value, JSON.parse(text))
  t.ok(isShared(value))
})

const MARK = 'sallyport.dev what both lists begin with'
const ten = versions(10)
const eleven = versions(11)
const tricky: readonly (readonly [string, unknown])[] = [
  ['a list that is not there before', update(undefined, ten)],
  ['lists that begin differently', update(ten, [{ version: '0.1.0' }, ...ten])],
  [
    'entries with lists inside',
    update([{ a: [{ b: 1 }, { b: 2 }] }, ...ten], [{ a: [{ b: 1 }, { b: 2 }] }, ...eleven]),
  ],
  [
    'texts that look like the space between entries',
    update([{ a: 'x},{y' }, { a: 'x},{z' }], [{ a: 'x},{y' }, { a: 'x},{w' }]),
  ],
  ['texts that look like the end', update([{ a: '}]' }, ...ten], [{ a: '}]' }, ...eleven])],
  ['entries that are no objects', update([1, [{}], {}, {}, 2], [1, [{}], {}, {}, 3])],
  ['a third list of that name', { ...update(ten, eleven), versions: ten }],
  [
    'lists of that name elsewhere',
    {
      request: {
        object: { spec: { config: { versions: ten } } },
        oldObject: { spec: { config: { versions: eleven } } },
      },
    },
  ],
  [
    'one of them elsewhere',
    { request: { object: { spec: { versions: ten } }, oldObject: { status: { versions: eleven } } } },
  ],
  ['two in one object', { request: { object: { spec: { versions: ten }, status: { versions: eleven } } } }],
  ['a text that is the mark', update([MARK, ...ten], [MARK, ...eleven])],
  ['the mark in the object', { ...update(ten, eleven), mark: MARK }],
  [
    'objects without a spec',
    { request: { object: null, oldObject: [{ versions: ten }, { versions: eleven }] } },
  ],
]
for (const [name, value] of tricky)
  t.test(`${name}: the value is the one that JSON has`, async (t) => {
    const text = JSON.stringify(value)
    t.strictSame(parseWithCommonVersions(text, ALWAYS), JSON.parse(text))
  })

t.test('of two fields of one name the last one counts, as in JSON', async (t) => {
  const [one, other] = [JSON.stringify(ten), JSON.stringify(eleven)]
  const texts = [
    `{"request":{"object":{"spec":{"versions":${one},"versions":${other}}},"oldObject":{"spec":{"versions" :${one}}}}}`,
    `{"request":{"object":{"spec":{"versions":${one}}},"object":{"spec":{"versions":${other}}},"oldObject":{}}}`,
    `{"request":{"object":{"spec":{"versions":${one}}},"oldObject":{"spec":{"versions":${other}}},"object":{"spec":{"versions" :["${MARK}"]}}}}`,
    `{"request":{"object":{"spec":{"versions":${one}}},"oldObject":{"spec":{"versions":${other}}},"object":{"spec":{"versions" :["s\\u0061llyport.dev what both lists begin with",1]}}}}`,
  ]
  for (const text of texts) t.strictSame(parseWithCommonVersions(text, ALWAYS), JSON.parse(text), text)
})

t.test('a list of nothing but versions is refused for what JSON refuses', async (t) => {
  const lists = [
    '{"version":"}',
    '{"version":"1\n0"}',
    '{"version":"1\u00000"}',
    '{"version":"1"0"}',
    '{"version":"1.0.0"',
  ]
  for (const list of lists) {
    const text = `{"request":{"object":{"spec":{"versions":[${list},{"version":"1"}]}},"oldObject":{"spec":{"versions":[${list},{"version":"1"}]}}}}`
    t.throws(() => parseWithCommonVersions(text, ALWAYS), SyntaxError, JSON.stringify(list))
  }
})

t.test('recorded reviews are what JSON says', async (t) => {
  for (const name of RECORDED_REVIEWS) {
    const text = JSON.stringify(recordedReview(name))
    t.strictSame(parseWithCommonVersions(text, ALWAYS), JSON.parse(text), name)
  }
})

const text = string({ unit: constantFrom('{', '}', '[', ']', ',', '"', '\\', 'x', 'versions') })
const anyEntry = oneof(
  record({ version: text }),
  record({ version: constantFrom('1.0.0', '1.1.0') }),
  record({ version: text, versions: array(record({ a: text })) }),
  text,
  array(record({ a: text })),
)
const plainEntry = record({ version: constantFrom('1.0.0', '1.1.0', '', '1.0.0-é') })

for (const [kind, entry] of [
  ['whatever the lists have', anyEntry],
  ['of lists of nothing but versions', plainEntry],
] as const)
  t.test(`${kind}, whatever is cut or put between, it is what JSON says`, async (t) => {
    const lists = tuple(array(entry, { minLength: 2 }), array(entry), array(entry))
    const put = oneof(text, constantFrom('\n', '\u0000', '\t', '\\n', '"}', '{"version":"', ',', '\u007f'))
    const damage = option(record({ thousandth: nat(999), cut: nat(4), put }))
    let shared = 0
    holdsForAll(t, 5000, tuple(lists, damage), ([[both, before, after], damaged]) => {
      const whole = JSON.stringify(update([...both, ...before], [...both, ...after]))
      // The same damage to both lists keeps it in what they have in common.
      const damagedOnce = (part: string): string => {
        if (damaged === null) return part
        const at = Math.floor((damaged.thousandth / 1000) * part.length)
        return part.slice(0, at) + damaged.put + part.slice(at + damaged.cut)
      }
      const inBoth = JSON.stringify(both).slice(1, -1)
      for (const written of [damagedOnce(whole), whole.replaceAll(inBoth, () => damagedOnce(inBoth))]) {
        const wanted = parsed(() => JSON.parse(written))
        const got = parsed(() => parseWithCommonVersions(written, ALWAYS))
        if (JSON.stringify(got) !== JSON.stringify(wanted)) throw new Error(written)
        if (got !== undefined && damaged === null && isShared(got)) shared += 1
      }
    })
    t.ok(shared > 100, `${shared} of them were parsed once`)
  })

function parsed(parse: () => unknown): unknown {
  try {
    return parse()
  } catch {
    return undefined
  }
}
