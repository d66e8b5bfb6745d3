// Group D: what an exchange may be asked for, and what comes out of one.
import t from 'tap'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import { ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE } from '../../src/core/oauth/names.ts'
import type { Form, Reply, TestBroker } from '../support/test_broker.ts'
import { whilePulled } from '../support/levers.ts'
import { SECRETS } from '../support/broker_config.ts'
import {
  NOT_TRUSTED,
  NO_CONNECTOR,
  UNAVAILABLE,
  WRONG_CLIENT,
  invalid,
  threatTable,
} from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import {
  addForge,
  addPolicy,
  entryOf,
  jobExchange,
  listOf,
  nowOf,
  startForgeBroker,
} from '../support/threat_world.ts'
import type { TestIssuer } from '../support/test_issuer.ts'

const project = { project_id: '48291' }
const broker = await startForgeBroker(t, (config) => {
  const algorithms = ['RS256', 'ES256']
  addForge(config, { id: 'wide', type: 'oidc', claims: project }, { algorithms })
  addForge(config, { id: 'opaque', type: 'oidc', claims: { sub: 'alice-1' } }, { userinfo: true })
  addForge(
    config,
    { id: 'named', type: 'oidc', claims: project },
    {
      userinfo: true,
      claimMapping: { userId: 'employee' },
    },
  )
  addPolicy(config, {
    name: 'login',
    claims: project,
    grant: { audiences: ['app'], username: '${user_login}' },
  })
  addPolicy(config, {
    name: 'narrow',
    claims: project,
    grant: { audiences: ['registry'], scopes: ['openid'] },
  })
  entryOf(config, 'clients', 'open')['connectors'] = ['gitlab']
})
const { issuer } = broker
const table = threatTable(t, broker)
const { refuses, accepts, refusesConfig } = table

const changed =
  (change: Form): RefusedRow['attack'] =>
  (world) =>
    world.exchange(change)
const scope = (...ids: readonly string[]): string =>
  ids.map((id) => `audience:server:client_id:${id}`).join(' ')
const accessToken = (reply: Reply): string => String(reply.json['access_token'])

/** What the broker issued comes back as a subject token. */
const again =
  (first: (world: TestBroker) => Promise<Reply>, change: Form = {}): RefusedRow['attack'] =>
  async (world) =>
    world.exchange({ ...change, subject_token: accessToken(await first(world)) })
const exchanged = (world: TestBroker): Promise<Reply> => world.exchange()
const ownClient = (world: TestBroker): Promise<Reply> => world.credentials()

refuses({
  id: 'D01',
  says: 'a token that this broker issued',
  reason: 'subject_algorithm_not_allowed',
  requests: 2,
  attack: again(exchanged),
})
refuses({
  id: 'D01',
  says: 'a token that this broker issued, where its algorithm is allowed',
  reason: 'subject_issuer_mismatch',
  requests: 2,
  attack: again((world) => world.exchange({ connector_id: 'wide' }), { connector_id: 'wide' }),
  twin: changed({ connector_id: 'wide' }),
})
refuses({
  id: 'D02',
  says: 'a token that this broker issued to another client',
  reason: 'subject_issuer_mismatch',
  requests: 2,
  attack: again(ownClient, { connector_id: 'wide' }),
  twin: changed({ connector_id: 'wide' }),
})

const notTrusted = { reason: 'audience_not_trusted', answer: NOT_TRUSTED } as const
refuses({
  id: 'D03',
  says: 'an audience that does not trust the client',
  ...notTrusted,
  attack: changed({ scope: scope('stranger') }),
  twin: changed({ scope: scope('second') }),
})
refuses({
  id: 'D04',
  says: 'a trusted and an untrusted audience',
  ...notTrusted,
  attack: changed({ scope: scope('app', 'stranger') }),
  twin: changed({ scope: scope('app', 'second') }),
})

const wrongResource = invalid('invalid_target', 'A resource must be an absolute URI without a fragment.')
const ofApp = 'https://app.example.test/api'
const resource = (value: string | readonly string[]): RefusedRow['attack'] =>
  changed({ scope: undefined, resource: value })
for (const [says, value, row] of [
  ['with a fragment', `${ofApp}#frag`, { reason: 'resource_malformed', answer: wrongResource }],
  ['that is relative', '/api', { reason: 'resource_malformed', answer: wrongResource }],
  ['that is a script', 'javascript:alert(1)', notTrusted],
  ['that is nobody’s, beside one', [ofApp, 'https://elsewhere.example.test'], notTrusted],
] as const)
  refuses({ id: 'D06', says: `a resource ${says}`, ...row, attack: resource(value), twin: resource(ofApp) })

