// Token exchange: every row of the dialect's table, its scopes, audiences and identity mapping.
import { basic, denied, exchange, formType, granted, refused, types } from '../probe.ts'
import type { Probe } from '../probe.ts'
import { ciClient, secrets } from '../world.ts'

const noConnector = refused(400, 'invalid_request', 'Requested connector does not exist.')
const badSubjectType = refused(400, 'request_not_supported', 'Invalid subject_token_type.')
const badRequestedType = refused(400, 'request_not_supported', 'Invalid requested_token_type.')
const notAllowed = refused(400, 'invalid_grant', 'Connector not allowed for this client.')
const invalidTarget = { status: 400, error: 'invalid_target' }
const kubernetes = 'audience:server:client_id:kubernetes'

const plain = { connector_id: 'plain', scope: 'openid profile email groups' }
const github = { connector_id: 'github', subject_token: '@github' }
const mock = { connector_id: 'mock', subject_token: 'foobar', scope: 'openid profile email groups' }

const successes: readonly Probe[] = [
  exchange('te id token requested', '2.6 success', {}, granted),
  exchange('te access token requested', '2.6 success', { requested_token_type: types.access }, granted),
  exchange('te default requested type', '2.6 success', { requested_token_type: undefined }, granted),
  exchange('te no scope', '2.3', { scope: undefined }, granted),
  exchange('te scope openid alone', '2.3', { scope: 'openid' }, granted),
  exchange('te scope email', '2.3', { scope: 'email' }, granted),
  exchange('te scope profile', '2.3', { scope: 'profile' }, granted),
  exchange('te scope groups', '2.3', { scope: 'groups' }, granted),
  exchange('te scope federated:id', '2.3', { scope: 'federated:id' }, granted),
  exchange(
    'te offline_access and unknown scopes are ignored',
    '2.3',
    { scope: `openid offline_access bogus federated:id ${kubernetes}` },
    granted,
  ),
  exchange('te scope split at any white space', '1.7', { scope: ' openid\tprofile\n  email ' }, granted),
  exchange(
    'te nonce is ignored',
    '2.6 ignored parameters',
    { scope: 'openid profile', nonce: 'n-0S6_WzA2Mj' },
    granted,
  ),
  exchange('te actor_token', '2.6', { actor_token: 'x', actor_token_type: types.jwt }, granted, {
    ours: refused(400, 'invalid_request', 'actor_token is not supported.'),
  }),
  exchange('te DPoP proof', '2.6', {}, granted, {
    headers: { ...formType, ...basic(ciClient, secrets.ci), dpop: 'x' },
    ours: refused(400, 'invalid_dpop_proof', 'DPoP is not supported.'),
  }),
  exchange('te public client without a secret', '2.2', {}, granted, {
    headers: { ...formType, ...basic('public-ci', '') },
  }),
  exchange('te public client in the form', '2.2', { client_id: 'public-ci' }, granted, { headers: formType }),
  exchange('te credentials in the form', '2.2', { client_id: ciClient, client_secret: secrets.ci }, granted, {
    headers: formType,
  }),
]

