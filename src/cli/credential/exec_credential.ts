// What the plugin prints: one ExecCredential of exactly client.authentication.k8s.io/v1, which is what the kubeconfig
// must ask for; client-go refuses every other version.
import { EXEC_API_VERSION } from './exec_info.ts'

/** The line for stdout. `endsAt` (milliseconds): when kubectl must ask again; `undefined`: at its next start. */
export function renderExecCredential(token: string, endsAt: number | undefined): string {
  const expirationTimestamp = endsAt === undefined ? undefined : rfc3339(endsAt)
  // The token as it is: a line break at its end would be an invalid header.
  const status = { expirationTimestamp, token }
  return `${JSON.stringify({ apiVersion: EXEC_API_VERSION, kind: 'ExecCredential', status })}\n`
}

function rfc3339(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
}
