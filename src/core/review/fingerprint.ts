// What stays the same about a problem while lines move around it: code scanning pages recognise it by this.
import { createHash } from 'node:crypto'
import type { ReviewFinding } from './review_finding.ts'

/** One for each finding, in their order: 32 hex digits, no two alike. */
export function fingerprints(findings: readonly ReviewFinding[]): readonly string[] {
  const seen = new Map<string, number>()
  return findings.map((finding) => {
    const about = subjectOf(finding)
    const count = seen.get(about) ?? 0
    seen.set(about, count + 1)
    return createHash('sha256').update(`${about} ${count}`).digest('hex').slice(0, 32)
  })
}

/** No line, and no index: an entry moves when another one comes before it. A file only where nothing else tells them apart. */
function subjectOf({ rule, object, path, version, place, was }: ReviewFinding): string {
  const file = object === '' ? ((place ?? was)?.file ?? '') : ''
  return JSON.stringify([rule, object, path.replaceAll(/\[\d+\]/g, '[]'), version ?? '', file])
}
