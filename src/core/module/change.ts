// One change to an object, as every door sees it: the webhook from a review, the offline review from two files, the
// registry from an edit.
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { DepotObject, ModuleObject, VersionObject } from './module_object.ts'

/**
 * `controller`: OpenDepot's or our own; `gitops`: an agent that applies what was reviewed; `importer`: may publish many
 * versions of others at once; `ci`: a pipeline whose token says which repository it is of; `human`: everybody else.
 */
export type ActorKind = 'controller' | 'gitops' | 'importer' | 'ci' | 'human'

export type Actor = KubeUser & {
  readonly kind: ActorKind
  /** A policy names it; a person that none names is `human` too. */
  readonly isListed: boolean
}

/** Custom verbs on a Module, asked by SubjectAccessReview for this actor before the rules run. */
export type BreakGlassVerb = 'unpublish' | 'migrate'

type ChangeOf<Resource extends string, Body> = {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly resource: Resource
  readonly subResource: '' | 'status'
  readonly namespace: string
  /** Of the stored object where the request has none (deletecollection); '' while the server has yet to generate one. */
  readonly name: string
  /** `undefined` on CREATE. */
  readonly old: Body | undefined
  /** `undefined` on DELETE. */
  readonly new: Body | undefined
  /** The verdict is the same; nothing is remembered. */
  readonly dryRun: boolean
  readonly user: Actor
  readonly mayDo: ReadonlySet<BreakGlassVerb>
  /** Seconds since the epoch; exceptions end by it. */
  readonly atSeconds: number
}

export type ModuleChange = ChangeOf<'modules', ModuleObject>
export type VersionChange = ChangeOf<'versions', VersionObject>
export type DepotChange = ChangeOf<'depots', DepotObject>
export type Change = ModuleChange | VersionChange | DepotChange
