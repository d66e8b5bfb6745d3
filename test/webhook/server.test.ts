// The webhook's server judging reviews: what is answered, what is written down, and what is remembered.
import t from 'tap'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import { changedReview, recordedReview } from '../support/admission_reviews.ts'
import type { RecordedReview } from '../support/admission_reviews.ts'
import { aPolicy } from '../support/module_changes.ts'
import { startTestWebhook } from '../support/test_webhook.ts'

/** Takes two of three versions off a Module that says `immutable`, with one thing changed. */
function removal(change: (review: RecordedReview) => void = () => undefined): RecordedReview {
  return changedReview('update-mergepatch-remove-version', change)
}

function askToUnpublish({ request }: RecordedReview): void {
  Object(request.object).metadata.annotations = { 'sallyport.dev/unpublish': '1.0.0: leaked a key' }
}

function counted(labels: string): string {
  return `sallyport_webhook_admission_requests_total{${labels}} 1\n`
}

t.test('a review is answered, and leaves one audit event', async (t) => {
  const webhook = await startTestWebhook(t)
  const review = recordedReview('create-ssa')
  const answer = await webhook.post(review)
  t.equal(answer.status, 200)
  t.equal(answer.headers['content-type'], 'application/json')
  t.match(answer.json, { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' })
  t.match(answer.json.response, { uid: review.request['uid'], allowed: true })
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

t.test(
  'a version that was published and is taken away is denied with its rule and the way out',
  async (t) => {
    const webhook = await startTestWebhook(t)
    const { json } = await webhook.post(removal())
    t.match(json.response, {
      allowed: false,
      status: { code: 403, reason: 'Forbidden', message: /^WH-V1: version 1\.0\.0/ },
    })
    t.notOk('details' in Object(json.response['status']), 'causes would hide the message')
    t.match(webhook.audit(), [{ decision: 'deny', rules: ['WH-V1'], modes: ['enforce'] }])
    t.same(webhook.cluster.remembered, [], 'nothing was changed')
  },
)

t.test(
  'what is allowed is remembered with who did it; a dry run gets the same verdict and is not',
  async (t) => {
    const webhook = await startTestWebhook(t)
    const append = recordedReview('update-jsonpatch-append')
    const wet = await webhook.post(append)
    t.equal(wet.json.response['allowed'], true)
    t.match(webhook.cluster.remembered, [
      {
        subject: { resource: 'modules', operation: 'UPDATE', name: 'terraform-aws-vpc' },
        user: { username: 'ci:repo:acme/terraform-aws-vpc' },
        oldResourceVersion: Object(append.request.oldObject).metadata.resourceVersion,
        objectUid: Object(append.request.object).metadata.uid,
        atSeconds: 1_795_262_400,
      },
    ])
    const dry = await webhook.post(
      changedReview('update-jsonpatch-append', (review) => void (review.request['dryRun'] = true)),
    )
    t.same(dry.json, wet.json)
    t.equal(webhook.cluster.remembered.length, 1)
    t.match(webhook.audit(), [{ dryRun: false }, { dryRun: true }])
  },
)

t.test('until every watch is in sync it answers 503 and says nothing of the cluster', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.missing = ['modules', 'publishedversions']
  const refused = await webhook.post(recordedReview('update-jsonpatch-append'))
  t.equal(refused.status, 503)
  t.equal(refused.text, 'not in sync\n')
  const unready = await webhook.ops('/readyz')
  t.equal(unready.status, 503)
  t.match(unready.text, '[-]watches failed: not in sync: modules, publishedversions\n')
  t.equal((await webhook.ops('/livez')).status, 200)

  webhook.cluster.missing = []
  t.equal((await webhook.post(recordedReview('update-jsonpatch-append'))).status, 200)
  const ready = await webhook.ops('/readyz')
  t.equal(ready.status, 200)
  t.match(ready.text, '[+]watches ok: in sync\n')
})

t.test('an answer leaves only when its event is written', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.auditSink.fails = true
  const append = recordedReview('update-jsonpatch-append')
  const { status, json } = await webhook.post(append)
  t.equal(status, 200)
  t.match(json.response, {
    uid: append.request['uid'],
    allowed: false,
    status: { code: 500, reason: 'InternalError' },
  })
  t.same(webhook.cluster.remembered, [])
  t.match(webhook.log(), [
    { level: 'error', message: 'review not judged', fields: { uid: append.request['uid'] } },
  ])
  t.equal(webhook.log().length, 1)
  t.match(await webhook.ops('/readyz'), { status: 503, text: /\[-\]audit failed: the disk is full/ })

  webhook.auditSink.fails = false
  t.equal((await webhook.post(append)).json.response['allowed'], true)
})

t.test('what nobody foresaw is a refusal, logged once under its uid', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.facts = () => {
    throw new Error('the cache is upside down')
  }
  const append = recordedReview('update-jsonpatch-append')
  const { json, text } = await webhook.post(append)
  t.match(json.response, { uid: append.request['uid'], allowed: false, status: { code: 500 } })
  t.notMatch(text, 'upside down')
  t.match(webhook.log(), [{ level: 'error', fields: { uid: append.request['uid'], err: /upside down/ } }])
  t.match(webhook.audit(), [
    { decision: 'fail', uid: append.request['uid'], reason: 'not_judged', user: { uid: '4711' } },
  ])
  t.equal(webhook.log().length + webhook.audit().length, 2)
})

t.test(
  'a kind that no rule is for is refused: whoever sends it here believes that it is guarded',
  async (t) => {
    const webhook = await startTestWebhook(t)
    const pods = changedReview('create-ssa', (review) => {
      review.request['resource'] = { group: '', version: 'v1', resource: 'pods' }
    })
    const { json } = await webhook.post(pods)
    t.match(json.response, {
      allowed: false,
      status: { code: 403, message: /^no rule is for CREATE of pods\/v1\./ },
    })
    t.match(webhook.audit(), [{ decision: 'deny', resource: 'pods', reason: 'not_judged' }])
    t.match(
      (await webhook.ops('/metrics')).text,
      /resource="other",allowed="false",mode="none",rule="not_judged"/,
    )
  },
)

t.test('a field of a type that no definition allows is 422 with its place', async (t) => {
  const webhook = await startTestWebhook(t)
  const odd = changedReview('create-ssa', ({ request }) => {
    Object(request.object).spec.moduleConfig.immutable = 'yes'
  })
  const { json } = await webhook.post(odd)
  t.match(json.response, {
    allowed: false,
    status: {
      code: 422,
      reason: 'Invalid',
      message: /^object: spec\.moduleConfig\.immutable is not true or false\./,
    },
  })
})

t.test('breaking the glass waits for a SubjectAccessReview', async (t) => {
  const webhook = await startTestWebhook(t)
  const asked: string[] = []
  const unpublish = removal(({ request }) => {
    Object(request.object).metadata.annotations = {
      'sallyport.dev/unpublish': '1.0.0, 1.1.0, 1.2.0: leaked a key',
    }
  })
  webhook.cluster.mayDo = (verb) => {
    asked.push(verb)
    return { ok: true, value: true }
  }
  const allowed = await webhook.post(unpublish)
  t.equal(allowed.json.response['allowed'], true)
  t.match(allowed.json.response['warnings'], [/WH-V1/])
  t.same(asked, ['unpublish'])
  const [event] = webhook.audit()
  const [glass] = event?.broken ?? []
  t.match(event, { decision: 'allow', broken: [{ verb: 'unpublish', reason: 'leaked a key' }] })
  const broken = `unpublish ${glass?.covers.join(', ')}: leaked a key`
  t.match(allowed.json.response['auditAnnotations'], { broken })

  webhook.cluster.mayDo = () => ({ ok: true, value: false })
  t.match((await webhook.post(unpublish)).json.response, {
    allowed: false,
    status: { code: 403, message: /WH-V1/ },
  })
  t.equal(webhook.audit()[1]?.broken, undefined)

  t.equal((await webhook.post(recordedReview('update-jsonpatch-append'))).json.response['allowed'], true)
  t.same(asked, ['unpublish'], 'nothing else is asked about')
})

t.test('where the SubjectAccessReview fails, only what needed it is not judged', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.mayDo = () => ({ ok: false, denial: 'no answer within 2 s' })
  const needed = await webhook.post(removal(askToUnpublish))
  t.match(needed.json.response, { allowed: false, status: { code: 500 } })
  t.match(webhook.log(), [{ fields: { err: /no SubjectAccessReview: no answer within 2 s/ } }])
  const unneeded = await webhook.post(changedReview('update-jsonpatch-append', askToUnpublish))
  t.equal(unneeded.json.response['allowed'], true)
})

