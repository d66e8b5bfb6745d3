// What generated policies leave to the webhook, in words, one line each: for the top of the file and for whoever makes it.
import type { NamedPolicy } from '#core/module/policy_choice.ts'

/** In the order of the policies. */
export function leftToTheWebhook(policies: readonly NamedPolicy[]): readonly string[] {
  return policies.flatMap(({ name, spec }) => {
    const excepted = spec.exceptions.map(
      ({ rules, modules }) =>
        `${rules.join(', ')} of ${modules.join(', ')} (policy ${name}): an expression knows no time, and the exception ends`,
    )
    const labels = [...spec.selector.labels].map(([key, value]) => `${key}=${value}`)
    const versions = `Versions of Modules with ${labels.join(', ')} (policy ${name}): a Version does not show the labels of its Module`
    return labels.length === 0 ? excepted : [...excepted, versions]
  })
}
