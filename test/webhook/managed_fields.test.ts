import t from 'tap'
import { withoutManagedFields } from '../../webhook/review/managed_fields.ts'
import { RECORDED_REVIEWS, recordedReview } from '../support/admission_reviews.ts'

/** What it must come to, by walking the parsed value. */
function emptied(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(emptied)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === 'managedFields' && Array.isArray(inner) ? [] : emptied(inner),
    ]),
  )
}

/** As Go writes it: no blanks. */
function through(value: unknown): unknown {
  return JSON.parse(cut(JSON.stringify(value)))
}

function cut(text: string): string {
  return Buffer.from(withoutManagedFields(Buffer.from(text))).toString()
}

t.test('recorded reviews lose their managedFields and nothing else', async (t) => {
  let shorter = 0
  for (const name of RECORDED_REVIEWS) {
    const review = recordedReview(name)
    t.strictSame(through(review), emptied(review), name)
    const text = JSON.stringify(review)
    if (cut(text).length < text.length) shorter += 1
  }
  t.ok(shorter > 20, 'nearly all have some')
})

const tricky: readonly (readonly [string, unknown])[] = [
  ['text that looks like the field', { a: '"managedFields":[1,2]', b: ',"managedFields":[' }],
  ['a key that ends like the field', { 'x,"managedFields': [1], 'y\\"managedFields': [2] }],
  ['a text that ends with a comma before the field', { a: 'x,', managedFields: ['{'] }],
  [
    'brackets and quotes inside of texts',
    { managedFields: [{ 'k:{"version":"]}"}': ['\\', '\\"', '[{'] }], z: 1 },
  ],
  ['a list in a list', { managedFields: [[['x'], []], { managedFields: [1] }], z: [{ managedFields: [] }] }],
  ['backslashes at the end of a text', { managedFields: ['a\\', 'b\\\\', '"\\"'], z: '\\' }],
  ['a field that is no list', { managedFields: { a: [1] }, b: { managedFields: 'x' } }],
  ['characters of several bytes', { 'é,': 'ü', managedFields: ['\u{1f980}"]', 'ß'], z: '\u{1f980}' }],
  ['two of them', [{ managedFields: [1] }, { managedFields: [2] }, 'managedFields']],
]
for (const [name, value] of tricky)
  t.test(`${name} stays what it is`, async (t) => {
    t.strictSame(through(value), emptied(value))
  })

t.test('what is no JSON does not become some', async (t) => {
  const broken = [
    '{"managedFields":[',
    '{"managedFields":["a]}',
    '{"managedFields":[}',
    '{"managedFields":[1]',
    '{"a":"x,"managedFields":[1]}',
    '{"managedFields":[{]}',
  ]
  for (const text of broken) t.throws(() => void JSON.parse(cut(text)), SyntaxError, text)
})
