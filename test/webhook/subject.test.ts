// From the bytes that a real kube-apiserver sent to the answer that it would get, for everything that kubectl does to a Module.
import t from 'tap'
import { actorOf } from '../../src/core/module/actor.ts'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import { answerOf } from '../../webhook/review/answer.ts'
import type { AdmissionAnswer } from '../../webhook/review/answer.ts'
import { parseReview } from '../../webhook/review/body.ts'
import { readReview } from '../../webhook/review/review.ts'
import type { Review } from '../../webhook/review/review.ts'
import { subjectOf } from '../../webhook/review/subject.ts'
import { RECORDED_REVIEWS, changedReview, recordedReviewBytes } from '../support/admission_reviews.ts'
import type { RecordedReview } from '../support/admission_reviews.ts'

function subjectIn(body: unknown): ReturnType<typeof subjectOf> {
  const review = readReview(body)
  if (!review.ok) throw new Error(review.denial.sentence)
  return subjectOf(review.value)
}

/** Without a policy and with an empty ledger. */
function answerTo(review: Review): AdmissionAnswer['response'] {
  const subject = subjectOf(review)
  if (!subject.ok) throw new Error(subject.denial.reason)
  const user = actorOf(review.user, undefined)
  const change = { ...subject.value, user, mayDo: new Set<never>(), atSeconds: 0 }
  return answerOf(review.uid, judgeChange(change, undefined, NO_FACTS)).response
}

/** `rules`: of everything that was found, as the audit log has it. Without a policy WH-P1 only warns. */
type Expected = { readonly allowed: boolean; readonly code?: number; readonly rules?: string }
const YES: Expected = { allowed: true }
const WARNED: Expected = { allowed: true, rules: 'WH-P1' }
const NOT_DELETED: Expected = { allowed: false, code: 403, rules: 'WH-M12' }
const NOT_REMOVED: Expected = { allowed: false, code: 403, rules: 'WH-V1' }

const ANSWERS: Readonly<Record<string, Expected>> = {
  'create-admin-cert': WARNED,
  'create-clientside-apply': WARNED,
  'create-dryrun-ssa': WARNED,
  // Its moduleConfig.name cannot be the name that the server makes up.
  'create-generatename': { allowed: false, code: 422, rules: 'WH-M1,WH-P1' },
  'create-impersonated': WARNED,
  'create-impersonated-extra': WARNED,
  'create-serviceaccount': YES,
  'create-ssa': WARNED,
  delete: NOT_DELETED,
  'delete-dryrun': NOT_DELETED,
  'delete-orphan': NOT_DELETED,
  'delete-with-finalizer': NOT_DELETED,
  'deletecollection-item': NOT_DELETED,
  'update-annotate': YES,
  'update-clientside-apply-remove': NOT_REMOVED,
  'update-finalizer-add': YES,
  'update-finalizer-remove-while-terminating': YES,
  'update-jsonpatch-append': WARNED,
  'update-mergepatch-remove-version': NOT_REMOVED,
  'update-replace': WARNED,
  'update-ssa-add-version': WARNED,
  'update-ssa-force-conflict': { allowed: false, code: 403, rules: 'WH-V1,WH-P1' },
  'update-ssa-noop': YES,
  'update-status-serviceaccount': YES,
  'update-status-subresource': { allowed: false, code: 403, rules: 'WH-S1' },
}

t.test('every recorded review gets its answer', async (t) => {
  t.same(Object.keys(ANSWERS).toSorted(), RECORDED_REVIEWS)
  for (const [name, { allowed, code, rules }] of Object.entries(ANSWERS)) {
    const review = parseReview(recordedReviewBytes(name))
    if (!review.ok) throw new Error(review.denial.sentence)
    const answer = answerTo(review.value)
    t.equal(answer.uid, review.value.uid, name)
    t.same(
      [answer.allowed, answer.status?.code, answer.auditAnnotations?.['rule']],
      [allowed, code, rules],
      name,
    )
  }
})

