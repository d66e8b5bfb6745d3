// For programs: one JSON document.
import type { Review } from '#core/review/review.ts'
import { fingerprints } from '#core/review/fingerprint.ts'

/** `{verdict, judged, unchanged, complete, findings}`, in one line. Places are `{file, line, column}`, from 1. */
export function jsonOf(review: Review): string {
  const ids = fingerprints(review.findings)
  const document = {
    verdict: review.findings.some(({ severity }) => severity === 'deny') ? 'denied' : 'allowed',
    judged: review.judged,
    unchanged: review.unchanged,
    complete: !review.isIncomplete,
    findings: review.findings.map((finding, index) => {
      const { rule, severity, object, path, version, message, wayOut, place, was } = finding
      return { rule, severity, object, path, version, message, wayOut, place, was, fingerprint: ids[index] }
    }),
  }
  return `${JSON.stringify(document)}\n`
}
