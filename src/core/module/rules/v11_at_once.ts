// WH-V11, of one request: as much as is judged at once. What is above is refused in every mode and before any other rule looks,
// since looking is what would take too long. What was stored before the rules came may be of any size, and be written again.
import type { ModuleSubject, ProviderSubject } from '#core/module/change.ts'
import type { Finding } from '#core/module/verdict.ts'
import type { VersionChanges } from '#core/module/version_changes.ts'
import { MAX_PLATFORMS } from '#core/module/listing_bounds.ts'

/** Twenty times what WH-V11 lets anybody list: for whoever brings in old lists while it only warns. */
export const MAX_CHANGED_ENTRIES = 10_000
/** 500 versions for 64 platforms, which is all that WH-V11 lets a Provider have. */
export const MAX_MADE_OBJECTS = 32_000

type Listing = ModuleSubject | ProviderSubject

export function tooMuchAtOnce(change: Listing, versions: VersionChanges): Finding | undefined {
  // Whatever there is may be deleted.
  if (change.operation === 'DELETE') return undefined
  const { count } = versions
  if (count > MAX_CHANGED_ENTRIES) {
    return refused(`this request adds or takes away ${count} entries of spec.versions`, MAX_CHANGED_ENTRIES)
  }
  const objects = madeObjects(change, versions.added.length)
  return objects > MAX_MADE_OBJECTS
    ? refused(`this request adds versions for ${objects} Version objects`, MAX_MADE_OBJECTS)
    : undefined
}

/** Version objects for as many versions, of as many platforms as are looked at. */
export function madeObjects({ resource, new: after }: Listing, added: number): number {
  if (resource === 'modules' || after === undefined) return added
  const { operatingSystems, architectures } = after.config
  return added * Math.min(MAX_PLATFORMS, operatingSystems.length * architectures.length)
}

function refused(what: string, most: number): Finding {
  return {
    rule: 'WH-V11',
    kind: 'invalid',
    path: 'spec.versions',
    message: `${what}, the most at once is ${most}`,
    wayOut: 'change fewer; where a policy lets a list have more than 500, in several requests',
    isAlwaysEnforced: true,
  }
}
