// What is known beside a row's change: to a webhook in sync, and to a review that has the ledger and the other files.
import { identitiesOf, NO_FACTS } from '../../src/core/module/ledger.ts'
import type { LedgerEntry, LedgerFacts, PublishedFacts } from '../../src/core/module/ledger.ts'
import { readModule, readProvider } from '../../src/core/module/module_object.ts'
import type { ModuleObject, ProviderObject } from '../../src/core/module/module_object.ts'
import { versionObjectName } from '../../src/core/module/version_identity.ts'
import { moduleManifest, placed } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'

/** The lines that `sallyport ledger export` would print of it. */
export function ledgerOf(row: Row): readonly LedgerEntry[] {
  const stored = row.stored === undefined ? [] : [moduleOf(moduleManifest(row, row.stored))]
  const modules = [...stored, ...othersOf(row)]
  const observed = modules.flatMap((module) =>
    [...publishedIn(module)].map(([version, facts]) => ({ module: keyOf(module), version, facts })),
  )
  const own = { kind: 'Module', namespace: row.policy, name: row.name } as const
  const lines = Object.entries(row.ledger ?? {})
  const told = lines.map(([version, facts]) => ({ module: own, version, facts }))
  const isTold = ({ module, version }: LedgerEntry): boolean =>
    module.name === row.name && module.namespace === row.policy && row.ledger?.[version] !== undefined
  return [...observed.filter((entry) => !isTold(entry)), ...told]
}

function keyOf({ meta }: ModuleObject): LedgerEntry['module'] {
  return { kind: 'Module', namespace: meta.namespace, name: meta.name }
}

function othersOf(row: Row): readonly ModuleObject[] {
  return (row.beside ?? [])
    .map((object) => placed(row, object))
    .filter(({ kind }) => kind === 'Module')
    .map(moduleOf)
}

/** What a webhook in sync would know. */
export function factsOf(row: Row): LedgerFacts {
  const stored = row.stored === undefined ? undefined : moduleOf(moduleManifest(row, row.stored))
  const others = othersOf(row)
  const neighbours = new Map(
    others
      .filter(({ meta }) => meta.name !== row.name && meta.namespace === row.policy)
      .flatMap(({ meta, versions }) =>
        versions.map(({ version }) => [versionObjectName(meta.name, version), meta.name] as const),
      ),
  )
  const lines = Object.entries(row.ledger ?? {})
  const first = lines.map(([, { source, sourceId }]) =>
    source === undefined || sourceId === undefined ? undefined : { source, sourceId },
  )
  return {
    ...NO_FACTS,
    published: new Map([...publishedIn(stored), ...lines]),
    firstPublisher: first.find((publisher) => publisher !== undefined),
    namesakes: others
      .filter(({ meta }) => meta.name === row.name)
      .map(({ meta }) => `${meta.namespace}/${meta.name}`),
    versionNameOwner: (objectName) => neighbours.get(objectName),
    module: stored,
    provider: providerOf(row),
    publishedInNamespace: others.filter(
      ({ meta, config }) => meta.namespace === row.about && config.immutable,
    ).length,
    publishedInCluster: 1,
  }
}

function publishedIn(module: ModuleObject | undefined): ReadonlyMap<string, PublishedFacts> {
  const immutable = module?.config.immutable ?? false
  const plain = [...identitiesOf(module).keys()]
  return new Map(plain.map((version) => [version, { state: 'present', immutable }]))
}

/** Of its name, where it has one beside it. */
function providerOf(row: Row): ProviderObject | undefined {
  const placedBeside = (row.beside ?? []).map((object) => placed(row, object))
  const found = placedBeside.find(
    ({ kind, metadata }) => kind === 'Provider' && Object(metadata).name === row.name,
  )
  if (found === undefined) return undefined
  const read = readProvider(found)
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

function moduleOf(manifest: Json): ModuleObject {
  const read = readModule(manifest)
  if (!read.ok) throw new Error(read.denial)
  return read.value
}
