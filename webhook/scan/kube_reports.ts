// PolicyReports in a cluster: one for each namespace that has Modules or Providers, written by server-side apply when it has changed. Two
// replicas write the same report, so they do not disturb each other.
import type { JsonObject } from '#core/claims.ts'
import { isJsonObject } from '#core/claims.ts'
import { policyReport, REPORT_NAME } from '#core/module/policy_report.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import { listAll } from '#platform/kube/list_all.ts'
import type { Log } from '#platform/log.ts'
import type { ReportWriter } from './background_scan.ts'

const REPORTS = '/apis/wgpolicyk8s.io/v1alpha2'
const FIELD_MANAGER = 'sallyport-webhook-scan'

export function kubeReports(connection: KubeConnection, log: Pick<Log, 'info' | 'warn'>): ReportWriter {
  /** Namespace -> the report as it was written last; what is the same is not written again. */
  const written = new Map<string, string>()
  let told = ''
  /** One line when it begins, and none while it stays. */
  const tell = (why: string): void => {
    if (why !== told && why !== '') log.warn({ why }, 'reports are not written')
    told = why
  }
  return {
    async write(scanned) {
      const there = await namespacesWithReports(connection)
      if (!there.ok) {
        written.clear()
        return tell(there.denial)
      }
      let why = ''
      for (const [namespace, objects] of scanned) {
        const report = policyReport(namespace, objects)
        const text = JSON.stringify(report)
        if (written.get(namespace) === text && there.value.has(namespace)) continue
        const problem = await apply(connection, namespace, report)
        if (problem === undefined) written.set(namespace, text)
        else why = problem
      }
      for (const namespace of there.value) {
        if (scanned.has(namespace)) continue
        written.delete(namespace)
        why = (await remove(connection, namespace)) ?? why
      }
      tell(why)
    },
  }
}

async function namespacesWithReports(
  connection: KubeConnection,
): Promise<Result<ReadonlySet<string>, string>> {
  const list = await listAll(connection, `${REPORTS}/policyreports`, {
    query: `fieldSelector=${encodeURIComponent(`metadata.name=${REPORT_NAME}`)}`,
    accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json',
  })
  if (!list.ok) {
    const isUnknown = list.denial.status === 404
    const denial = isUnknown
      ? 'the cluster knows no PolicyReport of wgpolicyk8s.io/v1alpha2: install it, or set scan.reports to false'
      : list.denial.message
    return { ok: false, denial }
  }
  const found = list.value.flatMap(({ metadata }) => {
    const namespace = isJsonObject(metadata) ? metadata['namespace'] : undefined
    return typeof namespace === 'string' ? [namespace] : []
  })
  return { ok: true, value: new Set(found) }
}

function reportPath(namespace: string): string {
  return `${REPORTS}/namespaces/${encodeURIComponent(namespace)}/policyreports/${REPORT_NAME}`
}

async function apply(
  connection: KubeConnection,
  namespace: string,
  body: JsonObject,
): Promise<string | undefined> {
  const answer = await connection.request({
    method: 'PATCH',
    path: `${reportPath(namespace)}?fieldManager=${FIELD_MANAGER}&force=true`,
    contentType: 'application/apply-patch+yaml',
    body,
  })
  return answer.ok ? undefined : answer.denial.message
}

/** Of a namespace that has neither any more; gone with its namespace, it is gone. */
async function remove(connection: KubeConnection, namespace: string): Promise<string | undefined> {
  const answer = await connection.request({ method: 'DELETE', path: reportPath(namespace) })
  return answer.ok || answer.denial.status === 404 ? undefined : answer.denial.message
}
