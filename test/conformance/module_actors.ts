// Who types the commands of the conformance table, and what they may by RBAC.
import type { GitHubJob } from '../support/kube_hands.ts'

export type ActorName = keyof typeof ACTORS

type Certificate = { readonly certificate: string; readonly groups: readonly string[] }
type ServiceAccount = { readonly account: readonly [namespace: string, name: string] }
/** The administrator, as somebody else. */
type Impersonated = { readonly as: string; readonly groups: readonly string[] }

/**
 * What each may: `editor` edits everything of OpenDepot by a role that names its verbs; `breaker` may unpublish and
 * migrate beside that; `wildcard` has a role with every verb.
 */
type Role = 'editor' | 'breaker' | 'wildcard'

export type ActorSpec = (Certificate | ServiceAccount | Impersonated) & { readonly role: Role }

export const ACTORS = {
  /** A person whom the policies list. */
  alice: { certificate: 'alice', groups: ['platform'], role: 'editor' },
  /** Another, with the verbs for breaking the glass. */
  carol: { certificate: 'carol', groups: ['platform'], role: 'breaker' },
  /** And one who may do anything. */
  root: { certificate: 'root', groups: ['platform'], role: 'wildcard' },
  /** A person whom no policy lists. */
  mallory: { certificate: 'mallory', groups: [], role: 'editor' },
  /** Nor this one, who has the verbs for breaking the glass. */
  dave: { certificate: 'dave', groups: [], role: 'breaker' },
  importer: { certificate: 'ivan', groups: ['importers'], role: 'editor' },
  /** A pipeline that has a ServiceAccount and a plain role, as in seed 000. */
  plain: { account: ['ci', 'publisher'], role: 'editor' },
  controller: { account: ['opendepot-system', 'module-controller'], role: 'editor' },
  argo: { account: ['argocd', 'argocd-application-controller'], role: 'editor' },
  /** Somebody who writes what a token would say. */
  impersonator: { as: 'ci:repo:acme/forged', groups: ['publishers'], role: 'editor' },
  collector: {
    as: 'system:serviceaccount:kube-system:generic-garbage-collector',
    groups: ['system:serviceaccounts'],
    role: 'wildcard',
  },
  namespaces: {
    as: 'system:serviceaccount:kube-system:namespace-controller',
    groups: ['system:serviceaccounts'],
    role: 'wildcard',
  },
} as const satisfies Record<string, ActorSpec>

export const SHA = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const REPOSITORY_ID = '901234567'

/** The pipeline of the Module's own repository, for the tag v1.2.0. `$M` is the row's Module. */
export function job(changes: Partial<GitHubJob> = {}): GitHubJob {
  return {
    repository: 'acme/$M',
    repositoryId: REPOSITORY_ID,
    ref: 'refs/tags/v1.2.0',
    sha: SHA,
    ...changes,
  }
}
