// WH-M8: with which credentials a module is fetched and handed out changes no content. It is written down.
import { configPath } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { Finding } from '#core/module/verdict.ts'

export function credentials({ change }: ListCase): readonly Finding[] {
  const before = change.old?.config
  const after = change.new?.config
  if (before === undefined || after === undefined) return []
  const findings: Finding[] = []
  if (before.useAuthenticatedClient !== after.useAuthenticatedClient) {
    findings.push(
      noted(change, 'githubClientConfig', `useAuthenticatedClient becomes ${after.useAuthenticatedClient}`),
    )
  }
  if (!isSameValue(before.storage?.presign, after.storage?.presign)) {
    findings.push(noted(change, 'storageConfig.presign', 'how archives are handed out changes (presign)'))
  }
  return findings
}

function noted(change: ListCase['change'], field: string, message: string): Finding {
  return { rule: 'WH-M8', kind: 'notice', path: `${configPath(change)}.${field}`, message, wayOut: '' }
}
