// The watches, and the indexes that follow them.
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject } from '#core/claims.ts'
import type { ModuleKey } from '#core/module/ledger.ts'
import { coverageOf } from '#core/module/listing_bounds.ts'
import type { ModuleObject, ProviderObject, VersionObject } from '#core/module/module_object.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { Reading } from '#core/module/reading.ts'
import { readNamedVersion, VersionNames } from '#core/module/version_names.ts'
import type { NamedVersion } from '#core/module/version_names.ts'
import { WatchCache } from '#platform/kube/watch_cache.ts'
import type { AnyWatch, ObjectRef, WatchChange, WatchDeps, Watched } from '#platform/kube/watch_cache.ts'
import { identitiesOf } from '#core/module/ledger.ts'
import type { PublishingObject, UnlistedVersion } from '#core/module/ledger_feed.ts'
import type { Publishing } from '../ledger/feeder.ts'
import { storedPolicy } from './policy_list.ts'
import type { StoredPolicy } from './policy_list.ts'
import { storedModule, storedProvider } from './stored.ts'
import type { StoredModule, StoredProvider } from './stored.ts'

export type HoldingsEvents = {
  readonly onPublishing: (change: WatchChange<Publishing>) => void
  readonly onArchived: (module: ModuleKey, plain: string, digest: string) => void
  /** One more resource was listed. */
  readonly onListed: () => void
}

const OPENDEPOT = '/apis/opendepot.defdev.io/v1alpha1'
/** Objects of a page: a Module of 500 versions is 100 kB, and a page 4 MiB at most. */
const [FEW, MANY] = [25, 500]
const NO_NAMES: readonly string[] = []

export class Holdings {
  readonly modules: WatchCache<StoredModule>
  readonly providers: WatchCache<StoredProvider>
  readonly caches: readonly AnyWatch[]
  readonly #versions: WatchCache<NamedVersion>
  readonly #policies: WatchCache<StoredPolicy>
  readonly #bindings: WatchCache<true>
  readonly #namespaces: WatchCache<true>
  readonly #names = new VersionNames({ get: (key) => this.#versions.get(key) })
  /** Namespace -> names of its GroupBindings, sorted. */
  readonly #bindingNames = new Map<string, readonly string[]>()
  readonly #deps: WatchDeps
  #policyList: readonly StoredPolicy[] = []

