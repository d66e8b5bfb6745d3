import t from 'tap'
import { readCredentials } from '../../src/core/oauth/credentials.ts'
import { parseForm } from '../../src/core/oauth/form.ts'
import { JWT_BEARER_ASSERTION } from '../../src/core/oauth/names.ts'

function read(authorization: readonly string[], body: string) {
  const form = parseForm(body)
  if (!form.ok) throw new Error('the form is valid')
  return readCredentials(authorization, form.value)
}

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`
const secret = (clientId: string, value: string) => ({
  ok: true as const,
  value: { kind: 'secret' as const, clientId, secret: value },
})
const assertion = `client_assertion_type=${encodeURIComponent(JWT_BEARER_ASSERTION)}&client_assertion=x.y.z`

t.test('Basic, the form, and nothing', async (t) => {
  t.same(read([basic('ci:s')], ''), secret('ci', 's'))
  t.same(read(['bAsIc Y2k6cw=='], ''), secret('ci', 's'), 'the scheme has no case')
  t.same(read([], 'client_id=ci&client_secret=s'), secret('ci', 's'))
  t.same(read([], 'client_id=ci'), secret('ci', ''))
  t.same(read([], ''), secret('', ''))
  t.same(
    read([basic('ci:s')], 'client_id=ci'),
    secret('ci', 's'),
    'the same id beside Basic is no second credential',
  )
})

t.test('the first colon parts id and secret; both are form-decoded', async (t) => {
  t.same(read([basic('ci:a:b')], ''), secret('ci', 'a:b'))
  t.same(read([basic('dex-client-x%3Ans:a+b%25')], ''), secret('dex-client-x:ns', 'a b%'))
  t.same(read([basic(':')], ''), secret('', ''))
  t.same(read([basic('dex-client-x@ns:s')], ''), secret('dex-client-x@ns', 's'))
})

const raw = (bytes: readonly number[]) => `Basic ${Buffer.from(bytes).toString('base64')}`

t.test('halves that are no UTF-8 are nobody, and not all the same one', async (t) => {
  t.same(read([raw([0xff, 0x3a, 0x73])], ''), { ok: false, denial: { reason: 'client_id_encoding' } })
  t.same(read([raw([0x63, 0x3a, 0xff])], ''), { ok: false, denial: { reason: 'client_secret_encoding' } })
  t.same(
    read([raw([0x63, 0x3a, 0xef, 0xbf, 0xbd])], ''),
    secret('c', '\ufffd'),
    'U+FFFD itself is a character',
  )
})

t.test('what is no Basic header falls back to the form, as in Dex', async (t) => {
  for (const header of [
    '',
    'Basic',
    'Basic ',
    'Basic Y2k6cw',
    'Basic Y2k6c===',
    'Basic a b',
    basic('nocolon'),
    'Bearer Y2k6cw==',
  ])
    t.same(read([header], 'client_id=ci&client_secret=s'), secret('ci', 's'), header)
})

t.test('a bad escape says which half', async (t) => {
  t.match(read([basic('%zz:%zz')], ''), { ok: false, denial: { reason: 'client_id_encoding' } })
  t.match(read([basic('ci:%zz')], ''), { ok: false, denial: { reason: 'client_secret_encoding' } })
})

const TWICE: readonly (readonly [readonly string[], string])[] = [
  [[basic('ci:s'), basic('ci:s')], ''],
  [['', ''], ''],
  [[basic('ci:s')], 'client_secret=s'],
  [[basic('ci:s')], 'client_id=other'],
  [[basic('ci:s')], 'client_id='],
  [[basic('ci:s')], assertion],
  [[], `client_id=ci&client_secret=s&${assertion}`],
]
for (const [headers, body] of TWICE) {
  t.test(
    `two credentials are refused: ${headers.length} headers, form ${JSON.stringify(body.slice(0, 30))}`,
    async (t) => {
      t.match(read(headers, body), { ok: false, denial: { reason: 'credentials_repeated' } })
    },
  )
}

t.test('an assertion needs its type and a value', async (t) => {
  t.match(read([], `client_id=ci&${assertion}`), {
    ok: true,
    value: { kind: 'assertion', clientId: 'ci', assertion: 'x.y.z' },
  })
  for (const body of [
    'client_assertion=x',
    `client_assertion_type=${JWT_BEARER_ASSERTION}`,
    'client_assertion=x&client_assertion_type=y',
  ])
    t.match(read([], body), { ok: false, denial: { reason: 'form_malformed' } })
})
