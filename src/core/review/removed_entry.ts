// Where a version stood that is taken off the list, where its absence is best shown, and what to write in the file.
import { statedReason, UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import type { ChangeSubject } from '#core/module/change.ts'
import { printable } from '#core/module/printable.ts'
import type { JudgedFinding } from '#core/module/verdict.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'
import type { Place, ReviewedObject } from './reviewed_object.ts'

type Removed = {
  readonly place: Place | undefined
  readonly was: Place | undefined
  /** For a file, where the webhook says it for kubectl. */
  readonly wayOut: string | undefined
}

/** All `undefined` of a problem that is about something else. */
export function removedEntry(
  { path, version, kind, rule }: JudgedFinding,
  change: ChangeSubject,
  before: ReviewedObject | undefined,
  after: ReviewedObject | undefined,
): Removed {
  const nowhere = { place: undefined, was: undefined, wayOut: undefined }
  if (path !== 'spec.versions' || version === undefined) return nowhere
  if (change.resource !== 'modules' && change.resource !== 'providers') return nowhere
  const index = (change.old?.versions ?? []).findIndex((entry) => plainOf(entry.version) === version)
  if (index === -1) return nowhere
  const was = before?.placeOf(['spec', 'versions', index, 'version'])
  // Another version in its place: the entry itself is the mistake.
  const isReplaced =
    change.old?.versions.length === change.new?.versions.length &&
    change.new?.versions[index] !== undefined &&
    plainOf(change.new.versions[index].version) !== version
  const place = isReplaced
    ? after?.placeOf(['spec', 'versions', index, 'version'])
    : after?.placeOf(['spec', 'versions'])
  if (kind === 'notice' || !isByFile(rule)) return { place, was, wayOut: undefined }
  const entry = `- version: ${JSON.stringify(change.old?.versions[index]?.version)}`
  const breaking =
    statedReason(change, version) === undefined
      ? `to unpublish for good: the annotation ${UNPUBLISH_ANNOTATION}: "${version}: <reason>", applied by somebody with the verb unpublish (--may unpublish)`
      : `the annotation is there, and whoever applies it needs the verb unpublish: say with --may unpublish that they have it`
  return { place, was, wayOut: `keep ${printable(entry)} and add new versions below it; ${breaking}` }
}

/** Controllers prune, files do not. */
function isByFile(rule: JudgedFinding['rule']): boolean {
  return rule === 'WH-V1' || rule === 'WH-V3'
}

function plainOf(text: string): string {
  const identity = readVersionIdentity(text)
  return identity.ok ? identity.value.plain : text
}
