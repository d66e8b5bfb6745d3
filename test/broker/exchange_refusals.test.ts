// The exchange that is refused, in Dex's order of checks: every no with its audit reason, and its accepted twin.
import t from 'tap'
import { ID_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { START, startTestBroker } from '../support/test_broker.ts'
import type { Form } from '../support/test_broker.ts'

const broker = await startTestBroker(t)

type Row = {
  readonly says: string
  readonly change: () => Form
  readonly status: number
  readonly body: object
  readonly reason: string
}

const NO_CONNECTOR = { error: 'invalid_request', error_description: 'Requested connector does not exist.' }
const WRONG_CLIENT = { error: 'invalid_client', error_description: 'Invalid client credentials.' }

const ROWS: readonly Row[] = [
  {
    says: 'a wrong secret',
    change: () => ({ client_secret: SECRETS.other }),
    status: 401,
    body: WRONG_CLIENT,
    reason: 'client_secret_wrong',
  },
  {
    says: 'an unknown client',
    change: () => ({ client_id: 'nobody' }),
    status: 401,
    body: WRONG_CLIENT,
    reason: 'client_unknown',
  },
  {
    says: 'no secret',
    change: () => ({ client_secret: undefined }),
    status: 401,
    body: WRONG_CLIENT,
    reason: 'client_secret_missing',
  },
  {
    says: 'no client at all',
    change: () => ({ client_id: undefined, client_secret: undefined }),
    status: 401,
    body: WRONG_CLIENT,
    reason: 'client_unknown',
  },
  {
    says: 'an unknown connector',
    change: () => ({ connector_id: 'nowhere' }),
    status: 400,
    body: NO_CONNECTOR,
    reason: 'connector_unknown',
  },
  {
    says: 'a connector that looks like a path',
    change: () => ({ connector_id: '../../etc/passwd' }),
    status: 400,
    body: NO_CONNECTOR,
    reason: 'connector_unknown',
  },
  {
    says: 'no subject_token_type',
    change: () => ({ subject_token_type: undefined }),
    status: 400,
    body: { error: 'request_not_supported', error_description: 'Invalid subject_token_type.' },
    reason: 'subject_token_type_unsupported',
  },
  ...[
    'urn:ietf:params:oauth:token-type:jwt',
    'urn:ietf:params:oauth:token-type:saml2',
    'urn:ietf:params:oauth:token-type:refresh_token',
    ID_TOKEN_TYPE.toUpperCase(),
    `${ID_TOKEN_TYPE} `,
  ].map((type): Row => ({
    says: `subject_token_type "${type}"`,
    change: () => ({ subject_token_type: type }),
    status: 400,
    body: { error: 'request_not_supported', error_description: 'Invalid subject_token_type.' },
    reason: 'subject_token_type_unsupported',
  })),
  {
    says: 'no subject_token',
    change: () => ({ subject_token: undefined }),
    status: 400,
    body: { error: 'invalid_request', error_description: 'Missing subject_token' },
    reason: 'subject_token_missing',
  },
  {
    says: 'an empty subject_token',
    change: () => ({ subject_token: '' }),
    status: 400,
    body: { error: 'invalid_request', error_description: 'Missing subject_token' },
    reason: 'subject_token_missing',
  },
  {
    says: 'no connector_id and a token of nobody we know',
    change: () => ({
      connector_id: undefined,
      subject_token: broker.mint({ iss: 'https://elsewhere.example.test' }),
    }),
    status: 400,
    body: NO_CONNECTOR,
    reason: 'connector_missing',
  },
  {
    says: 'no connector_id and a token that is none',
    change: () => ({ connector_id: undefined, subject_token: 'not.a.jwt' }),
    status: 400,
    body: NO_CONNECTOR,
    reason: 'connector_missing',
  },
  ...['urn:ietf:params:oauth:token-type:refresh_token', 'urn:ietf:params:oauth:token-type:jwt'].map(
    (type): Row => ({
      says: `requested_token_type "${type}"`,
      change: () => ({ requested_token_type: type }),
      status: 400,
      body: { error: 'request_not_supported', error_description: 'Invalid requested_token_type.' },
      reason: 'requested_token_type_unsupported',
    }),
  ),
  {
    says: 'an audience that does not trust the client',
    change: () => ({ scope: 'audience:server:client_id:stranger' }),
    status: 400,
    body: { error: 'invalid_target', error_description: 'The client may not request this audience.' },
    reason: 'audience_not_trusted',
  },
  {
    says: 'an audience that nobody knows',
    change: () => ({ scope: 'audience:server:client_id:ghost' }),
    status: 400,
    body: { error: 'invalid_target', error_description: 'The client may not request this audience.' },
    reason: 'audience_not_trusted',
  },
  {
    says: 'a trusted and an untrusted audience',
    change: () => ({ scope: 'audience:server:client_id:app audience:server:client_id:stranger' }),
    status: 400,
    body: { error: 'invalid_target', error_description: 'The client may not request this audience.' },
    reason: 'audience_not_trusted',
  },
  {
    says: 'two audiences that want different tokens',
    change: () => ({ scope: 'audience:server:client_id:app audience:server:client_id:registry' }),
    status: 400,
    body: { error: 'invalid_target', error_description: 'The requested audiences do not fit in one token.' },
    reason: 'audience_profiles_mixed',
  },
  {
    says: 'a resource with a fragment',
    change: () => ({ scope: undefined, resource: 'https://app.example.test/api#x' }),
    status: 400,
    body: {
      error: 'invalid_target',
      error_description: 'A resource must be an absolute URI without a fragment.',
    },
    reason: 'resource_malformed',
  },
  {
    says: 'a relative resource',
    change: () => ({ scope: undefined, resource: '/api' }),
    status: 400,
    body: {
      error: 'invalid_target',
      error_description: 'A resource must be an absolute URI without a fragment.',
    },
    reason: 'resource_malformed',
  },
  {
    says: 'a resource that nobody configured',
    change: () => ({ scope: undefined, resource: 'javascript:alert(1)' }),
    status: 400,
    body: { error: 'invalid_target', error_description: 'The client may not request this audience.' },
    reason: 'audience_not_trusted',
  },
  {
    says: 'scopes and parameters that mean different places',
    change: () => ({ audience: 'second' }),
    status: 400,
    body: { error: 'invalid_target', error_description: 'Scopes and parameters name different audiences.' },
    reason: 'audience_sets_differ',
  },
]

for (const { says, change, status, body, reason } of ROWS) {
  t.test(`an exchange with ${says} is refused with ${status}, and the audit says ${reason}`, async (t) => {
    const answer = await broker.exchange(change())
    t.equal(answer.status, status)
    t.equal(answer.text, JSON.stringify(body))
    t.match(answer.headers, { 'content-type': /^application\/json$/, 'cache-control': 'no-store' })
    t.match(broker.audit(), { decision: 'deny', reason })
    t.equal((await broker.exchange()).status, 200, 'the same without the change')
  })
}

t.test('the checks come in Dex’s order: the first that fails is the one that is told', async (t) => {
  // Each request fails in its own row and in every later one.
  const late = { requested_token_type: 'x', scope: 'audience:server:client_id:ghost' }
  const expired = broker.mint({ exp: START / 1000 - 60, iat: START / 1000 - 120, nbf: START / 1000 - 120 })
  const rows: readonly (readonly [Form, string])[] = [
    [
      {
        ...late,
        client_secret: SECRETS.other,
        connector_id: 'nowhere',
        subject_token_type: 'x',
        subject_token: '',
      },
      'client_secret_wrong',
    ],
    [{ ...late, connector_id: 'nowhere', subject_token_type: 'x', subject_token: '' }, 'connector_unknown'],
    [{ ...late, subject_token_type: 'x', subject_token: '' }, 'subject_token_type_unsupported'],
    [{ ...late, subject_token: '', connector_id: undefined }, 'subject_token_missing'],
    [{ ...late, connector_id: undefined, subject_token: 'x' }, 'connector_missing'],
    [{ ...late, subject_token: expired }, 'subject_expired'],
    [{ ...late, subject_token: broker.mint({ ref: 'feature' }) }, 'policy_none_matched'],
    [late, 'requested_token_type_unsupported'],
    [{ scope: late.scope }, 'audience_not_trusted'],
  ]
  for (const [change, reason] of rows) {
    await broker.exchange(change)
    t.equal(broker.audit()?.reason, reason)
  }
})
