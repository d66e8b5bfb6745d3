// The HTTP frame around the endpoints: paths, methods, content types, sizes, CORS, headers, limits.
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createPublicApp } from '../../src/broker/app.ts'
import { CLIENT_CREDENTIALS } from '../../src/core/oauth/names.ts'
import { SECRETS } from '../support/broker_config.ts'
import { portOf } from '../support/child_server.ts'
import { openSocket, rawPost, readAll, sendRaw } from '../support/raw_http.ts'
import { basic, encodeForm, startTestBroker } from '../support/test_broker.ts'

const broker = await startTestBroker(t)
const { issuer, app } = broker
await app.listen({ port: 0, host: '127.0.0.1' })
const port = portOf(app.server)
const form = encodeForm({
  grant_type: CLIENT_CREDENTIALS,
  client_id: 'ci-pipeline',
  client_secret: SECRETS.pipeline,
})
const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded'
const NOT_FOUND = '404 page not found\n'

t.test('a method other than POST at /token is Dex’s 400', async (t) => {
  for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'] as const) {
    const answer = await app.inject({ method, url: '/dex/token' })
    t.equal(answer.statusCode, 400, method)
    t.equal(answer.payload, '{"error":"invalid_request","error_description":"method not allowed"}')
    t.match(broker.audit(), { reason: 'method_not_allowed', evidence: { method } })
  }
  const head = await app.inject({ method: 'HEAD', url: '/dex/token' })
  t.equal(head.statusCode, 400)
  t.equal(head.payload, '')
})

t.test('paths are exact: unknown ones get Go’s 404 page', async (t) => {
  const tricks = [
    '/token',
    '/dex/token/',
    '/dex//token',
    '/dex/TOKEN',
    '/dex/token%2f',
    '/dex/token;x',
    '/dex/x/../token',
    '/dex/keys/',
    '/metrics',
    '/debug/pprof',
    '/',
  ]
  for (const path of tricks) {
    const answer = await sendRaw(port, rawPost(path, form))
    t.match(answer, /^HTTP\/1\.1 404 /, path)
    t.match(answer, /content-type: text\/plain; charset=utf-8\r\n/i)
    t.match(answer, /x-content-type-options: nosniff\r\n/i)
    t.ok(answer.endsWith(NOT_FOUND))
  }
  t.match(await sendRaw(port, rawPost('/dex/token', form)), /^HTTP\/1\.1 200 /)
})

t.test('a path that is no text is refused without a stack trace', async (t) => {
  t.match(await sendRaw(port, rawPost('/dex/%zz', form)), /^HTTP\/1\.1 40[04] /)
})

t.test('only a urlencoded form is read', async (t) => {
  const rows: readonly (readonly [string | undefined, number, string])[] = [
    ['application/x-www-form-urlencoded', 200, ''],
    ['APPLICATION/X-WWW-FORM-URLENCODED', 200, ''],
    ['application/x-www-form-urlencoded; charset=utf-8', 200, ''],
    ['application/x-www-form-urlencoded;charset=UTF-8', 200, ''],
    ['application/x-www-form-urlencoded; charset=utf-16', 400, 'form_malformed'],
    ['application/x-www-form-urlencoded-evil', 400, 'grant_type_unsupported'],
    ['application/json', 400, 'grant_type_unsupported'],
    ['text/plain', 400, 'grant_type_unsupported'],
    ['multipart/form-data; boundary=x', 400, 'grant_type_unsupported'],
    ['multipart/form-data; boundary', 400, 'form_malformed'],
    ['a/b/c', 400, 'form_malformed'],
    [undefined, 400, 'grant_type_unsupported'],
  ]
  for (const [type, status, reason] of rows) {
    const answer = await app.inject({
      method: 'POST',
      url: '/dex/token',
      payload: Buffer.from(form),
      headers: type === undefined ? {} : { 'content-type': type },
    })
    t.equal(answer.statusCode, status, type ?? 'none')
    t.equal(broker.audit()?.reason ?? '', reason, type ?? 'none')
  }
})