const audiences: readonly Probe[] = [
  exchange('te aud is the client alone', '2.4', { scope: 'openid' }, granted),
  exchange(
    'te own audience scope',
    '2.4',
    { scope: `openid audience:server:client_id:${ciClient}` },
    granted,
  ),
  exchange(
    'te two audiences own first',
    '2.4',
    { scope: `openid audience:server:client_id:${ciClient} ${kubernetes}` },
    granted,
  ),
  exchange(
    'te two audiences',
    '2.4',
    { scope: `openid ${kubernetes} audience:server:client_id:second-target` },
    granted,
  ),
  exchange('te duplicate audience scope', '2.4', { scope: `openid ${kubernetes} ${kubernetes}` }, granted),
  exchange(
    'te audience not trusted',
    '2.6 row 10',
    { scope: 'openid audience:server:client_id:untrusted-target' },
    refused(500, 'server_error'),
    { ours: invalidTarget },
  ),
  exchange(
    'te audience unknown',
    '2.6 row 10',
    { scope: 'openid audience:server:client_id:nobody' },
    refused(500, 'server_error'),
    { ours: invalidTarget },
  ),
  exchange(
    'te audience empty',
    '2.3',
    { scope: 'openid audience:server:client_id:' },
    refused(500, 'server_error'),
    {
      ours: invalidTarget,
    },
  ),
  exchange(
    'te one audience of two not trusted',
    '2.6 row 10',
    { scope: `openid ${kubernetes} audience:server:client_id:untrusted-target` },
    refused(500, 'server_error'),
    { ours: invalidTarget },
  ),
  exchange(
    'te audience parameter',
    '2.4, RFC 8693 §2.1',
    { scope: 'openid', audience: 'kubernetes' },
    granted,
    { ours: granted },
  ),
  exchange(
    'te audience parameter not trusted',
    '2.4, RFC 8693 §2.2.2',
    { scope: 'openid', audience: 'untrusted-target' },
    granted,
    { ours: invalidTarget },
  ),
  exchange(
    'te audience parameter equal to the scope',
    '2.4',
    { scope: `openid ${kubernetes}`, audience: 'kubernetes' },
    granted,
  ),
  exchange(
    'te audience parameter other than the scope',
    '2.4',
    { scope: `openid ${kubernetes}`, audience: 'second-target' },
    granted,
    { ours: { status: 400 } },
  ),
  exchange(
    'te resource parameter unknown',
    'RFC 8707 §2',
    { scope: 'openid', resource: 'https://nowhere.example.test/' },
    granted,
    { ours: invalidTarget },
  ),
]

const identities: readonly Probe[] = [
  exchange('te gitlab without groups', '4.2', { subject_token: '@gitlab without groups' }, granted),
  exchange('te gitlab single group string', '4.2', { subject_token: '@gitlab with a single group' }, granted),
  exchange('te html and unicode in a name', '1.7', { subject_token: '@gitlab with html' }, granted),
  exchange(
    'te long sub needs a two-byte length',
    '3.4',
    { subject_token: '@gitlab long sub', scope: 'federated:id' },
    granted,
  ),
  exchange(
    'te unicode sub',
    '3.4',
    { subject_token: '@gitlab unicode sub', scope: 'openid federated:id' },
    granted,
  ),
  exchange(
    'te github new groups from claims',
    '4.2',
    { ...github, scope: 'openid profile email groups' },
    granted,
  ),
  exchange(
    'te github new groups with environment',
    '4.2',
    { ...github, subject_token: '@github with environment', scope: 'groups' },
    granted,
  ),
  exchange(
    'te github without sub',
    '4.2',
    { connector_id: 'github', subject_token: '@github without sub' },
    denied,
  ),
  exchange(
    'te plain connector ignores groups',
    '4.2',
    { ...plain, subject_token: '@plain', scope: 'openid profile email groups federated:id' },
    granted,
  ),
  exchange('te plain without name', '4.2', { ...plain, subject_token: '@plain without name' }, denied),
  exchange('te plain without email', '4.2', { ...plain, subject_token: '@plain without email' }, denied),
  exchange(
    'te plain without email_verified',
    '4.2',
    { ...plain, subject_token: '@plain without email_verified' },
    denied,
  ),
  exchange(
    'te plain email_verified false',
    '4.2',
    { ...plain, subject_token: '@plain email_verified false' },
    granted,
  ),
  exchange(
    'te plain email_verified as string',
    '4.2',
    { ...plain, subject_token: '@plain email_verified as string' },
    denied,
  ),
  exchange(
    'te filtered prefixed and mapped groups',
    '4.2',
    { connector_id: 'filtered', scope: 'openid profile email groups federated:id' },
    granted,
  ),
  exchange(
    'te no allowed group',
    '4.2 allowedGroups',
    { connector_id: 'filtered', subject_token: '@gitlab of other groups' },
    denied,
  ),
  exchange('te mock connector id token', '8.1', { ...mock }, granted),
  exchange('te mock connector access token', '8.1', { ...mock, subject_token_type: types.access }, granted),
  exchange('te mock connector default type', '8.1', { ...mock, requested_token_type: undefined }, granted),
  exchange(
    'te userinfo with an id token',
    '4.2 getUserInfo',
    { connector_id: 'keycloak', subject_token: '@keycloak id token', scope: 'openid profile email' },
    granted,
  ),
  exchange(
    'te access token declared as id token',
    'RFC 8725 §3.12',
    { connector_id: 'keycloak', subject_token: '@keycloak', scope: 'openid profile email' },
    granted,
    { ours: denied },
  ),
  exchange(
    'te userinfo with an access token',
    '4.3 access token path',
    {
      connector_id: 'keycloak',
      subject_token: '@keycloak',
      subject_token_type: types.access,
      scope: 'openid profile email',
    },
    granted,
  ),
  exchange(
    'te userinfo refuses the token',
    '2.6 row 8',
    { connector_id: 'keycloak', subject_token: '@keycloak broken', subject_token_type: types.access },
    denied,
  ),
]

