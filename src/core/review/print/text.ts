// For people, as a compiler would: `modules/vpc.yaml:12:7: deny WH-V3 (spec.versions[1]): ...`, the way out below, and the verdict.
import { printable } from '#core/module/printable.ts'
import type { Review } from '#core/review/review.ts'
import type { ReviewFinding, Severity } from '#core/review/review_finding.ts'
import type { Place } from '#core/review/reviewed_object.ts'

export function textOf(review: Review): string {
  const lines = review.findings.flatMap(findingLines).map((line) => `${printable(line)}\n`)
  return `${lines.join('')}${verdictLine(review)}\n`
}

function findingLines(finding: ReviewFinding): readonly string[] {
  const { severity, rule, object, path, message, wayOut, place, was } = finding
  const at = place ?? was
  const where = at === undefined ? '' : `${shown(at)}: `
  const part = path === '' ? '' : ` (${path})`
  const about = object === '' ? '' : `${object}: `
  const stood = place !== undefined && was !== undefined ? ` [it stood at ${shown(was)}]` : ''
  const first = `${where}${severity} ${rule}${part}: ${about}${message}${stood}`
  return wayOut === '' ? [first] : [first, `    -> ${wayOut}`]
}

function shown({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`
}

function verdictLine({ findings, judged, unchanged, isIncomplete }: Review): string {
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length
  const [denied, warned, noticed] = [count('deny'), count('warn'), count('notice')]
  const verdict = denied > 0 ? 'denied' : 'nothing denied'
  const parts = [
    `${judged} ${judged === 1 ? 'object' : 'objects'} judged, ${unchanged} unchanged`,
    `${denied} ${denied === 1 ? 'denial' : 'denials'}`,
    `${warned} ${warned === 1 ? 'warning' : 'warnings'}`,
    `${noticed} ${noticed === 1 ? 'notice' : 'notices'}`,
  ]
  const rest = isIncomplete ? '; not everything could be read' : ''
  return `review: ${verdict}: ${parts.join(', ')}${rest}`
}