t.test('two Content-Type headers are one too many', async (t) => {
  const answer = await sendRaw(port, rawPost('/dex/token', form, 'Content-Type: application/json'))
  t.match(answer, /^HTTP\/1\.1 400 /)
  t.equal(broker.audit()?.reason, 'form_malformed')
})

const MALFORMED: readonly (readonly [string, string, string])[] = [
  ['a bad escape', `${form}&x=%zz`, 'form_malformed'],
  ['an escape that is no UTF-8', `${form}&x=%ff`, 'form_malformed'],
  ['a raw semicolon', `${form};x=1`, 'form_malformed'],
  [
    '65 parameters',
    `${form}&${Array.from({ length: 62 }, (_, index) => `p${index}=1`).join('&')}`,
    'form_malformed',
  ],
  ['a very long name', `${form}&${'n'.repeat(65)}=1`, 'form_malformed'],
]
for (const [says, body, reason] of MALFORMED) {
  t.test(`a body with ${says} is 400 invalid_request without a description`, async (t) => {
    const answer = await broker.post({}, { body })
    t.equal(answer.status, 400)
    t.equal(answer.text, '{"error":"invalid_request"}')
    t.match(broker.audit(), { reason, step: 'request' })
    t.equal((await broker.post({}, { body: form })).status, 200)
  })
}

t.test('bytes that are no UTF-8 are malformed', async (t) => {
  const answer = await broker.post(
    {},
    { body: Buffer.concat([Buffer.from(`${form}&x=`), Buffer.from([0xff])]) },
  )
  t.equal(answer.status, 400)
  t.equal(broker.audit()?.reason, 'form_malformed')
})

t.test('a parameter that stands twice is invalid_request', async (t) => {
  for (const name of [
    'grant_type',
    'client_id',
    'client_secret',
    'scope',
    'subject_token',
    'connector_id',
    'policy',
  ]) {
    const answer = await broker.post({}, { body: `${form}&${name}=1&${name}=1` })
    t.equal(answer.text, '{"error":"invalid_request","error_description":"A parameter is repeated."}')
    t.match(broker.audit(), { reason: 'parameter_repeated', evidence: { name } })
  }
})

t.test('parameters in the query string are not read, and a broken one is refused', async (t) => {
  t.equal((await broker.post({}, { path: `/token?${form}` })).json['error'], 'unsupported_grant_type')
  t.equal((await broker.post({}, { path: '/token?scope=openid', body: form })).status, 200)
  t.equal((await broker.post({}, { path: '/token?a;b', body: form })).text, '{"error":"invalid_request"}')
})

function padded(bytes: number): string {
  return `${form}&x=${'x'.repeat(bytes - form.length - 3)}`
}

t.test('64 KB are read, one byte more is 413', async (t) => {
  t.equal((await broker.post({}, { body: padded(65_536) })).status, 200)
  const answer = await broker.post({}, { body: padded(65_537) })
  t.equal(answer.status, 413)
  t.equal(answer.json['error'], 'invalid_request')
  t.match(broker.audit(), { reason: 'body_too_large', evidence: { maxBytes: 65_536 } })
})

t.test('two Authorization headers are two credentials, whatever they say', async (t) => {
  const one = `Authorization: ${basic('ci-pipeline', SECRETS.pipeline).authorization}`
  const body = encodeForm({ grant_type: CLIENT_CREDENTIALS })
  t.match(await sendRaw(port, rawPost('/dex/token', body, one)), /^HTTP\/1\.1 200 /)
  t.match(await sendRaw(port, rawPost('/dex/token', body, one, one)), /More than one client credential/)
  t.equal(broker.audit()?.reason, 'credentials_repeated')
  const userinfo = [
    'GET /dex/userinfo HTTP/1.1',
    'Host: x',
    'Connection: close',
    'Authorization: Bearer a',
    'Authorization: Bearer a',
    '',
    '',
  ]
  t.match(await sendRaw(port, userinfo.join('\r\n')), /^HTTP\/1\.1 401 /)
})

function framed(...lines: readonly string[]): string {
  const start = ['POST /dex/token HTTP/1.1', 'Host: x', 'Connection: close', FORM_TYPE]
  return [...start, ...lines].join('\r\n')
}

