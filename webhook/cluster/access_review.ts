// Whether somebody may break the glass: asked of the cluster each time, since roles change and it is rare.
import { isJsonObject } from '#core/claims.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'

export type AccessQuestion = {
  readonly verb: string
  readonly resource: 'modules' | 'providers'
  readonly namespace: string
  readonly name: string
}

/** The review that waits for it has five seconds. */
const TIMEOUT_MS = 2000

/** A SubjectAccessReview (authorization.k8s.io/v1). The denial is a sentence for the log. */
export async function askAccess(
  connection: KubeConnection,
  { username, uid, groups, extra }: KubeUser,
  question: AccessQuestion,
): Promise<Result<boolean, string>> {
  const answer = await connection.request({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    timeoutMs: TIMEOUT_MS,
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        resourceAttributes: { group: 'opendepot.defdev.io', ...question },
        user: username,
        groups,
        extra,
        ...(uid === '' ? {} : { uid }),
      },
    },
  })
  if (!answer.ok) return { ok: false, denial: answer.denial.message }
  const { status } = answer.value
  return { ok: true, value: isJsonObject(status) && status['allowed'] === true }
}
