// What is kept in memory of the cluster's objects: what rules read of stored ones, and no more. A Module of 500 versions is about
// 100 kB on the wire, of which a third is left. What an object may have without end and WH-V11 bounds is kept up to that bound,
// also of what was there before, and of a text without end its beginning and a hash (core/module/listing_bounds.ts).
import type { JsonObject } from '#core/claims.ts'
import { MIGRATE_ANNOTATION, UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import {
  boundedText,
  boundedLabels,
  boundedModuleConfig,
  boundedProviderConfig,
} from '#core/module/listing_bounds.ts'
import { readModule, readProvider } from '#core/module/module_object.ts'
import type {
  ModuleConfig,
  ModuleObject,
  ObjectMeta,
  ProviderConfig,
  ProviderObject,
  VersionEntry,
} from '#core/module/module_object.ts'
import { PINS_ANNOTATION } from '#core/module/pins.ts'
import type { Reading } from '#core/module/reading.ts'
import type { ObjectRef } from '#platform/kube/watch_cache.ts'

export type Stored<Body> = { readonly body: Body; readonly resourceVersion: string }
export type StoredModule = Stored<ModuleObject>
export type StoredProvider = Stored<ProviderObject>

const NO_NAMES: ReadonlyMap<string, never> = new Map<string, never>()
const READ_ANNOTATIONS = [PINS_ANNOTATION, UNPUBLISH_ANNOTATION, MIGRATE_ANNOTATION]

export function storedModule(object: JsonObject, { resourceVersion }: ObjectRef): Reading<StoredModule> {
  const read = readModule(object)
  if (!read.ok) return read
  const { meta, versions, config, ...rest } = read.value
  const slim = {
    ...rest,
    meta: slimMeta(meta),
    config: withoutPresign(boundedModuleConfig(config)),
    versions: slimEntries(versions),
    fileNames: NO_NAMES,
  }
  return { ok: true, value: { body: { ...slim, status: undefined }, resourceVersion } }
}

export function storedProvider(object: JsonObject, { resourceVersion }: ObjectRef): Reading<StoredProvider> {
  const read = readProvider(object)
  if (!read.ok) return read
  const { meta, versions, config, ...rest } = read.value
  const slim = {
    ...rest,
    meta: slimMeta(meta),
    config: withoutPresign(boundedProviderConfig(config)),
    versions: slimEntries(versions),
    versionNames: NO_NAMES,
  }
  return { ok: true, value: { body: { ...slim, status: undefined }, resourceVersion } }
}

/** Of it the rules only compare what one request changes. */
function withoutPresign<Config extends ModuleConfig | ProviderConfig>(config: Config): Config {
  const { storage } = config
  return storage?.presign === undefined ? config : { ...config, storage: { ...storage, presign: undefined } }
}

/** Of annotations those that rules read: the one that `kubectl apply` leaves is the whole object again. */
function slimMeta(meta: ObjectMeta): ObjectMeta {
  const own = READ_ANNOTATIONS.flatMap((name) => {
    const value = meta.annotations.get(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...boundedLabels(meta), annotations: own.length === 0 ? NO_NAMES : new Map(own) }
}

function slimEntries(entries: readonly VersionEntry[]): readonly VersionEntry[] {
  return entries.map(({ version, otherFields }) => ({
    version: boundedText(version),
    ...(otherFields === undefined ? {} : { otherFields: otherFields.map(boundedText) }),
  }))
}
