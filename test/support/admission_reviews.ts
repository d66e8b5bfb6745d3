// Reviews as a real kube-apiserver 1.36.4 sent them for Modules, one for each thing that kubectl does
// (test/fixtures/admission-reviews).
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'admission-reviews')

/** Their names: `create-ssa`. */
export const RECORDED_REVIEWS: readonly string[] = globSync(join(FOLDER, '*.json'))
  .map((file) => basename(file, '.json'))
  .toSorted()

export function recordedReviewBytes(name: string): Buffer {
  return readFileSync(join(FOLDER, `${name}.json`))
}

type Fields = Record<string, unknown>

/** Each call reads anew. */
export type RecordedReview = Fields & {
  request: Fields & { userInfo: Fields; object: unknown; oldObject: unknown }
}

export function recordedReview(name: string): RecordedReview {
  return Object(JSON.parse(recordedReviewBytes(name).toString('utf8')))
}

/** With one thing changed. */
export function changedReview(name: string, change: (review: RecordedReview) => void): RecordedReview {
  const review = recordedReview(name)
  change(review)
  return review
}
