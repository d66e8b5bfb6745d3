// What the rules may know beside one change: the ledger that was given, and the other objects of the same files.
import type { ChangeSubject } from '#core/module/change.ts'
import { firstPublisherOf, NO_FACTS } from '#core/module/ledger.ts'
import type { LedgerEntry, LedgerFacts, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { configName } from '#core/module/module_case.ts'
import { readModule, readVersion } from '#core/module/module_object.ts'
import type { ModuleObject, VersionObject } from '#core/module/module_object.ts'
import type { Reading } from '#core/module/reading.ts'
import { readVersionIdentity, versionObjectName } from '#core/module/version_identity.ts'
import { asStored } from './subject.ts'
import type { ReviewedObject } from './reviewed_object.ts'

export type ReviewFacts = {
  readonly factsOf: (subject: ChangeSubject) => LedgerFacts
  /** Of the ledger, by plain version. */
  readonly publishedOf: (module: ModuleKey) => Published
}

type Published = ReadonlyMap<string, PublishedFacts>

const NOTHING: Published = new Map()

/** @param objects as the cluster will hold them: the new ones, and those gone from the files that nobody deletes */
export function reviewFacts(objects: readonly ReviewedObject[], ledger: readonly LedgerEntry[]): ReviewFacts {
  const bindings = objects.filter(({ resource }) => resource === 'groupbindings')
  const known: Known = {
    published: publishedByKey(ledger),
    ledger,
    bindings: Map.groupBy(bindings, ({ namespace }) => namespace),
    ...indexed(objects),
  }
  return {
    publishedOf: (module) => known.published.get(keyText(module)) ?? NOTHING,
    factsOf: (subject) => factsOf(subject, known),
  }
}

type Known = {
  readonly published: ReadonlyMap<string, Published>
  readonly ledger: readonly LedgerEntry[]
  /** GroupBindings by their namespace. */
  readonly bindings: ReadonlyMap<string, readonly ReviewedObject[]>
  /** By the name that OpenDepot goes by, in every namespace. */
  readonly byName: ReadonlyMap<string, readonly ModuleObject[]>
  /** By `namespace/moduleConfig.name`. */
  readonly owners: ReadonlyMap<string, ModuleObject>
  /** `namespace/name of a Version object` -> whose they are or will be: `namespace/name` of Modules. */
  readonly versionNames: ReadonlyMap<string, ReadonlySet<string>>
}

function factsOf(subject: ChangeSubject, known: Known): LedgerFacts {
  const { namespace, name } = subject
  switch (subject.resource) {
    case 'modules':
      return moduleFacts(subject.new, { kind: 'Module', namespace, name }, known)
    case 'versions': {
      const version = subject.old ?? subject.new
      const owner = known.owners.get(`${namespace}/${version?.moduleConfig?.name ?? ''}`)
      const key = { kind: 'Module', namespace, name: owner?.meta.name ?? '' } as const
      return { ...NO_FACTS, published: known.published.get(keyText(key)) ?? NOTHING, module: owner }
    }
    case 'providers': {
      const published = known.published.get(keyText({ kind: 'Provider', namespace, name })) ?? NOTHING
      return { ...NO_FACTS, published, firstPublisher: firstPublisherOf(published) }
    }
    case 'groupbindings':
      return { ...NO_FACTS, groupBindings: (known.bindings.get(namespace) ?? []).map((one) => one.name) }
    case 'namespaces':
      return { ...NO_FACTS, publishedInNamespace: countHeld(known.ledger, name) }
    case 'customresourcedefinitions':
      return { ...NO_FACTS, publishedInCluster: countHeld(known.ledger, undefined) }
    case 'depots':
    case 'publishedversions':
    case 'modulepolicies':
      return NO_FACTS
  }
}

function moduleFacts(after: ModuleObject | undefined, key: ModuleKey, known: Known): LedgerFacts {
  const published = known.published.get(keyText(key)) ?? NOTHING
  const own = `${key.namespace}/${key.name}`
  const named = after === undefined ? [] : (known.byName.get(configName(after)) ?? [])
  const namesakes = new Set(named.map(ownName).filter((other) => other !== own))
  return {
    ...NO_FACTS,
    published,
    firstPublisher: firstPublisherOf(published),
    namesakes: [...namesakes],
    versionNameOwner: (objectName) => {
      const owners = known.versionNames.get(`${key.namespace}/${objectName}`) ?? []
      return [...owners].find((other) => other !== own)
    },
  }
}

function indexed(objects: readonly ReviewedObject[]): Pick<Known, 'byName' | 'owners' | 'versionNames'> {
  const modules = readAll(objects, 'modules', readModule)
  const versions = readAll(objects, 'versions', readVersion)
  const owners = new Map(modules.map((module) => [`${module.meta.namespace}/${configName(module)}`, module]))
  const versionNames = new Map<string, Set<string>>()
  const take = (namespace: string, objectName: string, owner: string): void => {
    const key = `${namespace}/${objectName}`
    versionNames.set(key, (versionNames.get(key) ?? new Set()).add(owner))
  }
  for (const module of modules) {
    for (const { version } of module.versions) {
      const identity = readVersionIdentity(version)
      if (!identity.ok) continue
      const objectName = versionObjectName(configName(module), identity.value.plain)
      take(module.meta.namespace, objectName, ownName(module))
    }
  }
  for (const { meta, moduleConfig } of versions) {
    const owner = owners.get(`${meta.namespace}/${moduleConfig?.name ?? ''}`)
    take(
      meta.namespace,
      meta.name,
      owner === undefined ? `${meta.namespace}/${moduleConfig?.name ?? ''}` : ownName(owner),
    )
  }
  return { byName: Map.groupBy(modules, configName), owners, versionNames }
}

function readAll<Body extends ModuleObject | VersionObject>(
  objects: readonly ReviewedObject[],
  resource: 'modules' | 'versions',
  read: (value: unknown) => Reading<Body>,
): readonly Body[] {
  return objects.flatMap((object) => {
    if (object.resource !== resource) return []
    const body = read(asStored(object))
    return body.ok ? [body.value] : []
  })
}

function ownName({ meta }: ModuleObject): string {
  return `${meta.namespace}/${meta.name}`
}

function publishedByKey(ledger: readonly LedgerEntry[]): ReadonlyMap<string, Published> {
  const byKey = Map.groupBy(ledger, ({ module }) => keyText(module))
  return new Map(
    [...byKey].map(([key, entries]) => [key, new Map(entries.map(({ version, facts }) => [version, facts]))]),
  )
}

function keyText({ kind, namespace, name }: ModuleKey): string {
  return `${kind} ${namespace}/${name}`
}

function countHeld(ledger: readonly LedgerEntry[], namespace: string | undefined): number {
  return ledger.filter(
    ({ module, facts }) =>
      facts.state === 'present' && facts.immutable && (namespace ?? module.namespace) === module.namespace,
  ).length
}
