// docs/connectors.md is what people copy from: every example loads without a warning and lets the token of its issuer in.
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { BrokerConfig } from '../../src/broker/config/broker_config.ts'
import type { ConfigLoad } from '../../src/broker/config/config_env.ts'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import type { Claims } from '../../src/core/claims.ts'
import { mapIdentity } from '../../src/core/dex/map_identity.ts'
import { PRESET_NAMES } from '../../src/core/issuer/preset.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { ALL_PRESETS, presetOf } from '../../src/core/issuer/presets.ts'
import { compilePolicy } from '../../src/core/policy/compile_policy.ts'
import { decidePolicies } from '../../src/core/policy/decide.ts'
import { changed, issuerClaims } from '../support/issuer_fixtures.ts'

const text = readFileSync(new URL('../../docs/connectors.md', import.meta.url), 'utf8')
const sections = new Map(text.split(/^## /m).map((section) => [section.split('\n', 1)[0] ?? '', section]))

/** The token that a section's example is for. */
const FIXTURES = {
  oidc: 'gitlab-user-login-idtoken',
  'gitlab-ci': 'gitlab-push-main',
  'github-actions': 'github-legacy-main',
  'forgejo-actions': 'forgejo16-immutable-main',
  'gitea-actions': 'gitea-main',
  keycloak: 'keycloak-service-account',
  kubernetes: 'k8s-projected',
  buildkite: 'buildkite',
  circleci: 'circleci',
  'azure-devops': 'azure-devops',
} as const satisfies Readonly<Record<PresetName, string>>

function load(section: string): ConfigLoad {
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(section) ?? []
  return loadNativeConfig('docs/connectors.md', yaml, {
    env: {},
    readFile: (path) => {
      throw new Error(`the example reads ${path}`)
    },
    baseDir: '/',
    randomBytes: (length) => new Uint8Array(length),
  })
}

/** What the example makes of verified claims. */
function decide(config: BrokerConfig, claims: Claims): ReturnType<typeof decidePolicies> {
  const [connector] = config.connectors
  if (connector === undefined) throw new Error('the example has no connector')
  const policies = config.policies.flatMap((policy) => {
    const compiled = compilePolicy(policy, presetOf(connector.preset))
    return compiled.ok ? [compiled.value] : []
  })
  const { id, issuer } = connector
  return decidePolicies(policies, {
    claims,
    client: 'deploy',
    connector: id,
    issuer,
    now: 0,
    named: undefined,
  })
}

for (const type of PRESET_NAMES) {
  t.test(`the example for ${type} loads without a warning and lets its job in`, async (t) => {
    const section = sections.get(type)
    if (section === undefined) throw new Error('no such section')
    const { config, findings } = load(section)
    t.same(
      findings.filter((finding) => finding.severity !== 'note'),
      [],
    )
    const [connector] = config?.connectors ?? []
    if (config === undefined || connector === undefined) throw new Error('it does not load')
    t.equal(connector.preset, type)
    const claims = issuerClaims(FIXTURES[type])
    t.equal(claims['iss'], connector.issuer)
    const audiences = [claims['aud']].flat()
    t.ok(audiences.some((audience) => typeof audience === 'string' && connector.audiences.includes(audience)))
    t.equal(presetOf(type).checkShape(claims), undefined)
    t.match(mapIdentity(claims, connector), { ok: true })
    t.match(decide(config, claims), { ok: true, value: { audiences: ['registry'] } })
    const [policy] = config.policies
    const [pin = ''] = Object.keys(policy?.claims ?? {})
    const top = pin.startsWith('/') ? (pin.split('/')[1] ?? '') : pin
    t.match(decide(config, changed(claims, { [top]: 'other' })), {
      ok: false,
      denial: { reason: 'policy_none_matched', tried: [{ step: /.+/ }] },
    })
  })
}

t.test('the table of defaults says what the types do', async (t) => {
  const rows = new Map(
    [...text.matchAll(/^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|/gm)].map(([, name, ...cells]) => [
      name,
      cells.map((cell) => cell.trim()),
    ]),
  )
  const reuse = { off: 'until `exp`', once: 'once', per_audience: 'once per audience' }
  for (const preset of ALL_PRESETS) {
    const { name, maxAgeSeconds, maxLifetimeSeconds, singleUse } = preset
    const age = maxAgeSeconds === undefined ? 'until `exp`' : durationText(maxAgeSeconds)
    t.same(rows.get(name), [age, durationText(maxLifetimeSeconds), reuse[singleUse]], name)
  }
})

t.test('each section lists the events and the immutable ids of its type', async (t) => {
  for (const preset of ALL_PRESETS) {
    const section = sections.get(preset.name) ?? ''
    const told = section.includes("as GitHub's") ? (sections.get('github-actions') ?? '') : section
    for (const event of preset.events?.allowed ?? [])
      t.ok(told.includes(`\`${event}\``), `${preset.name} ${event}`)
    for (const pin of preset.immutablePins.flat()) t.ok(section.includes(pin), `${preset.name} ${pin}`)
  }
})

function durationText(seconds: number): string {
  return seconds > 3600 ? `${seconds / 3600} h` : `${seconds / 60} min`
}
