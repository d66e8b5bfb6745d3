// What a review is about, in the words of the rules: which object, before and after. Who asks and what they may is added by whoever
// has the policy.
import type { ChangeSubject } from '#core/module/change.ts'
import {
  readDefinition,
  readNamespace,
  readPolicyObject,
  readPublishedVersion,
} from '#core/module/guarded_object.ts'
import {
  readDepot,
  readGroupBinding,
  readModule,
  readProvider,
  readVersion,
} from '#core/module/module_object.ts'
import type { Reading } from '#core/module/reading.ts'
import type { Result } from '#core/result.ts'
import type { Review } from './review.ts'

type NoSubject =
  /** A kind, version, subresource or operation that no rule is for: the webhook's configuration asks too much. */
  | { readonly reason: 'not_judged' }
  /** A field that rules read has a type that no definition of it allows. */
  | { readonly reason: 'unreadable'; readonly sentence: string }

export function subjectOf(review: Review): Result<ChangeSubject, NoSubject> {
  const { resource, operation, subResource, namespace, name, dryRun } = review
  if (operation === 'CONNECT' || !isJudgedPart(subResource)) return notJudged()
  const about = { operation, subResource, namespace, name, dryRun }
  switch (`${resource.group}/${resource.version} ${resource.resource}`) {
    case 'opendepot.defdev.io/v1alpha1 modules':
      return withBodies(review, readModule, (bodies) => ({ resource: 'modules', ...about, ...bodies }))
    case 'opendepot.defdev.io/v1alpha1 providers':
      return withBodies(review, readProvider, (bodies) => ({ resource: 'providers', ...about, ...bodies }))
    case 'opendepot.defdev.io/v1alpha1 versions':
      return withBodies(review, readVersion, (bodies) => ({ resource: 'versions', ...about, ...bodies }))
    case 'opendepot.defdev.io/v1alpha1 depots':
      return withBodies(review, readDepot, (bodies) => ({ resource: 'depots', ...about, ...bodies }))
    case 'opendepot.defdev.io/v1alpha1 groupbindings':
      return withBodies(review, readGroupBinding, (bodies) => ({
        resource: 'groupbindings',
        ...about,
        ...bodies,
      }))
    case 'sallyport.dev/v1alpha1 publishedversions':
      return withBodies(review, readPublishedVersion, (bodies) => ({
        resource: 'publishedversions',
        ...about,
        ...bodies,
      }))
    case 'sallyport.dev/v1alpha1 modulepolicies':
      return withBodies(review, readPolicyObject, (bodies) => ({
        resource: 'modulepolicies',
        ...about,
        ...bodies,
      }))
    case '/v1 namespaces':
      return withBodies(review, readNamespace, (bodies) => ({ resource: 'namespaces', ...about, ...bodies }))
    case 'apiextensions.k8s.io/v1 customresourcedefinitions':
      return withBodies(review, readDefinition, (bodies) => ({
        resource: 'customresourcedefinitions',
        ...about,
        ...bodies,
      }))
    default:
      return notJudged()
  }
}

/** The object or its status; nothing else of them is judged. */
function isJudgedPart(subResource: string): subResource is ChangeSubject['subResource'] {
  return subResource === '' || subResource === 'status'
}

type Bodies<Body> = { readonly old: Body | undefined; readonly new: Body | undefined }

function withBodies<Body>(
  { object, oldObject }: Review,
  read: (value: unknown) => Reading<Body>,
  make: (bodies: Bodies<Body>) => ChangeSubject,
): Result<ChangeSubject, NoSubject> {
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
