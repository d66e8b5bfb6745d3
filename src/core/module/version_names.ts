// Whose name a Version object has: by the Modules and Providers that list versions, and by the Versions that are stored.
import { secondsOfTime } from '#core/date_time.ts'
import { digestOfChecksum } from './archive_digest.ts'
import { boundedText } from './listing_bounds.ts'
import { configName } from './module_case.ts'
import { readVersion } from './module_object.ts'
import type { ModuleObject, ProviderObject, VersionObject } from './module_object.ts'
import { keyOf, NameIndex } from './name_index.ts'
import { reading } from './reading.ts'
import type { FieldReader, Reading } from './reading.ts'
import { readVersionIdentity, versionObjectName } from './version_identity.ts'

/** A Version as far as names and archives go. */
export type NamedVersion = {
  readonly namespace: string
  readonly name: string
  readonly type: 'Module' | 'Provider'
  /** Name in the configuration of the Module or Provider that it is of; '' when it does not say. */
  readonly owner: string
  /** Plain; '' of what is no version. */
  readonly version: string
  /** `sha256:<hex>` of the archive; `undefined` until it is stored. */
  readonly digest: string | undefined
  /** It says so of itself, as its Module did when it was made. */
  readonly immutable: boolean
  /** Seconds since the epoch; `undefined` when it does not say. */
  readonly createdAtSeconds: number | undefined
}

/** Of a Version as it is stored. The denial names the field that has the wrong type. */
export function readNamedVersion(value: unknown): Reading<NamedVersion> {
  const read = readVersion(value)
  if (!read.ok) return read
  const { meta, version, checksum, moduleConfig } = read.value
  const { namespace, name } = meta
  const identity = readVersionIdentity(version)
  return {
    ok: true,
    value: {
      namespace,
      name,
      type: read.value.type === 'Provider' ? 'Provider' : 'Module',
      owner: boundedText(ownerNameIn(read.value, value)),
      version: identity.ok ? identity.value.plain : '',
      digest: digestOfChecksum(checksum),
      immutable: moduleConfig?.immutable ?? false,
      createdAtSeconds: secondsOfTime(
        textIn(value, (root) => root.mapping('metadata').text('creationTimestamp')),
      ),
    },
  }
}

function ownerNameIn({ type, moduleConfig, meta }: VersionObject, value: unknown): string {
  const isProvider = type === 'Provider'
  const label = meta.labels.get(`opendepot.defdev.io/${isProvider ? 'provider' : 'module'}`) ?? ''
  if (!isProvider) return moduleConfig?.name || label
  return textIn(value, (root) => root.mapping('spec').mapping('providerConfigRef').text('name')) || label
}

/** '' where there is none, or something else. */
function textIn(value: unknown, find: (root: FieldReader) => string): string {
  const read = reading(value, find)
  return read.ok ? read.value : ''
}

/** By `namespace/name` of the Version object. */
export type StoredVersions = { readonly get: (key: string) => NamedVersion | undefined }

export class VersionNames {
  readonly modules = new NameIndex()
  readonly providers = new NameIndex()
  readonly #versions: StoredVersions

  constructor(versions: StoredVersions) {
    this.#versions = versions
  }

  /** OpenDepot looks for Modules, and for Providers, in every namespace. */
  namesakes(body: ModuleObject | ProviderObject): readonly string[] {
    return body.kind === 'Module' ? this.modules.namesakes(body) : this.providers.namesakes(body)
  }

  /** Who else has a Version object of this name, or lists a version that will have. */
  versionNameOwner(body: ModuleObject | ProviderObject, objectName: string): string | undefined {
    const { namespace } = body.meta
    const stored = this.#versions.get(`${namespace}/${objectName}`)
    if (
      stored !== undefined &&
      (stored.type !== body.kind || stored.owner !== boundedText(configName(body)))
    ) {
      return `${namespace}/${stored.owner === '' ? stored.name : stored.owner}`
    }
    const [exceptModule, exceptProvider] = body.kind === 'Module' ? [keyOf(body), ''] : ['', keyOf(body)]
    return (
      this.modules.ownerOf(namespace, objectName, exceptModule) ??
      this.providers.ownerOf(namespace, objectName, exceptProvider)
    )
  }

  /** Whose version it is, as that is stored. */
  ownerOf(version: VersionObject): ModuleObject | ProviderObject | undefined {
    const { namespace, name } = version.meta
    const label = version.type === 'Provider' ? 'provider' : 'module'
    const told = version.moduleConfig?.name ?? ''
    const owner = told === '' ? version.meta.labels.get(`opendepot.defdev.io/${label}`) : told
    const known = owner ?? this.#versions.get(`${namespace}/${name}`)?.owner ?? ''
    const names = version.type === 'Provider' ? this.providers : this.modules
    return names.find(namespace, known)
  }

  /** Of the archive that is stored for a plain version. A provider's version has one for each platform, and no one digest. */
  digestOf(body: ModuleObject | ProviderObject, plain: string): string | undefined {
    if (body.kind === 'Provider') return undefined
    const name = configName(body)
    const stored = this.#versions.get(`${body.meta.namespace}/${versionObjectName(name, plain)}`)
    const isIts = stored?.type === 'Module' && stored.owner === name && stored.version === plain
    return isIts ? stored.digest : undefined
  }
}
