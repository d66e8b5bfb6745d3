// The objects of reviewed files: which of their documents the rules are about, what they are called, and where each part of
// them stands.
import type { ChangeSubject } from '#core/module/change.ts'

export type Place = { readonly file: string; readonly line: number; readonly column: number }
export type ObjectPath = readonly (string | number)[]

/** One document of a file, read as Kubernetes reads it. */
export type ReviewedDocument = {
  /** Plain JSON data. */
  readonly data: unknown
  /** From the folder that is reviewed, with `/`; what an Argo CD Application's `path` is compared with. */
  readonly within: string
  /** Where the key or item at `path` stands, or its nearest ancestor that is there. */
  readonly placeOf: (path: ObjectPath) => Place | undefined
}

/** What the rules of the webhook judge. */
export type JudgedResource = ChangeSubject['resource']
/** What says how the objects get into the cluster. */
type ArgoResource = 'applications' | 'applicationsets' | 'appprojects'

export type ReviewedObject = {
  readonly resource: JudgedResource | ArgoResource
  readonly kind: string
  /** '' of what no namespace holds. */
  readonly namespace: string
  readonly name: string
  /** The same for one object in two files. */
  readonly key: string
  readonly data: Fields
  readonly within: string
  readonly placeOf: (path: ObjectPath) => Place | undefined
}

export type Fields = Readonly<Record<string, unknown>>

/** An object of a group that the rules are about, in a version or of a kind that they do not know. */
export type UnknownObject = {
  readonly apiVersion: string
  readonly kind: string
  readonly place: Place | undefined
}

export type ObjectsRead = {
  readonly objects: readonly ReviewedObject[]
  readonly unknown: readonly UnknownObject[]
}

type Kind = { readonly resource: ReviewedObject['resource']; readonly isClusterWide: boolean }

const OPENDEPOT = 'opendepot.defdev.io/v1alpha1'
const SALLYPORT = 'sallyport.dev/v1alpha1'
const ARGO = 'argoproj.io/v1alpha1'

const KINDS: ReadonlyMap<string, Kind> = new Map([
  [`${OPENDEPOT} Module`, inNamespace('modules')],
  [`${OPENDEPOT} Version`, inNamespace('versions')],
  [`${OPENDEPOT} Depot`, inNamespace('depots')],
  [`${OPENDEPOT} Provider`, inNamespace('providers')],
  [`${OPENDEPOT} GroupBinding`, inNamespace('groupbindings')],
  [`${SALLYPORT} PublishedVersion`, clusterWide('publishedversions')],
  [`${SALLYPORT} ModulePolicy`, clusterWide('modulepolicies')],
  ['v1 Namespace', clusterWide('namespaces')],
  ['apiextensions.k8s.io/v1 CustomResourceDefinition', clusterWide('customresourcedefinitions')],
  [`${ARGO} Application`, inNamespace('applications')],
  [`${ARGO} ApplicationSet`, inNamespace('applicationsets')],
  [`${ARGO} AppProject`, inNamespace('appprojects')],
])

const JUDGED_GROUPS = ['opendepot.defdev.io/', 'sallyport.dev/']

/**
 * Every object of a document that a rule is about. What has a list of `items` is a list to kubectl and Argo CD, whatever kind it says
 * it is, and is taken apart; documents nest 64 levels at most.
 * @param defaultNamespace of objects that name none
 */
export function objectsIn(document: ReviewedDocument, defaultNamespace: string): ObjectsRead {
  const read: { objects: ReviewedObject[]; unknown: UnknownObject[] } = { objects: [], unknown: [] }
  collect(document, document.data, [], defaultNamespace, read)
  return read
}

function collect(
  document: ReviewedDocument,
  value: unknown,
  at: ObjectPath,
  defaultNamespace: string,
  read: { readonly objects: ReviewedObject[]; readonly unknown: UnknownObject[] },
): void {
  if (!isFields(value)) return
  const apiVersion = textOf(value['apiVersion'])
  const kind = textOf(value['kind'])
  const items = value['items']
  if (Array.isArray(items)) {
    for (const [index, item] of items.entries())
      collect(document, withListKind(item, apiVersion, kind), [...at, 'items', index], defaultNamespace, read)
    return
  }
  const known = KINDS.get(`${apiVersion} ${kind}`)
  const placeOf = (path: ObjectPath): Place | undefined => document.placeOf([...at, ...path])
  if (known === undefined) {
    if (JUDGED_GROUPS.some((group) => apiVersion.startsWith(group)))
      read.unknown.push({ apiVersion, kind, place: placeOf(['apiVersion']) })
    return
  }
  const metadata = isFields(value['metadata']) ? value['metadata'] : {}
  const named = textOf(metadata['namespace'])
  const namespace = known.isClusterWide ? '' : named === '' ? defaultNamespace : named
  const name = textOf(metadata['name'])
  const key = `${known.resource}/${namespace}/${name}`
  read.objects.push({
    resource: known.resource,
    kind,
    namespace,
    name,
    key,
    data: value,
    within: document.within,
    placeOf,
  })
}

/** Items of a `ModuleList` need not say that they are Modules. */
function withListKind(item: unknown, apiVersion: string, kind: string): unknown {
  if (!isFields(item) || kind === 'List' || !kind.endsWith('List')) return item
  return { apiVersion, kind: kind.slice(0, -'List'.length), ...item }
}

/** `Module infra/terraform-aws-vpc`. */
export function shownObject({
  kind,
  namespace,
  name,
}: Pick<ReviewedObject, 'kind' | 'namespace' | 'name'>): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function inNamespace(resource: Kind['resource']): Kind {
  return { resource, isClusterWide: false }
}

function clusterWide(resource: Kind['resource']): Kind {
  return { resource, isClusterWide: true }
}
