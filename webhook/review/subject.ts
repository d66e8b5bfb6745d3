// What a review is about, in the words of the rules: which object, before and after. Who asks and what they may is added by whoever
// has the policy.
import type { Change } from '#core/module/change.ts'
import { readDepot, readModule, readVersion } from '#core/module/module_object.ts'
import type { Reading } from '#core/module/reading.ts'
import type { Result } from '#core/result.ts'
import type { Review } from './review.ts'

type WithoutAsker<C> = C extends unknown ? Omit<C, 'user' | 'mayDo' | 'atSeconds'> : never

export type Subject = WithoutAsker<Change>

type NoSubject =
  /** A kind, version, subresource or operation that no rule is for: the webhook's configuration asks too much. */
  | { readonly reason: 'not_judged' }
  /** A field that rules read has a type that no definition of it allows. */
  | { readonly reason: 'unreadable'; readonly sentence: string }

export function subjectOf(review: Review): Result<Subject, NoSubject> {
  const { resource, operation, subResource } = review
  if (resource.group !== 'opendepot.defdev.io' || resource.version !== 'v1alpha1') return notJudged()
  if (operation === 'CONNECT' || !isJudgedPart(subResource)) return notJudged()
  const { namespace, name, dryRun } = review
  const about = { operation, subResource, namespace, name, dryRun }
  switch (resource.resource) {
    case 'modules':
      return withBodies(review, readModule, (bodies) => ({ resource: 'modules', ...about, ...bodies }))
    case 'versions':
      return withBodies(review, readVersion, (bodies) => ({ resource: 'versions', ...about, ...bodies }))
    case 'depots':
      return withBodies(review, readDepot, (bodies) => ({ resource: 'depots', ...about, ...bodies }))
    default:
      return notJudged()
  }
}

/** The object or its status; a Module has no other part. */
function isJudgedPart(subResource: string): subResource is Subject['subResource'] {
  return subResource === '' || subResource === 'status'
}

type Bodies<Body> = { readonly old: Body | undefined; readonly new: Body | undefined }

function withBodies<Body>(
  { object, oldObject }: Review,
  read: (value: unknown) => Reading<Body>,
  make: (bodies: Bodies<Body>) => Subject,
): Result<Subject, NoSubject> {
  const after = object === undefined ? undefined : read(object)
  const before = oldObject === undefined ? undefined : read(oldObject)
  if (after?.ok === false) return unreadable('object', after.denial)
  if (before?.ok === false) return unreadable('oldObject', before.denial)
  return { ok: true, value: make({ old: before?.value, new: after?.value }) }
}

function notJudged(): Result<never, NoSubject> {
  return { ok: false, denial: { reason: 'not_judged' } }
}

function unreadable(which: string, sentence: string): Result<never, NoSubject> {
  return { ok: false, denial: { reason: 'unreadable', sentence: `${which}: ${sentence}` } }
}
