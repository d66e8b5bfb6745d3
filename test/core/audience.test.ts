import t from 'tap'
import { resolveAudiences } from '../../src/core/audience.ts'
import type { Audience } from '../../src/core/audience.ts'
import type { Client } from '../../src/core/client.ts'

const ci: Client = {
  id: 'ci',
  name: 'CI',
  auth: { method: 'none' },
  grants: undefined,
  connectors: [],
  defaultAudiences: [],
  subject: 'dex',
  groups: [],
  ttlSeconds: undefined,
}
const audience = (id: string, over: Partial<Audience> = {}): [string, Audience] => [
  id,
  { id, profile: 'dex', trustedPeers: ['ci'], resources: [], maxTtlSeconds: undefined, ...over },
]
const table = new Map([
  audience('kubernetes'),
  audience('registry', { maxTtlSeconds: 60 }),
  audience('prod', { profile: 'kubernetes', maxTtlSeconds: 900 }),
  audience('prod-2', { profile: 'kubernetes' }),
  audience('api', { profile: 'rfc9068' }),
  audience('other-api', { profile: 'rfc9068' }),
  audience('other', { trustedPeers: [] }),
])

t.test('a client may name an audience that trusts it', async (t) => {
  t.match(resolveAudiences(['kubernetes'], ci, table), {
    ok: true,
    value: { audiences: ['kubernetes'], profile: 'dex' },
  })
})

t.test('every audience that does not trust the client is reported and none is dropped', async (t) => {
  t.match(resolveAudiences(['kubernetes', 'other', 'nobody'], ci, table), {
    ok: false,
    denial: { reason: 'audience_not_trusted', refused: ['other', 'nobody'] },
  })
})

t.test('a client trusts itself without being listed', async (t) => {
  t.match(resolveAudiences(['ci', 'kubernetes'], ci, table), {
    ok: true,
    value: { audiences: ['ci', 'kubernetes'] },
  })
})

t.test('audiences of two profiles do not fit in one token', async (t) => {
  t.match(resolveAudiences(['kubernetes', 'prod'], ci, table), {
    ok: false,
    denial: { reason: 'audience_profiles_mixed', profiles: ['dex', 'kubernetes'] },
  })
})

function named(...ids: readonly string[]): unknown {
  const target = resolveAudiences(ids, ci, table)
  return target.ok ? target.value.audiences : target.denial
}

t.test('an audience that is named twice stands once, except where Dex says it twice', async (t) => {
  t.same(named('prod', 'prod'), ['prod'])
  t.same(named('api', 'other-api', 'api'), ['api', 'other-api'])
  t.same(named('kubernetes', 'kubernetes'), ['kubernetes', 'kubernetes'])
  t.match(named('prod', 'prod-2', 'prod'), { reason: 'audience_profiles_mixed' })
})

t.test(
  "a request without audiences gets the client's defaults and the shortest of their lifetimes",
  async (t) => {
    const withDefaults = { ...ci, defaultAudiences: ['kubernetes', 'registry'] }
    t.match(resolveAudiences([], withDefaults, table), {
      ok: true,
      value: { audiences: ['kubernetes', 'registry'], maxTtlSeconds: 60 },
    })
  },
)
