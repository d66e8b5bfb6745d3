// Which reviews are judged on the thread for what they ask and not for their bytes: a hundred kilobytes can list five thousand
// versions, and thirteen can name 32,000 objects.
import { UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import type { ChangeSubject, ModuleSubject, ProviderSubject } from '#core/module/change.ts'
import { PINS_ANNOTATION } from '#core/module/pins.ts'
import { madeObjects } from '#core/module/rules/v11_at_once.ts'
import { versionChanges } from '#core/module/version_changes.ts'

/** Each is some ten microseconds of the rules. */
const MAX_ENTRIES = 250
/** Each is a microsecond to write and two to look up. */
const MAX_OBJECTS = 1000
/** Characters of annotations that rules read: pins of 700 versions. */
const MAX_TEXT = 32 * 1024

/** Counted from what is there, before anything is made of it. */
export function isHeavy(subject: ChangeSubject | undefined): boolean {
  if (subject?.resource !== 'modules' && subject?.resource !== 'providers') return false
  const { old: before, new: after } = subject
  if (textLength(before) + textLength(after) > MAX_TEXT) return true
  // Nearly always there is so little that it does not matter what of it differs.
  const listed = after?.versions.length ?? 0
  const most = Math.max(before?.versions.length ?? 0, listed)
  if (most <= MAX_ENTRIES && madeObjects(subject, listed) <= MAX_OBJECTS) return false
  const changes = versionChanges(before, after)
  return changes.count > MAX_ENTRIES || madeObjects(subject, changes.added.length) > MAX_OBJECTS
}

function textLength(body: ModuleSubject['old'] | ProviderSubject['old']): number {
  const lengthOf = (name: string): number => body?.meta.annotations.get(name)?.length ?? 0
  return lengthOf(PINS_ANNOTATION) + lengthOf(UNPUBLISH_ANNOTATION)
}
