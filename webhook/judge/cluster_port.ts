// What judging a review asks of the cluster. Everything but `mayDo` comes from memory, so that a review never waits for a list.
import type { BreakGlassVerb, ChangeSubject } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Result } from '#core/result.ts'

export type ClusterPort = {
  /** Why nothing is judged; empty: what follows is what the cluster holds. */
  missing(): readonly string[]
  /** Of those the watches that are not in sync. */
  unsynced(): readonly string[]
  policies(): readonly NamedPolicy[]
  /** What an operator should mend, though reviews are judged: policies that cannot be read. */
  troubles(): readonly string[]
  /** What the ledger lacks, or may lack, and why; `undefined`: nothing that is known. */
  ledgerTrouble(): LedgerTrouble | undefined
  /** From memory, in time that the change decides and not the cluster. */
  factsOf(subject: ChangeSubject): LedgerFacts
  /** Of what was allowed and is no dry run: who did it, for whoever sees the commit. */
  remember(judged: JudgedRequest): void
  /** A SubjectAccessReview on that object of opendepot.defdev.io; the denial is a sentence for the log. */
  mayDo(
    user: KubeUser,
    verb: BreakGlassVerb,
    object: { readonly resource: 'modules' | 'providers'; readonly namespace: string; readonly name: string },
  ): Promise<Result<boolean, string>>
}

export type LedgerTrouble = {
  readonly why: string
  /** Nothing is judged until it is over. */
  readonly isMissing: boolean
}

export type JudgedRequest = {
  /** Of a very large review without the entries of `spec.versions` that are in both objects. */
  readonly subject: ChangeSubject
  readonly user: KubeUser
  /** metadata.resourceVersion of what the request changes; '' on CREATE. */
  readonly oldResourceVersion: string
  /** metadata.uid; '' where the server has yet to give one. */
  readonly objectUid: string
  readonly atSeconds: number
}
