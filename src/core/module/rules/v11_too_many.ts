// WH-V11: as many versions, labels, and platforms of a Provider, as every door can judge in its budget, an object can hold, and
// whoever watches the cluster can keep in memory.
import { MAX_LABELS, MAX_PLATFORMS } from '#core/module/listing_bounds.ts'
import { kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { countMutable, MOST_MUTABLE, roomFor } from '#core/module/ledger_bound.ts'
import type { ProviderChange } from '#core/module/change.ts'
import type { ProviderObject } from '#core/module/module_object.ts'
import type { Finding } from '#core/module/verdict.ts'

/** A ValidatingAdmissionPolicy over more is refused for its cost (Kubernetes 1.34, measured between 300 and 800). */
const MAX_VERSIONS = 500

export function tooManyVersions(subject: ListCase): readonly Finding[] {
  return [
    ...tooManyEntries(subject),
    ...tooManyLabels(subject),
    ...tooManyPlatforms(subject),
    ...tooManyRemembered(subject),
  ]
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
  if (count <= MAX_PLATFORMS || count <= platformsOf(change.old)) return tooLongLists(change)
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

/** Where the one is empty nothing is multiplied, and the other is kept in memory all the same. */
function tooLongLists({ old: before, new: after }: ProviderChange): readonly Finding[] {
  return (['operatingSystem', 'architecture'] as const).flatMap((entry): readonly Finding[] => {
    const count = after?.config[`${entry}Count`] ?? 0
    if (count <= MAX_PLATFORMS || count <= (before?.config[`${entry}Count`] ?? 0)) return []
    const path = `spec.providerConfig.${entry}s`
    const message = `${entry}s would have ${count} entries, the most is ${MAX_PLATFORMS}`
    return [
      { rule: 'WH-V11', kind: 'invalid', path, message, wayOut: 'list the platforms that somebody runs on' },
    ]
  })
}

function platformsOf(provider: ProviderObject | undefined): number {
  return provider === undefined ? 0 : provider.config.operatingSystemCount * provider.config.architectureCount
}

function tooManyLabels({ change }: ListCase): readonly Finding[] {
  const count = change.new?.meta.labelCount ?? 0
  if (count <= MAX_LABELS || count <= (change.old?.meta.labelCount ?? 0)) return []
  return [
    {
      rule: 'WH-V11',
      kind: 'invalid',
      path: 'metadata.labels',
      message: `metadata.labels would have ${count} entries, the most is ${MAX_LABELS}`,
      wayOut: 'write what nobody selects by as annotations',
    },
  ]
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
