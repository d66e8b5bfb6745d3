// What kube-apiserver gets back. Answers are made here and nowhere else, so that none is ever half of one: it repeats the uid,
// never patches, and has no causes, because kubectl shows those instead of the message.
import { cutToBytes, printable } from '#core/module/printable.ts'
import type { Verdict } from '#core/module/verdict.ts'
import { MAX_MESSAGE_BYTES, denialOf } from '#core/module/verdict_message.ts'
import type { Denial } from '#core/module/verdict_message.ts'

export type AdmissionAnswer = {
  readonly apiVersion: 'admission.k8s.io/v1'
  readonly kind: 'AdmissionReview'
  readonly response: AdmissionResponse
}

type AdmissionResponse = {
  readonly uid: string
  readonly allowed: boolean
  readonly status?: Denial | InternalError
  readonly warnings?: readonly string[]
  readonly auditAnnotations?: Readonly<Record<string, string>>
}

type InternalError = { readonly code: 500; readonly reason: 'InternalError'; readonly message: string }

/** What goes with an answer beside yes or no. */
export type Notes = Pick<Verdict, 'warnings' | 'annotations'>

export function allow(uid: string, notes: Notes): AdmissionAnswer {
  return answer({ uid, allowed: true, ...noted(notes) })
}

function deny(uid: string, denial: Denial, notes: Notes): AdmissionAnswer {
  // kubectl prints what it gets. Rules quote what others wrote; whatever slips through one of them ends here.
  const message = cutToBytes(printable(denial.message), MAX_MESSAGE_BYTES)
  const { code, reason } = denial
  return answer({ uid, allowed: false, status: { code, reason, message }, ...noted(notes) })
}

/**
 * Nobody could judge it; the log says why, under the review's uid. A refusal and not an HTTP error, so that an object that
 * a rule stumbles over is not let in where the configuration says `failurePolicy: Ignore`.
 */
export function errored(uid: string): AdmissionAnswer {
  const message = `this request could not be judged; the log of Sallyport's webhook says why, under ${uid}`
  return answer({ uid, allowed: false, status: { code: 500, reason: 'InternalError', message } })
}

const NO_NOTES: Notes = { warnings: [], annotations: new Map() }

/**
 * No rule is for such an object or such a request. Refused, because whoever sends it here believes that it is guarded; what
 * `sallyport webhook generate webhook` writes asks nothing of the kind.
 */
export function notJudged(uid: string, asked: string): AdmissionAnswer {
  const message =
    `no rule is for ${printable(cutToBytes(asked, 256))}. Instead: take it out of the rules of the ` +
    'ValidatingWebhookConfiguration (sallyport webhook generate webhook writes one that asks no more than is judged)'
  return deny(uid, { code: 403, reason: 'Forbidden', message }, NO_NOTES)
}

/** A field that rules read has a type that no definition of the object allows. */
export function unreadable(uid: string, sentence: string): AdmissionAnswer {
  const message = `${sentence}. Instead: write it as the definition of the resource says`
  return deny(uid, { code: 422, reason: 'Invalid', message }, NO_NOTES)
}

/** A verdict as kube-apiserver gets it. */
export function answerOf(uid: string, verdict: Verdict): AdmissionAnswer {
  const denial = denialOf(verdict)
  return denial === undefined ? allow(uid, verdict) : deny(uid, denial, verdict)
}

function answer(response: AdmissionResponse): AdmissionAnswer {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }
}

/** An audit event is one line of a log; a username or a reason may have kilobytes. */
const MAX_ANNOTATION_BYTES = 1024

function noted({ warnings, annotations }: Notes): Pick<AdmissionResponse, 'warnings' | 'auditAnnotations'> {
  const entries = [...annotations].map(([key, value]) => [
    key,
    cutToBytes(printable(value), MAX_ANNOTATION_BYTES),
  ])
  return {
    // kube-apiserver drops a warning with a control character, and says so nowhere.
    ...(warnings.length === 0 ? {} : { warnings: warnings.map(printable) }),
    ...(entries.length === 0 ? {} : { auditAnnotations: Object.fromEntries(entries) }),
  }
}
