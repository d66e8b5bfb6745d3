// Who will ask the API server, from what `kubectl auth whoami -o json` prints, a TokenReview, or a `userInfo` alone.
import type { KubeUser } from '#core/kube/kube_user.ts'
import { reading } from '#core/module/reading.ts'
import type { FieldReader, Reading } from '#core/module/reading.ts'

export function readReviewer(value: unknown): Reading<KubeUser> {
  const user = reading(value, (root) => readUser(userIn(root)))
  if (user.ok && user.value.username === '') {
    return { ok: false, denial: 'it has no username: give what kubectl auth whoami -o json prints' }
  }
  return user
}

/** SelfSubjectReview: status.userInfo; TokenReview: status.user; AdmissionReview: request.userInfo. */
function userIn(root: FieldReader): FieldReader {
  const status = root.mapping('status')
  if (status.has('userInfo')) return status.mapping('userInfo')
  if (status.has('user')) return status.mapping('user')
  if (root.mapping('request').has('userInfo')) return root.mapping('request').mapping('userInfo')
  return root.has('userInfo') ? root.mapping('userInfo') : root
}

function readUser(user: FieldReader): KubeUser {
  const extra = user.mapping('extra')
  return {
    username: user.text('username'),
    uid: user.text('uid'),
    groups: user.textList('groups'),
    extra: Object.fromEntries(extra.keys().map((key) => [key, extra.textList(key)])),
  }
}
