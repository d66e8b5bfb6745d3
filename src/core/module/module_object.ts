// The objects of opendepot.defdev.io/v1alpha1 as the rules read them. Strict about the types of what is read, lenient
// about everything else: objects come from clusters with newer schemas.
import { reading } from './reading.ts'
import type { FieldReader, Reading } from './reading.ts'

export type ObjectMeta = {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Of more than WH-V11 lets anybody write a watch keeps none (listing_bounds.ts). */
  readonly labels: ReadonlyMap<string, string>
  /** As many as there are. */
  readonly labelCount: number
  readonly annotations: ReadonlyMap<string, string>
  /** Somebody deleted it and finalizers hold it. */
  readonly isTerminating: boolean
}

type StorageKind = 's3' | 'azureStorage' | 'gcs' | 'fileSystem'

export type StorageConfig = {
  /** More than one is a mistake that a rule refuses: OpenDepot writes to the first and serves from the last. */
  readonly backends: readonly { readonly kind: StorageKind; readonly fields: ReadonlyMap<string, string> }[]
  /** For comparing only. */
  readonly presign: unknown
}

export type ModuleConfig = {
  /** '' when absent, as for the other texts. */
  readonly name: string
  readonly provider: string
  readonly repoOwner: string
  readonly repoUrl: string
  readonly fileFormat: string
  readonly immutable: boolean
  /** `undefined` when absent. */
  readonly versionHistoryLimit: number | undefined
  readonly useAuthenticatedClient: boolean
  readonly storage: StorageConfig | undefined
}

export type VersionEntry = {
  /** As written; '' when the entry has none. */
  readonly version: string
  /** Names of the fields beside `version`, where there are any. */
  readonly otherFields?: readonly string[]
}

export type ModuleObject = {
  readonly kind: 'Module'
  readonly meta: ObjectMeta
  readonly config: ModuleConfig
  readonly forceSync: boolean
  readonly versions: readonly VersionEntry[]
  /** status.moduleVersionRefs: version as written -> file in the storage. */
  readonly fileNames: ReadonlyMap<string, string>
  /** The whole status, for comparing only. */
  readonly status: unknown
}

export type VersionObject = {
  readonly kind: 'Version'
  readonly meta: ObjectMeta
  /** `Module` or `Provider`. */
  readonly type: string
  readonly version: string
  readonly fileName: string
  /** Of a provider's; '' of a module's. */
  readonly operatingSystem: string
  readonly architecture: string
  readonly forceSync: boolean
  /** spec.moduleConfigRef; `undefined` of a provider's. */
  readonly moduleConfig: ModuleConfig | undefined
  /** The rest of the spec, for comparing only. */
  readonly specButForceSync: unknown
  readonly checksum: string
  /** The whole status, for comparing only. */
  readonly status: unknown
}

export type DepotObject = {
  readonly kind: 'Depot'
  readonly meta: ObjectMeta
  readonly globalConfig: ModuleConfig | undefined
  readonly globalStorage: StorageConfig | undefined
  readonly modules: readonly ModuleConfig[]
  /** The whole spec, for comparing only. */
  readonly spec: unknown
}

export type ProviderConfig = {
  /** The provider's name; the object's own when ''. */
  readonly name: string
  /** Its namespace in the upstream registry; hashicorp when ''. */
  readonly namespace: string
  readonly sourceRepository: string
  /** Of more than WH-V11 lets anybody write a watch keeps the first, as of architectures (listing_bounds.ts). */
  readonly operatingSystems: readonly string[]
  readonly architectures: readonly string[]
  /** As many as there are. */
  readonly operatingSystemCount: number
  readonly architectureCount: number
  readonly versionHistoryLimit: number | undefined
  readonly useAuthenticatedClient: boolean
  readonly storage: StorageConfig | undefined
}

export type ProviderObject = {
  readonly kind: 'Provider'
  readonly meta: ObjectMeta
  readonly config: ProviderConfig
  readonly forceSync: boolean
  /** One version may be listed once for each platform. */
  readonly versions: readonly VersionEntry[]
  /** status.providerVersionRefs: `<version>-<os>-<arch>` -> name of the Version object. */
  readonly versionNames: ReadonlyMap<string, string>
  /** The whole status, for comparing only. */
  readonly status: unknown
}

export type GroupBindingObject = {
  readonly kind: 'GroupBinding'
  readonly meta: ObjectMeta
  /** An expr-lang condition on `groups`. */
  readonly expression: string
  /** Globs of Module names. */
  readonly moduleResources: readonly string[]
  /** Provider names, or `*`. */
  readonly providerResources: readonly string[]
}

/** A Module as it is stored or asked for. The denial names the field that has the wrong type. */
export function readModule(value: unknown): Reading<ModuleObject> {
  return reading(value, (root) => {
    const { meta, spec, status } = readParts(root)
    const refs = status.mapping('moduleVersionRefs')
    return {
      kind: 'Module',
      meta,
      config: readModuleConfig(spec.mapping('moduleConfig')),
      forceSync: spec.flag('forceSync'),
      versions: readEntries(spec),
      fileNames: new Map(refs.keys().map((key) => [key, refs.mapping(key).text('fileName')])),
      status: root.raw('status'),
    }
  })
}

