// A review from its bytes to its answer. The steps are numbered in the order in which they run, and the answer leaves only when the
// audit event is written; nothing else is written anywhere.
import { admissionEvent } from '#core/module/admission_event.ts'
import type { AdmissionEvent } from '#core/module/admission_event.ts'
import type { BreakGlassVerb } from '#core/module/change.ts'
import type { Clock } from '#core/clock.ts'
import { epochSeconds } from '#core/clock.ts'
import type { Result } from '#core/result.ts'
import { AuditFailure } from '#platform/audit_sink.ts'
import type { AuditSink } from '#platform/audit_sink.ts'
import type { Log } from '#platform/log.ts'
import { errored } from '../review/answer.ts'
import { uidAtBeginning } from '../review/beginning.ts'
import type { ReviewProblem } from '../review/review.ts'
import type { WebhookMetrics } from '../metrics.ts'
import type { ClusterPort } from './cluster_port.ts'
import { isHeavy } from './heavy.ts'
import { openReview } from './open_review.ts'
import type { Asked, Decision, Given, ReviewHead } from './open_review.ts'

/** A review whose verdict waits for what the cluster says, wherever it is worked on. */
export type PendingReview = {
  readonly asked: Asked
  decide(given: Given | undefined): Decision | Promise<Decision>
  /** Instead of `decide`: nobody waits for the verdict any more. */
  drop?(): void
}

/** Works on what would hold the event loop up. */
export type LargeReviews = {
  /**
   * `undefined`: as many as it takes are waiting; also later, when it made room for another user's. Rejects when it is lost over this
   * review.
   */
  open(body: Uint8Array<ArrayBuffer>): Promise<Result<PendingReview, ReviewProblem> | undefined> | undefined
}

export type JudgeDeps = {
  readonly cluster: ClusterPort
  readonly large: LargeReviews
  readonly audit: AuditSink<AdmissionEvent>
  readonly metrics: WebhookMetrics
  readonly log: Pick<Log, 'warn' | 'error'>
  readonly clock: Clock
}

/**
 * 200 has an AdmissionReview, and of a verdict what is left to do once it has left: the commit comes after the answer, so it is not
 * too late, and nobody waits for it. The others have a word, which kubectl shows to anybody: nothing about
 * the cluster.
 */
export type ReviewReply =
  | { readonly status: 200; readonly body: string; readonly answered?: () => void }
  | { readonly status: 400 | 503; readonly text: string; readonly headers?: Readonly<Record<string, string>> }

/** Parsing a larger one takes longer than others should wait; what smaller ones ask for is counted once they are parsed (heavy.ts). */
const LARGE_BYTES = 128 * 1024

export async function judgeReview(body: Uint8Array<ArrayBuffer>, deps: JudgeDeps): Promise<ReviewReply> {
  const began = performance.now()
  const { cluster, log, metrics } = deps
  let head: ReviewHead | undefined
  let undecided: PendingReview | undefined
  let uid = ''
  try {
    // 1. bytes
    const { opening, ...known } = open(body, deps)
    uid = known.uid
    if (opening === undefined) return busy(deps)
    const opened = opening instanceof Promise ? await opening : opening
    if (opened === undefined) return busy(deps)
    if (!opened.ok) {
      log.warn({ ...opened.denial, bytes: body.byteLength }, 'no review')
      metrics.refused(400)
      return { status: 400, text: 'not an AdmissionReview of admission.k8s.io/v1' }
    }
    const review: PendingReview = opened.value
    undecided = review
    head = review.asked.head
    // 2. in sync: what is not known would let through what it denies
    if (cluster.missing().length > 0) return unavailable(deps, 'not in sync')
    // 3. what the cluster says
    const asking = review.asked.subject === undefined ? undefined : given(review.asked, deps)
    const said = asking instanceof Promise ? await asking : asking
    // 4. the verdict
    undecided = undefined
    const deciding = review.decide(said?.given)
    const decision = deciding instanceof Promise ? await deciding : deciding
    if (said?.trouble !== undefined && !decision.allowed) throw new Error(said.trouble)
    // 5. written down before it leaves
    await deps.audit.write(decidedEvent(head, decision, deps))
    // 6. when it has left: remembered, for whoever sees the commit
    return {
      status: 200,
      body: decision.body,
      answered: finishing(review.asked, said, decision, { deps, began }),
    }
  } catch (error) {
    return await fail(error, head, head?.uid ?? uid, { deps, began })
  } finally {
    undecided?.drop?.()
  }
}

type Opening = {
  /** Of what the thread may be lost over; '' where it is not known yet. */
  readonly uid: string
  readonly opening: ReturnType<LargeReviews['open']> | Result<PendingReview, ReviewProblem>
}

/** Here, or on the thread, which takes the bytes along. */
function open(body: Uint8Array<ArrayBuffer>, { large }: JudgeDeps): Opening {
  if (body.byteLength > LARGE_BYTES) return { uid: uidAtBeginning(body), opening: large.open(body) }
  const opened = openReview(body)
  if (!opened.ok) return { uid: '', opening: opened }
  const { head, subject } = opened.value.asked
  return { uid: head.uid, opening: isHeavy(subject) ? large.open(body) : opened }
}

