// J04: whatever is wrong with the subject token or a policy, the caller sees one answer, byte for byte; only the audit
// event tells them apart.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { ACCESS_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import { START, startTestBroker } from '../support/test_broker.ts'
import type { Config, Form } from '../support/test_broker.ts'
import { signCompact } from '../support/test_issuer.ts'

const broker = await startTestBroker(t, { change: addPolicies })
const { issuer } = broker
const seconds = START / 1000
const strangerKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

function addPolicies(config: Config): void {
  const policies = [
    {
      name: 'acme-main',
      connector: 'gitlab',
      claims: { project_id: '48291', ref: 'main' },
      grant: { audiences: ['app'] },
    },
    {
      name: 'once',
      connector: 'gitlab',
      claims: { project_id: '555', ref: 'main' },
      grant: { audiences: ['app'], singleUse: 'once' },
    },
    {
      name: 'bad-output',
      connector: 'gitlab',
      claims: { project_id: '777' },
      grant: { audiences: ['app'], username: '${user_login}' },
    },
  ]
  const connectors = [
    { id: 'gitlab', type: 'gitlab-ci', issuer: readIssuer(config), caFile: 'ca.pem', singleUse: 'off' },
    {
      id: 'grouped',
      type: 'gitlab-ci',
      issuer: readIssuer(config),
      caFile: 'ca.pem',
      singleUse: 'off',
      claimMapping: { groups: 'groups_direct' },
      allowedGroups: ['acme'],
    },
    {
      id: 'free',
      type: 'gitlab-ci',
      issuer: readIssuer(config),
      caFile: 'ca.pem',
      singleUse: 'off',
      claimMapping: { groups: 'groups_direct' },
    },
    { id: 'opaque', type: 'oidc', issuer: readIssuer(config), caFile: 'ca.pem', userinfo: true },
  ]
  Object.assign(config, {
    connectors,
    policies: [...policies, policyFor('grouped'), policyFor('free'), policyFor('opaque')],
  })
}

function policyFor(connector: string): Config {
  return {
    name: `any-${connector}`,
    connector,
    claims: { project_id: '48291' },
    grant: { audiences: ['app'] },
  }
}

function readIssuer(config: Config): string {
  const connectors: unknown = config['connectors']
  return Array.isArray(connectors) ? String(Object(connectors[0]).issuer) : ''
}

function signedBy(key: Parameters<typeof signCompact>[3]): string {
  const [header = '', claims = ''] = broker.mint().split('.')
  return signCompact(text(header), text(claims), 'RS256', key)
}

function text(segment: string): string {
  return Buffer.from(segment, 'base64url').toString('utf8')
}

const projectOf = (id: string): Readonly<Record<string, unknown>> => ({ project_id: id, job_project_id: id })

