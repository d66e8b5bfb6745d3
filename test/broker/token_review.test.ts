// The token review endpoint as a kube-apiserver meets it. The real one asks in test/e2e/kube_token_review.test.ts.
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import { lift, pull } from '../support/levers.ts'
import { BROKER_ISSUER, START, startTestBroker } from '../support/test_broker.ts'
import type { Config, Reply, TestBroker } from '../support/test_broker.ts'

const CLUSTER_SECRET = 'Wq7Rt2+Zx%9Lk4Pn6Vb8Yc1Jm5Hd3Gf0'

function withCluster(config: Config): void {
  const { clients } = config
  if (!Array.isArray(clients)) throw new Error('no list')
  clients.push(
    { id: 'prod-apiserver', auth: { method: 'client_secret', secretEnv: 'CLUSTER_SECRET' } },
    { id: 'dev-apiserver', auth: { method: 'client_secret', secretEnv: 'CLUSTER_SECRET' } },
  )
  Object.assign(config, {
    audiences: [...list(config['audiences']), { id: 'kube:dev', profile: 'kubernetes', clients: ['ci'] }],
    kube: {
      tokenReview: {
        clients: [
          { id: 'prod-apiserver', audience: 'kubernetes' },
          { id: 'dev-apiserver', audience: 'kube:dev' },
        ],
      },
    },
  })
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

const env = { CLUSTER_SECRET }
const broker = await startTestBroker(t, { change: withCluster, env })

/** As kubeconfig's username and password travel: as they are. */
function as(id: string, secret = CLUSTER_SECRET): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
}

type Ask = {
  readonly headers?: Readonly<Record<string, string>>
  readonly review?: Readonly<Record<string, unknown>>
  readonly body?: string
  readonly address?: string
  readonly world?: TestBroker
}

/** The valid review with one thing changed. */
async function review(token: string, ask: Ask = {}): Promise<Reply> {
  const body =
    ask.body ??
    JSON.stringify({
      kind: 'TokenReview',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { creationTimestamp: null },
      spec: { token, audiences: ['https://kubernetes.example.test'] },
      status: { user: {} },
      ...ask.review,
    })
  return (ask.world ?? broker).post(
    {},
    {
      path: '/kubernetes/token-review',
      headers: { 'content-type': 'application/json', ...(ask.headers ?? as('prod-apiserver')) },
      body,
      ...(ask.address === undefined ? {} : { address: ask.address }),
    },
  )
}

async function issued(audience = 'kubernetes'): Promise<string> {
  return String(
    (await broker.exchange({ scope: `openid audience:server:client_id:${audience}` })).json['access_token'],
  )
}

const NOBODY = { authenticated: false, error: 'the token was not accepted' }

t.test('a token for the cluster is its user, with prefixes, uid and where it comes from', async (t) => {
  const token = await issued()
  const answer = await review(token)
  t.equal(answer.status, 200)
  t.match(answer.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  t.match(answer.json, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    status: {
      authenticated: true,
      audiences: undefined,
      user: {
        username: 'ci:gitlab:acme-platform/terraform-aws-eks',
        uid: '48291',
        groups: ['ci:deployers'],
        extra: {
          'sallyport.dev/repository': ['acme-platform/terraform-aws-eks'],
          'sallyport.dev/policy': ['acme-main'],
          'authentication.kubernetes.io/credential-id': [/^JTI=[0-9a-f-]{36}$/],
        },
      },
    },
  })
})

t.test('a review is an audit event that joins the token to the cluster that saw it', async (t) => {
  const token = await issued()
  const { jti } = Object(broker.audit()?.issued)
  await review(token)
  t.match(broker.audit(), {
    event: 'review',
    decision: 'allow',
    grant: 'token_review',
    client: 'prod-apiserver',
    clientAuth: 'client_secret',
    audiences: ['kubernetes'],
    subject: { iss: BROKER_ISSUER, sub: 'gitlab:48291', jti },
  })
})

t.test('every token that is refused is the same answer, and the event has the reason', async (t) => {
  const token = await issued()
  const [header = '', payload = '', signature = ''] = token.split('.')
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const input = `${header}.${payload}`
  const forged = sign('sha256', Buffer.from(input), {
    key: createPrivateKey(foreign.export({ type: 'pkcs8', format: 'pem' })),
    dsaEncoding: 'ieee-p1363',
  }).toString('base64url')
  const unknown = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'x' })).toString('base64url')
  const cases: readonly (readonly [string, string])[] = [
    ['garbage', 'subject_malformed'],
    [broker.mint(), 'subject_issuer_mismatch'],
    [`${unknown}.${payload}.${signature}`, 'subject_key_unknown'],
    [`${input}.${forged}`, 'subject_signature_invalid'],
    [await issued('registry'), 'review_token_use'],
    [await issued('app'), 'review_token_use'],
  ]
  for (const [wrong, reason] of cases) {
    const answer = await review(wrong)
    t.equal(answer.status, 200)
    t.same(answer.json['status'], NOBODY, reason)
    t.equal(broker.audit()?.reason, reason)
  }
  t.match((await review(token)).json, { status: { authenticated: true } }, 'the accepted twin')
})

