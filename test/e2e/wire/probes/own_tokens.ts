// Userinfo and introspection: what a broker says of the tokens it issued itself.
import { basic, fields, formType, refused } from '../probe.ts'
import type { Expected, Probe } from '../probe.ts'
import type { World } from '../world.ts'
import { secrets } from '../world.ts'

const invalidBearer = (status: number) => refused(status, 'access_denied', 'Invalid bearer token.')
const inactive: Expected = { status: 200, has: '{"active":false}' }
const active: Expected = { status: 200, has: '"active":true' }
const claims: Expected = { status: 200, has: '"iss"' }
const badClient = { status: 401, error: 'invalid_client' }

function userinfo(
  name: string,
  authorization: string | undefined,
  dex: Expected,
  rest: Partial<Probe> = {},
): Probe {
  return {
    name: `userinfo ${name}`,
    proves: '1.5',
    method: 'GET',
    path: '/userinfo',
    headers: authorization === undefined ? {} : { authorization },
    dex,
    ...rest,
  }
}

const userinfoProbes: readonly Probe[] = [
  userinfo('exchange id token', 'Bearer @issued te id token requested', claims),
  userinfo('exchange access token', 'Bearer @issued te access token requested', claims),
  userinfo('client credentials', 'Bearer @issued cc all scopes', claims),
  userinfo('client credentials id token', 'Bearer @issued_id cc all scopes', claims),
  userinfo('html in a name', 'Bearer @issued te html and unicode in a name', claims),
  userinfo('by POST', 'Bearer @issued te id token requested', claims, {
    method: 'POST',
    headers: { ...formType, authorization: 'Bearer @issued te id token requested' },
    body: '',
  }),
  userinfo('HEAD', 'Bearer @issued te id token requested', { status: 200 }, { method: 'HEAD' }),
  userinfo('bearer in lower case', 'bearer @issued te id token requested', claims),
  userinfo('no token', undefined, invalidBearer(401)),
  userinfo('Basic', basic('ci-pipeline', secrets.pipeline)['authorization'], invalidBearer(401)),
  userinfo('Bearer alone', 'Bearer', invalidBearer(401)),
  userinfo('garbage', 'Bearer x', invalidBearer(403)),
  userinfo('three letters', 'Bearer a.b.c', invalidBearer(403)),
  userinfo('token of the upstream', 'Bearer @gitlab', invalidBearer(403)),
  userinfo('token in the query only', undefined, invalidBearer(401), { path: '/userinfo?access_token=x' }),
  userinfo('ES256 signer', 'Bearer @issued te ES256 signer id token', invalidBearer(403), {
    world: 'es256',
    ours: claims,
  }),
  userinfo('issuer at the root', 'Bearer @issued te issuer at the root', claims, { world: 'root' }),
]

/** Dex asks nobody who he is here; we ask for an authenticated client, so each row stands with and without one. */
function introspection(
  name: string,
  token: string,
  dex: Expected,
  world: World,
  ours?: Expected,
): readonly Probe[] {
  const common = { proves: '1.6', method: 'POST', path: '/token/introspect', world, dex } as const
  const form = fields({ token })
  return [
    { ...common, name: `introspect ${name}, anonymous`, headers: formType, form, ours: badClient },
    {
      ...common,
      name: `introspect ${name}`,
      headers: { ...formType, ...basic('ci-pipeline', secrets.pipeline) },
      form,
      ...(ours === undefined ? {} : { ours }),
    },
  ]
}

const authenticated = { ...formType, ...basic('ci-pipeline', secrets.pipeline) }
function introspectRequest(name: string, dex: Expected, rest: Partial<Probe>): Probe {
  return {
    name: `introspect ${name}`,
    proves: '1.6',
    method: 'POST',
    path: '/token/introspect',
    headers: authenticated,
    dex,
    ...rest,
  }
}

const noToken = refused(400, 'invalid_request', "The POST body doesn't contain 'token' parameter.")
const emptyBody = refused(400, 'invalid_request', 'The POST body can not be empty.')
const revocation: Probe = {
  name: 'revoke without a token',
  proves: 'RFC 7009 §2.1',
  method: 'POST',
  path: '/token/revoke',
  headers: authenticated,
  form: fields({ x: '1' }),
  dex: { status: 404, has: '404 page not found' },
  ours: refused(400, 'invalid_request'),
}

const introspectionProbes: readonly Probe[] = [
  ...introspection('exchange id token', '@issued te id token requested', active, 'main'),
  ...introspection('exchange access token', '@issued te access token requested', active, 'main'),
  ...introspection('exchange with federated claims', '@issued te scope federated:id', active, 'main'),
  ...introspection('client credentials', '@issued cc all scopes', active, 'main'),
  ...introspection('client credentials for an audience', '@issued cc audience', active, 'main'),
  ...introspection('garbage', 'x', inactive, 'main'),
  ...introspection('a token of the upstream', '@gitlab', inactive, 'main'),
  ...introspection('ES256 signer', '@issued te ES256 signer id token', inactive, 'es256', active),
  introspectRequest('no token', noToken, { form: fields({ x: '1' }) }),
  introspectRequest('empty token', inactive, { form: fields({ token: '' }) }),
  introspectRequest('empty body', emptyBody, { body: '' }),
  introspectRequest(
    'bad escape',
    refused(
      400,
      'invalid_request',
      'Unable to parse HTTP body, make sure to send a properly formatted form request body.',
    ),
    { body: 'token=%zz' },
  ),
  introspectRequest('with a hint', active, {
    form: fields({ token: '@issued cc all scopes', token_type_hint: 'access_token' }),
  }),
  introspectRequest('with a wrong hint', active, {
    form: fields({ token: '@issued cc all scopes', token_type_hint: 'refresh_token' }),
  }),
  introspectRequest('GET', refused(400, 'invalid_request', 'HTTP method is "GET", expected "POST".'), {
    method: 'GET',
  }),
  introspectRequest('PUT', refused(400, 'invalid_request', 'HTTP method is "PUT", expected "POST".'), {
    method: 'PUT',
    body: 'token=x',
  }),
  introspectRequest('JSON body', emptyBody, {
    headers: { ...basic('ci-pipeline', secrets.pipeline), 'content-type': 'application/json' },
    body: '{"token":"x"}',
  }),
]

export const ownTokenProbes: readonly Probe[] = [...userinfoProbes, ...introspectionProbes, revocation]
