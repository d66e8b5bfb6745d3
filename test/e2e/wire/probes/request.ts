// The request itself: methods, form parsing, client authentication, grants that are not served.
import {
  basic,
  clientCredentials,
  exchange,
  exchangeForm,
  fields,
  formType,
  granted,
  rawBasic,
  refused,
} from '../probe.ts'
import type { Probe } from '../probe.ts'
import { ciClient, secrets } from '../world.ts'

const method = refused(400, 'invalid_request', 'method not allowed')
const unsupported = refused(400, 'unsupported_grant_type')
const badForm = refused(400, 'invalid_request')
const badClient = refused(401, 'invalid_client', 'Invalid client credentials.')
const pipeline = basic('ci-pipeline', secrets.pipeline)
const body = 'grant_type=client_credentials&scope=groups'

function token(name: string, proves: string, rest: Partial<Probe> & Pick<Probe, 'dex'>): Probe {
  return { name, proves, path: '/token', headers: { ...formType, ...pipeline }, ...rest }
}

const methods: readonly Probe[] = [
  token('GET token', '2.1 step 1', { method: 'GET', headers: pipeline, dex: method }),
  token('PUT token', '2.1 step 1', { method: 'PUT', body, dex: method }),
  token('DELETE token', '2.1 step 1', { method: 'DELETE', headers: pipeline, dex: method }),
  token('HEAD token', '2.1 step 1', { method: 'HEAD', headers: pipeline, dex: { status: 400 } }),
  token('OPTIONS token', '2.1 step 1', { method: 'OPTIONS', headers: {}, dex: method }),
  token('GET token with everything in the query', '2.1', {
    method: 'GET',
    path: `/token?${body}`,
    headers: pipeline,
    dex: method,
  }),
]

const grants: readonly Probe[] = [
  token('unknown grant', '2.1 step 3', { body: 'grant_type=bogus', dex: unsupported }),
  token('password grant is disabled', '2.1 step 3', {
    body: 'grant_type=password&username=a&password=b',
    dex: unsupported,
  }),
  token('refresh grant is disabled', '2.1 step 3', {
    body: 'grant_type=refresh_token&refresh_token=x',
    dex: unsupported,
  }),
  token('device grant is disabled', '2.1 step 3', {
    body: 'grant_type=urn:ietf:params:oauth:grant-type:device_code',
    dex: unsupported,
  }),
  token('implicit is no token grant', '1.3', { body: 'grant_type=implicit', dex: unsupported }),
  token('grant type in other case', '2.1 step 3', {
    body: 'grant_type=Client_Credentials',
    dex: unsupported,
  }),
  token('no grant_type', '2.1 step 3', { body: 'scope=groups', dex: unsupported }),
  token('empty body', '2.1 step 3', { body: '', dex: unsupported }),
  token('unknown grant before a bad client', '2.1 order', {
    body: 'grant_type=bogus',
    headers: { ...formType, ...basic('nobody', 'x') },
    dex: unsupported,
  }),
  token('authorization_code without a code', '2.8', {
    body: 'grant_type=authorization_code',
    dex: refused(400, 'invalid_request', 'Required param: code.'),
    ours: unsupported,
  }),
]

