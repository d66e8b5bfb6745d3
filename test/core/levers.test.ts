// What a lever means for a token that was issued.
import t from 'tap'
import {
  Levers,
  NO_LEVERS,
  denialEnds,
  deniedThrough,
  issuedFor,
  tokenDenialEnds,
} from '../../src/core/levers.ts'
import type { Lever, LeverName } from '../../src/core/levers.ts'

const AT = Date.UTC(2026, 10, 21, 12)
const SECONDS = AT / 1000
const TOKEN = { jti: 'j1', client_id: 'ci', policy: 'acme-main', iat: SECONDS - 10 }

function pulled(name: LeverName): Lever {
  return { ...name, at: AT, until: undefined, by: 'me', why: '' }
}

function denying(kind: 'token' | 'client' | 'policy', id: string): Levers {
  return new Levers([pulled({ action: 'deny', kind, id })])
}

t.test('with nothing pulled nothing is denied or switched off', async (t) => {
  t.equal(NO_LEVERS.denialOf(TOKEN), undefined)
  t.equal(NO_LEVERS.disabled('client').size, 0)
})

t.test('a token is denied by its jti, its client or its policy, and the event says which', async (t) => {
  for (const [kind, id] of [
    ['token', 'j1'],
    ['client', 'ci'],
    ['policy', 'acme-main'],
  ] as const) {
    t.same(denying(kind, id).denialOf(TOKEN), { reason: 'token_denied', by: kind, id, jti: 'j1' })
    t.equal(denying(kind, 'another').denialOf(TOKEN), undefined, kind)
  }
})

t.test('what is switched off is not denied, and the other way round', async (t) => {
  const off = new Levers([pulled({ action: 'disable', kind: 'client', id: 'ci' })])
  t.equal(off.denialOf(TOKEN), undefined)
  t.same([...off.disabled('client')], ['ci'])
  t.same([...off.disabled('policy')], [])
  t.same([...denying('client', 'ci').disabled('client')], [])
})

t.test('denying a client denies what was issued until a minute later, and nothing younger', async (t) => {
  for (const [kind, id] of [
    ['client', 'ci'],
    ['policy', 'acme-main'],
  ] as const) {
    const levers = denying(kind, id)
    t.ok(levers.denialOf({ ...TOKEN, iat: SECONDS + 60 }), kind)
    t.notOk(levers.denialOf({ ...TOKEN, iat: SECONDS + 61 }), kind)
    t.ok(levers.denialOf({ ...TOKEN, iat: 'later' }), 'what does not say when it was issued is denied')
  }
  t.ok(
    denying('token', 'j1').denialOf({ ...TOKEN, iat: SECONDS + 9999 }),
    'a token is denied by its id alone',
  )
})

t.test(
  'a denial is forgotten only after the last token that it concerns has expired everywhere',
  async (t) => {
    const longest = 3600
    t.ok(denialEnds(AT, longest) >= deniedThrough(AT) + longest * 1000 + 60_000)
    t.equal(tokenDenialEnds(SECONDS), AT + 60_000)
  },
)

t.test('whose token it is stands in client_id, in azp, or is its only audience', async (t) => {
  for (const [claims, client] of [
    [{ client_id: 'ci', azp: 'x', aud: 'app' }, 'ci'],
    [{ azp: 'ci', aud: ['app', 'ci'] }, 'ci'],
    [{ aud: 'ci' }, 'ci'],
    [{ aud: ['ci'] }, 'ci'],
    [{ aud: ['app', 'ci'] }, undefined],
    [{ azp: 'ci', aud: 'kubernetes', token_use: 'kube' }, 'ci'],
    [{ aud: 'kubernetes', token_use: 'kube' }, undefined],
  ] as const)
    t.equal(issuedFor(claims), client)
})
