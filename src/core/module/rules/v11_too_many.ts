// WH-V11: as many versions as every door can judge in its budget, and an object can hold.
import { kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { Finding } from '#core/module/verdict.ts'

/** A ValidatingAdmissionPolicy over more is refused for its cost (Kubernetes 1.34, measured between 300 and 800). */
const MAX_VERSIONS = 500

export function tooManyVersions({ change }: ListCase): readonly Finding[] {
  const count = change.new?.versions.length ?? 0
  if (count <= MAX_VERSIONS || count <= (change.old?.versions.length ?? 0)) return []
  return [
    {
      rule: 'WH-V11',
      kind: 'invalid',
      path: 'spec.versions',
      message: `spec.versions would have ${count} entries, the most is ${MAX_VERSIONS}`,
      wayOut: `publish further versions in a second ${kindName(change)}`,
    },
  ]
}
