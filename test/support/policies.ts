// One valid policy for each forge and the claims of a job that holds it. A test changes one thing.
import { readFileSync } from 'node:fs'
import type { Claims } from '../../src/core/claims.ts'
import { presetOf } from '../../src/core/issuer/presets.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { compilePolicy } from '../../src/core/policy/compile_policy.ts'
import type { CompiledPolicy } from '../../src/core/policy/compile_policy.ts'
import type { PolicyInput } from '../../src/core/policy/decide.ts'
import type { ClaimPin, GrantSource, PolicySource } from '../../src/core/policy/trust_policy.ts'

/** Seconds: inside the life of every fixture. */
export const NOW = 1795219210_000

export function fixtureClaims(name: string): Claims {
  return JSON.parse(readFileSync(new URL(`../fixtures/issuers/${name}.json`, import.meta.url), 'utf8'))
}

export const grantOf = (over: Partial<GrantSource> = {}): GrantSource => ({
  audiences: ['kubernetes'],
  groups: ['ci:deployers'],
  groupsFrom: undefined,
  username: undefined,
  claims: {},
  scopes: undefined,
  ttlSeconds: undefined,
  singleUse: undefined,
  ...over,
})

export const policyOf = (over: Partial<PolicySource> = {}): PolicySource => ({
  name: 'deploy',
  connector: 'forge',
  clients: undefined,
  claims: { repository_id: exact('739500857') },
  condition: undefined,
  events: undefined,
  disabled: false,
  notAfter: undefined,
  grant: grantOf(),
  ...over,
})

export function exact(value: string | number | boolean): ClaimPin {
  return { kind: 'exact', value }
}

export function compiledOf(source: PolicySource, preset: PresetName = 'github-actions'): CompiledPolicy {
  const compiled = compilePolicy(source, presetOf(preset))
  if (compiled.ok) return compiled.value
  throw new Error(compiled.denial.map((problem) => `${problem.path}: ${problem.message}`).join('\n'))
}

export const inputOf = (claims: Claims, over: Partial<PolicyInput> = {}): PolicyInput => ({
  claims,
  client: 'ci',
  connector: 'forge',
  issuer: 'https://forge.example.test',
  now: NOW,
  named: undefined,
  ...over,
})
