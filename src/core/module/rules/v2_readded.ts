// WH-V2: a version that was published and taken away comes back. Only what it was may come back: its pin says so.
import type { PublishedFacts } from '#core/module/ledger.ts'
import { heldKind, isVersionHeld } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { doesPinAgree, PINS_ANNOTATION, readPins } from '#core/module/pins.ts'
import type { Finding } from '#core/module/verdict.ts'
import { storedAs } from './v1_removed.ts'

export function readdedVersions(subject: ListCase): readonly Finding[] {
  const { change, ledger, versions } = subject
  if (change.operation !== 'UPDATE') return []
  const pins = readPins(change.new)
  return versions.added.flatMap(({ index, plain }) => {
    const facts = ledger.published.get(plain)
    if (facts === undefined) return []
    if (pins.ok && doesPinAgree(pins.value.get(plain), facts)) return []
    const isHeld = isVersionHeld(subject, plain)
    const message = `version ${plain} was published before${storedAs(facts)} (now ${facts.state}) and is added again`
    const wayOut = isHeld ? wayToRestore(plain, facts) : ''
    return [
      {
        rule: 'WH-V2',
        kind: heldKind(isHeld),
        path: `spec.versions[${index}]`,
        message,
        wayOut,
        version: plain,
      },
    ]
  })
}

/** How to bring back exactly what was there. */
function wayToRestore(plain: string, facts: PublishedFacts): string {
  const known = facts.commit ?? facts.digest
  if (known === undefined) return 'publish the next version; what this one was made of is not known'
  return `publish the next version, or restore this one: ${PINS_ANNOTATION} with ${plain}=${known}`
}
