// How strictly a rule holds under a policy: its mode there, and the exceptions that turn a refusal into a warning for a while.
import type { Change } from './change.ts'
import type { LedgerFacts } from './ledger.ts'
import type { ModulePolicySpec, PolicyException } from './module_policy.ts'
import type { RuleId } from './rule_id.ts'
import type { Finding, Mode } from './verdict.ts'

/** As the policy has it. What changes no content is only written down; who publishes is only told until a policy says who may. */
export function modeOf(rule: RuleId, policy: ModulePolicySpec | undefined): Mode {
  const chosen = policy?.modes[rule]
  if (chosen !== undefined) return chosen
  if (rule === 'WH-M8') return 'audit'
  return rule === 'WH-P1' && policy === undefined ? 'warn' : 'enforce'
}

export type Ruled = Pick<Finding, 'rule' | 'version'>

export function exceptionFor(
  { rule, version }: Ruled,
  change: Change,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
): PolicyException | undefined {
  return policy?.exceptions.find(
    ({ rules, modules, versions, untilSeconds }) =>
      rules.includes(rule) &&
      modules.includes(moduleKey(change, rule, ledger)) &&
      (versions.length === 0 || (version !== undefined && versions.includes(version))) &&
      change.atSeconds < untilSeconds,
  )
}

/**
 * `namespace/name` of the Module, the Provider or the Depot, that exceptions name. An exception for the publisher of a Module is
 * none for a Depot that somebody gives its name: that one publishes whatever it lists.
 */
function moduleKey(change: Change, rule: RuleId, ledger: LedgerFacts): string {
  if (change.resource === 'depots' && rule === 'WH-P1') return ''
  if (change.resource !== 'versions') return `${change.namespace}/${change.name}`
  const owner = (ledger.module ?? ledger.provider)?.meta.name
  return `${change.namespace}/${owner ?? (change.old ?? change.new)?.moduleConfig?.name ?? ''}`
}
