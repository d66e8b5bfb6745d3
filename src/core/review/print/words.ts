// The parts of a finding that every format shows.
import { printable } from '#core/module/printable.ts'
import type { Place } from '#core/review/reviewed_object.ts'
import type { ReviewFinding } from '#core/review/review_finding.ts'

/** What is wrong and what to do about it, in one line. */
export function sentence({ object, message, wayOut }: ReviewFinding): string {
  const about = object === '' ? '' : `${object}: `
  const instead = wayOut === '' ? '' : `. Instead: ${wayOut}`
  return printable(`${about}${message}${instead}`)
}

/** Where to show it: what is gone from the files is shown where it stood. */
export function shownPlaceOf({ place, was }: ReviewFinding): Place | undefined {
  return place ?? was
}
