// What was done by breaking the glass, told from the findings: for the audit event and for kube-apiserver's audit log.
import { clip } from '#core/audit_event.ts'
import { listed, printable } from './printable.ts'
import type { BrokenGlass, Finding } from './verdict.ts'

/** Of a removal of thousands the first ones, and how many there were. */
const MOST_COVERED = 20

/** Once for each verb and reason. `covers`: versions, paths of settings; the last one may be `and 480 more`. */
export function brokenGlass(findings: readonly Finding[]): readonly BrokenGlass[] {
  const told = new Map<string, { readonly glass: BrokenGlass; readonly covers: Set<string> }>()
  for (const { broken } of findings) {
    if (broken === undefined) continue
    const key = JSON.stringify([broken.verb, broken.reason])
    const known = told.get(key) ?? { glass: broken, covers: new Set<string>() }
    for (const one of broken.covers) known.covers.add(one)
    told.set(key, known)
  }
  return [...told.values()].map(({ glass: { verb, reason }, covers }) => ({
    verb,
    covers: shortened([...covers].map(clip)),
    reason: clip(printable(reason)),
  }))
}

function shortened(covers: readonly string[]): readonly string[] {
  if (covers.length <= MOST_COVERED) return covers
  return [...covers.slice(0, MOST_COVERED), `and ${covers.length - MOST_COVERED} more`]
}

/** `unpublish 1.2.0, 1.2.1: leaked a key`. */
export function brokenText(glass: readonly BrokenGlass[]): string {
  return glass
    .map(({ verb, covers, reason }) => `${verb} ${listed(covers, MOST_COVERED + 1)}: ${reason}`)
    .join('; ')
}