t.test('metrics name the rule that decided, and how long it took', async (t) => {
  const webhook = await startTestWebhook(t)
  await webhook.post(removal())
  await webhook.post(recordedReview('create-dryrun-ssa'))
  await webhook.post('{}')
  const { text } = await webhook.ops('/metrics')
  t.match(
    text,
    counted(
      'operation="UPDATE",resource="modules",allowed="false",mode="enforce",rule="WH-V1",dry_run="false"',
    ),
  )
  t.match(
    text,
    counted('operation="CREATE",resource="modules",allowed="true",mode="warn",rule="WH-P1",dry_run="true"'),
  )
  t.match(text, 'sallyport_webhook_http_refusals_total{code="400"} 1\n')
  t.match(
    text,
    'sallyport_webhook_admission_duration_seconds_count{operation="UPDATE",resource="modules"} 1\n',
  )
  t.match(text, 'sallyport_webhook_certificate_expiry_timestamp_seconds 1900000000\n')
})

t.test('what is let through and told counts as a warning, though its rule is enforced', async (t) => {
  const webhook = await startTestWebhook(t)
  const mutable = changedReview('update-mergepatch-remove-version', ({ request }) => {
    for (const side of ['object', 'oldObject']) delete Object(request[side]).spec.moduleConfig.immutable
  })
  const { json } = await webhook.post(mutable)
  t.match(json.response, {
    allowed: true,
    warnings: [/^WH-V1: version 1\.0\.0/],
    auditAnnotations: { rule: 'WH-V1', mode: 'warn' },
  })
  t.match(webhook.audit(), [{ decision: 'allow', rules: ['WH-V1'], modes: ['warn'] }])
  const { text } = await webhook.ops('/metrics')
  t.match(
    text,
    counted('operation="UPDATE",resource="modules",allowed="true",mode="warn",rule="WH-V1",dry_run="false"'),
  )
})

