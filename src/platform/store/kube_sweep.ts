// Deletes what has expired from a cluster, in batches, by any replica: those that sweep at once find some of it gone.
import { EXPIRES_LABEL, versionOf } from './kube_entries.ts'
import type { StoreResource } from './kube_entries.ts'
import type { KubeObjects } from './kube_objects.ts'

/** Objects that are looked at and deleted before the next are asked for. */
const BATCH = 500
/** Deletions at a time: claims go on meanwhile. */
const AT_ONCE = 8

/**
 * Deletes what ended before `until` (milliseconds since the epoch), rounded to seconds; says how many entries. `batches`: of
 * each resource at most.
 */
export async function sweep(objects: KubeObjects, until: number, batches = Infinity): Promise<number> {
  const removed = await sweepOf(objects, 'storeentries', until, batches)
  await sweepOf(objects, 'claimsets', until, batches)
  return removed
}

async function sweepOf(
  objects: KubeObjects,
  resource: StoreResource,
  until: number,
  batches: number,
): Promise<number> {
  // The label is rounded up and this down, so that nothing goes a moment too early.
  const selector = `${EXPIRES_LABEL}<${Math.floor(until / 1000) + 1}`
  let removed = 0
  let next = ''
  for (let batch = 0; batch < batches; batch += 1) {
    const page = await objects.page(resource, { selector, limit: BATCH, metadataOnly: true, next })
    // What the rest of the list was goes with the next sweep.
    if (page === undefined) return removed
    const versions = page.items.map(versionOf).filter((version) => version !== undefined)
    for (let first = 0; first < versions.length; first += AT_ONCE) {
      const written = await Promise.all(
        versions.slice(first, first + AT_ONCE).map((version) => objects.remove(resource, version)),
      )
      // In the state that was seen, and no other: one that was claimed anew meanwhile stays.
      removed += written.filter(({ is }) => is === 'done').length
    }
    next = page.next
    if (next === '') break
  }
  return removed
}
