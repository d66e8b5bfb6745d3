// Group E: what a request to the token endpoint may look like before anybody reads what it says.
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { CLIENT_CREDENTIALS, JWT_BEARER_ASSERTION } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { rawPost } from '../support/raw_http.ts'
import { BROKER_ISSUER, basic, encodeForm, startTestBroker } from '../support/test_broker.ts'
import type { Form, PostOptions, Reply, TestBroker } from '../support/test_broker.ts'
import {
  BODY_TOO_LARGE,
  MALFORMED,
  WRONG_CLIENT,
  countOf,
  invalid,
  threatTable,
} from '../support/threat_case.ts'
import type { RefusedRow } from '../support/threat_case.ts'
import { listening } from '../support/threat_http.ts'

const broker = await startTestBroker(t)
const send = await listening(broker)
const { refuses, accepts } = threatTable(t, broker)

const form = { grant_type: CLIENT_CREDENTIALS, client_id: 'ci-pipeline', client_secret: SECRETS.pipeline }
const body = encodeForm(form)
const twin = (world: TestBroker): Promise<Reply> => world.credentials()
const raw =
  (request: string): RefusedRow['attack'] =>
  () =>
    send(request)
const rawTwin = raw(rawPost('/dex/token', body))
const posted =
  (options: PostOptions, change: Form = form): RefusedRow['attack'] =>
  (world) =>
    world.post(change, options)
const unsupported = { status: 400, text: '{"error":"unsupported_grant_type"}' }

for (const name of [
  'grant_type',
  'client_id',
  'client_secret',
  'subject_token',
  'scope',
  'connector_id',
  'policy',
])
  refuses({
    id: 'E01',
    says: `the parameter ${name} twice`,
    reason: 'parameter_repeated',
    answer: invalid('invalid_request', 'A parameter is repeated.'),
    evidence: { name },
    attack: posted({ body: `${body}&${name}=1&${name}=1` }),
    twin,
  })

refuses({
  id: 'E02',
  says: 'a request whose parameters stand in its URL',
  reason: 'grant_type_unsupported',
  answer: unsupported,
  attack: posted({ path: `/token?${body}` }, {}),
  twin,
})
refuses({
  id: 'E02',
  says: 'a GET whose parameters stand in its URL',
  reason: 'method_not_allowed',
  answer: invalid('invalid_request', 'method not allowed'),
  attack: (world) => world.get(`/token?${body}`),
  twin,
})
for (const [says, query, reason] of [
  ['secret', `client_secret=${SECRETS.pipeline}`, 'client_secret_missing'],
  ['id', 'client_id=ci-pipeline', 'client_unknown'],
] as const)
  refuses({
    id: 'E02',
    says: `a client ${says} that stands in the URL`,
    reason,
    answer: WRONG_CLIENT,
    attack: posted(
      { path: `/token?${query}` },
      { ...form, ...(says === 'id' ? { client_id: undefined } : { client_secret: undefined }) },
    ),
    twin,
  })
accepts({
  id: 'E02',
  says: 'a parameter in the URL beside a whole form is not read',
  twin,
  ask: posted({ path: '/token?client_id=ci&scope=openid+email' }),
  also: (t, reply, world) => {
    t.equal(world.audit()?.client, 'ci-pipeline')
    t.equal(reply.idToken, undefined, 'no scope openid was asked for')
  },
})

const repeated = {
  reason: 'credentials_repeated',
  answer: invalid('invalid_request', 'More than one client credential.'),
} as const
const byHeader = basic('ci-pipeline', SECRETS.pipeline)
const assertion = { client_assertion_type: JWT_BEARER_ASSERTION, client_assertion: 'a.b.c' }
for (const [says, change] of [
  ['Basic and a secret in the form', { ...form, client_id: undefined }],
  ['Basic and an assertion', { grant_type: CLIENT_CREDENTIALS, ...assertion }],
  ['Basic and another client id in the form', { grant_type: CLIENT_CREDENTIALS, client_id: 'ci' }],
] as const)
  refuses({
    id: 'E03',
    says,
    ...repeated,
    attack: posted({ headers: byHeader }, change),
    twin: posted({ headers: byHeader }, { grant_type: CLIENT_CREDENTIALS, client_id: 'ci-pipeline' }),
  })
refuses({
  id: 'E03',
  says: 'a secret and an assertion',
  ...repeated,
  attack: posted({}, { ...form, ...assertion }),
  twin,
})

