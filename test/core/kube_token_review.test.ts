// Who a token of ours is in a cluster that asks about it, and what it may ask.
import t from 'tap'
import type { JsonObject } from '../../src/core/claims.ts'
import { readTokenReview, reviewAnswer, reviewedUser } from '../../src/core/kube/token_review.ts'

const CLUSTER = { audience: 'kube:prod', usernamePrefix: 'ci:', groupsPrefix: 'ci:' }
const CLAIMS: JsonObject = {
  iss: 'https://broker.example.test',
  sub: 'gitlab:48291',
  aud: 'kube:prod',
  exp: 1_795_263_000,
  jti: '69abb511-6d6a-4a6f-b161-ef6023706d1f',
  token_use: 'kube',
  username: 'gitlab:acme/vpc',
  uid: '48291',
  groups: ['deployers'],
  source: 'gitlab.example.com/acme/vpc',
  repository: 'acme/vpc',
  repository_id: '48291',
  ref: 'refs/heads/main',
  sha: '9f2c1d7e',
  run_id: '77',
  policy: 'acme-main',
}

t.test('a token of the cluster is the user that its AuthenticationConfiguration would make', async (t) => {
  t.same(reviewedUser(CLAIMS, CLUSTER), {
    ok: true,
    value: {
      username: 'ci:gitlab:acme/vpc',
      uid: '48291',
      groups: ['ci:deployers'],
      extra: {
        'sallyport.dev/source': ['gitlab.example.com/acme/vpc'],
        'sallyport.dev/repository': ['acme/vpc'],
        'sallyport.dev/repository-id': ['48291'],
        'sallyport.dev/ref': ['refs/heads/main'],
        'sallyport.dev/sha': ['9f2c1d7e'],
        'sallyport.dev/run-id': ['77'],
        'sallyport.dev/policy': ['acme-main'],
        'authentication.kubernetes.io/credential-id': ['JTI=69abb511-6d6a-4a6f-b161-ef6023706d1f'],
      },
    },
  })
})

function groupsOf(groups: JsonObject): unknown {
  const { groups: _dropped, ...rest } = CLAIMS
  const user = reviewedUser({ ...rest, ...groups }, CLUSTER)
  return user.ok ? user.value.groups : user.denial
}

t.test('a token without groups has none, and one group may be a plain text', async (t) => {
  t.same(groupsOf({}), [])
  t.same(groupsOf({ groups: 'deployers' }), ['ci:deployers'])
  t.same(groupsOf({ groups: ['', 'deployers'] }), ['ci:deployers'], 'an empty name is no group')
})

const DENIED: readonly { says: string; change: JsonObject; denial: object; prefix?: string }[] = [
  {
    says: 'a registry token',
    change: { token_use: 'registry' },
    denial: { reason: 'review_token_use', got: 'registry' },
  },
  {
    says: 'a token without use',
    change: { token_use: 7 },
    denial: { reason: 'review_token_use', got: 'none' },
  },
  {
    says: "another cluster's token",
    change: { aud: 'kube:dev' },
    denial: { reason: 'subject_audience_mismatch', expected: ['kube:prod'], got: ['kube:dev'] },
  },
  {
    says: 'a token for this cluster and one more',
    change: { aud: ['kube:prod', 'registry'] },
    denial: { reason: 'subject_audience_mismatch' },
  },
  {
    says: 'an empty subject',
    change: { sub: '' },
    denial: { reason: 'subject_claim_invalid', claim: 'sub' },
  },
  {
    says: 'an empty name',
    change: { username: '' },
    denial: { reason: 'subject_claim_invalid', claim: 'username' },
  },
  { says: 'a numeric uid', change: { uid: 7 }, denial: { reason: 'subject_claim_invalid', claim: 'uid' } },
  {
    says: 'numeric groups',
    change: { groups: [1] },
    denial: { reason: 'subject_claim_invalid', claim: 'groups' },
  },
  {
    says: 'a name of Kubernetes',
    change: { username: 'system:admin' },
    denial: { reason: 'review_name_reserved', name: 'system:admin' },
    prefix: '',
  },
  {
    says: 'the group of all power',
    change: { groups: ['deployers', 'system:masters'] },
    denial: { reason: 'review_name_reserved', name: 'system:masters' },
    prefix: '',
  },
  {
    says: 'a reserved name that prefix and name make together',
    change: { username: 'tem:admin' },
    denial: { reason: 'review_name_reserved', name: 'system:admin' },
    prefix: 'sys',
  },
]

for (const { says, change, denial, prefix } of DENIED) {
  t.test(`${says} is nobody there`, async (t) => {
    const cluster =
      prefix === undefined ? CLUSTER : { ...CLUSTER, usernamePrefix: prefix, groupsPrefix: prefix }
    t.equal(reviewedUser(CLAIMS, cluster).ok, true, 'the accepted twin')
    t.match(reviewedUser({ ...CLAIMS, ...change }, cluster), { ok: false, denial })
  })
}

/** As kube-apiserver 1.36 sends it. */
const REVIEW = {
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  metadata: {},
  spec: { token: 'a.b.c', audiences: ['https://kubernetes.default.svc'] },
  status: { user: {} },
}

function read(change: object): unknown {
  return readTokenReview(JSON.stringify({ ...REVIEW, ...change }))
}

t.test('the token is what a review of version v1 asks about', async (t) => {
  t.same(readTokenReview(JSON.stringify(REVIEW)), { ok: true, value: 'a.b.c' })
})

t.test('another version, another kind and another shape are refused, each with its reason', async (t) => {
  t.match(read({ apiVersion: 'authentication.k8s.io/v1beta1' }), {
    denial: { reason: 'review_version_unsupported', got: 'authentication.k8s.io/v1beta1' },
  })
  const malformed = { ok: false, denial: { reason: 'review_malformed' } }
  t.match(read({ kind: 'SubjectAccessReview' }), malformed)
  t.match(read({ apiVersion: 1 }), malformed)
  t.match(read({ spec: {} }), malformed)
  t.match(read({ spec: { token: '' } }), malformed)
  t.match(read({ spec: { token: 7 } }), malformed)
  for (const text of ['', '[]', '"x"', '{', '{"kind":"TokenReview","kind":"TokenReview"}', '['.repeat(5000)])
    t.match(readTokenReview(text), malformed, text.slice(0, 20))
})

t.test('an answer names the user and no audiences, or nobody and always in the same words', async (t) => {
  const user = reviewedUser(CLAIMS, CLUSTER)
  t.match(reviewAnswer(user.ok ? user.value : undefined), {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    status: { authenticated: true, audiences: undefined, user: { username: 'ci:gitlab:acme/vpc' } },
  })
  t.same(reviewAnswer(undefined)['status'], { authenticated: false, error: 'the token was not accepted' })
})
