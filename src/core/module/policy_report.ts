// What a scan found, as a PolicyReport of wgpolicyk8s.io/v1alpha2, which dashboards for Kyverno and its like show.
import type { JsonObject } from '#core/claims.ts'
import { cutToBytes, printable } from './printable.ts'
import type { RuleId } from './rule_id.ts'
import type { ScanFinding, ScanResult, ScannedObject } from './scan_object.ts'

/** One for each namespace that holds Modules or Providers. */
export const REPORT_NAME = 'sallyport-modules'
/** A report is one object, and etcd takes 1.5 MB. */
export const MAX_RESULTS = 1000
const MAX_MESSAGE_BYTES = 512

type ReportResult = ScanResult | 'pass'

/** Of Modules and Providers of one namespace. The same findings make the same report, whoever writes it, so nobody has to be elected. */
export function policyReport(namespace: string, scanned: readonly ScannedObject[]): JsonObject {
  const sorted = scanned.toSorted((left, right) => (placeOf(left) < placeOf(right) ? -1 : 1))
  const all = sorted.flatMap(resultsOf)
  const summary: Record<ReportResult | 'error', number> = { pass: 0, fail: 0, warn: 0, error: 0, skip: 0 }
  for (const { result } of all) summary[result] += 1
  // What fails comes first where there is no room for everything.
  const worst = all.toSorted((left, right) => URGENCY[left.result] - URGENCY[right.result])
  return {
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: {
      name: REPORT_NAME,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'sallyport' },
    },
    summary,
    results: worst.slice(0, MAX_RESULTS).map(({ body }) => body),
  }
}

const URGENCY: Readonly<Record<ReportResult, number>> = { fail: 0, warn: 1, skip: 2, pass: 3 }

type Result = { readonly result: ReportResult; readonly body: JsonObject }

/** A Module and a Provider may have one name; a name has no space. */
function placeOf({ object }: ScannedObject): string {
  return `${object.meta.name} ${object.kind}`
}

function resultsOf({ object, policies, findings }: ScannedObject): readonly Result[] {
  const { namespace, name, uid } = object.meta
  const about = {
    source: 'sallyport',
    category: 'Published versions',
    policy: policies.length === 0 ? 'none' : policies.join(','),
    scored: true,
    resources: [
      {
        apiVersion: 'opendepot.defdev.io/v1alpha1',
        kind: object.kind,
        namespace,
        name,
        ...(uid === '' ? {} : { uid }),
      },
    ],
  }
  if (findings.length === 0) {
    return [{ result: 'pass', body: { ...about, result: 'pass', message: 'keeps every rule' } }]
  }
  return findings.map((finding) => ({
    result: finding.result,
    body: { ...about, ...bodyOf(finding) },
  }))
}

function bodyOf({ rule, result, path, message, wayOut, version }: ScanFinding): JsonObject {
  const sentence = wayOut === '' ? message : `${message}; ${wayOut}`
  return {
    rule,
    result,
    severity: severityOf(rule),
    message: cutToBytes(printable(sentence), MAX_MESSAGE_BYTES),
    properties: {
      path: printable(path),
      ...(version === undefined ? {} : { version: printable(version) }),
    },
  }
}

/** High: what is served may not be what was published, or not by whom it says. */
function severityOf(rule: RuleId): 'high' | 'medium' {
  return /^WH-(?:V[123]|M(?:2|6|10|13)|S[123]|P[12])$/.test(rule) ? 'high' : 'medium'
}
