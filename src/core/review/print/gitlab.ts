// GitLab's Code Quality report (artifacts:reports:codequality), shown in the merge request.
import { printable } from '#core/module/printable.ts'
import { fingerprints } from '#core/review/fingerprint.ts'
import type { Review } from '#core/review/review.ts'
import type { Severity } from '#core/review/review_finding.ts'
import { sentence, shownPlaceOf } from './words.ts'

const SEVERITIES: Readonly<Record<Severity, string>> = { deny: 'blocker', warn: 'minor', notice: 'info' }

export function gitlabOf({ findings }: Review): string {
  const ids = fingerprints(findings)
  const issues = findings.map((finding, index) => {
    const place = shownPlaceOf(finding)
    return {
      description: `${finding.rule}: ${sentence(finding)}`,
      check_name: finding.rule,
      fingerprint: ids[index],
      severity: SEVERITIES[finding.severity],
      // Without a leading ./ : GitLab compares with the paths of the repository.
      location: {
        path: printable(place?.file ?? '').replace(/^(\.\/)+/, ''),
        lines: { begin: place?.line ?? 1 },
      },
    }
  })
  return `${JSON.stringify(issues, undefined, 1)}\n`
}
