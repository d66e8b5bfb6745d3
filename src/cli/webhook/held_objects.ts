// What a cluster holds, listed once: Modules, Providers and who wrote them, archives, policies, the ledger. A resource that the cluster does
// not know is empty, because this runs before anything of ours is installed.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import type { ModuleSubject, ProviderSubject } from '#core/module/change.ts'
import { NO_FACTS } from '#core/module/ledger.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { moduleKeyOf } from '#core/module/ledger_feed.ts'
import type { PublishingObject } from '#core/module/ledger_feed.ts'
import type { ModuleObject, ProviderObject } from '#core/module/module_object.ts'
import { readPublishedEntry } from '#core/module/published_version.ts'
import type { Reading } from '#core/module/reading.ts'
import type { Written } from '#core/module/starter_policy.ts'
import { readNamedVersion, VersionNames } from '#core/module/version_names.ts'
import type { NamedVersion } from '#core/module/version_names.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import type { KubeFailure } from '#platform/kube/kube_target.ts'
import { listAll } from '#platform/kube/list_all.ts'
import type { ObjectRef } from '#platform/kube/watch_cache.ts'
import { PUBLISHED_VERSIONS } from '#platform/ledger/kube_ledger.ts'
import { LedgerBook } from '#platform/ledger/ledger_book.ts'
import { storedModule, storedProvider } from '../../../webhook/cluster/stored.ts'
import { listFailure } from './list_way_out.ts'

export type Held = {
  readonly modules: readonly Written<ModuleObject>[]
  readonly providers: readonly Written<ProviderObject>[]
  /** ModulePolicies as they are stored. */
  readonly policies: readonly JsonObject[]
  /** Entries of the ledger. */
  readonly remembered: number
  readonly factsOf: (subject: ModuleSubject | ProviderSubject) => LedgerFacts
  readonly digestOf: (object: PublishingObject, plain: string) => string | undefined
  /** Objects that cannot be read, a sentence each. */
  readonly unreadable: readonly string[]
}

const OPENDEPOT = '/apis/opendepot.defdev.io/v1alpha1'
const POLICIES = '/apis/sallyport.dev/v1alpha1/modulepolicies'

const PATHS = {
  modules: `${OPENDEPOT}/modules`,
  providers: `${OPENDEPOT}/providers`,
  versions: `${OPENDEPOT}/versions`,
  policies: POLICIES,
  entries: PUBLISHED_VERSIONS,
} as const

type Lists = Readonly<Record<keyof typeof PATHS, readonly JsonObject[]>>

/** The denial is for people, with the way out below it. */
export async function readHeld(connection: KubeConnection): Promise<Result<Held, string>> {
  let count = 0
  const lists = {
    modules: NOTHING,
    providers: NOTHING,
    versions: NOTHING,
    policies: NOTHING,
    entries: NOTHING,
  }
  for (const resource of ['modules', 'providers', 'versions', 'policies', 'entries'] as const) {
    const list = await listAll(connection, PATHS[resource])
    if (!list.ok && list.denial.status !== 404) return refused(list.denial)
    if (!list.ok) continue
    lists[resource] = list.value
    count += list.value.length
  }
  if (count === 0) {
    const known = await connection.request({ method: 'GET', path: OPENDEPOT })
    if (!known.ok)
      return refused({
        ...known.denial,
        message: `the cluster has no opendepot.defdev.io/v1alpha1: ${known.denial.message}`,
      })
  }
  return { ok: true, value: heldOf(lists) }
}

function refused(failure: KubeFailure): Result<never, string> {
  const right =
    'the verb list, in every namespace, on modules, providers and versions of opendepot.defdev.io and on modulepolicies and publishedversions of sallyport.dev'
  const ifUnknown =
    'name the cluster that has OpenDepot with --context, or install OpenDepot first; manifests without a cluster are for sallyport review'
  return { ok: false, denial: listFailure(failure, right, ifUnknown) }
}

const NOTHING: readonly JsonObject[] = []

function heldOf(lists: Lists): Held {
  const unreadable: string[] = []
  const read = <T>(kind: string, objects: readonly JsonObject[], reader: Reader<T>): readonly Read<T>[] =>
    objects.flatMap((object) => {
      const one = reader(object, refOf(object))
      if (one.ok) return [{ object, value: one.value }]
      unreadable.push(`${kind} ${nameOf(object)} cannot be read: ${one.denial}`)
      return []
    })
  const modules = read('Module', lists.modules, storedModule).map(({ object, value }) => ({
    object: value.body,
    writers: writersOf(object),
  }))
  const providers = read('Provider', lists.providers, storedProvider).map(({ object, value }) => ({
    object: value.body,
    writers: writersOf(object),
  }))
  const versions = new Map<string, NamedVersion>()
  for (const { object, value } of read('Version', lists.versions, readNamedVersion))
    versions.set(nameOf(object), value)
  const names = new VersionNames(versions)
  for (const { object } of modules) names.modules.change(undefined, object)
  for (const { object } of providers) names.providers.change(undefined, object)
  const ledger = new LedgerBook()
  for (const { value } of read('PublishedVersion', lists.entries, readPublishedEntry)) ledger.set(value)
  return {
    modules,
    providers,
    policies: lists.policies.map((object) => ({
      apiVersion: 'sallyport.dev/v1alpha1',
      kind: 'ModulePolicy',
      ...object,
    })),
    remembered: lists.entries.length,
    unreadable,
    digestOf: (object, plain) => names.digestOf(object, plain),
    factsOf({ new: object }) {
      if (object === undefined) return NO_FACTS
      return {
        ...NO_FACTS,
        published: ledger.published(moduleKeyOf(object)),
        namesakes: names.namesakes(object),
        versionNameOwner: (objectName) => names.versionNameOwner(object, objectName),
      }
    },
  }
}

type Reader<T> = (object: JsonObject, ref: ObjectRef) => Reading<T>
type Read<T> = { readonly object: JsonObject; readonly value: T }

function metadataOf({ metadata }: JsonObject): JsonObject {
  return isJsonObject(metadata) ? metadata : {}
}

function refOf(object: JsonObject): ObjectRef {
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