accepts({
  id: 'D07',
  says: 'scopes beyond the grant are dropped: no refresh token, no role',
  ask: changed({ scope: `offline_access admin ${scope('app')}` }),
  also: (t, reply) => {
    t.notOk('refresh_token' in reply.json)
    t.notMatch(JSON.stringify(reply.token?.claims), /admin|offline/)
  },
})
accepts({
  id: 'D07',
  says: 'of the scopes that are asked for the token states those that the policy grants',
  ask: changed({ policy: 'narrow', scope: `openid profile email groups federated:id ${scope('registry')}` }),
  also: (t, reply) => {
    t.equal(reply.token?.claims['scope'], 'openid')
    t.notOk('federated_claims' in (reply.token?.claims ?? {}))
  },
})
for (const unsupported of ['offline_access', 'federated:id'])
  refuses({
    id: 'D07',
    says: `${unsupported} for a client itself`,
    reason: 'scope_not_supported',
    answer: invalid('invalid_scope', `client_credentials grant does not support ${unsupported} scope.`),
    attack: (world) => world.credentials({ scope: `openid ${unsupported}` }),
    twin: ownClient,
  })
refuses({
  id: 'D07',
  says: 'a scope that nobody knows, for a client itself',
  reason: 'scope_unrecognized',
  answer: invalid('invalid_scope', 'Unrecognized scope(s) ["admin"]'),
  attack: (world) => world.credentials({ scope: 'openid admin' }),
  twin: ownClient,
})

const noActor = {
  reason: 'actor_token_unsupported',
  answer: invalid('invalid_request', 'actor_token is not supported.'),
} as const
for (const [says, actor] of [
  ['without its type', () => ({ actor_token: broker.mint() })],
  ['that is only a type', () => ({ actor_token_type: ID_TOKEN_TYPE })],
  ['of the same issuer', () => ({ actor_token: broker.mint(), actor_token_type: ID_TOKEN_TYPE })],
  [
    'with actors of its own',
    () => ({
      actor_token: broker.mint({ act: { sub: 'a', act: { sub: 'b', act: { sub: 'c' } } } }),
      actor_token_type: ID_TOKEN_TYPE,
    }),
  ],
] as const)
  refuses({
    id: 'D08',
    says: `an actor token ${says}`,
    ...noActor,
    attack: (world) => world.exchange(actor()),
    twin: changed({ actor_token: '', actor_token_type: '' }),
  })
refuses({
  id: 'D08',
  says: 'a subject token that somebody else may act for',
  reason: 'subject_claim_invalid',
  evidence: { claim: 'may_act' },
  attack: (world) => world.exchange({ subject_token: world.mint({ may_act: { sub: 'somebody' } }) }),
  twin: (world) => world.exchange({ subject_token: world.mint({ may_act: { sub: 'ci' } }) }),
})

const wrongType = {
  reason: 'subject_token_type_unsupported',
  answer: invalid('request_not_supported', 'Invalid subject_token_type.'),
} as const
for (const type of [
  'urn:ietf:params:oauth:token-type:saml2',
  'urn:ietf:params:oauth:token-type:refresh_token',
  'urn:ietf:params:oauth:token-type:jwt',
  '',
  ID_TOKEN_TYPE.toUpperCase(),
  `${ID_TOKEN_TYPE} `,
])
  refuses({
    id: 'D10',
    says: `subject_token_type ${JSON.stringify(type)}`,
    ...wrongType,
    attack: changed({ subject_token_type: type }),
  })

refuses({
  id: 'D11',
  says: 'an access token that is declared as an ID token',
  reason: 'subject_type_mismatch',
  attack: jobExchange('keycloak', { form: { subject_token_type: ID_TOKEN_TYPE } }),
  twin: jobExchange('keycloak'),
})
refuses({
  id: 'D11',
  says: 'an ID token that is declared as an access token',
  reason: 'subject_type_mismatch',
  attack: (world) =>
    world.exchange({ subject_token_type: ACCESS_TOKEN_TYPE, subject_token: world.mint({ typ: 'ID' }) }),
  twin: changed({ subject_token_type: ACCESS_TOKEN_TYPE }),
})

refuses({
  id: 'D12',
  says: 'an opaque token at an issuer that nobody asks about it',
  reason: 'subject_malformed',
  attack: changed({ subject_token_type: ACCESS_TOKEN_TYPE, subject_token: 'opaque-token-of-somebody' }),
})