const forms: readonly Probe[] = [
  token('JSON body', '1.7', {
    headers: { 'content-type': 'application/json', ...pipeline },
    body: '{"grant_type":"client_credentials"}',
    dex: unsupported,
  }),
  token('no content type', '1.7', { headers: pipeline, body, dex: unsupported }),
  token('text/plain body', '1.7', {
    headers: { 'content-type': 'text/plain', ...pipeline },
    body,
    dex: unsupported,
  }),
  token('multipart body', '1.7', {
    headers: { 'content-type': 'multipart/form-data; boundary=x', ...pipeline },
    body: '--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\nclient_credentials\r\n--x--\r\n',
    dex: unsupported,
  }),
  token('content type with charset', '1.7', {
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8', ...pipeline },
    body,
    dex: granted,
  }),
  token('content type in other case', '1.7', {
    headers: { 'content-type': 'Application/X-WWW-Form-Urlencoded', ...pipeline },
    body,
    dex: granted,
  }),
  token('malformed content type', '1.7', {
    headers: { 'content-type': 'application/x-www-form-urlencoded; =', ...pipeline },
    body,
    dex: badForm,
  }),
  token('parameters in the query are ignored', '1.7', { path: `/token?${body}`, body: '', dex: unsupported }),
  token('query beside the body is ignored', '1.7', {
    path: '/token?scope=bogus&grant_type=password',
    body,
    dex: granted,
  }),
  token('bad escape in the query', '1.7', { path: '/token?x=%zz', body, dex: badForm }),
  token('semicolon in the query', '1.7', { path: '/token?a=1;b=2', body, dex: badForm }),
  token('bad escape in the body', '1.7', { body: `${body}&x=%zz`, dex: badForm }),
  token('truncated escape in the body', '1.7', { body: `${body}&x=%4`, dex: badForm }),
  token('semicolon in the body', '1.7', { body: `${body};x=1`, dex: badForm }),
  token('escaped semicolon in the body', '1.7', { body: `${body}&x=%3B`, dex: granted }),
  token('empty pairs in the body', '1.7', { body: `&&${body}&&`, dex: granted }),
  token('plus is a space', '1.7', {
    body: 'grant_type=client_credentials&scope=openid+groups',
    dex: granted,
  }),
  token('parameter without a value', '1.7', { body: `${body}&nonce`, dex: granted }),
  token('repeated parameter', '1.7', { body: `${body}&grant_type=password`, dex: granted, ours: badForm }),
  token('repeated parameter the other way round', '1.7', {
    body: `grant_type=password&${body}`,
    dex: unsupported,
    ours: badForm,
  }),
  token('repeated parameter with one value', '1.7', {
    body: `${body}&scope=groups`,
    dex: granted,
    ours: badForm,
  }),
  token('bytes that are no UTF-8', '1.7', {
    body: 'grant_type=client_credentials&scope=%ff',
    dex: refused(400, 'invalid_scope', 'Unrecognized scope(s) ["\\xff"]'),
    ours: badForm,
  }),
  // Not longer: a server that refuses may close while the rest is on its way, and the answer is lost.
  token('body of 70 KB', '1.7', {
    body: `${body}&x=${'x'.repeat(70_000)}`,
    dex: granted,
    ours: refused(413, 'invalid_request'),
  }),
  token('body of 60 KB', '1.7', { body: `${body}&x=${'x'.repeat(60_000)}`, dex: granted }),
]

const form = (over: Readonly<Record<string, string | undefined>>) =>
  fields({ grant_type: 'client_credentials', scope: 'groups', ...over })