const rows: readonly Probe[] = [
  exchange(
    'te wrong secret',
    '2.6 row 1',
    {},
    refused(401, 'invalid_client', 'Invalid client credentials.'),
    {
      headers: { ...formType, ...basic(ciClient, 'wrong') },
    },
  ),
  exchange('te allowedConnectors first', '8.1', mock, granted, {
    headers: { ...formType, ...basic('only-mock', secrets.plain) },
  }),
  exchange('te allowedConnectors excludes it', '2.6 row 2', mock, notAllowed, {
    headers: { ...formType, ...basic('only-other', secrets.plain) },
  }),
  exchange(
    'te allowedConnectors and a missing connector_id',
    '2.6 rows 2 and 7',
    { ...mock, connector_id: undefined },
    noConnector,
    {
      headers: { ...formType, ...basic('only-other', secrets.plain) },
    },
  ),
  exchange('te client whose grantTypes lack it', '2.2, seed 000', mock, granted, {
    headers: { ...formType, ...basic('cc-only', secrets.plain) },
    ours: refused(400, 'unauthorized_client'),
  }),
  exchange('te unknown connector', '2.6 row 3', { connector_id: 'nobody' }, noConnector),
  exchange(
    'te connector whose issuer cannot be reached',
    '2.6 row 3',
    { connector_id: 'down', subject_token: '@of the unreachable issuer' },
    noConnector,
    { ours: refused(503, 'temporarily_unavailable') },
  ),
  exchange(
    'te token of another issuer and the issuer cannot be reached',
    '2.6 row 3',
    { connector_id: 'down' },
    noConnector,
    { ours: denied },
  ),
  exchange(
    'te connector grantTypes lack the exchange',
    '2.6 row 4',
    { ...mock, connector_id: 'login-only' },
    refused(400, 'invalid_request', 'Requested connector does not support this grant type.'),
  ),
  exchange('te subject_token_type missing', '2.6 row 5', { subject_token_type: undefined }, badSubjectType),
  exchange('te subject_token_type jwt', '2.6 row 5', { subject_token_type: types.jwt }, badSubjectType),
  exchange(
    'te subject_token_type refresh',
    '2.6 row 5',
    { subject_token_type: types.refresh },
    badSubjectType,
  ),
  exchange(
    'te subject_token missing',
    '2.6 row 6',
    { subject_token: undefined },
    refused(400, 'invalid_request', 'Missing subject_token'),
  ),
  exchange(
    'te subject_token empty',
    '2.6 row 6',
    { subject_token: '' },
    refused(400, 'invalid_request', 'Missing subject_token'),
  ),
  exchange(
    'te connector_id missing',
    '2.6 row 7',
    { connector_id: undefined, subject_token: '@github', scope: 'openid profile groups' },
    noConnector,
    { ours: granted },
  ),
  exchange(
    'te connector_id missing and two connectors of one issuer',
    '2.6 row 7',
    { connector_id: undefined },
    noConnector,
  ),
  exchange(
    'te connector_id missing and issuer of none',
    '2.6 row 7',
    { connector_id: undefined, subject_token: '@gitlab of other issuer' },
    noConnector,
  ),
  exchange(
    'te connector_id missing and an opaque token',
    '2.6 row 7',
    { connector_id: undefined, subject_token: '@garbage' },
    noConnector,
  ),
  exchange('te connector without exchange', '2.6 row 7', { connector_id: 'mock-password' }, noConnector),
  exchange(
    'te unknown connector before missing type',
    '2.6 order',
    { connector_id: 'nobody', subject_token_type: undefined },
    noConnector,
  ),
  exchange(
    'te missing type before missing token',
    '2.6 order',
    { subject_token: undefined, subject_token_type: undefined },
    badSubjectType,
  ),
  exchange(
    'te missing token before missing connector',
    '2.6 order',
    { subject_token: undefined, connector_id: undefined },
    refused(400, 'invalid_request', 'Missing subject_token'),
  ),
  exchange(
    'te bad token before bad requested type',
    '2.6 order',
    { subject_token: '@gitlab expired', requested_token_type: types.jwt },
    denied,
  ),
  exchange('te requested_token_type jwt', '2.6 row 9', { requested_token_type: types.jwt }, badRequestedType),
  exchange(
    'te requested_token_type refresh',
    '2.6 row 9',
    { requested_token_type: types.refresh },
    badRequestedType,
  ),
  exchange(
    'te bad requested type before untrusted audience',
    '2.6 order',
    { requested_token_type: types.jwt, scope: 'audience:server:client_id:nobody' },
    badRequestedType,
  ),
]