t.test('requests that two readers could read differently are refused by the frame', async (t) => {
  const rows = [
    framed('Content-Length: 3', 'Transfer-Encoding: chunked', '', '0\r\n\r\n'),
    framed('Content-Length: 3', 'Content-Length: 4', '', 'a=b'),
    framed('Content-Length: -3', '', 'a=b'),
    framed('Content-Length : 3', '', 'a=b'),
    framed(`X: ${'x'.repeat(20_000)}`, 'Content-Length: 3', '', 'a=b'),
  ]
  for (const row of rows) t.match(await sendRaw(port, row), /^HTTP\/1\.1 4(00|31) /)
})

t.test('a form that is compressed is not unpacked', async (t) => {
  const answer = await broker.post(
    {},
    { body: Buffer.from([0x1f, 0x8b, 0x08, 0xff]), headers: { 'content-encoding': 'gzip' } },
  )
  t.equal(answer.status, 400)
})

t.test('a request with two Hosts is refused at every endpoint (TH-E10)', async (t) => {
  for (const path of ['/dex/token', '/dex/token/introspect', '/dex/userinfo', '/dex/nowhere']) {
    const answer = await sendRaw(port, rawPost(path, form, 'Host: elsewhere.example.test'))
    t.match(answer, /^HTTP\/1\.1 400 [^]*\{"error":"invalid_request"\}$/, path)
    t.notMatch(await sendRaw(port, rawPost(path, form)), /"invalid_request"\}$/, path)
  }
})

t.test('without allowed origins there is no CORS (TH-E12)', async (t) => {
  const answer = await app.inject({ url: '/dex/keys', headers: { origin: 'https://app.example.test' } })
  t.equal(answer.headers['access-control-allow-origin'], undefined)
})

t.test('CORS and web.headers as configured, on every answer', async (t) => {
  const web = { allowedOrigins: ['https://app.example.test'], headers: { 'X-Frame-Options': 'DENY' } }
  const world = await startTestBroker(t, { issuer, change: (config) => void Object.assign(config, { web }) })
  const ask = (method: 'GET' | 'OPTIONS', path: string, origin = 'https://app.example.test') =>
    world.app.inject({ method, url: path, headers: { origin, 'access-control-request-method': 'POST' } })
  for (const path of ['/dex/keys', '/dex/token', '/dex/userinfo', '/dex/.well-known/openid-configuration']) {
    const answer = await ask('GET', path)
    t.equal(answer.headers['access-control-allow-origin'], 'https://app.example.test', path)
    t.equal(answer.headers['x-frame-options'], 'DENY')
  }
  const preflight = await ask('OPTIONS', '/dex/token')
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, {
    'access-control-allow-methods': /POST/,
    'access-control-allow-headers': 'Authorization',
  })
  t.equal(
    (await ask('GET', '/dex/keys', 'https://evil.example.test')).headers['access-control-allow-origin'],
    undefined,
  )
  t.equal((await ask('GET', '/dex/healthz')).headers['access-control-allow-origin'], undefined, 'as Dex')
  for (const path of ['/nowhere', '/dex/healthz'])
    t.equal((await world.app.inject({ url: path })).headers['x-frame-options'], 'DENY', path)
})

t.test('the address behind a proxy counts only when the proxy is one of ours (TH-E11)', async (t) => {
  const web = { clientAddress: { header: 'X-Forwarded-For', trustedProxies: ['127.0.0.1/32', '10.0.0.0/8'] } }
  const world = await startTestBroker(t, { issuer, change: (config) => void Object.assign(config, { web }) })
  const headers = { 'x-forwarded-for': '1.2.3.4, 198.51.100.7, 10.1.1.1' }
  await world.credentials({}, { headers })
  t.equal(world.audit()?.peer, '198.51.100.7', 'the first from the right that is no proxy')
  await world.credentials({}, { headers, address: '203.0.113.9' })
  t.equal(world.audit()?.peer, '203.0.113.9', 'a stranger’s word is not taken')
  await world.credentials({}, { headers: { 'x-forwarded-for': 'unknown' } })
  t.equal(world.audit()?.peer, '127.0.0.1')
  await broker.credentials({}, { headers })
  t.equal(broker.audit()?.peer, '127.0.0.1', 'and nobody’s where no proxy is configured')
})

