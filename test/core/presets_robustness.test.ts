// No claim set, however mangled, makes a preset or the mapping throw: it is judged or denied.
import t from 'tap'
import type { Claims, JsonValue } from '../../src/core/claims.ts'
import { mapIdentity } from '../../src/core/dex/map_identity.ts'
import { decodeSubject, encodeSubject } from '../../src/core/dex/subject.ts'
import type { IssuerPreset } from '../../src/core/issuer/preset.ts'
import { ALL_PRESETS } from '../../src/core/issuer/presets.ts'
import { DEX_MAPPING, testConnector } from '../support/connectors.ts'
import { ISSUER_FIXTURES, changed, issuerClaims, issuerOf } from '../support/issuer_fixtures.ts'

const HOSTILE: readonly (JsonValue | undefined)[] = [
  undefined,
  null,
  true,
  false,
  0,
  -1,
  1e308,
  '',
  ' ',
  '/',
  '//',
  'a/b/c',
  'repo:',
  'project_path:',
  'org/',
  'https://',
  'https://[::1',
  'javascript:alert(1)',
  '\u0000',
  '\ud800',
  '\u202Eevil',
  'x'.repeat(5000),
  '__proto__',
  [],
  [[]],
  ['a', 1, null],
  {},
  { name: 1 },
  { namespace: 'n', serviceaccount: null },
  { namespace: 'n', serviceaccount: { name: 'a', uid: 1 } },
]

/** Claims that a mutation adds where a fixture has none. */
const EXTRA = [
  'groups',
  'typ',
  'events',
  'kubernetes.io',
  'name',
  'email',
  'email_verified',
  '__proto__',
  '/',
]

function judge(preset: IssuerPreset, claims: Claims): string | undefined {
  const shape = preset.checkShape(claims)
  const id = preset.immutableId(claims)
  const facts = preset.facts(claims, issuerOf(claims))
  const mapping = { ...DEX_MAPPING, groupsEnabled: true, groupsFilter: 'a', groupsKey: 'name' }
  const identity = mapIdentity(claims, testConnector(preset.name, { mapping }))
  const lenient = mapIdentity(claims, testConnector(preset.name))
  const flat = Object.values({ ...facts, id: id ?? '-', display: preset.displayName?.(claims) ?? '-' })
  if (!flat.every((value) => typeof value === 'string' && value !== ''))
    return 'a fact is not a non-empty string'
  if (shape !== undefined && shape.reason !== 'subject_shape_wrong')
    return `unexpected denial ${shape.reason}`
  for (const result of [identity, lenient]) {
    if (!result.ok) continue
    const sub = encodeSubject(result.value.userId, 'c')
    if (decodeSubject(sub)?.userId !== result.value.userId) return 'the user does not survive its subject'
    if (Object.values(result.value).some((value) => value === undefined)) return 'the identity has a gap'
  }
  return undefined
}

for (const fixture of ISSUER_FIXTURES) {
  t.test(`${fixture}, with any claim mangled, is judged by every preset`, async (t) => {
    const claims = issuerClaims(fixture)
    const problems = new Set<string>()
    for (const name of [...Object.keys(claims), ...EXTRA]) {
      for (const value of HOSTILE) {
        const mangled = changed(claims, { [name]: value })
        for (const preset of ALL_PRESETS) {
          const problem = judge(preset, mangled)
          if (problem !== undefined)
            problems.add(`${preset.name} ${name} ${JSON.stringify(value)}: ${problem}`)
        }
      }
    }
    t.same([...problems], [])
  })
}

t.test('an issuer that is no address leaves the source out', async (t) => {
  for (const issuer of [
    '',
    'kubernetes/serviceaccount',
    'https://',
    'ftp://git.example.test/api/actions',
    'a b',
  ]) {
    for (const preset of ALL_PRESETS) {
      t.notOk(preset.isShared(issuer), `${preset.name} ${issuer}`)
      const facts = preset.facts(changed(issuerClaims('gitlab-push-main'), { rpo_uri: undefined }), issuer)
      t.equal(facts.source, undefined, `${preset.name} ${issuer}`)
    }
  }
})

t.test('claims on a null prototype are read like any other', async (t) => {
  for (const fixture of ISSUER_FIXTURES) {
    const claims = issuerClaims(fixture)
    const bare: Claims = Object.assign(Object.create(null), claims)
    for (const preset of ALL_PRESETS) t.same(preset.checkShape(bare), preset.checkShape(claims))
  }
})
