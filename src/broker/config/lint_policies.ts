// Runs the policy lint of core over the policies of a file and gives its problems their places.
import type { PresetName } from '#core/issuer/preset.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { lintPolicy } from '#core/policy/lint.ts'
import type { PolicySource } from '#core/policy/trust_policy.ts'
import type { Finding } from '#platform/config/finding.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { YamlDocument, YamlPath } from '#platform/config/yaml_document.ts'

export type PlacedPolicy = { readonly path: YamlPath; readonly value: PolicySource }
export type LintedConnector = { readonly id: string; readonly preset: PresetName; readonly issuer: string }

/** Problems of every policy whose connector is there. */
export function lintPolicies(
  document: YamlDocument,
  policies: readonly PlacedPolicy[],
  connectors: readonly LintedConnector[],
): Finding[] {
  const byId = new Map(connectors.map((connector) => [connector.id, connector]))
  return policies.flatMap(({ path, value }) => {
    const connector = byId.get(value.connector)
    if (connector === undefined) return []
    return lintPolicy(value, presetOf(connector.preset), connector.issuer).map((problem) => {
      const at = [...path, ...problem.keys]
      const { severity, code, message, wayOut } = problem
      return { severity, code, path: pathText(at), message, wayOut, place: document.placeOf(at) }
    })
  })
}