t.test('a pipeline that the broker knows publishes without a warning', async (t) => {
  const body = changedReview('update-ssa-add-version', ({ request }) => {
    request.userInfo['extra'] = {
      'authentication.kubernetes.io/credential-id': ['JTI=f55e3a55-2b2d-4b94-8c4b-39be14e89631'],
      'sallyport.dev/source': ['github.com/acme/terraform-aws-vpc'],
      'sallyport.dev/repository-id': ['48291'],
      'sallyport.dev/ref': ['refs/tags/v1.2.0'],
    }
  })
  const review = readReview(body)
  if (!review.ok) throw new Error(review.denial.sentence)
  const answer = answerTo(review.value)
  t.same([answer.allowed, answer.warnings], [true, undefined])
  t.equal(answer.auditAnnotations?.['publisher'], 'github.com/acme/terraform-aws-vpc')
})

t.test('each kind that rules are for is read as what it is', async (t) => {
  for (const [group, version, resource, kind] of [
    ['opendepot.defdev.io', 'v1alpha1', 'versions', 'Version'],
    ['opendepot.defdev.io', 'v1alpha1', 'depots', 'Depot'],
    ['opendepot.defdev.io', 'v1alpha1', 'providers', 'Provider'],
    ['opendepot.defdev.io', 'v1alpha1', 'groupbindings', 'GroupBinding'],
    ['sallyport.dev', 'v1alpha1', 'publishedversions', 'PublishedVersion'],
    ['sallyport.dev', 'v1alpha1', 'modulepolicies', 'ModulePolicy'],
    ['', 'v1', 'namespaces', 'Namespace'],
    ['apiextensions.k8s.io', 'v1', 'customresourcedefinitions', 'CustomResourceDefinition'],
  ] as const) {
    const body = changedReview('update-annotate', ({ request }) => {
      request['resource'] = { group, version, resource }
      // The entries of a definition's versions are called otherwise, and have no version.
      if (kind === 'CustomResourceDefinition') request.object = request.oldObject = { metadata: {} }
    })
    t.match(subjectIn(body), {
      ok: true,
      value: { resource, operation: 'UPDATE', old: { kind }, new: { kind } },
    })
  }
})

const NOT_JUDGED: readonly (readonly [string, (review: RecordedReview) => void])[] = [
  ['another group', ({ request }) => (Object(request['resource']).group = 'kerrareg.io')],
  ['another version of the group', ({ request }) => (Object(request['resource']).version = 'v1')],
  ['a resource of another group', ({ request }) => (Object(request['resource']).group = 'sallyport.dev')],
  ['another resource', ({ request }) => (Object(request['resource']).resource = 'agents')],
  ['a subresource that Modules do not have', ({ request }) => (request['subResource'] = 'scale')],
]

for (const [title, change] of NOT_JUDGED) {
  t.test(`no rule is for ${title}`, async (t) => {
    t.same(subjectIn(changedReview('create-ssa', change)), { ok: false, denial: { reason: 'not_judged' } })
  })
}

t.test('a connection to an object is no change to it', async (t) => {
  const body = changedReview('create-ssa', ({ request }) => (request['operation'] = 'CONNECT'))
  t.same(subjectIn(body), { ok: false, denial: { reason: 'not_judged' } })
})

t.test('an object that no definition allows is unreadable, and the field is named', async (t) => {
  const after = changedReview(
    'update-annotate',
    ({ request }) => (Object(request.object).spec.versions = '1.0.0'),
  )
  t.match(subjectIn(after), {
    denial: { reason: 'unreadable', sentence: 'object: spec.versions is not a list' },
  })
  const before = changedReview('delete', ({ request }) => (Object(request.oldObject).spec = []))
  t.match(subjectIn(before), {
    denial: { reason: 'unreadable', sentence: 'oldObject: spec is not a mapping' },
  })
})
