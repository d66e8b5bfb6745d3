// Which object became which: by kind, namespace and name, wherever it stands.
import { isSameValue } from '#core/module/reading.ts'
import { asStored } from './subject.ts'
import type { ReviewedObject } from './reviewed_object.ts'

export type Pairing = {
  readonly key: string
  /** One, unless two files say something about one object. */
  readonly before: readonly ReviewedObject[]
  readonly after: readonly ReviewedObject[]
}

/** In the order of the new files, then what is gone in the order of the old ones. */
export function pairObjects(
  before: readonly ReviewedObject[],
  after: readonly ReviewedObject[],
): readonly Pairing[] {
  const old = Map.groupBy(before, ({ key }) => key)
  const fresh = Map.groupBy(after, ({ key }) => key)
  const keys = new Set([...fresh.keys(), ...old.keys()])
  return [...keys].map((key) => ({ key, before: old.get(key) ?? [], after: fresh.get(key) ?? [] }))
}

/** Nothing that an API server would store has changed, however the file is written. */
export function isSameObject(left: ReviewedObject, right: ReviewedObject): boolean {
  return left.data === right.data || isSameValue(asStored(left), asStored(right))
}

export function isUnchanged({ before, after }: Pairing): boolean {
  if (before.length !== after.length) return false
  return after.every((fresh) => before.some((stored) => isSameObject(stored, fresh)))
}
