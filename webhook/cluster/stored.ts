// What is kept in memory of the cluster's objects: what rules read of stored ones, and no more. A Module of 500 versions is about
// 100 kB on the wire, of which a third is left.
import type { JsonObject } from '#core/claims.ts'
import { readModule, readProvider } from '#core/module/module_object.ts'
import type { ModuleObject, ObjectMeta, ProviderObject, VersionEntry } from '#core/module/module_object.ts'
import type { Reading } from '#core/module/reading.ts'
import type { ObjectRef } from '#platform/kube/watch_cache.ts'

export type Stored<Body> = { readonly body: Body; readonly resourceVersion: string }
export type StoredModule = Stored<ModuleObject>
export type StoredProvider = Stored<ProviderObject>

const NO_NAMES: ReadonlyMap<string, never> = new Map<string, never>()
const NO_FIELDS: readonly string[] = []

export function storedModule(object: JsonObject, { resourceVersion }: ObjectRef): Reading<StoredModule> {
  const read = readModule(object)
  if (!read.ok) return read
  const { meta, versions, ...rest } = read.value
  const slim = { ...rest, meta: slimMeta(meta), versions: slimEntries(versions), fileNames: NO_NAMES }
  return { ok: true, value: { body: { ...slim, status: undefined }, resourceVersion } }
}

export function storedProvider(object: JsonObject, { resourceVersion }: ObjectRef): Reading<StoredProvider> {
  const read = readProvider(object)
  if (!read.ok) return read
  const { meta, versions, ...rest } = read.value
  const slim = { ...rest, meta: slimMeta(meta), versions: slimEntries(versions), versionNames: NO_NAMES }
  return { ok: true, value: { body: { ...slim, status: undefined }, resourceVersion } }
}

/** The annotation that `kubectl apply` leaves is the whole object again. */
function slimMeta(meta: ObjectMeta): ObjectMeta {
  const own = [...meta.annotations].filter(([name]) => name.startsWith('sallyport.dev/'))
  return { ...meta, annotations: own.length === 0 ? NO_NAMES : new Map(own) }
}

function slimEntries(entries: readonly VersionEntry[]): readonly VersionEntry[] {
  return entries.map(({ version, otherFields }) => ({
    version,
    otherFields: otherFields.length === 0 ? NO_FIELDS : otherFields,
  }))
}
