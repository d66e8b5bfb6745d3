// The custom resources that the store is kept in, and how they came to be: numbered steps forward, as for the tables of
// PostgreSQL. Which step a namespace is at stands in it, in the entry `schema`, so that a server needs no right to read
// definitions; whether the definitions hold all fields it learns by a create that is not kept. deploy/crds/store has them
// as files for whoever installs.
import { setTimeout as sleep } from 'node:timers/promises'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'
import { STORE_API, STORE_GROUP, entryObject, versionOf } from './kube_entries.ts'
import type { StoreResource } from './kube_entries.ts'
import type { KubeObjects } from './kube_objects.ts'
import { StoreFailure } from './store.ts'

/** The step that this release knows, and the lowest newest step that a release must know to work with what it leaves. */
const NEWEST = { step: 1, oldestReader: 1 } as const

const STEP_ANNOTATION = 'sallyport.dev/store-step'
const MARKER = 'schema'
const RESOURCES: readonly StoreResource[] = ['storeentries', 'claimsets']
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const SERVED_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 200

export type MigrateOptions = {
  /** Makes the store in a namespace that has none. */
  readonly create: boolean
  /** Makes definitions that are missing or old. */
  readonly define: boolean
}

/** Takes every step that is missing, and tells which. Rejects with StoreFailure. */
export async function migrateKube(objects: KubeObjects, options: MigrateOptions): Promise<readonly number[]> {
  const known = await readMarker(objects)
  if (known !== undefined) {
    checkReadable(objects, known)
    if (known.step >= NEWEST.step) return []
  }
  if (known === undefined && !options.create && !options.define) throw noStore(objects)
  for (const resource of RESOURCES) {
    if (await objects.isServed(resource)) continue
    if (!options.create) throw noStore(objects)
    if (!options.define)
      throw new StoreFailure(
        `${objects.place}: the cluster has no ${resource}.${STORE_GROUP}\n` +
          '    -> kubectl apply -k deploy/crds/store, or sallyport store migrate, as one who may',
      )
    await define(objects)
    await servedSoon(objects, resource)
  }
  if (!options.create) throw noStore(objects)
  return (await writeMarker(objects, known)) ? [NEWEST.step] : []
}

/** Makes the definitions, or brings those of an earlier step up to date; says whether it changed any. */
export async function define(objects: KubeObjects): Promise<boolean> {
  let hasChanged = false
  for (const definition of STORE_DEFINITIONS) {
    const name = textAt(metadataOf(definition), 'name')
    const found = await objects.ask({ method: 'GET', path: `${DEFINITIONS}/${name}` })
    if (!found.ok && found.denial.status !== 404) throw mayNotDefine(objects, found.denial)
    if (found.ok && stepOf(found.value) >= NEWEST.step) continue
    const answer = found.ok
      ? await objects.ask({
          method: 'PUT',
          path: `${DEFINITIONS}/${name}`,
          body: { ...definition, metadata: { ...metadataOf(definition), ...revisionOf(found.value) } },
        })
      : await objects.ask({ method: 'POST', path: DEFINITIONS, body: definition })
    // Another replica was first.
    if (!answer.ok && answer.denial.status !== 409) throw mayNotDefine(objects, answer.denial)
    hasChanged = true
  }
  return hasChanged
}

/**
 * Makes an entry with every field, which is not kept: the server's clock in milliseconds since the epoch, to the second.
 * Rejects with StoreFailure when the definitions leave out what we write, or this account may not write.
 */
export async function probe(objects: KubeObjects): Promise<number> {
  const value = { value: 'x', expiresAt: 1 }
  const object = entryObject('store/probe of definitions', {
    held: value,
    intent: { set: 's', ...value },
    writer: 'w',
  })
  const made = await objects.create('storeentries', object, '?dryRun=All')
  if (made.is === 'taken') throw new StoreFailure(`${objects.place}: an entry of that name was never made`)
  if (!holds(made.object['spec'], object['spec']))
    throw new StoreFailure(
      `${objects.place}: the definitions are of an older release, and would lose what is written\n` +
        '    -> kubectl apply -k deploy/crds/store, or sallyport store migrate, as one who may',
    )
  return Date.parse(textAt(metadataOf(made.object), 'creationTimestamp'))
}

/** Rejects with StoreFailure when a newer release has been here that this one cannot work beside. */
export async function checkMarker(objects: KubeObjects): Promise<void> {
  const known = await readMarker(objects)
  if (known === undefined) throw new StoreFailure(`${objects.place}: the store was removed from it`)
  checkReadable(objects, known)
}

type Marker = { readonly step: number; readonly oldestReader: number; readonly object: JsonObject }

async function readMarker(objects: KubeObjects): Promise<Marker | undefined> {
  if (!(await objects.isServed('storeentries'))) return undefined
  const object = await objects.get('storeentries', MARKER)
  if (object === undefined) return undefined
  const { spec } = object
  const text = isJsonObject(spec) ? spec['value'] : undefined
  const [step, oldestReader] = typeof text === 'string' ? text.split(' ').map(Number) : []
  if (!Number.isInteger(step) || !Number.isInteger(oldestReader))
    throw new StoreFailure(`${objects.place}: the entry "${MARKER}" cannot be read: somebody else wrote it`)
  return { step: step ?? 0, oldestReader: oldestReader ?? 0, object }
}

