// explain is the pipeline itself: for each token the same first no, the same claims, and nothing written.
import t from 'tap'
import { parseScopes } from '../../src/core/dex/scopes.ts'
import { parseCompact } from '../../src/core/jwt/compact.ts'
import { CLIENT_CREDENTIALS, ID_TOKEN_TYPE, TOKEN_EXCHANGE } from '../../src/core/oauth/names.ts'
import { claimsVerifier, explain } from '../../src/broker/explain.ts'
import type { ExplainRequest, Explanation } from '../../src/broker/explain.ts'
import { SECRETS } from '../support/broker_config.ts'
import { whilePulled } from '../support/levers.ts'
import { START, startTestBroker } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const seconds = START / 1000

type Question = {
  readonly token?: string
  readonly connector_id?: string
  readonly subject_token_type?: string
  readonly requested_token_type?: string
  readonly scope?: string
  readonly policy?: string
  readonly client_id?: string
}

/** The same question to both. */
async function both(question: Question): Promise<readonly [string, Explanation]> {
  const { token = broker.mint(), ...change } = question
  const secret = change.client_id === undefined ? {} : { client_secret: undefined }
  const answer = await broker.exchange({ ...change, ...secret, subject_token: token })
  const told = answer.status === 200 ? 'yes' : String(broker.audit()?.reason)
  return [told, await ask({ ...change, token })]
}

function ask({ token = '', ...change }: Question, over: Partial<ExplainRequest> = {}): Promise<Explanation> {
  const request: ExplainRequest = {
    grantType: TOKEN_EXCHANGE,
    client: change.client_id ?? 'ci',
    scopes: parseScopes(change.scope ?? 'openid audience:server:client_id:app'),
    audience: [],
    resource: [],
    nonce: '',
    connectorId: change.connector_id ?? 'gitlab',
    subjectToken: token,
    subjectTokenType: change.subject_token_type ?? ID_TOKEN_TYPE,
    requestedTokenType: change.requested_token_type ?? '',
    policy: change.policy ?? '',
    clientSecret: undefined,
    ...over,
  }
  const { verifier, userinfo, gitlabIdentity, levers, clock, randomBytes, pool } = broker.broker.parts
  const parts = { verifier, userinfo, gitlabIdentity, levers, clock, randomBytes, pool }
  return explain(request, broker.config, parts, parseCompact)
}

const TABLE: readonly (readonly [string, () => Question])[] = [
  ['yes', () => ({})],
  ['yes', () => ({ client_id: 'open' })],
  ['yes', () => ({ client_id: 'job' })],
  ['client_unknown', () => ({ client_id: 'nobody' })],
  ['client_assertion_invalid', () => ({ client_id: 'job', token: broker.mint({ ref: 'x' }) })],
  ['connector_unknown', () => ({ connector_id: 'nowhere' })],
  ['connector_not_allowed', () => ({ client_id: 'open', connector_id: 'nowhere' })],
  ['connector_missing', () => ({ connector_id: '', token: 'x' })],
  ['subject_token_missing', () => ({ token: '' })],
  ['subject_token_type_unsupported', () => ({ subject_token_type: 'x' })],
  ['requested_token_type_unsupported', () => ({ requested_token_type: 'x' })],
  ['subject_malformed', () => ({ token: 'x' })],
  [
    'subject_expired',
    () => ({ token: broker.mint({ exp: seconds - 60, iat: seconds - 90, nbf: seconds - 90 }) }),
  ],
  ['subject_audience_mismatch', () => ({ token: broker.mint({ aud: 'x' }) })],
  ['subject_key_unknown', () => ({ token: broker.mint({}, { kid: 'x' }) })],
  ['subject_shape_wrong', () => ({ token: broker.mint({ job_project_id: '1' }) })],
  ['policy_none_matched', () => ({ token: broker.mint({ ref: 'x' }) })],
  ['policy_unknown', () => ({ policy: 'x' })],
  ['audience_not_trusted', () => ({ scope: 'audience:server:client_id:stranger' })],
  ['audience_not_granted', () => ({ scope: 'audience:server:client_id:not-granted' })],
  [
    'audience_profiles_mixed',
    () => ({ scope: 'audience:server:client_id:app audience:server:client_id:registry' }),
  ],
]

for (const [expected, question] of TABLE) {
  t.test(
    `explain and the token endpoint agree: ${expected} for ${JSON.stringify(question()).slice(0, 80)}`,
    async (t) => {
      const [decided, explained] = await both(question())
      t.equal(decided, expected)
      t.equal(explained.denial?.reason ?? 'yes', expected)
      const firstNo = explained.steps.find(({ outcome }) => outcome === 'no')?.step
      t.equal(firstNo, broker.audit()?.step)
      const after = explained.steps.slice(explained.steps.findIndex(({ outcome }) => outcome === 'no') + 1)
      if (firstNo !== undefined) t.ok(after.every(({ outcome }) => outcome === 'not reached'))
    },
  )
}

const PULLED: readonly (readonly [string, Question, string])[] = [
  ['disable client ci', {}, 'client_disabled'],
  ['disable connector gitlab', {}, 'connector_disabled'],
  ['disable connector gitlab', { client_id: 'job' }, 'client_assertion_invalid'],
  ['disable policy acme-main', {}, 'policy_disabled'],
]
for (const [lever, question, expected] of PULLED) {
  t.test(`explain and the token endpoint agree after ${lever}: ${expected}`, async (t) => {
    const [decided, explained] = await whilePulled(broker, lever, () => both(question))
    t.equal(decided, expected)
    t.equal(explained.denial?.reason, expected)
    t.equal(explained.steps.find(({ outcome }) => outcome === 'no')?.step, broker.audit()?.step)
    t.same((await both(question))[1].denial, undefined, 'lifted')
  })
}

