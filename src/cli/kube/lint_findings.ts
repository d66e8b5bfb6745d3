// From problems of a document to lines with a place in the operator's file.
import { AUTHENTICATION_API_GROUP } from '#core/kube/authentication_configuration.ts'
import type { AuthenticationConfiguration } from '#core/kube/authentication_configuration.ts'
import type { KubeProblem } from '#core/kube/kube_problem.ts'
import { lintAuthenticationConfiguration } from '#core/kube/lint.ts'
import type { LintContext } from '#core/kube/lint.ts'
import { doubtful } from '#core/kube/lint_codes.ts'
import type { Place } from '#platform/config/finding.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { AuthenticationSource } from '#platform/kube/authentication_file.ts'
import { printable } from '../printable.ts'
import { withoutTokens } from '../shown_input.ts'

export type LintFinding = {
  readonly severity: KubeProblem['severity']
  readonly code: string
  /** `jwt[0].issuer.url`. */
  readonly path: string
  readonly message: string
  readonly wayOut: string | undefined
  readonly place: Place | undefined
}

export type LintedSource = {
  /** '' for the file itself. */
  readonly foundIn: string
  readonly config: AuthenticationConfiguration | undefined
  /** Whether kube-apiserver would load it. */
  readonly loads: boolean
  /** In the order of the file. */
  readonly findings: readonly LintFinding[]
}

export function lintSource(source: AuthenticationSource, context: LintContext): LintedSource {
  const decoding = source.findings.map((finding): LintFinding => ({
    ...finding,
    severity: finding.severity === 'error' ? 'refused' : 'warning',
  }))
  const isReadable = source.findings.every(
    ({ severity, code }) => severity !== 'error' || code === 'document_not_first' || code === 'key_duplicate',
  )
  const { config, problems } = isReadable
    ? lintAuthenticationConfiguration(dataFor(source, context), context)
    : { config: undefined, problems: [] }
  const findings = [
    ...decoding,
    ...[...problems, ...ignoredProblems(source)].map((problem) => placed(problem, source)),
  ]
  return {
    foundIn: source.foundIn,
    config,
    loads: findings.every(({ severity }) => severity !== 'refused'),
    findings: findings.toSorted(byPlace),
  }
}

function dataFor({ data, isVersionOpen }: AuthenticationSource, { version }: LintContext): unknown {
  if (!isVersionOpen || typeof data !== 'object') return data
  return { ...data, apiVersion: `${AUTHENTICATION_API_GROUP}/${version.apiVersion}` }
}

function ignoredProblems({ ignored }: AuthenticationSource): readonly KubeProblem[] {
  if (ignored.length === 0) return []
  const message = `${ignored.length === 1 ? 'another document follows' : `${ignored.length} documents follow`}; the apiserver reads the first and nothing else`
  return [doubtful('document_ignored', { keys: [] }, message, 'put everything into the first document')]
}

/** A problem in words of the file: the line of the expression's own text where one is at fault. */
export function placed(problem: KubeProblem, source: AuthenticationSource): LintFinding {
  const { severity, code, keys, message, wayOut } = problem
  return { severity, code, path: pathText(keys), message, wayOut, place: placeOf(problem, source) }
}

function placeOf({ keys, inExpression }: KubeProblem, source: AuthenticationSource): Place | undefined {
  const text = textAt(source.data, keys)
  if (inExpression === undefined || text === undefined) return source.placeOf(keys)
  return source.placeInText(keys, offsetOf(text, inExpression)) ?? source.placeOf(keys)
}

function offsetOf(text: string, { line, column }: { line: number; column: number }): number {
  let start = 0
  for (let passed = 1; passed < line; passed += 1) start = text.indexOf('\n', start) + 1
  return start + column - 1
}

function textAt(data: unknown, keys: KubeProblem['keys']): string | undefined {
  let value: unknown = data
  for (const key of keys) {
    if (typeof value !== 'object' || value === null) return undefined
    value = Object.entries(value).find(([name]) => name === String(key))?.[1]
  }
  return typeof value === 'string' ? value : undefined
}

function byPlace(left: LintFinding, right: LintFinding): number {
  const line = (left.place?.line ?? 0) - (right.place?.line ?? 0)
  return line === 0 ? (left.place?.column ?? 0) - (right.place?.column ?? 0) : line
}

/** `auth.yaml:12:5: error code (path): message` and the way out, then the verdict. */
export function inWords(linted: LintedSource, file: string): string {
  const lines = linted.findings.map((finding) => {
    const { severity, code, path, message, wayOut, place } = finding
    const at = place === undefined ? file : `${place.file}:${place.line}:${place.column}`
    const where = path === '' ? '' : ` (${path})`
    const said = [
      `${at}: ${severity} ${code}${where}: ${message}`,
      ...(wayOut === undefined ? [] : [`    -> ${wayOut}`]),
    ]
    // An issuer that is asked over the network names keys and addresses as it likes.
    return said.map((line) => `${printable(withoutTokens(line))}\n`).join('')
  })
  const found = linted.foundIn === '' ? '' : ` (${linted.foundIn})`
  const verdict = linted.loads ? 'would load' : 'would refuse'
  return `${lines.join('')}${file}: kube-apiserver ${verdict} this file${found}: ${counted(linted.findings)}\n`
}

function counted(findings: readonly LintFinding[]): string {
  const severities = [
    ['refused', 'refusal', 'refusals'],
    ['error', 'error', 'errors'],
    ['warning', 'warning', 'warnings'],
  ] as const
  const parts = severities.flatMap(([severity, one, many]) => {
    const count = findings.filter((finding) => finding.severity === severity).length
    return count === 0 ? [] : [`${count} ${count === 1 ? one : many}`]
  })
  return parts.length === 0 ? 'nothing to say' : parts.join(', ')
}