const DENIED: readonly (readonly [reason: string, change: () => Form])[] = [
  ['subject_malformed', () => ({ subject_token: 'garbage' })],
  ['subject_too_large', () => ({ subject_token: broker.mint({ padding: 'x'.repeat(20_000) }) })],
  ['subject_algorithm_not_allowed', () => ({ subject_token: broker.mint({}, { alg: 'ES256' }) })],
  [
    'subject_header_not_allowed',
    () => ({ subject_token: broker.mint({}, { header: { typ: 'secevent+jwt' } }) }),
  ],
  ['subject_issuer_mismatch', () => ({ subject_token: broker.mint({ iss: `${issuer.url}/` }) })],
  ['subject_key_unknown', () => ({ subject_token: broker.mint({}, { kid: 'nobody' }) })],
  ['subject_signature_invalid', () => ({ subject_token: signedBy(strangerKey) })],
  [
    'subject_expired',
    () => ({ subject_token: broker.mint({ exp: seconds - 31, iat: seconds - 90, nbf: seconds - 90 }) }),
  ],
  ['subject_not_yet_valid', () => ({ subject_token: broker.mint({ nbf: seconds + 31 }) })],
  [
    'subject_too_old',
    () => ({ subject_token: broker.mint({ iat: seconds - 7 * 3600, nbf: seconds - 7 * 3600 }) }),
  ],
  ['subject_lifetime_too_long', () => ({ subject_token: broker.mint({ exp: seconds + 90_000 }) })],
  [
    'subject_audience_mismatch',
    () => ({ subject_token: broker.mint({ aud: 'https://vault.example.test' }) }),
  ],
  ['subject_claim_invalid', () => ({ subject_token: broker.mint({ exp: String(seconds + 300) }) })],
  ['subject_claim_invalid', () => ({ subject_token: broker.mint({ may_act: { sub: 'other' } }) })],
  ['subject_shape_wrong', () => ({ subject_token: broker.mint({ job_project_id: '1' }) })],
  ['subject_type_mismatch', () => ({ subject_token: broker.mint({ typ: 'Refresh' }) })],
  [
    'subject_userinfo_failed',
    () => ({ connector_id: 'opaque', subject_token: 'opaque-token', subject_token_type: ACCESS_TOKEN_TYPE }),
  ],
  [
    'identity_groups_not_allowed',
    () => ({ connector_id: 'grouped', subject_token: broker.mint({ groups_direct: ['else'] }) }),
  ],
  [
    'identity_group_reserved',
    () => ({
      connector_id: 'free',
      subject_token: broker.mint({ groups_direct: ['acme', 'system:masters'] }),
    }),
  ],
  ['identity_name_reserved', () => ({ subject_token: broker.mint({ name: 'system:admin' }) })],
  ['policy_none_matched', () => ({ subject_token: broker.mint({ ref: 'feature' }) })],
  ['policy_none_matched', () => ({ subject_token: broker.mint({ pipeline_source: 'merge_request_event' }) })],
  ['policy_unknown', () => ({ policy: 'no-such-policy' })],
  [
    'policy_output_refused',
    () => ({ subject_token: broker.mint({ ...projectOf('777'), user_login: 'system:admin' }) }),
  ],
  ['audience_not_granted', () => ({ scope: 'audience:server:client_id:second' })],
]

t.test('every reason about the token or a policy is one answer, byte for byte (TH-J04)', async (t) => {
  for (const [reason, change] of DENIED) {
    t.equal((await broker.exchange()).status, 200, 'the twin')
    const answer = await broker.exchange(change())
    t.equal(broker.audit()?.reason, reason)
    t.equal(answer.status, 401, reason)
    t.equal(answer.text, '{"error":"access_denied"}', reason)
    const { 'x-request-id': _id, date: _date, ...headers } = answer.headers
    t.same(
      headers,
      {
        'content-type': 'application/json',
        'cache-control': 'no-store',
        pragma: 'no-cache',
        'content-length': '25',
        connection: 'keep-alive',
      },
      reason,
    )
  }
})

t.test('a replayed token gets the same answer', async (t) => {
  const subject = broker.mint(projectOf('555'))
  t.equal((await broker.exchange({ subject_token: subject })).status, 200)
  const again = await broker.exchange({ subject_token: subject })
  t.equal(again.status, 401)
  t.equal(again.text, '{"error":"access_denied"}')
  t.match(broker.audit(), { reason: 'subject_replayed', step: 'replay', policy: 'once' })
})

t.test('a key that cannot carry the algorithm is refused alike', async (t) => {
  const [, second] = issuer.publicJwks().keys
  const kid = String(second?.['kid'])
  const answer = await broker.exchange({ subject_token: broker.mint({}, { kid }) })
  t.equal(answer.text, '{"error":"access_denied"}')
  t.equal(broker.audit()?.reason, 'subject_key_unfit')
})

t.test('each denial’s event names the failing step and what was known by then', async (t) => {
  await broker.exchange({ subject_token: broker.mint({ ref: 'feature' }) })
  t.match(broker.audit(), {
    decision: 'deny',
    step: 'policy',
    client: 'ci',
    connector: 'gitlab',
    subject: { sub: /^project_path:/ },
    evidence: {
      tried: [{ policy: 'acme-main', step: 'claims.ref' }, { policy: 'once' }, { policy: 'bad-output' }],
    },
  })
  await broker.exchange({ subject_token: 'garbage' })
  t.match(broker.audit(), { step: 'subject', connector: 'gitlab' })
  t.notOk(broker.audit()?.subject, 'nothing of an unverified token is recorded as a fact')
})
