// ModulePolicies that stand among the reviewed files.
import { readModulePolicy } from '#core/module/read_module_policy.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import { isSameObject } from './pairing.ts'
import type { Pairing } from './pairing.ts'

/**
 * Of a policy that changes both states: which of policy and Modules is applied first is not known, so neither a new policy
 * excuses what comes with it, nor does a deleted one.
 */
export function policiesOf(pairings: readonly Pairing[]): readonly NamedPolicy[] {
  const objects = pairings
    .filter(({ key }) => key.startsWith('modulepolicies/'))
    .flatMap(({ before, after }) =>
      before.concat(after.filter((fresh) => !before.some((stored) => isSameObject(stored, fresh)))),
    )
  return objects.flatMap(({ data }) => {
    const policy = readModulePolicy(data)
    return policy.ok ? [policy.value] : []
  })
}
