// What the rules may know beside one change: the ledger that was given, and the other objects of the same files.
import type { ChangeSubject } from '#core/module/change.ts'
import { firstPublisherOf, NO_FACTS } from '#core/module/ledger.ts'
import type { LedgerEntry, LedgerFacts, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { moduleKeyOf } from '#core/module/ledger_feed.ts'
import type { PublishingObject } from '#core/module/ledger_feed.ts'
import { readModule, readProvider } from '#core/module/module_object.ts'
import type { VersionObject } from '#core/module/module_object.ts'
import type { Reading } from '#core/module/reading.ts'
import { readNamedVersion, VersionNames } from '#core/module/version_names.ts'
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
    names: namesIn(objects),
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
  readonly names: VersionNames
}

function factsOf(subject: ChangeSubject, known: Known): LedgerFacts {
  const { namespace, name } = subject
  switch (subject.resource) {
    case 'modules':
      return publishingFacts(subject.new, { kind: 'Module', namespace, name }, known)
    case 'providers':
      return publishingFacts(subject.new, { kind: 'Provider', namespace, name }, known)
    case 'versions':
      return versionFacts(subject.old ?? subject.new, known)
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

function publishingFacts(
  after: PublishingObject | undefined,
  key: ModuleKey,
  { published: all, names }: Known,
): LedgerFacts {
  const published = all.get(keyText(key)) ?? NOTHING
  const facts = { ...NO_FACTS, published, firstPublisher: firstPublisherOf(published) }
  if (after === undefined) return facts
  return {
    ...facts,
    namesakes: names.namesakes(after),
    versionNameOwner: (objectName) => names.versionNameOwner(after, objectName),
  }
}

function versionFacts(version: VersionObject | undefined, { published, names }: Known): LedgerFacts {
  const owner = version === undefined ? undefined : names.ownerOf(version)
  if (owner === undefined) return NO_FACTS
  return {
    ...NO_FACTS,
    published: published.get(keyText(moduleKeyOf(owner))) ?? NOTHING,
    module: owner.kind === 'Module' ? owner : undefined,
    provider: owner.kind === 'Provider' ? owner : undefined,
  }
}

function namesIn(objects: readonly ReviewedObject[]): VersionNames {
  const versions = readAll(objects, 'versions', readNamedVersion)
  const names = new VersionNames(new Map(versions.map((one) => [`${one.namespace}/${one.name}`, one])))
  for (const module of readAll(objects, 'modules', readModule)) names.modules.change(undefined, module)
  for (const provider of readAll(objects, 'providers', readProvider))
    names.providers.change(undefined, provider)
  return names
}

function readAll<Body>(
  objects: readonly ReviewedObject[],
  resource: 'modules' | 'providers' | 'versions',
  read: (value: unknown) => Reading<Body>,
): readonly Body[] {
  return objects.flatMap((object) => {
    if (object.resource !== resource) return []
    const body = read(asStored(object))
    return body.ok ? [body.value] : []
  })
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
