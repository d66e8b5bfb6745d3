// The truth about one Dex file: what became of every key, and what an operator has to know. Collected while loading,
// printed by `config from-dex` and `serve --dex-config`.
import { formatFinding } from '#platform/config/finding.ts'
import type { Finding, Place } from '#platform/config/finding.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { YamlPath } from '#platform/config/yaml_document.ts'
import type { DexCode } from './dex_codes.ts'

/** `taken`: works here as in Dex or better. `ignored`: has no effect here. `refused`: does not start like this. */
type Verdict = 'taken' | 'ignored' | 'refused'

type KeyVerdict = {
  /** Path inside the Dex configuration, as written: `connectors[0].config.issuer`. It speaks for all below it. */
  readonly path: string
  readonly verdict: Verdict
  /** What it became, or why it has no effect. */
  readonly why: string
  readonly wayOut: string | undefined
  readonly place: Place | undefined
}

export type TruthReport = {
  readonly file: string
  /** What the configuration was found in: `a Dex configuration`, `ConfigMap dex, data["config.yaml"]`, ... */
  readonly foundIn: string
  /** In file order of the sections. */
  readonly keys: readonly KeyVerdict[]
}

export type Reporter = {
  take(path: YamlPath, why: string): void
  ignore(path: YamlPath, why: string, wayOut?: string): void
  /** Error: the configuration does not start; the key's verdict becomes `refused`. */
  refuse(path: YamlPath, code: DexCode, message: string, wayOut?: string): void
  warn(path: YamlPath, code: DexCode, message: string, wayOut?: string): void
  note(path: YamlPath, code: DexCode, message: string, wayOut?: string): void
  placeOf(path: YamlPath): Place | undefined
  findings(): readonly Finding[]
  verdicts(): readonly KeyVerdict[]
}

/** A later verdict on one path replaces the earlier, except that nothing undoes a refusal. */
export function createReporter(placeOf: (path: YamlPath) => Place | undefined): Reporter {
  const findings: Finding[] = []
  const verdicts = new Map<string, KeyVerdict>()
  const judge = (path: YamlPath, verdict: Verdict, why: string, wayOut: string | undefined): void => {
    const key = pathText(path)
    if (verdicts.get(key)?.verdict === 'refused') return
    verdicts.set(key, { path: key, verdict, why, wayOut, place: placeOf(path) })
  }
  const find = (
    severity: Finding['severity'],
    path: YamlPath,
    code: DexCode,
    message: string,
    wayOut?: string,
  ): void => {
    findings.push({ severity, code, path: pathText(path), message, wayOut, place: placeOf(path) })
  }
  return {
    take: (path, why) => judge(path, 'taken', why, undefined),
    ignore: (path, why, wayOut) => judge(path, 'ignored', why, wayOut),
    refuse(path, code, message, wayOut) {
      if (path.length > 0) judge(path, 'refused', message, wayOut)
      find('error', path, code, message, wayOut)
    },
    warn: (path, code, message, wayOut) => find('warning', path, code, message, wayOut),
    note: (path, code, message, wayOut) => find('note', path, code, message, wayOut),
    placeOf,
    findings: () => findings,
    verdicts: () => [...verdicts.values()],
  }
}

/** Human form: one line a key, then the findings, worst first, then a summary. */
export function formatTruthReport(report: TruthReport | undefined, findings: readonly Finding[]): string {
  if (report === undefined) return findings.map(formatFinding).join('\n')
  const lines = [`${report.file}: ${report.foundIn}`, '']
  for (const key of report.keys) {
    const line = key.place === undefined ? '' : `:${key.place.line}`
    const why = key.verdict === 'taken' ? `-> ${key.why}` : `(${key.why})`
    lines.push(`  ${key.verdict.padEnd(7)} ${key.path}${line} ${why}`)
  }
  if (findings.length > 0) lines.push('')
  for (const severity of ['error', 'warning', 'note'] as const) {
    for (const finding of findings) if (finding.severity === severity) lines.push(formatFinding(finding))
  }
  lines.push('', summary(report, findings))
  return lines.join('\n')
}

function summary(report: TruthReport, findings: readonly Finding[]): string {
  const verdicts = (['taken', 'ignored', 'refused'] as const).map(
    (verdict) => `${report.keys.filter((key) => key.verdict === verdict).length} ${verdict}`,
  )
  const severities = (['error', 'warning', 'note'] as const).map(
    (severity) => `${findings.filter((finding) => finding.severity === severity).length} ${severity}s`,
  )
  return `${report.keys.length} keys: ${verdicts.join(', ')}; ${severities.join(', ')}`
}