t.test('the policy that covers the Module decides, and its name is written down', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.policies = [
    {
      name: 'infra',
      spec: {
        selector: { namespaces: ['opendepot-system'], labels: new Map() },
        immutability: 'required',
        publishers: [],
        identities: {
          controller: { users: [], groups: [] },
          gitops: { users: ['ci:repo:acme/terraform-aws-vpc'], groups: [] },
          human: { users: [], groups: [] },
          importer: { users: [], groups: [] },
        },
        ordering: 'free',
        pins: 'optional',
        exceptions: [],
        modes: { 'WH-V1': 'warn' },
      },
    },
  ]
  const { json } = await webhook.post(removal())
  t.equal(json.response['allowed'], true)
  t.match(json.response['warnings'], [/^WH-V1/])
  t.match(webhook.audit(), [{ policies: ['infra'], actor: 'gitops', rules: ['WH-V1'], modes: ['warn'] }])
})

t.test('a policy that cannot be read is told, and the others are judged by', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.troubles = ['ModulePolicy infra: spec.selector is not a mapping']
  const { status, text } = await webhook.ops('/readyz')
  t.equal(status, 200)
  t.match(text, '[-]policies failed: ModulePolicy infra: spec.selector is not a mapping\n')
  t.equal((await webhook.post(recordedReview('update-jsonpatch-append'))).status, 200)
})

