// What to do when a cluster does not list what a command looks at.
import type { KubeFailure } from '#platform/kube/kube_target.ts'
import { printable } from '../printable.ts'

/**
 * The failure and the way out, as two lines.
 * @param right what whoever asks must be allowed, as in `needs ...`
 * @param ifUnknown what to do where the cluster has no such resource
 */
export function listFailure(failure: KubeFailure, right: string, ifUnknown: string): string {
  const wayOut = wayOutOf(failure.status, right, ifUnknown)
  const message = printable(failure.message)
  return wayOut === undefined ? message : `${message}\n    -> ${wayOut}`
}

function wayOutOf(status: number | undefined, right: string, ifUnknown: string): string | undefined {
  if (status === 404) return ifUnknown
  if (status === 403)
    return `whoever asks needs ${right}; or name somebody else with --kubeconfig or --context`
  return status === 401
    ? 'the cluster does not take these credentials: sign in again, or name others with --kubeconfig or --context'
    : undefined
}
