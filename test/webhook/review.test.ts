// What the webhook makes of a review: every recorded one is read, and one that no kube-apiserver sends is refused.
import t from 'tap'
import { MAX_BODY_BYTES, parseReview } from '../../webhook/review/body.ts'
import { MAX_DEPTH, readReview } from '../../webhook/review/review.ts'
import type { Review, ReviewProblem } from '../../webhook/review/review.ts'
import {
  RECORDED_REVIEWS,
  changedReview,
  recordedReview,
  recordedReviewBytes,
} from '../support/admission_reviews.ts'
import type { RecordedReview } from '../support/admission_reviews.ts'

function read(body: unknown): Review {
  const review = readReview(body)
  if (!review.ok) throw new Error(review.denial.sentence)
  return review.value
}

function refused(body: unknown): ReviewProblem {
  const review = readReview(body)
  if (review.ok) throw new Error('it was read')
  return review.denial
}

t.test('every review that a real kube-apiserver sent is read', async (t) => {
  t.equal(RECORDED_REVIEWS.length, 25)
  for (const name of RECORDED_REVIEWS) {
    const { request } = recordedReview(name)
    const parsed = parseReview(recordedReviewBytes(name))
    if (!parsed.ok) throw new Error(`${name}: ${parsed.denial.sentence}`)
    const review = parsed.value
    t.equal(review.operation, name.slice(0, 6).toUpperCase(), name)
    t.equal(review.subResource, name.startsWith('update-status') ? 'status' : '', name)
    t.equal(review.dryRun, request['dryRun'], name)
    t.same(review.resource, request['resource'], name)
    t.same(review.kind, request['kind'], name)
    t.same([review.object ?? null, review.oldObject ?? null], [request.object, request.oldObject], name)
    t.same(review.user, { uid: '', extra: {}, ...request.userInfo }, name)
    t.match(review, { namespace: 'opendepot-system', name: /^terraform-aws-/, uid: request['uid'] }, name)
  }
})

t.test('an item of a deletecollection is named by the object that goes', async (t) => {
  t.notOk('name' in recordedReview('deletecollection-item').request)
  t.equal(read(recordedReview('deletecollection-item')).name, 'terraform-aws-vpc')
})

t.test('an object that the server has yet to name has no name', async (t) => {
  const review = changedReview('create-generatename', ({ request }) => {
    delete request['name']
    delete Object(request.object).metadata.name
  })
  t.equal(read(review).name, '')
})

t.test('what may be missing is empty', async (t) => {
  const review = changedReview('create-ssa', ({ request }) => {
    for (const field of ['namespace', 'dryRun', 'options', 'requestKind', 'requestResource', 'oldObject']) {
      delete request[field]
    }
    request.userInfo = {}
  })
  t.match(read(review), {
    namespace: '',
    dryRun: false,
    user: { username: '', uid: '', groups: [], extra: {} },
    oldObject: undefined,
  })
})

t.test('a list that Go left nil is empty', async (t) => {
  const review = changedReview('create-ssa', ({ request }) => {
    request.userInfo = { username: 'ci', groups: null, extra: { 'sallyport.dev/ref': null } }
  })
  t.same(read(review).user, { username: 'ci', uid: '', groups: [], extra: { 'sallyport.dev/ref': [] } })
})

t.test('fields that a later release adds are passed over', async (t) => {
  const review = changedReview('create-ssa', ({ request }) => (request['origin'] = { cluster: 'a' }))
  t.same(read(review), read(recordedReview('create-ssa')))
})

t.test('a key that is called __proto__ is a key', async (t) => {
  const text = recordedReviewBytes('create-ssa').toString('utf8')
  const review = read(JSON.parse(text.replace('"example.com/ref"', '"__proto__"')))
  t.same(Object.getOwnPropertyDescriptor(review.user.extra, '__proto__')?.value, ['refs/tags/v1.2.0'])
  t.equal(Object.getPrototypeOf(review.user.extra), Object.prototype)
})

