// What a cluster holds, listed once: Modules and who wrote them, archives, policies, the ledger. A resource that the cluster does
// not know is empty, because this runs before anything of ours is installed.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import type { ModuleSubject } from '#core/module/change.ts'
import { NO_FACTS } from '#core/module/ledger.ts'
import type { LedgerFacts, PublishedFacts } from '#core/module/ledger.ts'
import type { ModuleObject } from '#core/module/module_object.ts'
import { readPublishedEntry } from '#core/module/published_version.ts'
import type { WrittenModule } from '#core/module/starter_policy.ts'
import { versionObjectName } from '#core/module/version_identity.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import { listAll } from '#platform/kube/list_all.ts'
import { PUBLISHED_VERSIONS } from '#platform/ledger/kube_ledger.ts'
import { configNameOf, keyOf, NameIndex } from '../../../webhook/cluster/name_index.ts'
import { storedModule, storedVersion } from '../../../webhook/cluster/stored.ts'

export type Held = {
  readonly modules: readonly WrittenModule[]
  /** ModulePolicies as they are stored. */
  readonly policies: readonly JsonObject[]
  /** Entries of the ledger. */
  readonly remembered: number
  readonly factsOf: (subject: ModuleSubject) => LedgerFacts
  readonly digestOf: (module: ModuleObject, plain: string) => string | undefined
  /** Objects that cannot be read, a sentence each. */
  readonly unreadable: readonly string[]
}

const OPENDEPOT = '/apis/opendepot.defdev.io/v1alpha1'
const POLICIES = '/apis/sallyport.dev/v1alpha1/modulepolicies'

export async function readHeld(connection: KubeConnection): Promise<Result<Held, string>> {
  const lists: JsonObject[][] = []
  for (const path of [`${OPENDEPOT}/modules`, `${OPENDEPOT}/versions`, POLICIES, PUBLISHED_VERSIONS]) {
    const list = await listAll(connection, path)
    if (!list.ok && list.denial.status !== 404) return { ok: false, denial: list.denial.message }
    lists.push(list.ok ? [...list.value] : [])
  }
  const [modules = [], versions = [], policies = [], entries = []] = lists
  if (modules.length + versions.length + policies.length + entries.length === 0) {
    const known = await connection.request({ method: 'GET', path: OPENDEPOT })
    if (!known.ok)
      return { ok: false, denial: `the cluster has no opendepot.defdev.io/v1alpha1: ${known.denial.message}` }
  }
  return { ok: true, value: heldOf({ modules, versions, policies, entries }) }
}

type Lists = Readonly<Record<'modules' | 'versions' | 'policies' | 'entries', readonly JsonObject[]>>

function heldOf({ modules, versions, policies, entries }: Lists): Held {
  const unreadable: string[] = []
  const written = modules.flatMap((object): WrittenModule[] => {
    const read = storedModule(object, refOf(object))
    if (read.ok) return [{ module: read.value.body, writers: writersOf(object) }]
    unreadable.push(`Module ${nameOf(object)} cannot be read: ${read.denial}`)
    return []
  })
  const names = new NameIndex()
  for (const { module } of written) names.change(undefined, module)
  const archives = new Map<string, string>()
  for (const object of versions) {
    const read = storedVersion(object, refOf(object))
    if (read.ok && read.value.type === 'Module' && read.value.digest !== undefined)
      archives.set(nameOf(object), read.value.digest)
  }
  const ledger = ledgerOf(entries, unreadable)
  return {
    modules: written,
    policies: policies.map((object) => ({
      apiVersion: 'sallyport.dev/v1alpha1',
      kind: 'ModulePolicy',
      ...object,
    })),
    remembered: entries.length,
    unreadable,
    digestOf: (module, plain) =>
      archives.get(`${module.meta.namespace}/${versionObjectName(configNameOf(module), plain)}`),
    factsOf({ new: module, namespace, name }) {
      if (module === undefined) return NO_FACTS
      return {
        ...NO_FACTS,
        published: ledger.get(`${namespace}/${name}`) ?? new Map<string, PublishedFacts>(),
        namesakes: names.namesakes(module),
        versionNameOwner: (objectName) => names.ownerOf(namespace, objectName, keyOf(module)),
      }
    },
  }
}

function ledgerOf(
  entries: readonly JsonObject[],
  unreadable: string[],
): ReadonlyMap<string, ReadonlyMap<string, PublishedFacts>> {
  const ledger = new Map<string, Map<string, PublishedFacts>>()
  for (const object of entries) {
    const read = readPublishedEntry(object)
    if (!read.ok) {
      unreadable.push(`PublishedVersion ${nameOf(object)} cannot be read: ${read.denial}`)
      continue
    }
    const { module, version, facts } = read.value
    if (module.kind !== 'Module') continue
    const key = `${module.namespace}/${module.name}`
    const published = ledger.get(key) ?? new Map<string, PublishedFacts>()
    ledger.set(key, published.set(version, facts))
  }
  return ledger
}

function metadataOf({ metadata }: JsonObject): JsonObject {
  return isJsonObject(metadata) ? metadata : {}
}

function refOf(object: JsonObject) {
  const { namespace, name, uid, resourceVersion } = metadataOf(object)
  return {
    namespace: textOf(namespace),
    name: textOf(name),
    uid: textOf(uid),
    resourceVersion: textOf(resourceVersion),
  }
}

function nameOf(object: JsonObject): string {
  const { namespace, name } = refOf(object)
  return namespace === '' ? name : `${namespace}/${name}`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function writersOf(object: JsonObject): ReadonlySet<string> {
  const { managedFields } = metadataOf(object)
  const entries = Array.isArray(managedFields) ? managedFields.filter(isJsonObject) : []
  return new Set(entries.map(({ manager }) => textOf(manager)))
}
