// The webhook's server as kube-apiserver meets it: what is answered to a review, and to what is none.
import t from 'tap'
import { recordedReview } from '../support/admission_reviews.ts'
import { startTestWebhook } from '../support/test_webhook.ts'

t.test('a review is answered, and leaves one audit event', async (t) => {
  const webhook = await startTestWebhook(t)
  const review = recordedReview('create-ssa')
  const answer = await webhook.post(review)
  t.equal(answer.status, 200)
  t.equal(answer.headers['content-type'], 'application/json')
  t.match(answer.json, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' })
  t.equal(answer.json.response['uid'], review.request['uid'])
  t.same(webhook.audit(), [
    {
      time: '2026-11-21T12:00:00.000Z',
      event: 'admission',
      uid: review.request['uid'],
      decision: 'allow',
      operation: 'CREATE',
      resource: 'modules',
      namespace: 'opendepot-system',
      name: 'terraform-aws-vpc',
      dryRun: false,
      user: {
        username: 'ci:repo:acme/terraform-aws-vpc',
        uid: '4711',
        credentialId: 'JTI=f55e3a55-2b2d-4b94-8c4b-39be14e89631',
      },
      actor: 'human',
      policies: [],
      rules: ['WH-P1'],
      modes: ['warn'],
    },
  ])
  t.same(webhook.log(), [])
})
