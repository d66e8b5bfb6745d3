// From the two states of an object in files to the change that the rules judge, as the API server would make it of them.
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
import { reading } from '#core/module/reading.ts'
import type { Reading } from '#core/module/reading.ts'
import type { Result } from '#core/result.ts'
import type { Fields, JudgedResource, ReviewedObject } from './reviewed_object.ts'
import { isFields } from './reviewed_object.ts'

/** Which of both cannot be read as what it says it is, and why. */
type Unreadable = { readonly which: 'old' | 'new'; readonly sentence: string }

/** CREATE without `before`, DELETE without `after`. */
export function subjectOf(
  before: ReviewedObject | undefined,
  after: ReviewedObject | undefined,
  resource: JudgedResource,
): Result<ChangeSubject, Unreadable> {
  const replaced = after === undefined ? 'DELETE' : 'UPDATE'
  const about = {
    operation: before === undefined ? 'CREATE' : replaced,
    subResource: '',
    namespace: (after ?? before)?.namespace ?? '',
    name: (after ?? before)?.name ?? '',
    dryRun: true,
  } as const
  const states = { before, after }
  switch (resource) {
    case 'modules':
      return read(states, readModule, (bodies) => ({ resource, ...about, ...bodies }))
    case 'providers':
      return read(states, readProvider, (bodies) => ({ resource, ...about, ...bodies }))
    case 'versions':
      return read(states, readVersion, (bodies) => ({ resource, ...about, ...bodies }))
    case 'depots':
      return read(states, readDepot, (bodies) => ({ resource, ...about, ...bodies }))
    case 'groupbindings':
      return read(states, readGroupBinding, (bodies) => ({ resource, ...about, ...bodies }))
    case 'publishedversions':
      return read(states, readPublishedVersion, (bodies) => ({ resource, ...about, ...bodies }))
    case 'modulepolicies':
      return read(states, readPolicyObject, (bodies) => ({ resource, ...about, ...bodies }))
    case 'namespaces':
      return read(states, readNamespace, (bodies) => ({ resource, ...about, ...bodies }))
    case 'customresourcedefinitions':
      return read(states, readDefinition, (bodies) => ({ resource, ...about, ...bodies }))
  }
}

type States = { readonly before: ReviewedObject | undefined; readonly after: ReviewedObject | undefined }

function read<Body>(
  { before, after }: States,
  reader: (value: unknown) => Reading<Body>,
  make: (bodies: { readonly old: Body | undefined; readonly new: Body | undefined }) => ChangeSubject,
): Result<ChangeSubject, Unreadable> {
  const fresh = after === undefined ? undefined : reader(asStored(after))
  if (fresh?.ok === false) return { ok: false, denial: { which: 'new', sentence: fresh.denial } }
  const stored = before === undefined ? undefined : reader(asStored(before))
  // What no API server would have taken was never stored.
  if (stored?.ok === false && after === undefined)
    return { ok: false, denial: { which: 'old', sentence: stored.denial } }
  const old = stored?.ok === true ? stored.value : undefined
  const subject = make({ old, new: fresh?.value })
  return { ok: true, value: old === undefined && after !== undefined ? asCreated(subject) : subject }
}

function asCreated(subject: ChangeSubject): ChangeSubject {
  return { ...subject, operation: 'CREATE' }
}

/** Applying a manifest writes no status, and the namespace is the one that it is applied to. */
export function asStored({ data, namespace }: ReviewedObject): Fields {
  const { status: _status, ...rest } = data
  if (namespace === '') return rest
  const metadata = isFields(data['metadata']) ? data['metadata'] : {}
  return { ...rest, metadata: { ...metadata, namespace } }
}

/** Empty where they cannot be read. */
export function annotationsOf(object: ReviewedObject): ReadonlyMap<string, string> {
  const found = reading(asStored(object), (root) => root.mapping('metadata').texts('annotations'))
  return found.ok ? found.value : new Map()
}
