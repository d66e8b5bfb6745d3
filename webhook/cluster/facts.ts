// What the rules are told of the cluster, for one change: looked up by name, never searched for.
import type { ChangeSubject } from '#core/module/change.ts'
import { firstPublisherOf, NO_FACTS } from '#core/module/ledger.ts'
import { moduleKeyOf } from '#core/module/ledger_feed.ts'
import type { LedgerFacts, ModuleKey } from '#core/module/ledger.ts'
import type { ModuleObject, ProviderObject } from '#core/module/module_object.ts'
import type { IdentityList } from '#core/module/module_policy.ts'
import type { KubeLedger } from '#platform/ledger/kube_ledger.ts'
import type { Holdings } from './holdings.ts'

type VersionSubject = Extract<ChangeSubject, { resource: 'versions' }>

export type FactSources = {
  readonly holdings: Holdings
  readonly ledger: Pick<KubeLedger, 'published' | 'held'>
  readonly ownIdentities: IdentityList
}

export function factsOf(subject: ChangeSubject, sources: FactSources): LedgerFacts {
  const { holdings, ledger, ownIdentities } = sources
  const common = {
    ...NO_FACTS,
    ownIdentities,
    isNamespaceTerminating: holdings.isTerminating(subject.namespace),
  }
  switch (subject.resource) {
    case 'modules': {
      const body = subject.new ?? subject.old
      return { ...common, ...publishing(body, 'Module', subject, sources) }
    }
    case 'providers': {
      const body = subject.new ?? subject.old
      return { ...common, ...publishing(body, 'Provider', subject, sources) }
    }
    case 'versions':
      return { ...common, ...ofVersion(subject, sources) }
    case 'groupbindings':
      return { ...common, groupBindings: holdings.groupBindings(subject.namespace) }
    case 'namespaces':
      return {
        ...common,
        publishedInNamespace: ledger.held(subject.name) + heldByPolicy(sources, subject.name),
      }
    case 'customresourcedefinitions':
      return { ...common, publishedInCluster: ledger.held() + heldByPolicy(sources) }
    case 'depots':
    case 'publishedversions':
    case 'modulepolicies':
      return common
  }
}

/**
 * Present versions that were published before a policy required that they stay, which the ledger does not call immutable. Looked
 * for among all there is, and asked for as seldom as Namespaces and definitions change.
 */
function heldByPolicy({ holdings, ledger }: FactSources, namespace?: string): number {
  let count = 0
  for (const body of holdings.publishing()) {
    const isMeant = namespace === undefined || body.meta.namespace === namespace
    if (!isMeant || !holdings.isRequiredImmutable(body)) continue
    for (const { state, immutable } of ledger.published(moduleKeyOf(body)).values())
      if (state === 'present' && !immutable) count += 1
  }
  return count
}

function publishing(
  body: ModuleObject | ProviderObject | undefined,
  kind: ModuleKey['kind'],
  { namespace, name }: ChangeSubject,
  { holdings, ledger }: FactSources,
): Partial<LedgerFacts> {
  const published = ledger.published({ kind, namespace, name })
  const key = `${namespace}/${name}`
  const stored = { module: holdings.modules.get(key)?.body, provider: holdings.providers.get(key)?.body }
  return {
    published,
    firstPublisher: firstPublisherOf(published),
    namesakes: body === undefined ? [] : holdings.namesakes(body),
    versionNameOwner: (objectName) =>
      body === undefined ? undefined : holdings.versionNameOwner(body, objectName),
    ...(kind === 'Module' ? { module: stored.module } : { provider: stored.provider }),
  }
}

function ofVersion(subject: VersionSubject, { holdings, ledger }: FactSources): Partial<LedgerFacts> {
  const version = subject.old ?? subject.new
  const owner = version === undefined ? undefined : holdings.ownerOf(version)
  const name = owner?.meta.name ?? version?.moduleConfig?.name ?? ''
  const kind = version?.type === 'Provider' ? 'Provider' : 'Module'
  const published = ledger.published({ kind, namespace: subject.namespace, name })
  return {
    published,
    firstPublisher: firstPublisherOf(published),
    module: owner?.kind === 'Module' ? owner : undefined,
    provider: owner?.kind === 'Provider' ? owner : undefined,
  }
}