/** False when another replica has written it. */
async function writeMarker(objects: KubeObjects, known: Marker | undefined): Promise<boolean> {
  const version = known === undefined ? undefined : versionOf(known.object)
  const object = {
    apiVersion: STORE_API,
    kind: 'StoreEntry',
    metadata: { name: MARKER, ...revisionOf(known?.object) },
    spec: { key: MARKER, value: `${NEWEST.step} ${NEWEST.oldestReader}`, writer: 'migration' },
  }
  const written =
    version === undefined
      ? await objects.create('storeentries', object)
      : await objects.replace('storeentries', MARKER, object)
  return written.is === 'done'
}

function checkReadable({ place }: KubeObjects, { oldestReader }: Marker): void {
  if (oldestReader <= NEWEST.step) return
  throw new StoreFailure(
    `${place}: the store is of a newer release, which this one (step ${NEWEST.step}) cannot work with\n` +
      '    -> run the newer release, or restore the backup that was made before it',
  )
}

function noStore({ place }: KubeObjects): StoreFailure {
  return new StoreFailure(`${place}: there is no store in it yet: start the broker once`)
}

function mayNotDefine(objects: KubeObjects, denial: Parameters<KubeObjects['failure']>[0]): StoreFailure {
  if (denial.status !== 403) return objects.failure(denial)
  return new StoreFailure(
    `${objects.place}: this account may not make the definitions that the store is kept in\n` +
      '    -> kubectl apply -k deploy/crds/store, or sallyport store migrate, as one who may',
  )
}

/** A definition takes a moment to be served, and another on each further apiserver. */
async function servedSoon(objects: KubeObjects, resource: StoreResource): Promise<void> {
  for (let waitedMs = 0; waitedMs < SERVED_WITHIN_MS; waitedMs += LOOK_EVERY_MS) {
    if (await objects.isServed(resource)) return
    await sleep(LOOK_EVERY_MS)
  }
  throw new StoreFailure(`${objects.place}: ${resource} were defined, and are not served`)
}

/** Every field that was written came back. */
function holds(got: JsonValue | undefined, wanted: JsonValue | undefined): boolean {
  if (!isJsonObject(wanted)) return got === wanted
  return isJsonObject(got) && Object.entries(wanted).every(([name, value]) => holds(got[name], value))
}

function textAt(object: JsonObject, name: string): string {
  const value = object[name]
  return typeof value === 'string' ? value : ''
}

function metadataOf(object: JsonObject): JsonObject {
  const { metadata } = object
  return isJsonObject(metadata) ? metadata : {}
}

function revisionOf(object: JsonObject | undefined): JsonObject {
  const revision = object === undefined ? undefined : metadataOf(object)['resourceVersion']
  return typeof revision === 'string' ? { resourceVersion: revision } : {}
}

function stepOf(definition: JsonObject): number {
  const { annotations } = metadataOf(definition)
  return isJsonObject(annotations) ? Number(annotations[STEP_ANNOTATION] ?? 0) : 0
}

/** Milliseconds since the epoch. */
const END = { type: 'integer', format: 'int64', minimum: 0 }
/** A key ring with its keys is a few kilobytes; etcd takes 1.5 MiB. */
const VALUE = { type: 'string', maxLength: 262_144 }

/** What deploy/crds/store says in YAML (a test compares them). */
export const STORE_DEFINITIONS: readonly JsonObject[] = [
  definitionOf({
    plural: 'storeentries',
    singular: 'storeentry',
    kind: 'StoreEntry',
    columns: [{ name: 'Key', type: 'string', jsonPath: '.spec.key' }],
    spec: {
      type: 'object',
      required: ['key', 'writer'],
      properties: {
        key: { type: 'string', maxLength: 4096 },
        value: VALUE,
        expiresAt: END,
        writer: { type: 'string', maxLength: 64 },
        intent: {
          type: 'object',
          required: ['set', 'value'],
          properties: { set: { type: 'string', maxLength: 64 }, value: VALUE, expiresAt: END },
        },
      },
    },
  }),
  definitionOf({
    plural: 'claimsets',
    singular: 'claimset',
    kind: 'ClaimSet',
    columns: [{ name: 'Decision', type: 'string', jsonPath: '.spec.decision' }],
    spec: {
      type: 'object',
      required: ['decision'],
      properties: { decision: { type: 'string', enum: ['open', 'taken', 'dropped'] } },
      'x-kubernetes-validations': [
        {
          rule: "oldSelf.decision == 'open' || self.decision == oldSelf.decision",
          message: 'what is decided stays decided',
          reason: 'FieldValueForbidden',
        },
      ],
    },
  }),
]

type DefinitionParts = {
  readonly plural: StoreResource
  readonly singular: string
  readonly kind: string
  readonly columns: readonly JsonObject[]
  readonly spec: JsonObject
}

function definitionOf({ plural, singular, kind, columns, spec }: DefinitionParts): JsonObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${STORE_GROUP}`,
      annotations: { [STEP_ANNOTATION]: String(NEWEST.step) },
    },
    spec: {
      group: STORE_GROUP,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          additionalPrinterColumns: [
            ...columns,
            {
              name: 'Age',
              type: 'date',
              jsonPath: '.metadata.creationTimestamp',
            },
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: { type: 'object' },
                spec,
              },
            },
          },
        },
      ],
    },
  }
}
