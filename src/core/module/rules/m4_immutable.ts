// WH-M4: `immutable: true` is not taken back, and is there from the start where a policy requires it.
import type { ModuleCase } from '#core/module/module_case.ts'
import type { Finding } from '#core/module/verdict.ts'

const PATH = 'spec.moduleConfig.immutable'

export function staysImmutable({ change, policy }: ModuleCase): readonly Finding[] {
  if (change.new === undefined || change.new.config.immutable) return []
  if (change.old?.config.immutable === true) {
    const message = 'this Module is immutable and would stop being so'
    return [{ rule: 'WH-M4', kind: 'forbidden', path: PATH, message, wayOut: 'leave immutable: true' }]
  }
  if (change.old !== undefined) return []
  if (policy?.immutability === 'required') {
    const message = 'the policy requires immutable Modules, and this one does not say so'
    return [{ rule: 'WH-M4', kind: 'invalid', path: PATH, message, wayOut: 'write immutable: true' }]
  }
  const message = 'this Module does not say immutable: true, so its published versions can be replaced'
  return [{ rule: 'WH-M4', kind: 'notice', path: PATH, message, wayOut: '' }]
}
