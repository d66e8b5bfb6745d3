// The ModulePolicy to begin with: made from what a cluster holds, denying nothing.
import type { JsonObject } from '#core/claims.ts'
import type { PublishingObject } from './ledger_feed.ts'
import { doSelectorsOverlap } from './module_policy.ts'
import type { NamedPolicy } from './module_policy.ts'
import { listed, quoted } from './printable.ts'
import { sourceOf } from './source_of.ts'

/** A Module or Provider, and who has written it so far: managers of its managedFields. */
export type Written<Body extends PublishingObject = PublishingObject> = {
  readonly object: Body
  readonly writers: ReadonlySet<string>
}

export type StarterPolicy = {
  readonly policy: JsonObject
  /** What a person should decide, a sentence each. */
  readonly notes: readonly string[]
}

/** Field managers of GitOps agents -> the account that they use where nobody chose another. */
const AGENTS: ReadonlyMap<string, string> = new Map([
  ['argocd-controller', 'system:serviceaccount:argocd:argocd-application-controller'],
  ['kustomize-controller', 'system:serviceaccount:flux-system:kustomize-controller'],
])

/** The controllers that OpenDepot's chart installs, in the namespace that it names. */
const CONTROLLERS = ['module', 'version', 'provider', 'depot'].map(
  (kind) => `system:serviceaccount:opendepot-system:${kind}-controller`,
)

/** Of deploy/webhook/overlays/warn-first: applied over that one, it takes its place, where a second policy would be refused (WH-O1). */
const NAME = 'first-look'

/** @param stored the policies that the cluster has */
export function starterPolicy(written: readonly Written[], stored: readonly NamedPolicy[]): StarterPolicy {
  const objects = written.map(({ object }) => object)
  const namespaces = [...new Set(objects.map(({ meta }) => meta.namespace))].sort()
  const agents = [...AGENTS].flatMap(([manager, account]) =>
    written.some(({ writers }) => writers.has(manager)) ? [account] : [],
  )
  const shared = sharedSources(objects)
  const heldAnew = heldAnewText(objects)
  const selector = { namespaces, labels: new Map<string, string>() }
  const namesInTheWay = stored
    .filter(({ name, spec }) => name !== NAME && doSelectorsOverlap(spec.selector, selector))
    .map(({ name }) => name)
  return {
    policy: {
      apiVersion: 'sallyport.dev/v1alpha1',
      kind: 'ModulePolicy',
      metadata: { name: NAME },
      spec: {
        selector: namespaces.length === 0 ? {} : { namespaces },
        immutability: 'required',
        identities: {
          controller: { users: CONTROLLERS },
          ...(agents.length === 0 ? {} : { gitops: { users: agents } }),
        },
        defaultMode: 'warn',
      },
    },
    notes: [
      'it denies nothing: defaultMode is warn. Take that line away to enforce it.',
      ...(stored.some(({ name }) => name === NAME)
        ? [`it takes the place of the ModulePolicy ${quoted(NAME)} that is there.`]
        : []),
      ...(namesInTheWay.length === 0
        ? []
        : [
            `it is refused (WH-O1) beside ${listed(namesInTheWay, 3, quoted)}, which could cover the same Modules: go on with that one, or take out of this one the namespaces that it has.`,
          ]),
      ...(heldAnew === '' ? [] : [`immutability: required also holds ${heldAnew}; optional leaves those.`]),
      ...(shared.length === 0
        ? []
        : [
            `several Modules come from ${listed(shared, 3)}: if its tags are not v1.2.3, say under publishers which refs publish.`,
          ]),
      ...(agents.length === 0
        ? []
        : ['the accounts under gitops are the usual ones of the agents that wrote here: check their names.']),
    ],
  }
}

/** What does not say by itself that it never changes. */
function heldAnewText(objects: readonly PublishingObject[]): string {
  const isLoose = objects.some((object) => object.kind === 'Module' && !object.config.immutable)
  return [
    ...(isLoose ? ['Modules that do not say immutable: true'] : []),
    ...(objects.some(({ kind }) => kind === 'Provider') ? ['Providers, which cannot say it'] : []),
  ].join(' and ')
}

/** Repositories of more than one Module. */
function sharedSources(objects: readonly PublishingObject[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const object of objects) {
    const source = object.kind === 'Module' ? sourceOf(object) : undefined
    if (source !== undefined) counts.set(source, (counts.get(source) ?? 0) + 1)
  }
  return [...counts].flatMap(([source, count]) => (count > 1 ? [source] : [])).sort()
}