t.test('an address that asks too often waits, and others do not', async (t) => {
  const limits = { addressRate: 1, addressBurst: 2, clientRate: 0 }
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(config, { limits }),
  })
  const ask = async (address: string): Promise<number> => (await world.credentials({}, { address })).status
  t.same([await ask('192.0.2.1'), await ask('192.0.2.1')], [200, 200])
  const answer = await world.credentials({}, { address: '192.0.2.1' })
  t.equal(answer.status, 429)
  t.equal(answer.headers['retry-after'], '1')
  t.equal(answer.json['error'], 'temporarily_unavailable')
  t.match(world.audit(), { reason: 'rate_limited', step: 'request', evidence: { key: 'address' } })
  t.equal(await ask('192.0.2.2'), 200)
  world.clock.now += 1000
  t.equal(await ask('192.0.2.1'), 200)
  t.equal(await ask('192.0.2.1'), 429)
  const own = await world.app.inject({ url: '/dex/userinfo', remoteAddress: '192.0.2.1' })
  t.equal(own.statusCode, 429, 'checking a token costs, too')
  t.equal(
    (await world.app.inject({ url: '/dex/keys', remoteAddress: '192.0.2.1' })).statusCode,
    200,
    'keys are for everybody',
  )
})

t.test('all addresses of one IPv6 network are one caller', async (t) => {
  const limits = { addressRate: 1, addressBurst: 2, clientRate: 0 }
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(config, { limits }),
  })
  const ask = async (address: string): Promise<number> => (await world.credentials({}, { address })).status
  t.same([await ask('2001:db8:1:2::1'), await ask('2001:db8:1:2:aaaa::2')], [200, 200])
  t.equal(await ask('2001:db8:1:2::3'), 429)
  t.match(
    world.audit(),
    { reason: 'rate_limited', peer: '2001:db8:1:2::3' },
    'the audit has the very address',
  )
  t.equal(await ask('2001:db8:1:3::1'), 200)
})

t.test('guesses at one client’s secret are limited for that address alone (TH-I04)', async (t) => {
  const limits = { addressRate: 0, clientRate: 1, clientBurst: 2 }
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(config, { limits }),
  })
  const guess = async (address: string, client = 'ci-pipeline'): Promise<number> =>
    (await world.credentials({ client_id: client, client_secret: 'guess' }, { address })).status
  t.same([await guess('192.0.2.1'), await guess('192.0.2.1'), await guess('192.0.2.1')], [401, 401, 429])
  t.match(world.audit(), { reason: 'rate_limited', evidence: { key: 'client' } })
  t.equal(
    (await world.credentials({}, { address: '192.0.2.2' })).status,
    200,
    'the client itself is not locked out',
  )
  const introspect = { client_id: 'ci-pipeline', client_secret: 'guess', token: 'x' }
  t.equal((await world.post(introspect, { path: '/token/introspect', address: '192.0.2.1' })).status, 429)
  t.same(
    [await guess('192.0.2.3', 'a'), await guess('192.0.2.3', 'b'), await guess('192.0.2.3', 'c')],
    [401, 401, 429],
    'invented ids share one bucket',
  )
})

/** A broker with room for one request, whose one request waits for the issuer's keys until `finish`. */
async function busyBroker(t: Test) {
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(config, { limits: { maxConcurrentRequests: 1 } }),
  })
  const { promise: held, resolve: finish } = Promise.withResolvers<void>()
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
  const keys = JSON.stringify(issuer.publicJwks())
  issuer.behave({
    jwks: (_request, response) => {
      ask()
      void held.then(() => response.end(keys))
    },
  })
  t.teardown(() => issuer.behave({}))
  return { world, asked, finish }
}

