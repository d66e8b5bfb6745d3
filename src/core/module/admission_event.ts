// What is recorded of one judged review: one event for each, whatever the verdict, written before the answer leaves. It names who
// asked, what for and which rules spoke; never a token, and nothing of the objects but their names.
import { clip } from '#core/audit_event.ts'
import { CREDENTIAL_ID_KEY } from '#core/kube/source_extra.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import { claimOf, isFromToken } from './actor.ts'
import type { ActorKind } from './change.ts'
import type { RuleId } from './rule_id.ts'
import type { BrokenGlass, Mode } from './verdict.ts'

export type AdmissionEvent = {
  /** RFC 3339, milliseconds, UTC. */
  readonly time: string
  readonly event: 'admission'
  /** Of the review; kube-apiserver's log has it, too. */
  readonly uid: string
  /** `deny`: by rule, or no object that rules can read. `fail`: nobody could judge it, so it was refused. */
  readonly decision: 'allow' | 'deny' | 'fail'
  readonly operation: string
  /** `modules`, `modules/status`. */
  readonly resource: string
  /** '' of what no namespace holds. */
  readonly namespace: string
  readonly name: string
  readonly dryRun: boolean
  readonly user: AskingUser
  /** How the policy that covers the object sees the user; absent where nothing was judged. */
  readonly actor?: ActorKind
  /** Names of the policies that cover the object. */
  readonly policies?: readonly string[]
  /** Every rule that said something, in the order of the rules, and the modes they spoke in. */
  readonly rules?: readonly RuleId[]
  readonly modes?: readonly Mode[]
  /** What was let through by breaking the glass: the verb, what it was good for, and the reason that was given. */
  readonly broken?: readonly BrokenGlass[]
  /** Why nothing was judged. */
  readonly reason?: string
}

type AskingUser = {
  readonly username: string
  readonly uid?: string
  /** As the API server names the credential: `JTI=...` of a token, `X509SHA256=...` of a certificate. Not the credential. */
  readonly credentialId?: string
  /** Of a token of the broker: the repository that the job ran for. */
  readonly source?: string
}

/** What every event says of its review. */
export type AdmissionFacts = Omit<AdmissionEvent, 'time' | 'event' | 'decision' | 'user'> & {
  readonly user: KubeUser
}

/** Texts that callers chose are cut to 256 characters, and what looks like a token is left out of them. */
export function admissionEvent(
  facts: AdmissionFacts,
  decision: AdmissionEvent['decision'],
  time: string,
): AdmissionEvent {
  const { uid, operation, resource, namespace, name, dryRun, user, ...judged } = facts
  return {
    time,
    event: 'admission',
    uid,
    decision,
    operation: clip(operation),
    resource: clip(resource),
    namespace: clip(namespace),
    name: clip(name),
    dryRun,
    user: askingUser(user),
    ...judged,
  }
}

function askingUser(user: KubeUser): AskingUser {
  const ids = Object.hasOwn(user.extra, CREDENTIAL_ID_KEY) ? user.extra[CREDENTIAL_ID_KEY] : undefined
  // What an impersonator writes about a repository is no answer to who it was.
  const source = isFromToken(user) ? claimOf(user, 'source') : undefined
  const [id] = ids ?? []
  return {
    username: clip(user.username),
    ...(user.uid === '' ? {} : { uid: clip(user.uid) }),
    ...(id === undefined ? {} : { credentialId: clip(id) }),
    ...(source === undefined ? {} : { source: clip(source) }),
  }
}
