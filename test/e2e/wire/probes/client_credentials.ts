// client_credentials: scopes, claims, audiences and the order of its refusals.
import { basic, clientCredentials, fields, formType, granted, refused } from '../probe.ts'
import type { Probe } from '../probe.ts'
import { secrets } from '../world.ts'

const kubernetes = 'audience:server:client_id:kubernetes'
const untrusted = 'audience:server:client_id:untrusted-target'
const noOffline = refused(
  400,
  'invalid_scope',
  'client_credentials grant does not support offline_access scope.',
)
const noFederated = refused(
  400,
  'invalid_scope',
  'client_credentials grant does not support federated:id scope.',
)
const cantRequest = (scopes: string) =>
  refused(400, 'invalid_scope', `Client can't request scope(s) [${scopes}]`)
const unrecognized = (scopes: string) => refused(400, 'invalid_scope', `Unrecognized scope(s) [${scopes}]`)
const publicRefused = refused(
  400,
  'unauthorized_client',
  'Public clients cannot use client_credentials grant.',
)
const badClient = refused(401, 'invalid_client', 'Invalid client credentials.')

const successes: readonly Probe[] = [
  clientCredentials('cc no scope', '8.2', {}, granted),
  clientCredentials('cc openid', '8.2', { scope: 'openid' }, granted),
  clientCredentials('cc openid profile', '8.2', { scope: 'openid profile' }, granted),
  clientCredentials('cc all scopes', '8.2', { scope: 'openid profile email groups' }, granted),
  clientCredentials('cc groups alone', '8.2', { scope: 'groups' }, granted),
  clientCredentials('cc email alone', '3.2', { scope: 'email' }, granted),
  clientCredentials('cc audience', '2.4', { scope: `openid ${kubernetes}` }, granted),
  clientCredentials(
    'cc own audience',
    '2.4',
    { scope: 'openid audience:server:client_id:ci-pipeline' },
    granted,
  ),
  clientCredentials(
    'cc two audiences',
    '2.4',
    { scope: `${kubernetes} audience:server:client_id:second-target` },
    granted,
  ),
  clientCredentials('cc nonce', '2.5', { scope: 'openid', nonce: 'n-0S6_WzA2Mj' }, granted),
  clientCredentials('cc nonce with html', '2.5, 1.7', { scope: 'openid', nonce: '<n>&"\\\u2028é' }, granted),
  clientCredentials('cc nonce of 512 characters', '2.5', { nonce: 'n'.repeat(512) }, granted),
  clientCredentials('cc nonce of 513 characters', '2.5', { nonce: 'n'.repeat(513) }, granted, {
    ours: refused(400, 'invalid_request'),
  }),
  clientCredentials(
    'cc connector_id is ignored',
    '2.5',
    { scope: 'openid', connector_id: 'nobody' },
    granted,
  ),
  clientCredentials('cc duplicate scopes', '1.7', { scope: 'openid openid profile openid' }, granted),
  clientCredentials('cc client without groups', '8.2', { scope: 'openid groups' }, granted, {
    headers: { ...formType, ...basic('plain-client', secrets.plain) },
  }),
  clientCredentials('cc name with html', '1.7', { scope: 'openid profile' }, granted, {
    headers: { ...formType, ...basic('plain-client', secrets.plain) },
  }),
  clientCredentials(
    'cc credentials in the form',
    '2.2',
    { scope: 'openid', client_id: 'ci-pipeline', client_secret: secrets.pipeline },
    granted,
    { headers: formType },
  ),
  clientCredentials(
    'cc audience parameter',
    'RFC 8707 §2',
    { scope: 'openid', audience: 'kubernetes' },
    granted,
    { ours: granted },
  ),
]

const ofItsOwn: readonly Probe[] = [
  clientCredentials('cc client whose grantTypes name it', '2.2, seed 000', {}, granted, {
    headers: { ...formType, ...basic('cc-only', secrets.plain) },
  }),
]

