// What generated policies leave to the webhook, in words, one line each: for the top of the file and for whoever makes it.
import type { NamedPolicy } from '#core/module/policy_choice.ts'

/** Whatever the policies are. */
export const ALWAYS_LEFT: readonly string[] = [
  'WH-V2, WH-M13, a late pin of WH-P2, the first publisher of WH-P1, and under WH-V1, WH-V9, WH-M2, WH-M6 and WH-M12 versions that are not listed any more or were immutable before: what was published before is not in the object',
  'WH-M10, Namespaces and the number of versions under WH-M15, what the Module of a Version says and lists (WH-S2, WH-S5, WH-S6, WH-M14): it is about another object',
  'what the ledger has room for under WH-V11: it is not in the object',
  'WH-O1, WH-O2, WH-O3: policies are compared with policies',
  'WH-G1, WH-G2: an expression of another language is not read by one',
]

/** In the order of the policies. */
export function leftToTheWebhook(policies: readonly NamedPolicy[]): readonly string[] {
  return policies.flatMap(({ name, spec }) => {
    const excepted = spec.exceptions.map(
      ({ rules, modules }) =>
        `${rules.join(', ')} of ${modules.join(', ')} (policy ${name}): an expression knows no time, and the exception ends`,
    )
    const labels = [...spec.selector.labels].map(([key, value]) => `${key}=${value}`)
    const versions = `what policy ${name} alone says of Versions (WH-S, of Modules with ${labels.join(', ')}): a Version does not show the labels of its Module, so it is held as loosely as any policy of labels there holds it, or none`
    return labels.length === 0 ? excepted : [...excepted, versions]
  })
}