t.test(
  'a ledger that cannot be written is told on one line, and after a while nothing is judged',
  async (t) => {
    const webhook = await startTestWebhook(t)
    t.match(await webhook.ops('/readyz'), { status: 200, text: '[+]ledger ok: is fed and written\n' })
    const why = '3 entries could not be written for 12 s: etcd is full'
    webhook.cluster.ledgerTrouble = { why, isMissing: false }
    const early = await webhook.ops('/readyz')
    t.match(early, { status: 200, text: `[-]ledger failed: ${why}\n` })
    t.match(early.text, '[+]watches ok: in sync\n')
    t.equal((await webhook.post(recordedReview('update-jsonpatch-append'))).status, 200)
    webhook.cluster.ledgerTrouble = { why, isMissing: true }
    const late = await webhook.ops('/readyz')
    t.match(late, { status: 503, text: `[-]ledger failed: ${why}\n` })
    t.match(late.text, '[+]watches ok: in sync\n', 'what is not wrong is not called so')
    t.equal((await webhook.post(recordedReview('update-jsonpatch-append'))).status, 503)
  },
)

t.test('with an open port policies that go by the first publisher are told', async (t) => {
  const own = { name: 'own', spec: aPolicy() }
  const part = {
    name: 'part',
    spec: aPolicy({
      publishers: [
        { ids: ['4711'], refs: [] },
        { ids: [], refs: [] },
      ],
    }),
  }
  const listed = { name: 'listed', spec: aPolicy({ publishers: [{ ids: ['4711'], refs: [] }] }) }
  const webhook = await startTestWebhook(t)
  webhook.cluster.policies = [listed]
  t.match((await webhook.ops('/readyz')).text, '[+]publishers ok: are known by their id\n')
  webhook.cluster.policies = [own, listed, part]
  const { status, text } = await webhook.ops('/readyz')
  t.equal(status, 200)
  t.match(text, /\[-\]publishers failed: the port is open, .* listen\.allowFrom or .* in own, part\n/)
  for (const closed of [{ allowFrom: ['127.0.0.1'] }, { clientNames: [] }]) {
    const other = await startTestWebhook(t, closed)
    other.cluster.policies = [own, listed, part]
    t.match((await other.ops('/readyz')).text, '[+]publishers ok: are known by their id\n')
  }
})

t.test('an answer that has left stays one, when nobody can be remembered for it', async (t) => {
  const webhook = await startTestWebhook(t)
  // A list that takes no more: remembering throws.
  Object.freeze(webhook.cluster.remembered)
  const { uid } = recordedReview('create-ssa').request
  const { json } = await webhook.post(recordedReview('create-ssa'))
  t.match(json.response, { uid, allowed: true })
  t.match(webhook.log(), [
    { level: 'error', message: 'answered, and who asked is not remembered', fields: { uid } },
  ])
  const metrics = await webhook.ops('/metrics')
  t.match(
    metrics.text,
    counted('operation="CREATE",resource="modules",allowed="true",mode="warn",rule="WH-P1",dry_run="false"'),
  )
})

t.test('texts of others steer no log and no terminal', async (t) => {
  const webhook = await startTestWebhook(t)
  webhook.cluster.facts = NO_FACTS
  const hostile = removal(({ request }) => {
    request.userInfo['username'] =
      'x\u001b[31m\nadmin eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJ4In0.c2ln'
    request['name'] = 'a\u202eb'
    Object(request.oldObject).spec.versions.push({ version: '9.9.9\u0007\n\u001b]0;owned\u0007' })
  })
  const { json } = await webhook.post(hostile)
  const { message } = Object(json.response['status'])
  t.notMatch(String(message), /[\p{C}\u2028]/u)
  t.ok(Buffer.byteLength(String(message)) <= 2048)
  const [event] = webhook.audit()
  for (const text of [event?.user.username, event?.name]) t.notMatch(text ?? '', /\p{C}/u)
  t.notMatch(JSON.stringify(event), 'eyJhbGci')
  t.match(event?.user.username, 'admin <token>')
})