t.test(
  'more requests in work than configured are told to come back, and the audit says so (TH-H07)',
  async (t) => {
    const { world, asked, finish } = await busyBroker(t)
    const first = world.exchange()
    await asked
    const refused = await world.credentials()
    t.equal(refused.status, 503)
    t.equal(refused.text, '{"error":"temporarily_unavailable"}')
    t.equal(refused.headers['retry-after'], '1')
    t.equal(refused.headers['x-request-id'], world.audit()?.requestId)
    t.match(world.audit(), {
      event: 'token',
      decision: 'fail',
      step: 'request',
      reason: 'too_busy',
      evidence: { maxRequests: 1 },
    })
    const introspect = { client_id: 'ci', client_secret: SECRETS.ci, token: 'x' }
    t.equal((await world.post(introspect, { path: '/token/introspect' })).status, 503)
    t.match(world.audit(), { event: 'introspection', reason: 'too_busy' })
    const userinfo = await world.get('/userinfo', { authorization: 'Bearer x' })
    t.match(userinfo, { status: 503, headers: { 'retry-after': '1' } })
    for (const path of ['/keys', '/.well-known/openid-configuration', '/healthz'])
      t.equal((await world.get(path)).status, 200, `${path} is for everybody at any time`)
    finish()
    t.equal((await first).status, 200)
    t.equal((await world.credentials()).status, 200)
  },
)

t.test('a body that trickles in takes no place', async (t) => {
  const { world, finish } = await busyBroker(t)
  finish()
  await world.app.listen({ port: 0, host: '127.0.0.1' })
  const slow = await Promise.all([1, 2, 3].map(() => openSocket(portOf(world.app.server))))
  for (const socket of slow)
    socket.write('POST /dex/token HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc')
  await sleep(50)
  t.equal((await world.credentials()).status, 200)
  for (const socket of slow) socket.destroy()
})

t.test('callers that leave keep their place until their work is done, and then give it back', async (t) => {
  const { world, asked, finish } = await busyBroker(t)
  await world.app.listen({ port: 0, host: '127.0.0.1' })
  const gone = await openSocket(portOf(world.app.server))
  const body = encodeForm({
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    client_id: 'ci',
    client_secret: SECRETS.ci,
    connector_id: 'gitlab',
    subject_token: world.mint(),
    subject_token_type: 'urn:ietf:params:oauth:token-type:id_token',
  })
  gone.write(rawPost('/dex/token', body))
  await asked
  gone.destroy()
  await sleep(50)
  t.equal((await world.credentials()).status, 503, 'leaving makes no room for more work')
  finish()
  while (world.audit()?.decision !== 'allow') await sleep(5)
  t.equal((await world.credentials()).status, 200)
})

/** Seconds of all answered token requests, as the metrics tell them. */
async function spent(): Promise<number> {
  const { payload } = await broker.ops.inject({ url: '/metrics' })
  const sum = /request_duration_seconds_sum\{code="200",method="post",handler="\/dex\/token"\} (\S+)/
  return Number(sum.exec(payload)?.[1] ?? 0)
}

t.test('metrics tell how long a request took, from its head to its answer', async (t) => {
  const before = await spent()
  const socket = await openSocket(port)
  const read = once(app.server, 'request')
  socket.write(framed(`Content-Length: ${form.length}`, '', ''))
  await read
  await sleep(60)
  socket.write(form)
  t.match(await readAll(socket), /^HTTP\/1\.1 200 /)
  const seconds = (await spent()) - before
  t.ok(seconds > 0.05 && seconds < 10, `${seconds} s`)
})

t.test('a request that does not arrive is cut off, wherever it stopped (TH-E08)', async (t) => {
  const slow = await createPublicApp(broker.broker, {
    https: undefined,
    isIdle: () => false,
    timeouts: { requestMs: 200, checkMs: 20 },
  })
  t.teardown(() => slow.close())
  await slow.listen({ port: 0, host: '127.0.0.1' })
  const starts = [
    ['a body', 'POST /dex/token HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc'],
    ['a head', 'POST /dex/token HTTP/1.1\r\nHost: x\r\nX-'],
    ['nothing', ''],
  ] as const
  const began = performance.now()
  await Promise.all(
    starts.map(async ([says, start]) => {
      const socket = await openSocket(portOf(slow.server))
      socket.write(start)
      // A byte now and then is no excuse.
      const trickle = setInterval(() => start !== '' && socket.writable && socket.write('x'), 60)
      const answer = await readAll(socket)
      clearInterval(trickle)
      t.match(answer, /^(?:HTTP\/1\.1 408 |$)/, says)
    }),
  )
  const took = performance.now() - began
  t.ok(took >= 200 && took < 2000, `${took} ms`)
  t.match(await sendRaw(portOf(slow.server), rawPost('/dex/token', form)), /^HTTP\/1\.1 200 /)
})