const MALFORMED: readonly (readonly [
  string,
  (review: RecordedReview) => void,
  ReviewProblem['reason'],
  string,
])[] = [
  [
    'another version of the protocol',
    (review) => (review['apiVersion'] = 'admission.k8s.io/v1beta1'),
    'wrong_version',
    'no AdmissionReview of admission.k8s.io/v1',
  ],
  ['another kind', (review) => (review['kind'] = 'TokenReview'), 'wrong_version', 'no AdmissionReview'],
  [
    'an answer in place of a request',
    (review) => Reflect.deleteProperty(review, 'request'),
    'malformed',
    'request is missing',
  ],
  ['no uid', ({ request }) => (request['uid'] = ''), 'malformed', 'request.uid'],
  ['a uid with a line break', ({ request }) => (request['uid'] = 'a\nb'), 'malformed', 'request.uid'],
  [
    'a uid as long as a page',
    ({ request }) => (request['uid'] = 'a'.repeat(129)),
    'malformed',
    'request.uid',
  ],
  [
    'a uid that is a number',
    ({ request }) => (request['uid'] = 7),
    'malformed',
    'request.uid is not a string',
  ],
  ['no kind', ({ request }) => delete request['kind'], 'malformed', 'request.kind is not whole'],
  ['no resource', ({ request }) => delete request['resource'], 'malformed', 'request.resource is not whole'],
  [
    'an operation that does not exist',
    ({ request }) => (request['operation'] = 'PATCH'),
    'malformed',
    'request.operation',
  ],
  [
    'an update without what was there',
    ({ request }) => (request['operation'] = 'UPDATE'),
    'malformed',
    'request.operation',
  ],
  [
    'a delete of what is new',
    ({ request }) => (request['operation'] = 'DELETE'),
    'malformed',
    'request.operation',
  ],
  [
    'a create of what is there',
    ({ request }) => (request.oldObject = request.object),
    'malformed',
    'request.operation',
  ],
  ['a create of nothing', ({ request }) => (request.object = null), 'malformed', 'request.operation'],
  [
    'an object that is a list',
    ({ request }) => (request.object = [request.object]),
    'malformed',
    'an object is no JSON object',
  ],
  [
    'an object that is a text',
    ({ request }) => (request.object = '{}'),
    'malformed',
    'an object is no JSON object',
  ],
  [
    'a name that is a number',
    ({ request }) => (request['name'] = 1),
    'malformed',
    'request.name is not a string',
  ],
  [
    'dryRun that is a text',
    ({ request }) => (request['dryRun'] = 'true'),
    'malformed',
    'request.dryRun is not true or false',
  ],
  [
    'userInfo that is a text',
    ({ request }) => Object.assign(request, { userInfo: 'ci' }),
    'malformed',
    'request.userInfo is not a mapping',
  ],
  [
    'a username that is a list',
    ({ request }) => (request.userInfo['username'] = ['ci']),
    'malformed',
    'request.userInfo.username',
  ],
  [
    'groups that are a text',
    ({ request }) => (request.userInfo['groups'] = 'system:masters'),
    'malformed',
    'request.userInfo',
  ],
  [
    'a group that is a number',
    ({ request }) => (request.userInfo['groups'] = [1]),
    'malformed',
    'request.userInfo',
  ],
  [
    'an extra that is a text',
    ({ request }) => (request.userInfo['extra'] = { 'sallyport.dev/ref': 'x' }),
    'malformed',
    'request.userInfo',
  ],
  [
    'an object as deep as no schema',
    ({ request }) => (request.object = nested(MAX_DEPTH + 1)),
    'too_deep',
    '128 levels',
  ],
]

for (const [title, change, reason, sentence] of MALFORMED) {
  t.test(`${title} is no review`, async (t) => {
    const problem = refused(changedReview('create-ssa', change))
    t.equal(problem.reason, reason)
    t.match(problem.sentence, sentence)
  })
}

t.test('a body that is no object is no review', async (t) => {
  for (const body of [undefined, null, 'text', 7, [recordedReview('create-ssa')]]) {
    t.equal(refused(body).reason, 'malformed')
  }
})

t.test('an object may be as deep as the limit, before and after', async (t) => {
  const deep = changedReview('update-annotate', ({ request }) => {
    request.object = nested(MAX_DEPTH)
    request.oldObject = nested(MAX_DEPTH)
  })
  t.equal(read(deep).operation, 'UPDATE')
  const tooDeep = changedReview(
    'update-annotate',
    ({ request }) => (request.oldObject = nested(MAX_DEPTH + 1)),
  )
  t.equal(refused(tooDeep).reason, 'too_deep')
})

t.test('nesting that would end the stack is refused in time', async (t) => {
  const levels = 200_000
  const text = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"object":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}}`
  const parsed = parseReview(Buffer.from(text))
  t.match(parsed, { ok: false, denial: { reason: 'too_deep' } })
})

t.test('a body may have 8 MiB and no byte more', async (t) => {
  const bytes = recordedReviewBytes('create-ssa')
  const padded = Buffer.concat([bytes, Buffer.alloc(MAX_BODY_BYTES - bytes.length, ' ')])
  t.equal(parseReview(padded).ok, true)
  const more = parseReview(Buffer.concat([padded, Buffer.from(' ')]))
  t.match(more, { ok: false, denial: { reason: 'too_large', sentence: /8388609 bytes, 8388608 are read/ } })
})

t.test('what is no JSON in UTF-8 is refused without a word of it', async (t) => {
  for (const bytes of [
    Buffer.from(''),
    Buffer.from('{"secret":'),
    Buffer.from('"\xff"', 'latin1'),
    Buffer.from('secret'),
    // In what is not looked at, too.
    Buffer.from('{"kind":"AdmissionReview","managedFields":["\xff"]}', 'latin1'),
  ]) {
    const denial = { reason: 'not_json', sentence: 'the body is no JSON in UTF-8' }
    t.same(parseReview(bytes), { ok: false, denial })
  }
})

/** Objects and lists in turns. */
function nested(levels: number): unknown {
  let value: unknown = {}
  for (let level = levels - 1; level > 0; level -= 1)
    value = level > 1 && level % 2 === 0 ? [value] : { in: value }
  return value
}