const refusals: readonly Probe[] = [
  clientCredentials(
    'cc untrusted audience',
    '2.5 row 4',
    { scope: untrusted },
    cantRequest(`"${untrusted}"`),
  ),
  clientCredentials(
    'cc two untrusted audiences',
    '2.5 row 4',
    { scope: `openid ${untrusted} audience:server:client_id:x` },
    cantRequest(`"${untrusted}" "audience:server:client_id:x"`),
  ),
  clientCredentials(
    'cc unknown audience',
    '2.5 row 4',
    { scope: 'audience:server:client_id:nobody' },
    cantRequest('"audience:server:client_id:nobody"'),
  ),
  clientCredentials(
    'cc empty audience',
    '2.3',
    { scope: 'audience:server:client_id:' },
    cantRequest('"audience:server:client_id:"'),
  ),
  clientCredentials('cc unknown scope', '2.5 row 3', { scope: 'openid bogus' }, unrecognized('"bogus"')),
  clientCredentials(
    'cc unknown scopes quoted',
    '2.5 row 3',
    { scope: 'bogus "x" ü \u0001' },
    unrecognized('"bogus" "\\"x\\"" "ü" "\\x01"'),
  ),
  clientCredentials(
    'cc unknown scope before untrusted audience',
    '2.5 order',
    { scope: `${untrusted} bogus` },
    unrecognized('"bogus"'),
  ),
  clientCredentials('cc offline_access', '2.5 row 2', { scope: 'openid offline_access' }, noOffline),
  clientCredentials('cc federated:id', '2.5 row 2', { scope: 'openid federated:id' }, noFederated),
  clientCredentials(
    'cc offline_access before federated:id',
    '2.5 row 2',
    { scope: 'offline_access federated:id' },
    noOffline,
  ),
  clientCredentials(
    'cc federated:id before offline_access',
    '2.5 row 2',
    { scope: 'bogus federated:id offline_access' },
    noFederated,
  ),
  clientCredentials('cc public client', '2.5 row 5', {}, publicRefused, {
    headers: { ...formType, ...basic('public-ci', '') },
  }),
  clientCredentials('cc public client with a secret', '2.5 row 5', {}, publicRefused, {
    headers: { ...formType, ...basic('public-secret', secrets.plain) },
  }),
  clientCredentials(
    'cc public client with an unknown scope',
    '2.5 order',
    { scope: 'bogus' },
    unrecognized('"bogus"'),
    {
      headers: { ...formType, ...basic('public-ci', '') },
    },
  ),
  clientCredentials('cc wrong secret', '8.2', {}, badClient, {
    headers: { ...formType, ...basic('ci-pipeline', 'wrong') },
  }),
  clientCredentials('cc unknown client', '8.2', {}, badClient, {
    headers: { ...formType, ...basic('nonexistent', 'x') },
  }),
  clientCredentials('cc bad client before bad scope', '2.5 order', { scope: 'bogus' }, badClient, {
    headers: { ...formType, ...basic('ci-pipeline', 'wrong') },
  }),
]

const worlds: readonly Probe[] = [
  clientCredentials('cc ES256 signer', '3.1', { scope: 'openid profile email groups' }, granted, {
    world: 'es256',
  }),
  clientCredentials('cc issuer at the root ten minutes', '1.1, 3.2', { scope: 'openid' }, granted, {
    world: 'root',
  }),
  {
    name: 'cc seed 000 curl line',
    proves: 'seed 000',
    path: '/token',
    headers: { ...formType, accept: '*/*', 'user-agent': 'curl/8' },
    form: fields({
      grant_type: 'client_credentials',
      client_id: 'ci-pipeline',
      client_secret: secrets.pipeline,
      scope: 'openid',
    }),
    dex: granted,
  },
]

export const clientCredentialsProbes: readonly Probe[] = [...successes, ...ofItsOwn, ...refusals, ...worlds]
