// What is kept of the texts of a Module or a Provider, how many labels and platforms it has, and what becomes of those that have
// more: WH-V11 lets nobody write them, and of what was there before a watch keeps as many. What was left out is not known, and what
// is not known is never let through: a policy that asks for labels may select the object, and a platform may be listed.
import { createHash } from 'node:crypto'
import { ownText } from '#core/own_text.ts'
import type {
  ModuleConfig,
  ModuleObject,
  ObjectMeta,
  ProviderConfig,
  ProviderObject,
  StorageConfig,
} from './module_object.ts'
import type { ModuleSelector } from './module_policy.ts'
import { isSelected } from './module_policy.ts'
import { sourceOfAddress } from './source_of.ts'

/** Kubernetes bounds each label (380 bytes with its value) and not how many there are: so many are 24 KiB at most. */
export const MAX_LABELS = 64

/** Of a Provider: each version has a Version object for each. Go itself has some fifty. */
export const MAX_PLATFORMS = 64

/** Characters: far above any name, address or bucket. Kubernetes bounds the whole object, to some 1.5 MB. */
const MAX_TEXT = 2048
const KEPT_OF_TEXT = 256

const NO_LABELS: ReadonlyMap<string, never> = new Map<string, never>()

/** All labels, or none of them and how many there are. */
export function boundedLabels(meta: ObjectMeta): ObjectMeta {
  return meta.labels.size > MAX_LABELS ? { ...meta, labels: NO_LABELS } : meta
}

/** The first entries of each list, and how many there are. */
function boundedPlatforms(config: ProviderConfig): ProviderConfig {
  const { operatingSystems, architectures } = config
  const areMany = Math.max(operatingSystems.length, architectures.length) > MAX_PLATFORMS
  if (!areMany) return config
  return {
    ...config,
    operatingSystems: operatingSystems.slice(0, MAX_PLATFORMS),
    architectures: architectures.slice(0, MAX_PLATFORMS),
  }
}

/** As a watch keeps it; whoever compares what was asked with what is kept has to look at no more of the one than of the other. */
export function withBoundedConfig<Body extends ModuleObject | ProviderObject>(body: Body): Body {
  return body.kind === 'Provider'
    ? { ...body, config: boundedProviderConfig(body.config) }
    : { ...body, config: boundedModuleConfig(body.config) }
}

export function boundedModuleConfig(config: ModuleConfig): ModuleConfig {
  return {
    ...config,
    name: boundedText(config.name),
    provider: boundedText(config.provider),
    repoOwner: boundedText(config.repoOwner),
    repoUrl: boundedAddress(config.repoUrl),
    fileFormat: boundedText(config.fileFormat),
    storage: boundedStorage(config.storage),
  }
}

export function boundedProviderConfig(config: ProviderConfig): ProviderConfig {
  const { operatingSystems, architectures, ...rest } = boundedPlatforms(config)
  return {
    ...rest,
    name: boundedText(config.name),
    namespace: boundedText(config.namespace),
    sourceRepository: boundedText(config.sourceRepository),
    operatingSystems: boundedTexts(operatingSystems),
    architectures: boundedTexts(architectures),
    storage: boundedStorage(config.storage),
  }
}

function boundedStorage(storage: StorageConfig | undefined): StorageConfig | undefined {
  const texts = storage?.backends.flatMap(({ fields }) => [...fields.keys(), ...fields.values()]) ?? []
  if (storage === undefined || !texts.some(isLong)) return storage
  const backends = storage.backends.map(({ kind, fields }) => ({
    kind,
    fields: new Map([...fields].map(([key, value]) => [boundedText(key), boundedText(value)])),
  }))
  return { ...storage, backends }
}

function boundedTexts(texts: readonly string[]): readonly string[] {
  return texts.some(isLong) ? texts.map(boundedText) : texts
}

function isLong(text: string): boolean {
  return text.length > MAX_TEXT
}

/**
 * All of it, or its beginning and a hash of all: what was equal stays equal, and what was not does not. The control character between
 * them is in no name, address or segment of one, so nothing that is read of it says where a Module comes from.
 */
export function boundedText(text: string): string {
  if (!isLong(text)) return text
  return `${ownText(text.slice(0, KEPT_OF_TEXT))}\u0000sha256:${hashOf(text)}`
}

/**
 * Of an address the repository that it names is kept, too: slashes behind it, and a login before it, make it as long as one likes, and
 * the same repository stays the one that has published.
 */
function boundedAddress(address: string): string {
  if (!isLong(address)) return address
  const source = sourceOfAddress(address)
  return source === undefined ? boundedText(address) : `https://sha256.${hashOf(address)}@${source}`
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** `maybe`: that depends on labels that are not kept. */
export type Coverage = 'yes' | 'maybe' | 'no'

/** @param namespace where the object is, or is to be created */
export function coverageOf(
  selector: ModuleSelector,
  namespace: string,
  meta: Pick<ObjectMeta, 'labels' | 'labelCount'> | undefined,
): Coverage {
  const { labels = NO_LABELS, labelCount = 0 } = meta ?? {}
  if (isSelected(selector, namespace, labels)) return 'yes'
  // None is kept, so what is left to say no is the namespace.
  const isUnknown =
    labelCount > labels.size && isSelected({ ...selector, labels: NO_LABELS }, namespace, labels)
  return isUnknown ? 'maybe' : 'no'
}

/** Whether a Provider lists a platform; of lists that are not kept whole it may. */
export function mayListPlatform(provider: ProviderObject, system: string, architecture: string): boolean {
  const { operatingSystems, operatingSystemCount, architectures, architectureCount } = provider.config
  return (
    (operatingSystemCount > operatingSystems.length || operatingSystems.includes(system)) &&
    (architectureCount > architectures.length || architectures.includes(architecture))
  )
}

/** Whether it lists platforms that are not kept. */
export function hasMorePlatforms({ config }: ProviderObject): boolean {
  const { operatingSystems, operatingSystemCount, architectures, architectureCount } = config
  return operatingSystemCount > operatingSystems.length || architectureCount > architectures.length
}
