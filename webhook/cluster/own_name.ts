// Who the webhook itself is to the cluster: its own accounts alone write the ledger.
import { setTimeout as pause } from 'node:timers/promises'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import type { Log } from '#platform/log.ts'

const PAUSE_MS = 1000

/** By SelfSubjectReview (authentication.k8s.io/v1, Kubernetes 1.28), asked until it is answered; `undefined` when aborted. */
export async function findOwnName(
  connection: KubeConnection,
  log: Log,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const answer = await connection.request({
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    })
    const name = answer.ok ? nameIn(answer.value) : undefined
    if (name !== undefined) return name
    const why = answer.ok ? 'the answer has no username' : answer.denial.message
    if (isFirst) log.warn({ why }, 'who the webhook is to the cluster is not known, and is asked again')
    await pause(PAUSE_MS, undefined, { signal }).catch(() => undefined)
  }
  return undefined
}

function nameIn({ status }: JsonObject): string | undefined {
  const user = isJsonObject(status) ? status['userInfo'] : undefined
  const name = isJsonObject(user) ? user['username'] : undefined
  return typeof name === 'string' && name !== '' ? name : undefined
}
