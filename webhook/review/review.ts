// An AdmissionReview as kube-apiserver sends it (admission.k8s.io/v1, Kubernetes 1.30 and later), read once. Strict about what the
// protocol says, so that no rule ever judges half of a change; what the protocol does not know is passed over.
import type { KubeUser } from '#core/kube/kube_user.ts'
import { reading } from '#core/module/reading.ts'
import type { FieldReader } from '#core/module/reading.ts'
import { ownField } from '#core/own_field.ts'
import type { Result } from '#core/result.ts'

type GroupVersion = { readonly group: string; readonly version: string }

/** A Kubernetes object as JSON has it. Its depth is bounded, its fields are not read yet. */
type RawObject = Readonly<Record<string, unknown>>

type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

type ReviewOf<Op extends Operation, After, Before> = {
  /** The answer repeats it. Printable ASCII, at most 128 characters. */
  readonly uid: string
  readonly kind: GroupVersion & { readonly kind: string }
  readonly resource: GroupVersion & { readonly resource: string }
  /** '' of the object itself. */
  readonly subResource: string
  /** '' of what no namespace holds. */
  readonly namespace: string
  /** '' while the server has yet to generate one. */
  readonly name: string
  readonly operation: Op
  readonly user: KubeUser
  readonly object: After
  readonly oldObject: Before
  readonly dryRun: boolean
}

export type Review =
  | ReviewOf<'CREATE', RawObject, undefined>
  | ReviewOf<'UPDATE', RawObject, RawObject>
  | ReviewOf<'DELETE', undefined, RawObject>
  | ReviewOf<'CONNECT', RawObject | undefined, undefined>

/** A sentence about the review, never about a value in it. */
export type ReviewProblem = {
  readonly reason: 'too_large' | 'not_json' | 'wrong_version' | 'malformed' | 'too_deep'
  readonly sentence: string
}

/**
 * Objects and lists inside each other, for what follows the objects down. The deepest schema of a real
 * CustomResourceDefinition has about 60, a Module 10.
 */
export const MAX_DEPTH = 128

const API_VERSION = 'admission.k8s.io/v1'

/** What a body says. The denial is for the log and the answer 400: whoever sent it is no kube-apiserver. */
export function readReview(body: unknown): Result<Review, ReviewProblem> {
  if (!isObject(body)) return problem('malformed', 'the body is no JSON object')
  if (ownField(body, 'kind') !== 'AdmissionReview' || ownField(body, 'apiVersion') !== API_VERSION) {
    return problem('wrong_version', `the body is no AdmissionReview of ${API_VERSION}`)
  }
  const request = ownField(body, 'request')
  if (!isObject(request)) return problem('malformed', 'request is missing')
  const object = ownField(request, 'object') ?? undefined
  const oldObject = ownField(request, 'oldObject') ?? undefined
  if (isDeeperThan(object, MAX_DEPTH) || isDeeperThan(oldObject, MAX_DEPTH)) {
    return problem('too_deep', `an object is nested more than ${MAX_DEPTH} levels deep`)
  }
  const head = reading(request, readHead)
  if (!head.ok) return problem('malformed', `request.${head.denial}`)
  return withObjects(head.value, object, oldObject)
}

type Head = Omit<Review, 'operation' | 'object' | 'oldObject' | 'user'> & {
  readonly operation: string
  readonly user: KubeUser | undefined
}

function readHead(request: FieldReader): Head {
  const kind = request.mapping('kind')
  const resource = request.mapping('resource')
  return {
    uid: request.text('uid'),
    kind: { ...groupVersion(kind), kind: kind.text('kind') },
    resource: { ...groupVersion(resource), resource: resource.text('resource') },
    subResource: request.text('subResource'),
    namespace: request.text('namespace'),
    name: request.text('name'),
    operation: request.text('operation'),
    user: readUser(request.mapping('userInfo')),
    dryRun: request.flag('dryRun'),
  }
}

/** The core group is ''. */
function groupVersion(fields: FieldReader): GroupVersion {
  return { group: fields.text('group'), version: fields.text('version') }
}

/** `undefined` where a list of texts is none. */
function readUser(info: FieldReader): KubeUser | undefined {
  const groups = textsOf(info.raw('groups'))
  const given = info.mapping('extra')
  const extra = given.keys().map((key) => [key, textsOf(given.raw(key))] as const)
  if (groups === undefined || extra.some(([, values]) => values === undefined)) return undefined
  // fromEntries, because a key may be called __proto__.
  return {
    username: info.text('username'),
    uid: info.text('uid'),
    groups,
    extra: Object.fromEntries(extra.map(([key, values]) => [key, values ?? []])),
  }
}

/** Go writes an empty list as null. */
function textsOf(value: unknown): readonly string[] | undefined {
  const list: unknown = value ?? []
  return Array.isArray(list) && list.every((text) => typeof text === 'string') ? list : undefined
}

function withObjects(head: Head, object: unknown, oldObject: unknown): Result<Review, ReviewProblem> {
  const { operation, user, ...rest } = head
  const { uid, kind, resource } = head
  if (!/^[!-~]{1,128}$/.test(uid)) return problem('malformed', 'request.uid is missing or no id')
  if (kind.kind === '' || kind.version === '') return problem('malformed', 'request.kind is not whole')
  if (resource.resource === '' || resource.version === '') {
    return problem('malformed', 'request.resource is not whole')
  }
  if (user === undefined)
    return problem('malformed', 'request.userInfo has something else for a list of texts')
  const after = isObject(object) ? object : undefined
  const before = isObject(oldObject) ? oldObject : undefined
  if (after !== object || before !== oldObject) return problem('malformed', 'an object is no JSON object')
  // A deletecollection names nothing, and a create with generateName may not be named yet.
  const name = rest.name === '' ? nameOf(after ?? before) : rest.name
  const known = { ...rest, user, name }
  if (operation === 'CREATE' && after !== undefined && before === undefined) {
    return ok({ ...known, operation, object: after, oldObject: before })
  }
  if (operation === 'UPDATE' && after !== undefined && before !== undefined) {
    return ok({ ...known, operation, object: after, oldObject: before })
  }
  if (operation === 'DELETE' && after === undefined && before !== undefined) {
    return ok({ ...known, operation, object: after, oldObject: before })
  }
  if (operation === 'CONNECT' && before === undefined) {
    return ok({ ...known, operation, object: after, oldObject: before })
  }
  return problem('malformed', 'request.operation does not go with the objects that are there')
}

function nameOf(object: RawObject | undefined): string {
  const name = ownField(ownField(object, 'metadata'), 'name')
  return typeof name === 'string' ? name : ''
}

/** Goes down no further than it may, so its own stack is bounded, too. */
function isDeeperThan(value: unknown, most: number): boolean {
  if (!isObject(value) && !Array.isArray(value)) return false
  if (most === 0) return true
  if (Array.isArray(value)) return value.some((inner) => isDeeperThan(inner, most - 1))
  // Without a list of the values, and no call for a text: of 60,000 entries each has one.
  for (const key in value) {
    const inner = value[key]
    if (typeof inner === 'object' && isDeeperThan(inner, most - 1)) return true
  }
  return false
}

function isObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function ok(value: Review): Result<Review, ReviewProblem> {
  return { ok: true, value }
}

function problem(reason: ReviewProblem['reason'], sentence: string): Result<never, ReviewProblem> {
  return { ok: false, denial: { reason, sentence } }
}