export function readVersion(value: unknown): Reading<VersionObject> {
  return reading(value, (root) => {
    const { meta, spec, status } = readParts(root)
    return {
      kind: 'Version',
      meta,
      type: spec.text('type'),
      version: spec.text('version'),
      fileName: spec.text('fileName'),
      operatingSystem: spec.text('operatingSystem'),
      architecture: spec.text('architecture'),
      forceSync: spec.flag('forceSync'),
      moduleConfig: readOptionalConfig(spec, 'moduleConfigRef'),
      specButForceSync: spec.without('forceSync'),
      checksum: status.text('checksum'),
      status: root.raw('status'),
    }
  })
}

export function readDepot(value: unknown): Reading<DepotObject> {
  return reading(value, (root) => {
    const { meta, spec } = readParts(root)
    const global = spec.mapping('global')
    return {
      kind: 'Depot',
      meta,
      globalConfig: readOptionalConfig(global, 'moduleConfig'),
      globalStorage: readStorage(global),
      modules: spec.mappings('moduleConfigs').map(readModuleConfig),
      spec: root.raw('spec'),
    }
  })
}

export function readProvider(value: unknown): Reading<ProviderObject> {
  return reading(value, (root) => {
    const { meta, spec, status } = readParts(root)
    const refs = status.mapping('providerVersionRefs')
    return {
      kind: 'Provider',
      meta,
      config: readProviderConfig(spec.mapping('providerConfig')),
      forceSync: spec.flag('forceSync'),
      versions: readEntries(spec),
      versionNames: new Map(refs.keys().map((key) => [key, refs.mapping(key).text('name')])),
      status: root.raw('status'),
    }
  })
}

export function readGroupBinding(value: unknown): Reading<GroupBindingObject> {
  return reading(value, (root) => {
    const { meta, spec } = readParts(root)
    return {
      kind: 'GroupBinding',
      meta,
      expression: spec.text('expression'),
      moduleResources: spec.textList('moduleResources'),
      providerResources: spec.textList('providerResources'),
    }
  })
}

function readParts(root: FieldReader): { meta: ObjectMeta; spec: FieldReader; status: FieldReader } {
  return {
    meta: readMeta(root.mapping('metadata')),
    spec: root.mapping('spec'),
    status: root.mapping('status'),
  }
}

export function readMeta(meta: FieldReader): ObjectMeta {
  const labels = meta.texts('labels')
  return {
    namespace: meta.text('namespace'),
    name: meta.text('name'),
    uid: meta.text('uid'),
    labels,
    labelCount: labels.size,
    annotations: meta.texts('annotations'),
    isTerminating: meta.has('deletionTimestamp'),
  }
}

function readOptionalConfig(parent: FieldReader, key: string): ModuleConfig | undefined {
  return parent.has(key) ? readModuleConfig(parent.mapping(key)) : undefined
}

function readModuleConfig(config: FieldReader): ModuleConfig {
  return {
    name: config.text('name'),
    provider: config.text('provider'),
    repoOwner: config.text('repoOwner'),
    repoUrl: config.text('repoUrl'),
    fileFormat: config.text('fileFormat'),
    immutable: config.flag('immutable'),
    versionHistoryLimit: config.integer('versionHistoryLimit'),
    useAuthenticatedClient: config.mapping('githubClientConfig').flag('useAuthenticatedClient'),
    storage: readStorage(config),
  }
}

function readProviderConfig(config: FieldReader): ProviderConfig {
  const operatingSystems = config.textList('operatingSystems')
  const architectures = config.textList('architectures')
  return {
    name: config.text('name'),
    namespace: config.text('namespace'),
    sourceRepository: config.text('sourceRepository'),
    operatingSystems,
    architectures,
    operatingSystemCount: operatingSystems.length,
    architectureCount: architectures.length,
    versionHistoryLimit: config.integer('versionHistoryLimit'),
    useAuthenticatedClient: config.mapping('githubClientConfig').flag('useAuthenticatedClient'),
    storage: readStorage(config),
  }
}

const STORAGE_KINDS: readonly StorageKind[] = ['s3', 'azureStorage', 'gcs', 'fileSystem']

function readStorage(parent: FieldReader): StorageConfig | undefined {
  if (!parent.has('storageConfig')) return undefined
  const storage = parent.mapping('storageConfig')
  const kinds = STORAGE_KINDS.filter((kind) => storage.has(kind))
  return {
    backends: kinds.map((kind) => ({ kind, fields: storage.texts(kind) })),
    presign: storage.raw('presign'),
  }
}

/** Nearly all lists, and all that are long, have nothing but versions: those are entries as they stand. */
function readEntries(spec: FieldReader): readonly VersionEntry[] {
  const listed: unknown = spec.raw('versions')
  if (Array.isArray(listed) && listed.every(isVersionAlone)) return listed
  return spec.mappings('versions').map(readEntry)
}

function isVersionAlone(entry: unknown): entry is { readonly version: string } {
  if (typeof entry !== 'object' || entry === null || !('version' in entry)) return false
  for (const key in entry) if (key !== 'version') return false
  return Object.hasOwn(entry, 'version') && typeof entry.version === 'string'
}

function readEntry(entry: FieldReader): VersionEntry {
  const otherFields = entry.keys().filter((key) => key !== 'version')
  return { version: entry.text('version'), ...(otherFields.length > 0 ? { otherFields } : {}) }
}
