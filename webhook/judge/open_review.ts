// A review between its two halves: what is asked of the cluster about it, and the verdict once the cluster has said it. Pure, so that
// it runs on the event loop and in a worker alike; what goes from one half to the other is plain data.
import { actorOf } from '#core/module/actor.ts'
import { verbsAskedFor } from '#core/module/break_glass.ts'
import type { ActorKind, BreakGlassVerb, ChangeSubject } from '#core/module/change.ts'
import { modeShown } from '#core/module/judge_change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { judgeUnderPolicies, policiesCovering } from '#core/module/policy_choice.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import type { BrokenGlass, Mode } from '#core/module/verdict.ts'
import { isDenial } from '#core/module/verdict_message.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import { ownField } from '#core/own_field.ts'
import type { Result } from '#core/result.ts'
import { answerOf, notJudged, unreadable } from '../review/answer.ts'
import type { AdmissionAnswer } from '../review/answer.ts'
import { parseReview } from '../review/body.ts'
import type { Review, ReviewProblem } from '../review/review.ts'
import { subjectOf } from '../review/subject.ts'

/** What a review says, without its objects. */
export type ReviewHead = {
  readonly uid: string
  readonly operation: Review['operation']
  /** `modules`, `modules/status`. */
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly user: KubeUser
  readonly dryRun: boolean
  /** Of the object that is stored; '' on CREATE. */
  readonly oldResourceVersion: string
  readonly objectUid: string
}

export type Asked = {
  readonly head: ReviewHead
  /** `undefined`: no cluster is asked, the answer is there already. */
  readonly subject: ChangeSubject | undefined
  readonly verbs: readonly BreakGlassVerb[]
}

/** What the cluster says to that. */
export type Given = {
  readonly policies: readonly NamedPolicy[]
  readonly facts: LedgerFacts
  readonly mayDo: ReadonlySet<BreakGlassVerb>
  readonly atSeconds: number
}

export type Decision = {
  /** The answer as JSON. */
  readonly body: string
  readonly allowed: boolean
  readonly actor: ActorKind | undefined
  readonly policies: readonly string[]
  readonly rules: readonly RuleId[]
  readonly modes: readonly Mode[]
  readonly broken: readonly BrokenGlass[]
  /** What the metric counts it under: of a denial the first rule that denies. */
  readonly decisive: { readonly rule: RuleId; readonly mode: Mode } | undefined
  /** Why no rule was asked. */
  readonly reason: 'not_judged' | 'unreadable' | undefined
}

export type OpenedReview = {
  readonly asked: Asked
  /** `given`: of a subject, always. */
  decide(given: Given | undefined): Decision
}

export function openReview(body: Uint8Array): Result<OpenedReview, ReviewProblem> {
  const parsed = parseReview(body)
  if (!parsed.ok) return parsed
  const review = parsed.value
  const head = headOf(review)
  const read = subjectOf(review)
  if (!read.ok) {
    const answer =
      read.denial.reason === 'not_judged'
        ? notJudged(head.uid, `${review.operation} of ${kindText(review)}`)
        : unreadable(head.uid, read.denial.sentence)
    const decision = unjudged(answer, read.denial.reason)
    return { ok: true, value: { asked: { head, subject: undefined, verbs: [] }, decide: () => decision } }
  }
  const subject = read.value
  const isListing = subject.resource === 'modules' || subject.resource === 'providers'
  const verbs = isListing ? verbsAskedFor(subject) : []
  return {
    ok: true,
    value: {
      asked: { head, subject, verbs },
      decide(given) {
        if (given === undefined) throw new Error('nothing was given to judge with')
        return decide(head, subject, given)
      },
    },
  }
}

function headOf(review: Review): ReviewHead {
  const { uid, operation, resource, subResource, namespace, name, user, dryRun, object, oldObject } = review
  const full = subResource === '' ? resource.resource : `${resource.resource}/${subResource}`
  return {
    uid,
    operation,
    resource: full,
    namespace,
    name,
    user,
    dryRun,
    oldResourceVersion: metaText(oldObject, 'resourceVersion'),
    objectUid: metaText(oldObject ?? object, 'uid'),
  }
}

function metaText(object: Readonly<Record<string, unknown>> | undefined, key: string): string {
  const value = ownField(object?.['metadata'], key)
  return typeof value === 'string' ? value : ''
}

function kindText({ resource, subResource }: Review): string {
  const group = resource.group === '' ? '' : `.${resource.group}`
  return `${resource.resource}${group}/${resource.version}${subResource === '' ? '' : ` (${subResource})`}`
}

function decide(head: ReviewHead, subject: ChangeSubject, given: Given): Decision {
  const { facts, mayDo, atSeconds } = given
  const covering = policiesCovering(subject, given.policies, facts)
  const verdict = judgeUnderPolicies(subject, { user: head.user, mayDo, atSeconds }, given.policies, facts)
  const decisive = verdict.findings.find(isDenial) ?? verdict.findings[0]
  return {
    body: JSON.stringify(answerOf(head.uid, verdict)),
    allowed: verdict.allowed,
    actor: actorOf(head.user, covering[0]?.spec.identities).kind,
    policies: covering.map(({ name }) => name),
    rules: [...new Set(verdict.findings.map(({ rule }) => rule))],
    modes: [...new Set(verdict.findings.map(modeShown))],
    broken: verdict.broken,
    decisive: decisive === undefined ? undefined : { rule: decisive.rule, mode: modeShown(decisive) },
    reason: undefined,
  }
}

function unjudged(answer: AdmissionAnswer, reason: 'not_judged' | 'unreadable'): Decision {
  return {
    body: JSON.stringify(answer),
    allowed: answer.response.allowed,
    actor: undefined,
    policies: [],
    rules: [],
    modes: [],
    broken: [],
    decisive: undefined,
    reason,
  }
}