const clients: readonly Probe[] = [
  token('no client', '2.2', { headers: formType, form: form({}), dex: badClient }),
  token('client_id without its secret', '2.2', {
    headers: formType,
    form: form({ client_id: 'ci-pipeline' }),
    dex: badClient,
  }),
  token('wrong secret in the form', '2.2', {
    headers: formType,
    form: form({ client_id: 'ci-pipeline', client_secret: 'x' }),
    dex: badClient,
  }),
  token('empty Basic', '2.2', { headers: { ...formType, ...rawBasic(':') }, form: form({}), dex: badClient }),
  token('malformed Basic', '2.2', {
    headers: { ...formType, authorization: 'Basic !!!' },
    form: form({}),
    dex: badClient,
  }),
  token('Basic without a colon', '2.2', {
    headers: { ...formType, ...rawBasic('ci-pipeline') },
    form: form({}),
    dex: badClient,
  }),
  token('malformed Basic falls back to the form', '2.2', {
    headers: { ...formType, authorization: 'Basic !!!' },
    form: form({ client_id: 'ci-pipeline', client_secret: secrets.pipeline }),
    dex: granted,
  }),
  token('Bearer header falls back to the form', '2.2', {
    headers: { ...formType, authorization: 'Bearer x' },
    form: form({ client_id: 'ci-pipeline', client_secret: secrets.pipeline }),
    dex: granted,
  }),
  token('basic in lower case', '2.2', {
    headers: {
      ...formType,
      authorization: `basic ${Buffer.from(`ci-pipeline:${secrets.pipeline}`).toString('base64')}`,
    },
    form: form({}),
    dex: granted,
  }),
  token('Basic with a bad escape in the id', '2.2', {
    headers: { ...formType, ...rawBasic('%zz:x') },
    form: form({}),
    dex: refused(400, 'invalid_request', 'client_id improperly encoded'),
  }),
  token('Basic with a bad escape in the secret', '2.2', {
    headers: { ...formType, ...rawBasic('ci-pipeline:%zz') },
    form: form({}),
    dex: refused(400, 'invalid_request', 'client_secret improperly encoded'),
  }),
  token('Basic with an encoded colon and odd secret', '2.2', {
    headers: { ...formType, ...basic('dex-client-odd:ns', secrets.odd) },
    form: form({}),
    dex: granted,
  }),
  token('Basic with a raw colon in the id', '2.2', {
    headers: { ...formType, ...rawBasic(`dex-client-odd:ns:${secrets.odd}`) },
    form: form({}),
    dex: badClient,
  }),
  token('odd secret in the form', '2.2', {
    headers: formType,
    form: form({ client_id: 'dex-client-odd:ns', client_secret: secrets.odd }),
    dex: granted,
  }),
  token('raw plus in a Basic secret is a space', '2.2', {
    headers: { ...formType, ...rawBasic(`dex-client-odd%3Ans:${secrets.odd.replaceAll('%', '%25')}`) },
    form: form({}),
    dex: badClient,
  }),
  token('raw id with @ in Basic', '2.2', {
    headers: { ...formType, ...rawBasic(`${ciClient}:${secrets.ci}`) },
    form: form({}),
    dex: granted,
  }),
  token('Basic and the same client in the form', '2.2', {
    form: form({ client_id: 'ci-pipeline', client_secret: secrets.pipeline }),
    dex: granted,
    ours: badForm,
  }),
  token('Basic wins over another client in the form', '2.2', {
    form: form({ client_id: 'plain-client', client_secret: secrets.plain }),
    dex: granted,
    ours: badForm,
  }),
  token('Basic and a matching client_id alone', '2.2', {
    form: form({ client_id: 'ci-pipeline' }),
    dex: granted,
  }),
  token('Basic and another client_id alone', '2.2', {
    form: form({ client_id: 'plain-client' }),
    dex: granted,
    ours: badForm,
  }),
  token('wrong Basic and right form', '2.2', {
    headers: { ...formType, ...basic('ci-pipeline', 'wrong') },
    form: form({ client_id: 'ci-pipeline', client_secret: secrets.pipeline }),
    dex: badClient,
    ours: badForm,
  }),
  token('public client with a wrong secret', '2.2', {
    headers: { ...formType, ...basic('public-ci', 'x') },
    form: exchangeForm(),
    dex: badClient,
  }),
  token('public client with a secret needs it', '2.2', {
    headers: { ...formType, ...basic('public-secret', '') },
    form: exchangeForm(),
    dex: badClient,
  }),
  token('client_assertion is no credential at Dex', '2.2', {
    headers: formType,
    form: form({
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'x',
    }),
    dex: badClient,
  }),
  exchange('exchange without a client', '2.6 row 1', {}, badClient, { headers: formType }),
  exchange('bad client before unknown connector', '2.6 order', { connector_id: 'nobody' }, badClient, {
    headers: { ...formType, ...basic(ciClient, 'wrong') },
  }),
  clientCredentials('secret of another client', '2.2', {}, badClient, {
    headers: { ...formType, ...basic('ci-pipeline', secrets.plain) },
  }),
]

export const requestProbes: readonly Probe[] = [...methods, ...grants, ...forms, ...clients]
