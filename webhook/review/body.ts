// The bytes of a review: how many there may be, and what JSON they are.
import { isUtf8 } from 'node:buffer'
import type { Result } from '#core/result.ts'
import { parseWithCommonVersions } from './common_versions.ts'
import { withoutManagedFields } from './managed_fields.ts'
import { readReview } from './review.ts'
import type { Review, ReviewProblem } from './review.ts'

/**
 * kube-apiserver takes bodies of up to 3 MiB, and reviews an update with the object before and after: twice 3 MiB, and 2 MiB for
 * users with many groups, managedFields and what Go's JSON escapes. Whatever is larger is refused, which the
 * configuration's `failurePolicy: Fail` makes a denial.
 */
export const MAX_BODY_BYTES = 8 * 1024 * 1024

const utf8 = new TextDecoder('utf-8', { fatal: true })

export function parseReview(body: Uint8Array): Result<Review, ReviewProblem> {
  if (body.byteLength > MAX_BODY_BYTES) {
    return refused('too_large', `the body has ${body.byteLength} bytes, ${MAX_BODY_BYTES} are read`)
  }
  // All of it, also what is taken out.
  if (!isUtf8(body)) return refused('not_json', 'the body is no JSON in UTF-8')
  let value: unknown
  try {
    value = parseWithCommonVersions(utf8.decode(withoutManagedFields(body)))
  } catch {
    // What both throw quotes the body, which is no text for a log.
    return refused('not_json', 'the body is no JSON in UTF-8')
  }
  return readReview(value)
}

function refused(reason: ReviewProblem['reason'], sentence: string): Result<never, ReviewProblem> {
  return { ok: false, denial: { reason, sentence } }
}
