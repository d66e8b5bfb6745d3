// WH-G1: a condition that does not compile is refused when it is written, because OpenDepot meets it when somebody asks,
// and from then on refuses everybody whom no binding with a smaller name admitted. WH-G2: a pattern that matches nothing.
import { problemOfGroupExpression } from '#core/group_binding/group_expression.ts'
import { goPatternProblem } from '#core/group_binding/go_pattern.ts'
import type { GroupBindingChange } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { listed, quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function groupBinding(change: GroupBindingChange, facts: LedgerFacts): readonly Finding[] {
  return [...brokenCondition(change, facts), ...deadPatterns(change)]
}

const MAX_NAMED = 5

function brokenCondition(change: GroupBindingChange, facts: LedgerFacts): readonly Finding[] {
  const expression = change.new?.expression
  // Whoever changes something else of a binding that is broken already makes nothing worse.
  if (expression === undefined || expression === change.old?.expression) return []
  const problem = problemOfGroupExpression(expression)
  if (problem === undefined) return []
  const { message, line, column } = problem
  const place = line === 1 ? `column ${column}` : `line ${line}, column ${column}`
  return [
    {
      rule: 'WH-G1',
      kind: 'invalid',
      path: 'spec.expression',
      message: `${quoted(expression)} does not compile at ${place}: ${printed(message)}; ${shadowText(change, facts)}`,
      wayOut: `write an expr-lang condition on groups, such as '"platform-team" in groups'`,
    },
  ]
}

/** An error message quotes the expression. */
function printed(message: string): string {
  return quoted(message).slice(1, -1)
}

/** OpenDepot asks the bindings in the order of their names and stops at the first that is broken. */
function shadowText({ name }: GroupBindingChange, { groupBindings }: LedgerFacts): string {
  const after = groupBindings.filter((other) => other > name).sort()
  if (after.length === 0) return 'everybody whom no other binding admits would be refused for it'
  return `it would shadow ${listed(after, MAX_NAMED)}: nobody would be admitted by what comes after it`
}

function deadPatterns({ old, new: binding }: GroupBindingChange): readonly Finding[] {
  if (binding === undefined) return []
  // Sets: a binding may have thousands of either.
  const stored = { globs: new Set(old?.moduleResources), names: new Set(old?.providerResources) }
  const globs = binding.moduleResources.flatMap((pattern, index): Finding[] => {
    const problem = stored.globs.has(pattern) ? undefined : goPatternProblem(pattern)
    if (problem === undefined) return []
    return [
      {
        rule: 'WH-G2',
        kind: 'invalid',
        path: `spec.moduleResources[${index}]`,
        message: `${quoted(pattern)} is no pattern: ${problem}, so it matches no Module`,
        wayOut: 'write a name, or a pattern with *, ? or [a-z]',
      },
    ]
  })
  const names = binding.providerResources.flatMap((name, index): Finding[] => {
    if (name === '*' || !/[*?[]/.test(name) || stored.names.has(name)) return []
    return [
      {
        rule: 'WH-G2',
        kind: 'notice',
        path: `spec.providerResources[${index}]`,
        message: `${quoted(name)} is no pattern here: it means a Provider of exactly that name`,
        wayOut: 'name each Provider, or write * for all of them',
      },
    ]
  })
  return [...globs, ...names]
}