const bare = { grant_type: CLIENT_CREDENTIALS }
const basicOf = (text: string): PostOptions => ({
  headers: { authorization: `Basic ${Buffer.from(text).toString('base64')}` },
})
const basicTwin = posted({ headers: byHeader }, bare)
for (const [says, options, row] of [
  [
    'is no base64',
    { headers: { authorization: 'Basic !!!' } },
    { reason: 'client_unknown', answer: WRONG_CLIENT },
  ],
  ['has no colon', basicOf('ci-pipeline'), { reason: 'client_unknown', answer: WRONG_CLIENT }],
  [
    'has a bad escape in its id',
    basicOf(`%zz:${SECRETS.pipeline}`),
    { reason: 'client_id_encoding', answer: invalid('invalid_request', 'client_id improperly encoded') },
  ],
  [
    'has a bad escape in its secret',
    basicOf('ci-pipeline:%zz'),
    {
      reason: 'client_secret_encoding',
      answer: invalid('invalid_request', 'client_secret improperly encoded'),
    },
  ],
  [
    'has NUL in its id',
    basicOf(`ci-pipeline\u0000:${SECRETS.pipeline}`),
    { reason: 'client_unknown', answer: WRONG_CLIENT },
  ],
  ['has an empty id', basicOf(`:${SECRETS.pipeline}`), { reason: 'client_unknown', answer: WRONG_CLIENT }],
  ['has an empty secret', basicOf('ci-pipeline:'), { reason: 'client_secret_missing', answer: WRONG_CLIENT }],
  [
    'has a + for each space',
    basicOf(`ci+pipeline:${SECRETS.pipeline}`),
    { reason: 'client_unknown', answer: WRONG_CLIENT },
  ],
] as const)
  refuses({
    id: 'E04',
    says: `a Basic header that ${says}`,
    ...row,
    attack: posted(options, bare),
    twin: basicTwin,
  })

const basicLine = `Authorization: ${byHeader.authorization}`
const bareBody = encodeForm(bare)
refuses({
  id: 'E05',
  says: 'two Authorization headers',
  ...repeated,
  attack: raw(rawPost('/dex/token', bareBody, basicLine, basicLine)),
  twin: raw(rawPost('/dex/token', bareBody, basicLine)),
})
refuses({
  id: 'E05',
  says: 'a bearer token as a credential',
  reason: 'client_unknown',
  answer: WRONG_CLIENT,
  attack: (world) => world.post(bare, { headers: { authorization: `Bearer ${world.mint()}` } }),
  twin: basicTwin,
})

for (const [type, row] of [
  [undefined, { reason: 'grant_type_unsupported', answer: unsupported }],
  ['application/json', { reason: 'grant_type_unsupported', answer: unsupported }],
  ['text/plain', { reason: 'grant_type_unsupported', answer: unsupported }],
  ['multipart/form-data; boundary=x', { reason: 'grant_type_unsupported', answer: unsupported }],
  ['application/x-www-form-urlencoded-evil', { reason: 'grant_type_unsupported', answer: unsupported }],
  ['application/x-www-form-urlencoded; charset=utf-16', { reason: 'form_malformed', answer: MALFORMED }],
] as const)
  refuses({
    id: 'E06',
    says: `a body of type ${type ?? 'unknown'}`,
    ...row,
    attack: raw(
      rawPost('/dex/token', body).replace(
        'Content-Type: application/x-www-form-urlencoded\r\n',
        type === undefined ? '' : `Content-Type: ${type}\r\n`,
      ),
    ),
    twin: rawTwin,
  })
refuses({
  id: 'E06',
  says: 'a body of two types',
  reason: 'form_malformed',
  answer: MALFORMED,
  attack: raw(rawPost('/dex/token', body, 'Content-Type: application/json')),
  twin: rawTwin,
})
for (const type of ['APPLICATION/X-WWW-FORM-URLENCODED', 'application/x-www-form-urlencoded;charset=utf-8'])
  accepts({ id: 'E06', says: `${type} is a form`, twin, ask: posted({ headers: { 'content-type': type } }) })

const padded = (bytes: number): string => `${body}&x=${'x'.repeat(bytes - body.length - 3)}`
const many = (count: number): string =>
  `${body}&${Array.from({ length: count - 3 }, (_, index) => `p${index}=1`).join('&')}`
for (const [says, text, row, other] of [
  ['64 KB and a byte', padded(65_537), { reason: 'body_too_large', answer: BODY_TOO_LARGE }, padded(65_536)],
  [
    'a name of 1 MB',
    `${body}&${'n'.repeat(1_048_576)}=1`,
    { reason: 'body_too_large', answer: BODY_TOO_LARGE },
    `${body}&${'n'.repeat(64)}=1`,
  ],
  ['65 parameters', many(65), { reason: 'form_malformed', answer: MALFORMED }, many(64)],
  ['5,000 parameters', many(5000), { reason: 'form_malformed', answer: MALFORMED }, many(64)],
] as const)
  refuses({
    id: 'E08',
    says: `a body of ${says}`,
    ...row,
    attack: posted({ body: text }),
    twin: posted({ body: other }),
  })
