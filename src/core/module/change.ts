// One change to an object, as every door sees it: the webhook from a review, the offline review from two files, the
// registry from an edit.
import type { KubeUser } from '#core/kube/kube_user.ts'
import type {
  DefinitionObject,
  NamespaceObject,
  PolicyObject,
  PublishedVersionObject,
} from './guarded_object.ts'
import type {
  DepotObject,
  GroupBindingObject,
  ModuleObject,
  ProviderObject,
  VersionObject,
} from './module_object.ts'

/**
 * `controller`: OpenDepot's or our own; `gitops`: an agent that applies what was reviewed; `importer`: may publish many
 * versions of others at once; `ci`: a pipeline whose token says which repository it is of; `unknown`: nobody has asked yet (a
 * review of files), so rules about who asks say nothing; `human`: everybody else.
 */
export type ActorKind = 'controller' | 'gitops' | 'importer' | 'ci' | 'human' | 'unknown'

export type Actor = KubeUser & {
  readonly kind: ActorKind
  /** A policy names it; a person that none names is `human` too. */
  readonly isListed: boolean
}

/** Custom verbs on a Module, asked by SubjectAccessReview for this actor before the rules run. */
export type BreakGlassVerb = 'unpublish' | 'migrate'

type SubjectOf<Resource extends string, Body> = {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly resource: Resource
  readonly subResource: '' | 'status'
  /** '' of what no namespace holds. */
  readonly namespace: string
  /** Of the stored object where the request has none (deletecollection); '' while the server has yet to generate one. */
  readonly name: string
  /** `undefined` on CREATE. */
  readonly old: Body | undefined
  /** `undefined` on DELETE. */
  readonly new: Body | undefined
  /** The verdict is the same; nothing is remembered. */
  readonly dryRun: boolean
}

export type ModuleSubject = SubjectOf<'modules', ModuleObject>
export type ProviderSubject = SubjectOf<'providers', ProviderObject>
type VersionSubject = SubjectOf<'versions', VersionObject>
type DepotSubject = SubjectOf<'depots', DepotObject>
type GroupBindingSubject = SubjectOf<'groupbindings', GroupBindingObject>
type PublishedVersionSubject = SubjectOf<'publishedversions', PublishedVersionObject>
type PolicySubject = SubjectOf<'modulepolicies', PolicyObject>
type NamespaceSubject = SubjectOf<'namespaces', NamespaceObject>
type DefinitionSubject = SubjectOf<'customresourcedefinitions', DefinitionObject>

/** What changes, before anybody looked up who asks and what they may. */
export type ChangeSubject =
  | ModuleSubject
  | ProviderSubject
  | VersionSubject
  | DepotSubject
  | GroupBindingSubject
  | PublishedVersionSubject
  | PolicySubject
  | NamespaceSubject
  | DefinitionSubject

type ChangeAuthor = {
  readonly user: Actor
  readonly mayDo: ReadonlySet<BreakGlassVerb>
  /** Seconds since the epoch; exceptions end by it. */
  readonly atSeconds: number
}

export type ModuleChange = ModuleSubject & ChangeAuthor
export type ProviderChange = ProviderSubject & ChangeAuthor
export type VersionChange = VersionSubject & ChangeAuthor
export type DepotChange = DepotSubject & ChangeAuthor
export type PublishedVersionChange = PublishedVersionSubject & ChangeAuthor
export type PolicyChange = PolicySubject & ChangeAuthor
export type NamespaceChange = NamespaceSubject & ChangeAuthor
export type DefinitionChange = DefinitionSubject & ChangeAuthor
export type GroupBindingChange = GroupBindingSubject & ChangeAuthor
export type Change = ChangeSubject & ChangeAuthor
