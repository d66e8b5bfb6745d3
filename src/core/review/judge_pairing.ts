// What is odd about how an object stands in the files (twice, moved, gone), and each of its changes.
import { goneFindings } from './gone_object.ts'
import { changeFindings, isJudged } from './object_change.ts'
import type { ReviewCase } from './object_change.ts'
import { isSameObject, isUnchanged } from './pairing.ts'
import type { Pairing } from './pairing.ts'
import { findingAt } from './review_finding.ts'
import type { ReviewFinding } from './review_finding.ts'
import type { Place, ReviewedObject } from './reviewed_object.ts'

export function pairFindings(pairing: Pairing, subject: ReviewCase): readonly ReviewFinding[] {
  const { before, after } = pairing
  const [example] = [...after, ...before]
  if (example === undefined || !isJudged(example.resource)) return []
  if (after.length === 0) return before.flatMap((old) => goneFindings(old, subject))
  const changes = isUnchanged(pairing) ? [] : after.flatMap((fresh) => statesOf(fresh, before))
  return [
    ...twice(pairing),
    ...moved(pairing),
    ...changes.flatMap(([old, fresh]) => changeFindings(old, fresh, subject)),
  ]
}

type States = readonly [before: ReviewedObject | undefined, after: ReviewedObject | undefined]

/** Where the old files have an object twice, either may be what is stored. */
function statesOf(fresh: ReviewedObject, before: readonly ReviewedObject[]): readonly States[] {
  if (before.length === 0) return [[undefined, fresh]]
  return before.filter((old) => !isSameObject(old, fresh)).map((old) => [old, fresh] as const)
}

function twice({ before, after }: Pairing): readonly ReviewFinding[] {
  const [first, ...others] = after
  if (first === undefined) return []
  return others.map((other) => {
    const isAlike = isSameObject(first, other)
    const isOld = before.length > 1
    const message = `this object stands at ${shownPlace(first.placeOf([]))}, too${isAlike ? '' : ', and says something else there'}: which of both is applied last decides`
    const wayOut = 'keep one of them; where both are for different clusters, review one folder at a time'
    const severity = isAlike || isOld ? 'warn' : 'deny'
    return findingAt('GIT-2', { severity, path: '', message, wayOut }, other, other.placeOf([]))
  })
}

function moved({ before, after }: Pairing): readonly ReviewFinding[] {
  const [old, ...otherOld] = before
  const [fresh, ...otherFresh] = after
  if (old === undefined || fresh === undefined || otherOld.length + otherFresh.length > 0) return []
  if (old.within === fresh.within) return []
  const message = `moved here from ${shownPlace(old.placeOf([]))}, and judged as the same object`
  const said = { severity: 'notice', path: '', message, wayOut: '' } as const
  return [findingAt('GIT-3', said, fresh, fresh.placeOf([]), old.placeOf([]))]
}

function shownPlace(place: Place | undefined): string {
  return place === undefined ? 'another place' : `${place.file}:${place.line}`
}
