// WH-V11: as many versions, and platforms of a Provider, as every door can judge in its budget, and an object can hold.
import { kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { countMutable, MOST_MUTABLE, roomFor } from '#core/module/ledger_bound.ts'
import type { ProviderObject } from '#core/module/module_object.ts'
import type { Finding } from '#core/module/verdict.ts'

/** A ValidatingAdmissionPolicy over more is refused for its cost (Kubernetes 1.34, measured between 300 and 800). */
const MAX_VERSIONS = 500

/** Of a Provider: each version has a Version object for each. Go itself has some fifty. */
export const MAX_PLATFORMS = 64

export function tooManyVersions(subject: ListCase): readonly Finding[] {
  return [...tooManyEntries(subject), ...tooManyPlatforms(subject), ...tooManyRemembered(subject)]
}

/** Nothing is refused for it: what is not immutable may be published and removed as OpenDepot likes. */
function tooManyRemembered({ change, ledger, versions, isImmutable }: ListCase): readonly Finding[] {
  const { published } = ledger
  if (isImmutable || published.size < MOST_MUTABLE) return []
  const fresh = versions.added.filter(({ plain }) => !published.has(plain))
  const count = fresh.length - roomFor({ ofObject: countMutable(published), leftInNamespace: 0 })
  if (count <= 0) return []
  const message = `the ledger has ${MOST_MUTABLE} versions of this ${kindName(change)} that were never immutable, and will not remember ${count} more`
  return [{ rule: 'WH-V11', kind: 'notice', path: 'spec.versions', message, wayOut: '' }]
}

function tooManyPlatforms({ change }: ListCase): readonly Finding[] {
  if (change.resource !== 'providers') return []
  const count = platformsOf(change.new)
  if (count <= MAX_PLATFORMS || count <= platformsOf(change.old)) return []
  return [
    {
      rule: 'WH-V11',
      kind: 'invalid',
      path: 'spec.providerConfig',
      message: `operatingSystems and architectures would make ${count} platforms, the most is ${MAX_PLATFORMS}`,
      wayOut: 'list the platforms that somebody runs on',
    },
  ]
}

function platformsOf(provider: ProviderObject | undefined): number {
  return provider === undefined
    ? 0
    : provider.config.operatingSystems.length * provider.config.architectures.length
}

function tooManyEntries({ change }: ListCase): readonly Finding[] {
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
