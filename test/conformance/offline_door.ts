// The offline review of the conformance table: two states of a file, a ledger and the policies, and the same rules.
import type { LedgerFacts } from '../../src/core/module/ledger.ts'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import type { BreakGlassVerb, ChangeSubject } from '../../src/core/module/change.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import { readModulePolicy } from '../../src/core/module/read_module_policy.ts'
import type { JudgedFinding, Verdict } from '../../src/core/module/verdict.ts'
import { readReview } from '../../webhook/review/review.ts'
import type { Review } from '../../webhook/review/review.ts'
import { subjectOf } from '../../webhook/review/subject.ts'
import type { Expectation, Json, Row } from './module_cases.ts'
import { POLICIES } from './module_policies.ts'
import { factsOf } from './row_facts.ts'

/** Seconds; past every exception that has run out, and before the others. */
export const NOW = 1_800_000_000

export const NAMED_POLICIES: readonly NamedPolicy[] = POLICIES.map((policy) => {
  const read = readModulePolicy(policy)
  if (!read.ok) throw new Error(read.denial)
  return read.value
})

/** What a review of files says: of a deletion nothing, and of a status nothing. */
export function reviewedOffline(row: Row, request: Json, user: KubeUser | undefined): Expectation {
  const review = reviewOf(request)
  if (review.operation === 'DELETE') return {}
  const subject = { ...subjectIn(review), subResource: '' } as const
  return expectationOf(judged(subject, user, [], factsOf(row)))
}

/** What the rules say when they are told everything that a cluster knows. */
export function judgedWithEverything(
  request: Json,
  mayDo: readonly BreakGlassVerb[],
  facts: LedgerFacts,
): Verdict {
  const review = reviewOf(request)
  return judged(subjectIn(review), review.user, mayDo, facts)
}

export function userOf(request: Json): KubeUser {
  return reviewOf(request).user
}

function judged(
  subject: ChangeSubject,
  user: KubeUser | undefined,
  mayDo: readonly BreakGlassVerb[],
  facts: LedgerFacts,
): Verdict {
  return judgeUnderPolicies(subject, { user, mayDo: new Set(mayDo), atSeconds: NOW }, NAMED_POLICIES, facts)
}

function reviewOf(request: Json): Review {
  const read = readReview({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { ...request, uid: 'recorded' },
  })
  if (!read.ok) throw new Error(read.denial.sentence)
  return read.value
}

function subjectIn(review: Review): ChangeSubject {
  const subject = subjectOf(review)
  if (!subject.ok) throw new Error(subject.denial.reason)
  return subject.value
}

/** Rules by what they did, in the order of the rules. */
export function expectationOf({ findings }: Verdict): Expectation {
  const rules = (holds: (finding: JudgedFinding) => boolean) => ({
    rules: [...new Set(findings.filter(holds).map(({ rule }) => rule))],
  })
  const said = {
    forbidden: rules(({ kind, mode }) => kind === 'forbidden' && mode === 'enforce'),
    invalid: rules(({ kind, mode }) => kind === 'invalid' && mode === 'enforce'),
    warns: rules(({ kind, mode }) => kind !== 'notice' && mode === 'warn'),
    told: rules(({ kind, mode }) => kind === 'notice' && mode !== 'audit'),
    audits: rules(({ mode }) => mode === 'audit'),
  }
  const entries = Object.entries(said).filter(([, { rules: some }]) => some.length > 0)
  return Object.fromEntries(entries.map(([key, { rules: some }]) => [key, some]))
}