t.test('a token that was denied, or revoked by its client, is nobody', async (t) => {
  const token = await issued()
  await pull(broker, 'deny client ci')
  t.same((await review(token)).json['status'], NOBODY)
  t.match(broker.audit(), { event: 'review', reason: 'token_denied', evidence: { by: 'client', id: 'ci' } })
  await lift(broker, 'deny client ci')
  t.match((await review(token)).json, { status: { authenticated: true } })
  const own = { token, client_id: 'ci', client_secret: SECRETS.ci }
  t.equal((await broker.post(own, { path: '/token/revoke' })).status, 200)
  t.same((await review(token)).json['status'], NOBODY)
  t.match(broker.audit(), { event: 'review', reason: 'token_denied', evidence: { by: 'token' } })
})

t.test("another cluster's token is nobody", async (t) => {
  const token = await issued()
  t.match((await review(token, { headers: as('prod-apiserver') })).json, { status: { authenticated: true } })
  t.same((await review(token, { headers: as('dev-apiserver') })).json['status'], NOBODY)
  t.match(broker.audit(), { reason: 'subject_audience_mismatch', client: 'dev-apiserver' })
})

t.test('a token is nobody from the very second on at which it expires', async (t) => {
  const token = await issued()
  broker.clock.now = START + 594_999
  t.match((await review(token)).json, { status: { authenticated: true } })
  broker.clock.now = START + 595_000
  t.same((await review(token)).json['status'], NOBODY)
  t.equal(broker.audit()?.reason, 'subject_expired')
  broker.clock.now = START
})

t.test(
  'only a listed client that proves itself may ask, and nothing of its question is read before',
  async (t) => {
    const token = await issued()
    const cases = [
      [{ headers: { authorization: '' } }, 401, 'client_unknown'],
      [{ headers: as('nobody') }, 401, 'client_unknown'],
      [{ headers: as('prod-apiserver', 'wrong') }, 401, 'client_secret_wrong'],
      [{ headers: as('prod-apiserver', '') }, 401, 'client_secret_missing'],
      [{ headers: as('ci', SECRETS.ci) }, 403, 'review_not_allowed'],
      [{ headers: as('open', '') }, 403, 'review_not_allowed'],
      [{ headers: as('nobody'), body: 'garbage' }, 401, 'client_unknown'],
    ] as const
    for (const [ask, status, reason] of cases) {
      const answer = await review(token, ask)
      t.equal(answer.status, status, reason)
      t.match(answer.json, { kind: 'Status', status: 'Failure', code: status })
      t.equal(broker.audit()?.reason, reason)
    }
  },
)

t.test('v1beta1 is refused with what to do, in the words that an apiserver logs', async (t) => {
  const answer = await review(await issued(), { review: { apiVersion: 'authentication.k8s.io/v1beta1' } })
  t.equal(answer.status, 400)
  t.match(answer.json, {
    kind: 'Status',
    message: /--authentication-token-webhook-version=v1/,
    reason: 'BadRequest',
    code: 400,
  })
  t.equal(broker.audit()?.reason, 'review_version_unsupported')
})

t.test('what is no review, too long or no POST is refused', async (t) => {
  t.match(await review('', { body: '{"kind":"x"}' }), { status: 400, json: { kind: 'Status' } })
  t.equal(broker.audit()?.reason, 'review_malformed')
  t.equal((await review('', { body: ' '.repeat(65 * 1024) })).status, 413)
  t.match(await broker.get('/kubernetes/token-review', as('prod-apiserver')), { status: 405 })
})

t.test(
  'guesses at the secret meet the rate limit, and the apiserver is told when to come back',
  async (t) => {
    const world = await startTestBroker(t, {
      env,
      change: (config) => {
        withCluster(config)
        Object.assign(config, { limits: { clientRate: 1, clientBurst: 2 } })
      },
    })
    const ask = { world, headers: as('prod-apiserver', 'guess') }
    await review('x', ask)
    await review('x', ask)
    t.match(await review('x', ask), {
      status: 429,
      headers: { 'retry-after': '1' },
      json: { kind: 'Status', code: 429 },
    })
    t.equal(
      (await review('x', { ...ask, address: '192.0.2.7' })).status,
      401,
      'another address is not held up',
    )
  },
)

t.test('a reload takes a cluster in and out', async (t) => {
  const world = await startTestBroker(t, { env })
  const ask = { world }
  t.equal((await review('x', ask)).status, 404, 'without a cluster there is nothing here')
  world.reload(withCluster)
  t.same((await review('x', ask)).json['status'], NOBODY)
  world.reload((config) => {
    withCluster(config)
    Object.assign(config, { kube: {} })
  })
  t.equal((await review('x', ask)).status, 404)
})

t.test('an event that cannot be written makes the apiserver ask again', async (t) => {
  const token = await issued()
  broker.faults.audit = true
  t.equal((await review(token)).status, 503)
  broker.faults.audit = false
  t.equal((await review(token)).status, 200)
})

t.test('no token is in anything that is said', async (t) => {
  const token = await issued()
  await review(token)
  await review(token, { headers: as('dev-apiserver') })
  await review(`${token}x`)
  for (const said of broker.said) t.notOk(said.includes(token.split('.')[2] ?? '?'))
})