t.test(
  'of a client that a job’s token stands for, explain tells which check of the token failed',
  async (t) => {
    const expired = { exp: seconds - 60, iat: seconds - 90, nbf: seconds - 90 }
    const late = await ask({ client_id: 'job', token: broker.mint(expired) })
    t.match(late, {
      denial: { reason: 'client_assertion_invalid' },
      proof: {
        connector: 'gitlab',
        policy: 'acme-main',
        denial: { reason: 'subject_expired' },
        steps: [
          { step: 'connector', outcome: 'yes' },
          { step: 'subject', outcome: 'no' },
          { step: 'policy', outcome: 'not reached' },
        ],
      },
    })
    const branch = await ask({ client_id: 'job', token: broker.mint({ ref: 'x' }) })
    t.match(branch.proof, {
      denial: { reason: 'policy_none_matched' },
      steps: [{ outcome: 'yes' }, { outcome: 'yes' }, { step: 'policy', outcome: 'no' }],
    })
    t.equal((await ask({ client_id: 'job', token: broker.mint() })).proof, undefined, 'a job that may')
    t.equal((await ask({ token: broker.mint(expired) })).proof, undefined, 'a client with a secret')
  },
)

t.test('the claims shown are those of the token that would be issued', async (t) => {
  const token = broker.mint()
  const answer = await broker.exchange({ subject_token: token })
  const { claims } = await ask({ token })
  const { jti: _jti, at_hash: _hash, ...issued } = answer.token?.claims ?? {}
  const { jti: _other, ...shown } = JSON.parse(JSON.stringify(claims))
  t.same(shown, issued)
})

t.test(
  'explain writes nothing: no event, no claim, and a used token is explained as if it were new',
  async (t) => {
    const events = broker.events.length
    const before = await broker.broker.parts.store.list('')
    t.equal((await ask({ token: broker.mint() })).denial, undefined)
    t.same(await broker.broker.parts.store.list(''), before)
    t.equal(broker.events.length, events)
  },
)

t.test('a grant that is not enabled is the first no', async (t) => {
  const { verifier, userinfo, gitlabIdentity, levers, clock, randomBytes, pool } = broker.broker.parts
  const parts = { verifier, userinfo, gitlabIdentity, levers, clock, randomBytes, pool }
  const request = { ...(await requestOf()), grantType: CLIENT_CREDENTIALS } as const
  const off = await explain(request, { ...broker.config, grants: [TOKEN_EXCHANGE] }, parts, parseCompact)
  t.match(off, { denial: { reason: 'grant_type_unsupported' }, claims: undefined })
  t.match(off.steps[0], { step: 'request', outcome: 'no' })
  t.equal((await explain(request, broker.config, parts, parseCompact)).denial, undefined)
})

async function requestOf(): Promise<ExplainRequest> {
  return {
    grantType: TOKEN_EXCHANGE,
    client: 'ci-pipeline',
    scopes: parseScopes('openid'),
    audience: [],
    resource: [],
    nonce: '',
    connectorId: '',
    subjectToken: '',
    subjectTokenType: '',
    requestedTokenType: '',
    policy: '',
    clientSecret: undefined,
  }
}

t.test('a bare claim set is judged by every rule but signature and header', async (t) => {
  const { userinfo, gitlabIdentity, levers, clock, randomBytes, pool } = broker.broker.parts
  const parts = {
    verifier: claimsVerifier(clock),
    userinfo,
    gitlabIdentity,
    levers,
    clock,
    randomBytes,
    pool,
  }
  const judge = async (claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const parsed = parseCompact(broker.mint(claims, { kid: 'nobody-knows' }))
    const request = {
      ...(await requestOf()),
      client: 'ci',
      connectorId: 'gitlab',
      subjectToken: 'x.y.z',
      subjectTokenType: ID_TOKEN_TYPE,
      audience: ['app'],
    }
    return (await explain(request, broker.config, parts, () => parsed)).denial?.reason ?? 'yes'
  }
  t.equal(await judge({}), 'yes')
  t.equal(await judge({ aud: 'x' }), 'subject_audience_mismatch')
  t.equal(await judge({ exp: seconds - 60, iat: seconds - 90, nbf: seconds - 90 }), 'subject_expired')
  t.equal(await judge({ iss: 'https://elsewhere.example.test' }), 'subject_issuer_mismatch')
  t.equal(await judge({ ref: 'feature' }), 'policy_none_matched')
})

t.test(
  'a secret that is given is judged as the broker judges it; without one the client is taken as known',
  async (t) => {
    const token = broker.mint()
    const reasonWith = async (clientSecret: string | undefined, client = 'ci'): Promise<string> =>
      (await ask({ token, client_id: client }, { clientSecret })).denial?.reason ?? 'yes'
    t.equal(await reasonWith(undefined), 'yes')
    t.equal(await reasonWith(SECRETS.ci), 'yes')
    t.equal(await reasonWith(`${SECRETS.ci}x`), 'client_secret_wrong')
    t.equal(await reasonWith(''), 'client_secret_missing')
    t.equal(await reasonWith(SECRETS.ci, 'nobody'), 'client_unknown')
  },
)