type Said = { readonly given: Given; readonly trouble: string | undefined }

/** Waits only for a change that breaks the glass. */
function given(asked: Asked, deps: JudgeDeps): Said | Promise<Said> {
  return asked.verbs.length === 0 ? withVerbs(asked, new Set(), deps) : givenAfterAsking(asked, deps)
}

/** A verb that nobody could be asked about counts as not given; a denial is then no answer, since it may be for that. */
async function givenAfterAsking(asked: Asked, deps: JudgeDeps): Promise<Said> {
  const { verbs, head } = asked
  const { namespace, name } = head
  const resource = asked.subject?.resource === 'providers' ? 'providers' : 'modules'
  const object = { resource, namespace, name } as const
  const answers = await Promise.all(verbs.map((verb) => deps.cluster.mayDo(head.user, verb, object)))
  const mayDo = verbs.filter((_, index) => {
    const answer = answers[index]
    return answer?.ok === true && answer.value
  })
  const failed = answers.find((answer) => !answer.ok)
  const said = withVerbs(asked, new Set(mayDo), deps)
  return failed === undefined ? said : { ...said, trouble: `no SubjectAccessReview: ${failed.denial}` }
}

function withVerbs({ subject }: Asked, mayDo: ReadonlySet<BreakGlassVerb>, deps: JudgeDeps): Said {
  if (subject === undefined) throw new Error('nothing is asked of the cluster')
  const { cluster, clock } = deps
  const facts = cluster.factsOf(subject)
  return {
    given: { policies: cluster.policies(), facts, mayDo, atSeconds: epochSeconds(clock) },
    trouble: undefined,
  }
}

function finishing(
  asked: Asked,
  said: Said | undefined,
  decision: Decision,
  { deps, began }: Begun,
): () => void {
  const seconds = secondsSince(began)
  return () => {
    const isCommitted = decision.allowed && !asked.head.dryRun
    try {
      if (isCommitted) remember(asked, said?.given, deps)
    } catch (error) {
      const { uid } = asked.head
      deps.log.error({ uid, err: error }, 'answered, and who asked is not remembered')
    }
    deps.metrics.judged(asked.head, decision, seconds)
  }
}

function remember({ head, subject }: Asked, said: Given | undefined, { cluster }: JudgeDeps): void {
  if (subject === undefined || said === undefined) return
  const { user, oldResourceVersion, objectUid } = head
  cluster.remember({ subject, user, oldResourceVersion, objectUid, atSeconds: said.atSeconds })
}

/** Ours, or not to be judged now: the API server does what its configuration says of a webhook that fails. */
function unavailable({ metrics }: JudgeDeps, text: string): { readonly status: 503; readonly text: string } {
  metrics.refused(503)
  return { status: 503, text }
}

/** Too many at once: kube-apiserver asks again within its timeout, and only where it is told to. */
function busy(deps: JudgeDeps): ReviewReply {
  return { ...unavailable(deps, 'busy'), headers: { 'retry-after': '1' } }
}

type Begun = { readonly deps: JudgeDeps; readonly began: number }

/** A refusal that says where to look. Told once, under the uid that the answer names. */
async function fail(
  error: unknown,
  head: ReviewHead | undefined,
  uid: string,
  { deps, began }: Begun,
): Promise<ReviewReply> {
  const { log, metrics } = deps
  log.error({ uid, operation: head?.operation, resource: head?.resource, err: error }, 'review not judged')
  metrics.judged(head, undefined, secondsSince(began))
  if (uid === '') return unavailable(deps, 'not judged')
  const refusal: ReviewReply = { status: 200, body: JSON.stringify(errored(uid)) }
  // Its second event would fail as the first did; readiness says so, too.
  if (error instanceof AuditFailure) return refusal
  try {
    await deps.audit.write(failedEvent(head, uid, deps))
  } catch (again) {
    log.error({ uid, err: again }, 'audit event not written')
  }
  return refusal
}

function decidedEvent(head: ReviewHead, decision: Decision, { clock }: JudgeDeps): AdmissionEvent {
  const { allowed, actor, policies, rules, modes, broken, reason } = decision
  return admissionEvent(
    {
      ...factsOf(head),
      ...(actor === undefined ? {} : { actor }),
      policies,
      rules,
      modes,
      ...(broken.length === 0 ? {} : { broken }),
      ...(reason === undefined ? {} : { reason }),
    },
    allowed ? 'allow' : 'deny',
    new Date(clock()).toISOString(),
  )
}

const NOBODY = { username: '', uid: '', groups: [], extra: {} }

function failedEvent(head: ReviewHead | undefined, uid: string, { clock }: JudgeDeps): AdmissionEvent {
  const unknown = { uid, operation: '', resource: '', namespace: '', name: '', dryRun: false, user: NOBODY }
  const facts = head === undefined ? unknown : factsOf(head)
  return admissionEvent({ ...facts, reason: 'not_judged' }, 'fail', new Date(clock()).toISOString())
}

function factsOf({ uid, operation, resource, namespace, name, dryRun, user }: ReviewHead) {
  return { uid, operation, resource, namespace, name, dryRun, user }
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000
}
