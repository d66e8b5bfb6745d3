// Who asks, in the words of a policy.
import { CREDENTIAL_ID_KEY, extraKeyOf } from '#core/kube/source_extra.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Actor, ActorKind } from './change.ts'
import type { Identities, IdentityList, ListedActorKind } from './module_policy.ts'

/** The order in which lists are asked: who is in two has the first kind. */
export const LISTED: readonly ListedActorKind[] = ['controller', 'gitops', 'importer', 'human']

/**
 * The accounts that OpenDepot's chart gives its controllers, where it runs them; a policy that lists controllers replaces
 * them. Not the group of that namespace: a pipeline's account that somebody puts there is no controller.
 */
const DEFAULT_CONTROLLERS: IdentityList = {
  users: ['module', 'version', 'provider', 'depot'].map(
    (kind) => `system:serviceaccount:opendepot-system:${kind}-controller`,
  ),
  groups: [],
}

/** Nobody has asked yet. */
export const UNKNOWN_ACTOR: Actor = {
  username: '',
  uid: '',
  groups: [],
  extra: {},
  kind: 'unknown',
  isListed: false,
}

/** The kind of a user. What a policy lists comes before what a token says of itself. */
export function actorOf(user: KubeUser, identities: Identities | undefined): Actor {
  const listed = LISTED.find((kind) => isListed(user, listOf(identities, kind)))
  return { ...user, kind: listed ?? unlistedKind(user), isListed: listed !== undefined }
}

/** Whom a policy names under a kind; without one that names controllers, OpenDepot's. */
export function listOf(identities: Identities | undefined, kind: ListedActorKind): IdentityList | undefined {
  const list = identities?.[kind]
  const isEmpty = list === undefined || list.users.length + list.groups.length === 0
  return kind === 'controller' && isEmpty ? DEFAULT_CONTROLLERS : list
}

function isListed(user: KubeUser, list: IdentityList | undefined): boolean {
  return list !== undefined && isNamed(user, list)
}

/** By name, or by one of the groups. */
export function isNamed(user: KubeUser, list: IdentityList): boolean {
  return list.users.includes(user.username) || user.groups.some((group) => list.groups.includes(group))
}

function unlistedKind(user: KubeUser): ActorKind {
  return claimOf(user, 'source') === undefined ? 'human' : 'ci'
}

const KEYS = {
  source: extraKeyOf('source'),
  repository_id: extraKeyOf('repository_id'),
  ref: extraKeyOf('ref'),
  sha: extraKeyOf('sha'),
} as const

/** What the broker's token said, or `undefined`. More than one value is not from our mapping, and says nothing. */
export function claimOf(
  user: KubeUser,
  claim: 'source' | 'repository_id' | 'ref' | 'sha',
): string | undefined {
  const key = KEYS[claim]
  const values = Object.hasOwn(user.extra, key) ? user.extra[key] : undefined
  return values?.length === 1 && values[0] !== '' ? values[0] : undefined
}

/**
 * Whether the API server read a token itself. Somebody impersonated carries what the impersonator wrote as `extra`,
 * and no credential id.
 */
export function isFromToken(user: KubeUser): boolean {
  const ids = Object.hasOwn(user.extra, CREDENTIAL_ID_KEY) ? user.extra[CREDENTIAL_ID_KEY] : undefined
  return ids?.length === 1 && (ids[0]?.startsWith('JTI=') ?? false)
}

export function isController(actor: Actor): boolean {
  return actor.kind === 'controller'
}

/** Somebody, and no controller. */
export function isForeign(actor: Actor): boolean {
  return actor.kind !== 'controller' && actor.kind !== 'unknown'
}

export const GARBAGE_COLLECTOR = 'system:serviceaccount:kube-system:generic-garbage-collector'

export function isGarbageCollector(user: KubeUser): boolean {
  return user.username === GARBAGE_COLLECTOR
}

export const NAMESPACE_CONTROLLER = 'system:serviceaccount:kube-system:namespace-controller'

export function isNamespaceController(user: KubeUser): boolean {
  return user.username === NAMESPACE_CONTROLLER
}