const alice = { sub: 'alice-1' }
/** An opaque token while userinfo answers like this. */
function askedAtUserinfo(set: (upstream: TestIssuer) => void, change: Form = {}): RefusedRow['attack'] {
  return async (world) => {
    set(issuer)
    try {
      return await world.exchange({
        connector_id: 'opaque',
        subject_token_type: ACCESS_TOKEN_TYPE,
        subject_token: 'opaque-token-of-alice',
        ...change,
      })
    } finally {
      issuer.behave({})
    }
  }
}
const status = (code: number) => (upstream: TestIssuer) =>
  upstream.behave({ userinfo: (_request, response) => void response.writeHead(code).end('{}') })
const atUserinfo = askedAtUserinfo((upstream) => upstream.setUserinfo(alice))
const unavailable = { reason: 'issuer_keys_unavailable', decision: 'fail', answer: UNAVAILABLE } as const
for (const [says, set, row] of [
  ['403, as Keycloak without openid does', status(403), { reason: 'subject_userinfo_failed' }],
  ['401', status(401), { reason: 'subject_userinfo_failed' }],
  ['500', status(500), unavailable],
  ['nothing for five seconds', (upstream: TestIssuer) => upstream.behave({ userinfo: 'hang' }), unavailable],
  [
    'no sub',
    (upstream: TestIssuer) => upstream.setUserinfo({ name: 'alice' }),
    { reason: 'subject_userinfo_failed' },
  ],
] as const)
  refuses({
    id: 'D13',
    says: `an opaque token for which userinfo answers ${says}`,
    ...row,
    fetches: { userinfo: 1 },
    attack: askedAtUserinfo(set),
    twin: atUserinfo,
  })
const filled = (sub: string) => (world: TestBroker) =>
  askedAtUserinfo((upstream) => upstream.setUserinfo({ sub, employee: 'e-1' }), {
    connector_id: 'named',
    subject_token: world.mint({ sub: 'alice-1' }),
  })(world)
refuses({
  id: 'D13',
  says: 'a userinfo that speaks of somebody else than the token',
  reason: 'subject_userinfo_failed',
  fetches: { userinfo: 1 },
  attack: filled('mallory'),
  twin: filled('alice-1'),
})

refuses({
  id: 'D14',
  says: 'a request for a refresh token',
  reason: 'requested_token_type_unsupported',
  answer: invalid('request_not_supported', 'Invalid requested_token_type.'),
  attack: changed({ requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }),
  twin: changed({ requested_token_type: ACCESS_TOKEN_TYPE }),
})

for (const connector of ['nowhere', '../../etc/passwd', 'gitlab/', 'GITLAB'])
  refuses({
    id: 'D15',
    says: `the connector ${connector}`,
    reason: 'connector_unknown',
    answer: NO_CONNECTOR,
    attack: changed({ connector_id: connector }),
  })
refuses({
  id: 'D15',
  says: 'no connector, and a token of nobody that is known',
  reason: 'connector_missing',
  answer: NO_CONNECTOR,
  attack: (world) =>
    world.exchange({
      connector_id: undefined,
      subject_token: world.mint({ iss: 'https://elsewhere.example.test' }),
    }),
})
refuses({
  id: 'D15',
  says: 'two connectors',
  reason: 'parameter_repeated',
  answer: invalid('invalid_request', 'A parameter is repeated.'),
  attack: changed({ connector_id: ['gitlab', 'wide'] }),
})
refuses({
  id: 'D15',
  says: 'a connector of other clients',
  reason: 'connector_not_allowed',
  answer: invalid('invalid_grant', 'Connector not allowed for this client.'),
  attack: changed({ client_id: 'open', client_secret: undefined, connector_id: 'wide' }),
  twin: changed({ client_id: 'open', client_secret: undefined }),
})

refuses({
  id: 'D16',
  says: 'a client that was taken away',
  reason: 'client_unknown',
  answer: WRONG_CLIENT,
  attack: async (world) => {
    // The client goes on under another id, everywhere.
    world.reload((config) => {
      Object.assign(config, JSON.parse(JSON.stringify(config).replaceAll('"ci"', '"renamed"')))
    })
    const reply = await world.exchange()
    world.reload(() => {})
    return reply
  },
})
refuses({
  id: 'D16',
  says: 'a client that is switched off',
  reason: 'client_disabled',
  answer: WRONG_CLIENT,
  attack: (world) => whilePulled(world, 'disable client ci', () => world.exchange()),
})
refuses({
  id: 'D16',
  says: 'a client that has not the grant',
  reason: 'client_grant_not_allowed',
  answer: invalid('unauthorized_client', 'Client is not allowed to use this grant type.'),
  attack: changed({ client_id: 'ci-pipeline', client_secret: SECRETS.pipeline }),
})