  constructor(deps: WatchDeps, { onPublishing, onArchived, onListed }: HoldingsEvents) {
    this.#deps = deps
    const watched = <T>(options: Omit<Watched<T>, 'onListed'>): WatchCache<T> =>
      new WatchCache<T>({ ...options, onListed }, deps)
    this.modules = watched<StoredModule>({
      resource: 'modules',
      path: `${OPENDEPOT}/modules`,
      pageSize: FEW,
      whenUnknown: 'empty',
      project: (object, ref) => this.#readable('Module', ref, storedModule(object, ref)),
      onChange: (change) => {
        this.#names.modules.change(change.before?.body, change.after?.body)
        onPublishing(change)
      },
    })
    this.providers = watched<StoredProvider>({
      resource: 'providers',
      path: `${OPENDEPOT}/providers`,
      pageSize: FEW,
      whenUnknown: 'empty',
      project: (object, ref) => this.#readable('Provider', ref, storedProvider(object, ref)),
      onChange: (change) => {
        this.#names.providers.change(change.before?.body, change.after?.body)
        onPublishing(change)
      },
    })
    this.#versions = watched<NamedVersion>({
      resource: 'versions',
      path: `${OPENDEPOT}/versions`,
      pageSize: MANY,
      whenUnknown: 'empty',
      project: (object, ref) => this.#readable('Version', ref, readNamedVersion(object)),
      onChange: ({ after }) => {
        const owner = after?.digest === undefined ? undefined : this.#moduleOf(after)
        if (after?.digest === undefined || owner === undefined || after.version === '') return
        const { namespace, name } = owner.meta
        onArchived({ kind: 'Module', namespace, name }, after.version, after.digest)
      },
    })
    this.#policies = watched<StoredPolicy>({
      resource: 'modulepolicies',
      path: '/apis/sallyport.dev/v1alpha1/modulepolicies',
      pageSize: FEW,
      // Without the definition nobody could have written one down; judging then would be judging without any.
      whenUnknown: 'missing',
      project: (object, { name }) => storedPolicy(object, name),
      onChange: (change) => this.#policyChanged(change),
    })
    this.#bindings = watched<true>({
      resource: 'groupbindings',
      path: `${OPENDEPOT}/groupbindings`,
      pageSize: MANY,
      metadataOnly: true,
      whenUnknown: 'empty',
      project: () => true,
      onChange: (change) => this.#bindingChanged(change),
    })
    this.#namespaces = watched<true>({
      resource: 'namespaces',
      path: '/api/v1/namespaces',
      pageSize: MANY,
      metadataOnly: true,
      whenUnknown: 'missing',
      // The few that are about to go are all that is kept.
      project: (object) => (isTerminating(object) ? true : undefined),
      onChange: () => undefined,
    })
    this.caches = [
      this.modules,
      this.providers,
      this.#versions,
      this.#policies,
      this.#bindings,
      this.#namespaces,
    ]
  }

  get isListed(): boolean {
    return this.caches.every((cache) => cache.isListed)
  }

  start(): void {
    for (const cache of this.caches) cache.start()
  }

  missing(): string[] {
    return this.caches.map((cache) => cache.missing()).filter((why) => why !== undefined)
  }

  troubles(): readonly string[] {
    return this.#policyList.flatMap(({ name, problem }) =>
      problem === undefined
        ? []
        : [`ModulePolicy ${name} cannot be read, so nobody publishes what it selects: ${problem}`],
    )
  }

  async close(): Promise<void> {
    await Promise.all(this.caches.map((cache) => cache.close()))
  }

  policies(): readonly NamedPolicy[] {
    return this.#policyList
  }

  *publishing(): IterableIterator<PublishingObject> {
    for (const { body } of this.modules.values()) yield body
    for (const { body } of this.providers.values()) yield body
  }

  /** Of a kind that the server never served nobody can say that it is not: what it published is not called gone for that. */
  isStored({ kind, namespace, name }: ModuleKey): boolean {
    const cache = kind === 'Module' ? this.modules : this.providers
    return !cache.isServed || cache.get(`${namespace}/${name}`) !== undefined
  }

  /**
   * Versions that their Module or Provider does not list, or whose Module or Provider is gone.
   * @param beforeSeconds those that were made since then are left out: the list that has them may not have come yet
   */
  *unlisted(beforeSeconds: number): IterableIterator<UnlistedVersion> {
    for (const stored of this.#versions.values()) {
      const { type: kind, namespace, owner, version, digest, createdAtSeconds = Infinity } = stored
      if (version === '' || owner === '' || createdAtSeconds >= beforeSeconds) continue
      const cache = kind === 'Module' ? this.modules : this.providers
      const names = kind === 'Module' ? this.#names.modules : this.#names.providers
      const lister = names.find(namespace, owner)
      // Of a kind that is not served nobody knows what it lists.
      if (!cache.isServed || (lister !== undefined && identitiesOf(lister).has(version))) continue
      yield {
        module: { kind, namespace, name: lister?.meta.name ?? owner },
        version,
        immutable: stored.immutable || (lister !== undefined && this.#isImmutable(lister)),
        digest: kind === 'Module' ? digest : undefined,
      }
    }
  }

  #isImmutable(body: PublishingObject): boolean {
    return (body.kind === 'Module' && body.config.immutable) || this.isRequiredImmutable(body)
  }

  isTerminating(namespace: string): boolean {
    return this.#namespaces.get(namespace) === true
  }

  groupBindings(namespace: string): readonly string[] {
    return this.#bindingNames.get(namespace) ?? NO_NAMES
  }

  isRequiredImmutable({ meta }: PublishingObject): boolean {
    return this.#policyList.some(
      ({ spec }) =>
        spec.immutability === 'required' && coverageOf(spec.selector, meta.namespace, meta) !== 'no',
    )
  }

  digestOf(body: PublishingObject, plain: string): string | undefined {
    return this.#names.digestOf(body, plain)
  }

  namesakes(body: PublishingObject): readonly string[] {
    return this.#names.namesakes(body)
  }

  versionNameOwner(body: PublishingObject, objectName: string): string | undefined {
    return this.#names.versionNameOwner(body, objectName)
  }

  ownerOf(version: VersionObject): ModuleObject | ProviderObject | undefined {
    return this.#names.ownerOf(version)
  }

  #moduleOf({ type, namespace, owner }: NamedVersion): ModuleObject | undefined {
    const found = type === 'Module' ? this.#names.modules.find(namespace, owner) : undefined
    return found?.kind === 'Module' ? found : undefined
  }

  #readable<T>(kind: string, { namespace, name }: ObjectRef, read: Reading<T>): T | undefined {
    if (read.ok) return read.value
    this.#deps.log.error({ kind, namespace, name, why: read.denial }, 'a stored object cannot be read')
    return undefined
  }

  #policyChanged({ after }: WatchChange<StoredPolicy>): void {
    this.#policyList = [...this.#policies.values()].sort((left, right) => (left.name < right.name ? -1 : 1))
    if (after?.problem === undefined) return
    const { name, problem } = after
    this.#deps.log.error(
      { policy: name, why: problem },
      'a ModulePolicy cannot be read: nobody publishes what it selects',
    )
  }

  #bindingChanged({ key, after }: WatchChange<true>): void {
    const [namespace = '', name = ''] = key.split('/')
    const others = this.groupBindings(namespace).filter((other) => other !== name)
    const names = after === undefined ? others : [...others, name].sort()
    if (names.length === 0) this.#bindingNames.delete(namespace)
    else this.#bindingNames.set(namespace, names)
  }
}

function isTerminating({ metadata }: JsonObject): boolean {
  return isJsonObject(metadata) && typeof metadata['deletionTimestamp'] === 'string'
}