const chunk = 'x'.repeat(16_384)
refuses({
  id: 'E08',
  says: 'a body of chunks without end',
  reason: 'body_too_large',
  answer: BODY_TOO_LARGE,
  attack: raw(
    framed(
      '/dex/token',
      'Transfer-Encoding: chunked',
      '',
      ...Array.from({ length: 8 }, () => `4000\r\n${chunk}`),
      '',
    ),
  ),
  twin: rawTwin,
})

function framed(path: string, ...lines: readonly string[]): string {
  const start = [
    `POST ${path} HTTP/1.1`,
    'Host: broker.example.test',
    'Connection: close',
    'Content-Type: application/x-www-form-urlencoded',
  ]
  return [...start, ...lines].join('\r\n')
}

/** Refused by the parser: there is no request that somebody could decide. */
const unparsed = (status: number): Pick<RefusedRow, 'reason' | 'answer'> => ({
  reason: undefined,
  answer: { status },
})
const length = `Content-Length: ${body.length}`
for (const [says, request, status] of [
  [
    'Content-Length and Transfer-Encoding',
    framed('/dex/token', length, 'Transfer-Encoding: chunked', '', '0\r\n\r\n'),
    400,
  ],
  ['two lengths', framed('/dex/token', length, 'Content-Length: 4', '', body), 400],
  [
    'Transfer-Encoding: chunked, identity',
    framed('/dex/token', 'Transfer-Encoding: chunked, identity', '', '0\r\n\r\n'),
    400,
  ],
  ['line feeds alone', rawPost('/dex/token', body).replaceAll('\r\n', '\n'), 400],
  ['a folded header', framed('/dex/token', 'X-Folded: a', ' b', length, '', body), 400],
  ['a space before a colon', framed('/dex/token', `Content-Length : ${body.length}`, '', body), 400],
  ['a negative length', framed('/dex/token', 'Content-Length: -3', '', body), 400],
  ['a length in hex', framed('/dex/token', 'Content-Length: 0x3', '', body), 400],
  ['20 KB of headers', framed('/dex/token', `X: ${'x'.repeat(20_000)}`, length, '', body), 431],
  ['no Host', rawPost('/dex/token', body).replace('Host: broker.example.test\r\n', ''), 400],
] as const)
  refuses({
    id: says === 'no Host' ? 'E10' : 'E09',
    says: `a request with ${says}`,
    ...unparsed(status),
    attack: raw(request),
    twin: rawTwin,
  })
refuses({
  id: 'E10',
  says: 'a request with two Hosts',
  reason: 'form_malformed',
  answer: MALFORMED,
  evidence: { detail: 'host_repeated' },
  attack: raw(rawPost('/dex/token', body, 'Host: elsewhere.example.test')),
  twin: rawTwin,
})
accepts({
  id: 'E10',
  says: 'the issuer is the configured one whatever Host and target say',
  twin,
  ask: async (world) => {
    const text = rawPost('http://elsewhere.example.test/dex/token', body).replace(
      'Host: broker.example.test',
      'Host: elsewhere.example.test',
    )
    const reply = await send(text)
    return { ...reply, headers: { ...reply.headers, 'x-request-id': world.audit()?.requestId } }
  },
  also: async (t, reply) => {
    const [, claims = ''] = String(reply.json['access_token']).split('.')
    t.equal(JSON.parse(Buffer.from(claims, 'base64url').toString())['iss'], BROKER_ISSUER)
    const asked =
      'GET /dex/.well-known/openid-configuration HTTP/1.1\r\nHost: evil.example.test\r\nConnection: close\r\n\r\n'
    t.equal((await send(asked)).json['issuer'], BROKER_ISSUER)
  },
})

accepts({
  id: 'E11',
  says: 'what a stranger says of addresses and certificates is not believed',
  twin,
  ask: posted({
    address: '203.0.113.9',
    headers: {
      'x-forwarded-for': '1.2.3.4',
      forwarded: 'for=1.2.3.4',
      'x-real-ip': '1.2.3.4',
      'x-client-cert': 'CN=admin',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil.example.test',
    },
  }),
  also: (t, reply, world) => {
    t.equal(world.audit()?.peer, '203.0.113.9')
    t.equal(reply.token?.claims['iss'], BROKER_ISSUER)
  },
})