accepts({
  id: 'D17',
  says: 'an issued token is fresh, for whom it says, and small',
  ask: changed({ scope: `openid ${scope('app')}` }),
  also: async (t, reply, world) => {
    const { claims = {}, header = {} } = reply.token ?? {}
    t.match(claims['jti'], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    t.match(claims, { aud: ['app', 'ci'], azp: 'ci', sub: encodeSubject('48291', 'gitlab') })
    const [iat, exp] = [Number(claims['iat']), Number(claims['exp'])]
    t.ok(Math.abs(iat - nowOf(world)) <= 60 && exp > iat && exp - iat <= 660)
    t.match((await world.get('/keys')).text, String(header['kid']))
    t.ok(accessToken(reply).length < 8192)
    const other = await world.exchange()
    t.not(other.token?.claims['jti'], claims['jti'])
  },
})
accepts({
  id: 'D18',
  says: 'an answer with a token is kept by nobody and says when it ends',
  ask: exchanged,
  also: (t, reply, world) => {
    t.match(reply.headers, {
      'cache-control': 'no-store',
      pragma: 'no-cache',
      'content-type': 'application/json',
      'access-control-allow-origin': undefined,
    })
    const left = Number(reply.token?.claims['exp']) - world.clock.now / 1000
    t.ok(Math.abs(left - Number(reply.json['expires_in'])) <= 1)
  },
})

let twice = ''
const sameTwice =
  (policy: string): RefusedRow['attack'] =>
  async (world) => {
    twice = world.mint()
    await world.exchange({ policy, subject_token: twice })
    return world.exchange({ policy, subject_token: twice })
  }
accepts({
  id: 'D19',
  says: 'the same exchange twice gives two tokens where the policy lets tokens be used again',
  requests: 2,
  ask: sameTwice('acme-main'),
  also: async (t, reply, world) => {
    const third = await world.exchange({ subject_token: twice })
    t.equal(third.status, 200)
    t.not(third.token?.claims['jti'], reply.token?.claims['jti'])
  },
})

refusesConfig({
  id: 'D20',
  says: 'a policy that gives system:masters',
  change: (config) =>
    addPolicy(config, {
      name: 'new',
      claims: project,
      grant: { audiences: ['kubernetes'], groups: ['system:masters'] },
    }),
  finding: /output_reserved/,
  twin: (config) =>
    addPolicy(config, {
      name: 'new',
      claims: project,
      grant: { audiences: ['kubernetes'], groups: ['masters'] },
    }),
})
refuses({
  id: 'D20',
  says: 'a job whose claims would make it a user of Kubernetes itself',
  reason: 'policy_output_refused',
  attack: (world) =>
    world.exchange({ policy: 'login', subject_token: world.mint({ user_login: 'system:admin' }) }),
  twin: changed({ policy: 'login' }),
})

accepts({
  id: 'D21',
  says: 'a client named as a job’s id is another subject',
  twin: ownClient,
  ask: ownClient,
  also: async (t, reply, world) => {
    const job = await world.exchange()
    t.equal(reply.token?.claims['sub'], encodeSubject('ci-pipeline', ''))
    t.not(reply.token?.claims['sub'], job.token?.claims['sub'])
    t.equal(encodeSubject('48291', '') === encodeSubject('48291', 'gitlab'), false)
  },
})
refusesConfig({
  id: 'D21',
  says: 'a client that would be called as a job of a connector',
  change: (config) => {
    listOf(config, 'clients').push({
      id: 'gitlab:48291',
      auth: { method: 'client_secret', secretEnv: 'OTHER_SECRET' },
      grants: ['client_credentials'],
    })
  },
  finding: /client_id_ambiguous/,
  twin: (config) => {
    listOf(config, 'clients').push({
      id: 'gitlab-48291',
      auth: { method: 'client_secret', secretEnv: 'OTHER_SECRET' },
      grants: ['client_credentials'],
    })
  },
})

refuses({
  id: 'D22',
  says: 'an audience that does not trust the client, for the client itself',
  ...notTrusted,
  attack: (world) => world.credentials({ audience: 'app' }),
  twin: (world) => world.credentials({ audience: 'registry' }),
})
refuses({
  id: 'D22',
  says: 'the same as a scope',
  reason: 'scope_audience_not_trusted',
  answer: invalid('invalid_scope', `Client can't request scope(s) ["${scope('app')}"]`),
  attack: (world) => world.credentials({ scope: scope('app') }),
  twin: (world) => world.credentials({ scope: scope('registry') }),
})
