// SARIF 2.1.0 (OASIS standard, 2020), for code scanning pages and editors.
import { printable } from '#core/module/printable.ts'
import { fingerprints } from '#core/review/fingerprint.ts'
import type { Review } from '#core/review/review.ts'
import type { ReviewFinding, ReviewRuleId, Severity } from '#core/review/review_finding.ts'
import type { Place } from '#core/review/reviewed_object.ts'
import { RULE_HELP } from '#core/review/rule_help.ts'
import { sentence } from './words.ts'

/** §3.27.10. */
const LEVELS: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  deny: 'error',
  warn: 'warning',
  notice: 'note',
}

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json'

/** One run. Paths are relative to the root of the sources. @param version of this program */
export function sarifOf({ findings, isIncomplete }: Review, version: string): string {
  const rules = [...new Set(findings.map(({ rule }) => rule))].toSorted()
  const ids = fingerprints(findings)
  const document = {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'sallyport review', version, rules: rules.map(ruleOf) } },
        columnKind: 'utf16CodeUnits',
        originalUriBaseIds: { SRCROOT: { description: { text: 'The root of the reviewed repository.' } } },
        invocations: [{ executionSuccessful: !isIncomplete }],
        results: findings.map((finding, index) =>
          resultOf(finding, rules.indexOf(finding.rule), ids[index] ?? ''),
        ),
      },
    ],
  }
  return `${JSON.stringify(document, undefined, 1)}\n`
}

function ruleOf(rule: ReviewRuleId): object {
  const { title, why } = RULE_HELP[rule]
  return {
    id: rule,
    shortDescription: { text: title },
    fullDescription: { text: `${title} ${why}` },
    help: { text: `${title} ${why}`, markdown: `**${title}** ${why}` },
  }
}

function resultOf(finding: ReviewFinding, ruleIndex: number, fingerprint: string): object {
  const { rule, severity, object, path, place, was } = finding
  const shown = place ?? was
  const related = place === undefined ? undefined : was
  return {
    ruleId: rule,
    ruleIndex,
    level: LEVELS[severity],
    message: { text: sentence(finding) },
    locations: [
      {
        ...(shown === undefined ? {} : { physicalLocation: physical(shown) }),
        ...(object === '' ? {} : { logicalLocations: [logical(object, path)] }),
      },
    ],
    ...(related === undefined
      ? {}
      : {
          relatedLocations: [
            { id: 1, message: { text: 'It stood here before.' }, physicalLocation: physical(related) },
          ],
        }),
    partialFingerprints: { 'sallyportReview/v1': fingerprint },
  }
}

function physical({ file, line, column }: Place): object {
  return {
    artifactLocation: { uri: uriOf(file), uriBaseId: 'SRCROOT' },
    region: { startLine: line, startColumn: column },
  }
}

/** A relative reference (RFC 3986 §4.2): each part of the path encoded. */
function uriOf(file: string): string {
  const parts = file.split('/').map((part) => encodeURIComponent(part.toWellFormed()))
  return parts.join('/')
}

function logical(object: string, path: string): object {
  const name = printable(path === '' ? object : `${object} ${path}`)
  return { fullyQualifiedName: name, kind: 'resource' }
}