t.test(
  'a server as it is served looks every second, allows ten, and has an end of connections (TH-E14)',
  async (t) => {
    const { server } = app
    t.equal(server.requestTimeout, 10_000)
    t.equal(server.headersTimeout, 10_000)
    t.equal(server.maxConnections, 10_000)
  },
)

t.test('without a limit nobody is refused', async (t) => {
  const world = await startTestBroker(t, {
    issuer,
    change: (config) => void Object.assign(config, { limits: { maxConcurrentRequests: 0 } }),
  })
  t.equal((await world.credentials()).status, 200)
})

t.test('pipelined requests on one connection are answered in order (TH-E14)', async (t) => {
  const socket = await openSocket(port)
  const first = rawPost('/dex/token', form).replace('Connection: close\r\n', '')
  socket.write(`${first}${rawPost('/dex/nowhere', '')}`)
  t.match(await readAll(socket), /^HTTP\/1\.1 200 [^]*HTTP\/1\.1 404 /)
})

t.test('a body that is held back leaves nobody out of the turns of those that are refused', async (t) => {
  const head = ['GET /dex/userinfo HTTP/1.1', 'Host: broker.example.test', 'Authorization: Bearer no']
  const refused = await sendRaw(port, [...head, 'Content-Length: 1', '', ''].join('\r\n'))
  t.match(refused, /^HTTP\/1\.1 403 /)
  t.match(refused, /\r\nconnection: close\r\n/i)
  const kept = await openSocket(port)
  kept.setEncoding('utf8').write([...head, '', ''].join('\r\n'))
  const [answer] = await once(kept, 'data')
  t.match(answer, /^HTTP\/1\.1 403 /)
  t.notMatch(answer, /\r\nconnection: close\r\n/i, 'whoever owes nothing goes on')
  kept.destroy()
})

t.test('a body that was refused by its head is not waited for', async (t) => {
  const refused: readonly (readonly [string, RegExp, string])[] = [
    ['its length', /^HTTP\/1\.1 413 /, 'Content-Length: 1000000000'],
    ['two hosts', /^HTTP\/1\.1 400 /, 'Host: y\r\nContent-Length: 9'],
  ]
  for (const [says, status, headers] of refused) {
    const answer = await sendRaw(port, `POST /dex/token HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\nbody`)
    t.match(answer, status, says)
    t.match(answer, /\r\nconnection: close\r\n/i, says)
  }
})

t.test('whatever refuses a request, its connection comes after the others', async (t) => {
  const { server } = app
  const isPaused: [string | undefined, boolean][] = []
  const look = (request: IncomingMessage, response: ServerResponse): void =>
    void response.once('finish', () => isPaused.push([request.url, request.socket.isPaused()]))
  server.on('request', look)
  t.teardown(() => server.off('request', look))
  const requests = [
    'GET /dex/token HTTP/1.1\r\nHost: x\r\nHost: y',
    'GET /dex/nowhere HTTP/1.1\r\nHost: x',
    'GET /dex/userinfo HTTP/1.1\r\nHost: x',
    'GET /dex/keys HTTP/1.1\r\nHost: x',
  ]
  for (const request of requests) {
    const socket = await openSocket(port)
    socket.write(`${request}\r\n\r\n`)
    await once(socket, 'data')
    socket.destroy()
  }
  t.same(isPaused, [
    ['/dex/token', true],
    ['/dex/nowhere', true],
    ['/dex/userinfo', true],
    ['/dex/keys', false],
  ])
})