const subject = (token: string) => ({ subject_token: `@gitlab ${token}` })
const hostile: readonly Probe[] = [
  exchange('te bad signature', '2.6 row 8', subject('bad signature'), denied),
  exchange('te unknown kid', '2.6 row 8', subject('unknown kid'), denied),
  exchange('te expired', '2.6 row 8', subject('expired'), denied),
  exchange('te other issuer', '2.6 row 8', subject('of other issuer'), denied),
  exchange('te issuer with a slash', '2.6 row 8', subject('issuer with slash'), denied),
  exchange('te alg none', '2.6 row 8', subject('alg none'), denied),
  exchange('te HS256 with the public key', '2.6 row 8', subject('HS256 with public key'), denied),
  exchange('te ES256 where discovery lists RS256 only', '4.3', subject('ES256'), denied, { ours: granted }),
  exchange(
    'te ES256 where discovery lists it',
    '4.3',
    { connector_id: 'both-algorithms', subject_token: '@both ES256', scope: 'openid profile' },
    granted,
  ),
  exchange('te garbage', '2.6 row 8', { subject_token: '@garbage' }, denied),
  exchange('te three letters', '2.6 row 8', { subject_token: '@dots' }, denied),
  exchange('te without exp', '4.3', subject('without exp'), denied),
  exchange('te exp as string of digits', '4.3', subject('exp as string'), granted, { ours: denied }),
  exchange('te expired two seconds ago', '4.3', subject('expired 2 s ago'), denied, { ours: granted }),
  exchange('te not before in 60 s', '4.3', subject('not before in 60 s'), granted, { ours: denied }),
  exchange('te not before in 600 s', '4.3', subject('not before in 600 s'), denied),
  exchange('te audience of another party', '4.3 step 2', subject('foreign audience'), granted, {
    ours: denied,
  }),
  exchange('te several audiences one of them ours', '4.3 step 2', subject('several audiences'), granted),
  exchange('te group system:masters', '9', { ...subject('reserved group'), scope: 'groups' }, granted, {
    ours: denied,
  }),
  exchange('te name system:admin', '9', { ...subject('reserved name'), scope: 'profile' }, granted, {
    ours: denied,
  }),
  exchange('te access token without userinfo', '2.6 row 8', { subject_token_type: types.access }, denied, {
    ours: granted,
  }),
  exchange('te may_act of this client', '2.6', subject('may_act of this client'), granted),
  exchange('te may_act of another party', '2.6', subject('may_act of another party'), granted, {
    ours: denied,
  }),
  exchange('te token of another connector', '2.6 row 8', { connector_id: 'plain' }, denied),
]

const es256: readonly Probe[] = [
  exchange('te ES256 signer id token', '3.1', {}, granted, { world: 'es256' }),
  exchange('te ES256 signer access token', '3.1', { requested_token_type: types.access }, granted, {
    world: 'es256',
  }),
]

const root: readonly Probe[] = [exchange('te issuer at the root', '1.1, 7.6', {}, granted, { world: 'root' })]

export const exchangeProbes: readonly Probe[] = [
  ...successes,
  ...audiences,
  ...identities,
  ...rows,
  ...hostile,
  ...es256,
  ...root,
]