const noMethod = {
  reason: 'method_not_allowed',
  answer: invalid('invalid_request', 'method not allowed'),
} as const
for (const method of ['GET', 'OPTIONS', 'TRACE', 'PUT', 'DELETE', 'PATCH'])
  refuses({
    id: 'E12',
    says: `${method} at the token endpoint`,
    ...noMethod,
    attack: raw(rawPost('/dex/token', method === 'TRACE' ? '' : body).replace('POST', method)),
    twin: rawTwin,
    also: (t, reply) => void t.notOk('access-control-allow-credentials' in reply.headers),
  })
refuses({
  id: 'E12',
  says: 'HEAD at the token endpoint',
  reason: 'method_not_allowed',
  answer: { status: 400, text: '' },
  attack: raw('HEAD /dex/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'),
  twin: rawTwin,
})
refuses({
  id: 'E12',
  says: 'a GET that says it is a POST',
  ...noMethod,
  attack: raw(rawPost('/dex/token', body, 'X-HTTP-Method-Override: POST').replace('POST /', 'GET /')),
  twin: rawTwin,
})

for (const path of [
  '/token',
  '/dex/token/',
  '//dex/token',
  '/dex//token',
  '/dex/TOKEN',
  '/dex/token%2f',
  '/dex/token;x',
  '/dex/x/../token',
  '/dex/../token',
])
  refuses({
    id: 'E13',
    says: `the path ${path}`,
    reason: undefined,
    answer: { status: 404, text: '404 page not found\n' },
    attack: raw(rawPost(path, body)),
    twin: rawTwin,
  })

refuses({
  id: 'E14',
  says: 'HTTP/2 on a plain socket',
  ...unparsed(400),
  attack: raw('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  twin: rawTwin,
})

accepts({
  id: 'E16',
  says: 'parameters that nobody knows are not read, and written down nowhere',
  twin,
  ask: (world) => world.post({ ...form, unheard_of: 'marker-7f3a', grant: 'admin' }),
  also: async (t, _reply, world) => {
    t.notMatch(world.said.join('\n'), 'marker-7f3a')
    t.notMatch((await world.ops.inject({ url: '/metrics' })).payload, /marker-7f3a|unheard_of/)
  },
})

refuses({
  id: 'E17',
  says: 'a scope that would split the answer',
  reason: 'scope_unrecognized',
  answer: invalid('invalid_scope', 'Unrecognized scope(s) ["a" "Set-Cookie:b=c"]'),
  attack: (world) => world.credentials({ scope: 'a\r\nSet-Cookie:b=c' }),
  twin,
  also: (t, reply) => {
    t.notOk('set-cookie' in reply.headers)
    t.notMatch(reply.text, /[\r\n]/)
  },
})

refuses({
  id: 'E18',
  says: 'a compressed form',
  reason: 'form_malformed',
  answer: MALFORMED,
  attack: posted({ body: gzipSync(body), headers: { 'content-encoding': 'gzip' } }),
  twin,
})
refuses({
  id: 'E18',
  says: 'a megabyte that unpacks to a gigabyte',
  reason: 'body_too_large',
  answer: BODY_TOO_LARGE,
  attack: posted({ body: Buffer.alloc(1_048_576), headers: { 'content-encoding': 'gzip' } }),
  twin,
})
refuses({
  id: 'E18',
  says: 'a wrong secret, to somebody who wants HTML,',
  reason: 'client_secret_wrong',
  answer: WRONG_CLIENT,
  attack: posted({ headers: { accept: 'text/html' } }, { ...form, client_secret: SECRETS.other }),
  twin,
  also: (t, reply) => void t.equal(reply.headers['content-type'], 'application/json'),
})

t.test('TH-E19: keys and discovery are cheap, for everybody, and may be kept', async (t) => {
  const decisions = await countOf(broker, 'sallyport_token_decisions_total')
  for (let count = 0; count < 3000; count += 1) {
    const { statusCode } = await broker.app.inject({ url: '/dex/keys', remoteAddress: '192.0.2.1' })
    if (statusCode !== 200) t.equal(statusCode, 200, `request ${count} of one address`)
  }
  t.equal(await countOf(broker, 'sallyport_token_decisions_total'), decisions, 'none is a decision')
  const keys = await broker.get('/keys')
  t.match(keys.headers, { 'cache-control': /^public, max-age=\d+, must-revalidate$/ })
  const head = await broker.app.inject({ method: 'HEAD', url: '/dex/keys' })
  t.match(head, { statusCode: 200, payload: '', headers: { 'content-length': String(keys.text.length) } })
  t.equal((await broker.get(`/keys?${'x'.repeat(8000)}`)).text, keys.text, 'a query changes nothing')
  const conditional = { 'if-none-match': '*', 'if-modified-since': new Date().toUTCString() }
  t.equal((await broker.get('/keys', conditional)).text, keys.text, 'a condition keeps nobody from the keys')
})
