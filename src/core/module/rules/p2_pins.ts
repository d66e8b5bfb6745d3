// WH-P2: what a version is made of is written down where it can be checked. Admission sees no Git and no archive: a tag
// that moved is found by whoever compares with the pin.
import { claimOf } from '#core/module/actor.ts'
import { heldKind, isVersionHeld } from '#core/module/module_case.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import { PINS_ANNOTATION, readPins } from '#core/module/pins.ts'
import type { Pins } from '#core/module/pins.ts'
import type { Finding } from '#core/module/verdict.ts'

const PATH = `metadata.annotations["${PINS_ANNOTATION}"]`

export function pinnedVersions(subject: ModuleCase): readonly Finding[] {
  const { old: before, new: after } = subject.change
  if (after === undefined) return []
  const pins = readPins(after)
  if (!pins.ok) {
    const isTouched =
      before?.meta.annotations.get(PINS_ANNOTATION) !== after.meta.annotations.get(PINS_ANNOTATION)
    const wayOut = 'write <version>=<commit> for each version, with commas between'
    const message = `the pins cannot be read: ${pins.denial}`
    return isTouched ? [{ rule: 'WH-P2', kind: 'invalid', path: PATH, message, wayOut }] : []
  }
  return [
    ...movedPins(subject, pins.value),
    ...missingPins(subject, pins.value),
    ...otherCommit(subject, pins.value),
  ]
}

/** A pin that was there stays, and a late one says what is remembered. */
function movedPins(subject: ModuleCase, pins: Pins): readonly Finding[] {
  const { change, ledger } = subject
  const before = readPins(change.old)
  const stored = before.ok ? before.value : new Map<string, string>()
  const removed = new Set(subject.versions.removed.map(({ plain }) => plain))
  const moved = [...stored].filter(([plain, pin]) => !removed.has(plain) && pins.get(plain) !== pin)
  const kept = moved.map(([plain, pin]) => wrongPin(subject, plain, `is pinned to ${pin}`, pin))
  const late = [...pins].flatMap(([plain, pin]) => {
    const facts = ledger.published.get(plain)
    const known = pin.startsWith('sha256:') ? facts?.digest : facts?.commit
    if (stored.has(plain) || known === undefined || known === pin) return []
    return [wrongPin(subject, plain, `was published from ${known}`, known)]
  })
  return [...kept, ...late]
}

function wrongPin(subject: ModuleCase, plain: string, fact: string, right: string): Finding {
  const isHeld = isVersionHeld(subject, plain)
  const message = `version ${plain} ${fact}, and its pin would say something else`
  const wayOut = isHeld ? `write ${plain}=${right} in ${PINS_ANNOTATION}` : ''
  return { rule: 'WH-P2', kind: heldKind(isHeld), path: PATH, message, wayOut, version: plain }
}

function missingPins({ policy, versions }: ModuleCase, pins: Pins): readonly Finding[] {
  if (policy?.pins !== 'required') return []
  const unpinned = versions.added.filter(({ plain }) => !pins.has(plain))
  return unpinned.map(({ plain }) => ({
    rule: 'WH-P2',
    kind: 'forbidden',
    path: PATH,
    message: `version ${plain} names no commit, and the policy requires one`,
    wayOut: `add ${plain}=<commit> to ${PINS_ANNOTATION} in the same request`,
    version: plain,
  }))
}

/** The pipeline that publishes knows what it runs for. */
function otherCommit({ change, versions }: ModuleCase, pins: Pins): readonly Finding[] {
  const sha = claimOf(change.user, 'sha')
  if (change.user.kind !== 'ci' || sha === undefined) return []
  return versions.added.flatMap(({ plain }) => {
    const pin = pins.get(plain)
    if (pin === undefined || pin.startsWith('sha256:') || pin === sha.toLowerCase()) return []
    const message = `version ${plain} is pinned to ${pin}, and the pipeline that publishes it runs for another commit`
    const wayOut = `pin the commit that the pipeline runs for`
    return [{ rule: 'WH-P2', kind: 'forbidden', path: PATH, message, wayOut, version: plain }]
  })
}
