import t from 'tap'
import { decode, isMalformedQuery, parseForm } from '../../src/core/oauth/form.ts'

const valid = 'grant_type=client_credentials&scope=openid+profile&audience=a'

t.test('a form is read as urlencoded text', async (t) => {
  const form = parseForm(`${valid}&audience=b&empty=&x=%E2%82%AC%26`)
  t.ok(form.ok)
  if (!form.ok) return
  t.equal(form.value.get('grant_type'), 'client_credentials')
  t.equal(form.value.get('scope'), 'openid profile')
  t.equal(form.value.get('x'), '€&')
  t.equal(form.value.get('absent'), '')
  t.same([form.value.has('empty'), form.value.has('absent')], [true, false])
  t.same(form.value.all('audience'), ['a', 'b'])
  t.same(form.value.all('resource'), [])
  t.equal(form.value.isEmpty, false)
})

t.test('no body, and separators alone, are an empty form', async (t) => {
  for (const body of ['', '&', '&&&']) t.match(parseForm(body), { ok: true, value: { isEmpty: true } })
})

t.test(
  'scopes that were read before are read as they were the first time, and bad ones refused again',
  async (t) => {
    for (let time = 0; time < 3; time += 1) {
      const form = parseForm('scope=openid+audience%3Aserver%3Aclient_id%3Akubernetes')
      t.equal(form.ok && form.value.get('scope'), 'openid audience:server:client_id:kubernetes')
      t.match(parseForm('scope=openid%zz'), { ok: false, denial: { reason: 'form_malformed' } })
    }
    for (let count = 0; count < 200; count += 1) {
      const form = parseForm(`x=1&scope=a%3A${count}&y`)
      t.equal(form.ok && form.value.get('scope'), `a:${count}`)
    }
  },
)

t.test('only audience and resource may stand more than once', async (t) => {
  t.match(parseForm(`${valid}&scope=x`), {
    ok: false,
    denial: { reason: 'parameter_repeated', name: 'scope' },
  })
  t.match(parseForm(`${valid}&sc%6Fpe=x`), { ok: false, denial: { name: 'scope' } }, 'in any spelling')
  t.match(parseForm('scope&scope'), { ok: false, denial: { name: 'scope' } })
  t.match(parseForm(`${valid}&resource=x&resource=x`), { ok: true })
  t.match(parseForm(`${valid}&SCOPE=x`), { ok: true }, 'names have their case')
})

const MALFORMED = [
  'a=%',
  'a=%2',
  'a=%zz',
  '%zz=a',
  'a=%ff',
  'a=%c3%28',
  'a=%ed%a0%80',
  'a;b=c',
  `${'n'.repeat(65)}=1`,
]
for (const body of MALFORMED) {
  t.test(`${JSON.stringify(body.slice(0, 12))} is malformed`, async (t) => {
    t.match(parseForm(body), { ok: false, denial: { reason: 'form_malformed' } })
  })
}

function formOf(count: number): string {
  return Array.from({ length: count }, (_, index) => `p${index}=1`).join('&')
}

t.test('64 parameters are read, 65 are not', async (t) => {
  t.equal(parseForm(formOf(64)).ok, true)
  t.match(parseForm(formOf(65)), { ok: false, denial: { reason: 'form_malformed' } })
})

t.test('names of objects are parameters like any other', async (t) => {
  const form = parseForm('__proto__=1&constructor=2&hasOwnProperty=3')
  t.match(form, { ok: true })
  if (form.ok) t.equal(form.value.get('__proto__'), '1')
  if (form.ok) t.equal(form.value.get('toString'), '')
})

t.test('a query string fails where Go’s parser does', async (t) => {
  for (const query of ['a;b', 'a=%zz']) t.equal(isMalformedQuery(query), true)
  for (const query of ['', 'a=1&a=2', 'a=%20', '&']) t.equal(isMalformedQuery(query), false)
})

t.test('a component decodes + to a space, once', async (t) => {
  t.equal(decode('a+b%2Bc'), 'a b+c')
  t.equal(decode('%2520'), '%20')
  t.equal(decode('%'), undefined)
})
