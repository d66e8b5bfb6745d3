import http from 'node:http'
import https from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { once } from 'node:events'
import t from 'tap'
import type { Test } from 'tap'
import { mayReach } from '../../src/platform/egress/address_rules.ts'
import { createBoundedFetch } from '../../src/platform/egress/bounded_fetch.ts'
import type { BoundedFetchConfig } from '../../src/platform/egress/bounded_fetch.ts'
import { egressRulesOf, permitUrl } from '../../src/platform/egress/egress_guard.ts'
import type { EgressRules, ResolveHost } from '../../src/platform/egress/egress_guard.ts'
import { connectorFor } from '../support/subject_fixture.ts'
import { makeTestCertificate, portOf, startTestIssuer, testCertificate } from '../support/test_issuer.ts'

const LOCAL: EgressRules = { hosts: new Map([['localhost', { reach: 'private', http: true }]]) }
const noTls = { caPem: undefined, insecureSkipVerify: false }

/** A server on localhost that answers as it is told, and a fetch that may reach it. */
async function serve(
  t: Test,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  config: Partial<BoundedFetchConfig> = {},
) {
  const server = http.createServer(handle)
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const fetch = createBoundedFetch({
    rules: LOCAL,
    tls: noTls,
    limits: { totalMs: 500, maxBodyBytes: 1000 },
    ...config,
  })
  t.teardown(() => {
    fetch.close()
    server.closeAllConnections()
    server.close()
  })
  return { fetch, url: `http://localhost:${portOf(server)}/x` }
}

const unreachable = [
  '127.0.0.1',
  '127.8.8.8',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.169.254',
  '0.0.0.0',
  '0.1.2.3',
  '224.0.0.1',
  '255.255.255.255',
  '240.0.0.1',
  '192.0.2.1',
  '198.18.0.1',
  '::',
  '::1',
  'fe80::1',
  'fc00::1',
  'fd00:ec2::254',
  'ff02::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '::127.0.0.1',
  '64:ff9b::10.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '2002:7f00:1::',
  '2001::1',
  '2001:db8::1',
  '100::1',
]
for (const address of unreachable) {
  t.test(`the address ${address} is out of reach for a host that nobody configured (TH-F06)`, async (t) => {
    t.equal(mayReach(address, 'public'), false)
    t.equal(mayReach('140.82.112.3', 'public'), true)
  })
}

t.test('global addresses are within reach, behind NAT64 too', async (t) => {
  for (const address of ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:50c0:8000::153', '64:ff9b::8c52:7003'])
    t.equal(mayReach(address, 'public'), true, address)
})

t.test(
  'a configured host may be on a private network, but never where clouds keep their metadata (TH-F06)',
  async (t) => {
    for (const address of ['127.0.0.1', '10.1.2.3', '192.168.0.1', '100.64.0.1', '::1', 'fd12::1', '8.8.8.8'])
      t.equal(mayReach(address, 'private'), true, address)
    for (const address of [
      '169.254.169.254',
      '0.0.0.0',
      '224.0.0.1',
      'fe80::1',
      '::',
      '::ffff:10.0.0.1',
      '64:ff9b::a9fe:a9fe',
    ])
      t.equal(mayReach(address, 'private'), false, address)
    for (const address of ['', 'localhost', 'fe80::1%eth0', '10.0.0'])
      t.equal(mayReach(address, 'private'), false, address)
  },
)

const rules: EgressRules = {
  hosts: new Map([
    ['issuer.example.test', { reach: 'private', http: false }],
    ['plain.example.test', { reach: 'private', http: true }],
    ['www.googleapis.com', { reach: 'public', http: false }],
    ['10.0.0.9', { reach: 'private', http: true }],
    ['10.0.0.8', { reach: 'public', http: true }],
    ['169.254.169.254', { reach: 'private', http: true }],
    ['keys.example.test:8443', { reach: 'private', http: false }],
  ]),
}
const urls: readonly [title: string, refused: string, kind: string, permitted: string][] = [
  [
    'an unknown host (TH-F09)',
    'https://attacker.example.test/jwks',
    'host',
    'https://issuer.example.test/jwks',
  ],
  [
    'plain http on a host configured with https (TH-F09)',
    'http://issuer.example.test/jwks',
    'url',
    'http://plain.example.test/jwks',
  ],
  [
    'user information (TH-F09)',
    'https://user:pw@issuer.example.test/jwks',
    'url',
    'https://issuer.example.test/@jwks',
  ],
  [
    'a host behind user information (TH-F09)',
    'https://issuer.example.test@attacker.test/',
    'url',
    'https://issuer.example.test/',
  ],
  ['a relative URL (TH-F09)', '/jwks', 'url', 'https://issuer.example.test/jwks?a=b'],
  ['a fragment', 'https://issuer.example.test/jwks#x', 'url', 'https://issuer.example.test/jwks%23x'],
  ['another scheme', 'file:///etc/passwd', 'url', 'HTTPS://issuer.example.test/jwks'],
  ['a backslash', 'https://issuer.example.test\\@attacker.test/', 'url', 'https://issuer.example.test/a'],
  ['white space', ' https://issuer.example.test/', 'url', 'https://issuer.example.test/'],
  ['a line break', 'https://issuer.example.test/\r\nX: y', 'url', 'https://issuer.example.test/%0d'],
  ['a Unicode host (TH-F19)', 'https://issuer.exampl\u0435.test/', 'url', 'https://issuer.example.test/'],
  [
    'a full-width host that folds to ours (TH-F19)',
    'https://\uff49ssuer.example.test/',
    'url',
    'https://issuer.example.test/',
  ],
  ['an IPv6 zone (TH-F19)', 'https://[fe80::1%25eth0]/', 'url', 'https://issuer.example.test/'],
  ['a decimal address (TH-F06)', 'http://167772169/', 'url', 'http://10.0.0.9/'],
  ['a hexadecimal address (TH-F06)', 'http://0x0a000009/', 'url', 'http://10.0.0.9/'],
  ['an octal address (TH-F06)', 'http://012.0.0.9/', 'url', 'http://10.0.0.9:80/'],
  [
    'a literal private address of a host that is only known (TH-F06)',
    'http://10.0.0.8/',
    'address',
    'http://10.0.0.9/',
  ],
  [
    'the metadata address, even configured (TH-F06)',
    'http://169.254.169.254/latest',
    'address',
    'http://10.0.0.9/latest',
  ],
  [
    'another port than the trusted one',
    'https://keys.example.test:9443/',
    'host',
    'https://keys.example.test:8443/',
  ],
  ['a trailing dot', 'https://issuer.example.test./', 'host', 'https://issuer.example.test:443/'],
  ['a name that ends on ours', 'https://evil-issuer.example.test/', 'host', 'https://issuer.example.test/'],
  [
    'a URL of more than 2048 characters',
    `https://issuer.example.test/${'a'.repeat(2048)}`,
    'url',
    `https://issuer.example.test/${'a'.repeat(2000)}`,
  ],
]
for (const [title, refused, kind, permitted] of urls) {
  t.test(`a URL is not asked because of ${title}`, async (t) => {
    t.match(permitUrl(refused, rules), { kind, detail: String })
    t.match(permitUrl(permitted, rules), { url: URL, reach: String })
  })
}

t.test(
  'a connector reaches its issuer, what was configured, and what its issuer is known to use',
  async (t) => {
    const issuer = await startTestIssuer({ scheme: 'http' })
    t.teardown(() => issuer.close())
    const connector = connectorFor(issuer, { trustedHosts: ['Keys.example.test'] })
    t.strictSame(Object.fromEntries(egressRulesOf(connector).hosts), {
      localhost: { reach: 'private', http: true },
      'keys.example.test': { reach: 'private', http: false },
    })
    const google = connectorFor(issuer, {
      issuer: 'https://accounts.google.com',
      keys: { kind: 'jwks_uri', uri: 'https://accounts.google.com/x', userinfoUri: undefined },
    })
    t.match(permitUrl('https://www.googleapis.com/oauth2/v3/certs', egressRulesOf(google)), {
      reach: 'public',
    })
    t.match(permitUrl('https://www.googleapis.com/oauth2/v3/certs', egressRulesOf(connector)), {
      kind: 'host',
    })
    t.equal(
      egressRulesOf({ ...connector, keys: { kind: 'file', path: '/x' }, trustedHosts: [] }).hosts.size,
      0,
    )
  },
)

t.test(
  'a host that was named with its port and by a plain http URL may be asked by plain http',
  async (t) => {
    const issuer = await startTestIssuer({ scheme: 'http' })
    t.teardown(() => issuer.close())
    const connector = connectorFor(issuer, { trustedHosts: [new URL(issuer.url).host] })
    t.match(permitUrl(issuer.jwksUri, egressRulesOf(connector)), { reach: 'private' })
  },
)

t.test('a name is resolved once for everybody who asks meanwhile', async (t) => {
  let asked = 0
  const slow: ResolveHost = (_hostname, done) => {
    asked += 1
    setTimeout(() => done(null, [{ address: '127.0.0.1', family: 4 }]), 30)
  }
  const { fetch, url } = await serve(t, (_request, response) => response.end('{}'), { resolve: slow })
  const answers = await Promise.all(Array.from({ length: 5 }, () => fetch.get(url)))
  t.ok(answers.every((answer) => answer.ok))
  t.equal(asked, 1)
})

/** Answers a name once with each of the given address lists, the last one for ever. */
function resolving(...answers: string[][]): ResolveHost {
  let turn = 0
  return (_hostname, done) => {
    const addresses = answers[Math.min(turn, answers.length - 1)] ?? []
    turn += 1
    done(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }
}

t.test(
  'a name that resolves to an address out of reach is refused when the socket connects (TH-F06)',
  async (t) => {
    const { url } = await serve(t, (_request, response) => response.end('{}'))
    const known: EgressRules = { hosts: new Map([['localhost', { reach: 'public', http: true }]]) }
    for (const addresses of [
      ['127.0.0.1'],
      ['8.8.8.8', '10.0.0.1'],
      ['::ffff:127.0.0.1'],
      ['169.254.169.254'],
      ['fd00::1'],
    ]) {
      const fetch = createBoundedFetch({ rules: known, tls: noTls, resolve: resolving(addresses) })
      t.match(await fetch.get(url), { ok: false, kind: 'address' }, addresses.join())
      fetch.close()
    }
    const configured = createBoundedFetch({ rules: LOCAL, tls: noTls, resolve: resolving(['127.0.0.1']) })
    t.match(await configured.get(url), { ok: true, status: 200 })
    configured.close()
  },
)

t.test('a name that changes its address between two requests is judged again (TH-F06)', async (t) => {
  const { url } = await serve(t, (_request, response) => response.setHeader('connection', 'close').end('{}'))
  const fetch = createBoundedFetch({
    rules: LOCAL,
    tls: noTls,
    resolve: resolving(['127.0.0.1'], ['169.254.169.254']),
  })
  t.match(await fetch.get(url), { ok: true })
  t.match(await fetch.get(url), { ok: false, kind: 'address', detail: /169\.254/ })
  fetch.close()
})

t.test('an ordinary answer is fetched with its body', async (t) => {
  const { fetch, url } = await serve(t, (request, response) => {
    t.match(request.headers, { accept: 'application/json', 'accept-encoding': 'identity' })
    response
      .writeHead(404, { 'cache-control': 'max-age=5', 'content-type': 'application/json' })
      .end('{"a":1}')
  })
  t.match(await fetch.get(url), {
    ok: true,
    status: 404,
    cacheControl: 'max-age=5',
    body: Buffer.from('{"a":1}'),
  })
})

t.test('idle connections are used again, and one that the peer closed costs nothing', async (t) => {
  const ports = new Set<number>()
  const { fetch, url } = await serve(t, (request, response) => {
    const { socket } = request
    ports.add(socket.remotePort ?? 0)
    response.end('{}')
    if (request.url?.endsWith('?close') === true) setImmediate(() => socket.resetAndDestroy())
  })
  t.match(await fetch.get(url), { ok: true })
  t.match(await fetch.get(`${url}?close`), { ok: true })
  t.equal(ports.size, 1)
  for (let round = 0; round < 5; round += 1) t.match(await fetch.get(url), { ok: true })
})

const misbehaviours: readonly [
  string,
  (request: IncomingMessage, response: ServerResponse) => void,
  string,
][] = [
  ['never answers (TH-F03)', () => undefined, 'timeout'],
  [
    'sends its body byte by byte (TH-F03)',
    (_request, response) => {
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    },
    'timeout',
  ],
  [
    'sends more than the limit (TH-F04)',
    (_request, response) => response.end(Buffer.alloc(1001)),
    'too_large',
  ],
  [
    'never stops sending (TH-F04)',
    (_request, response) => {
      const timer = setInterval(() => response.write(Buffer.alloc(400)), 1)
      response.on('close', () => clearInterval(timer))
    },
    'too_large',
  ],
  [
    'promises more than the limit (TH-F04)',
    (_request, response) => response.writeHead(200, { 'content-length': 1001 }).flushHeaders(),
    'too_large',
  ],
  [
    'breaks off (TH-F04)',
    (_request, response) =>
      response.writeHead(200, { 'content-length': 900 }).write('x', () => response.destroy()),
    'network',
  ],
  [
    'compresses (TH-F04)',
    (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
    'encoding',
  ],
  [
    'sends 40 KB of headers',
    (_request, response) => response.writeHead(200, { x: 'y'.repeat(40_000) }).end('x'),
    'network',
  ],
  ...[301, 302, 303, 307, 308].map(
    (status): [string, (request: IncomingMessage, response: ServerResponse) => void, string] => [
      `redirects with ${status} (TH-F05)`,
      (_request, response) => response.writeHead(status, { location: 'http://169.254.169.254/' }).end(),
      'redirect',
    ],
  ),
]
for (const [title, handle, kind] of misbehaviours) {
  t.test(`a peer is given up that ${title}`, async (t) => {
    let isWell = false
    const { fetch, url } = await serve(t, (request, response) =>
      isWell ? response.end(Buffer.alloc(1000)) : handle(request, response),
    )
    const start = performance.now()
    t.match(await fetch.get(url), { ok: false, kind })
    t.ok(performance.now() - start < 1500)
    isWell = true
    t.match(await fetch.get(url), { ok: true, status: 200 })
  })
}

t.test('what is left of a longer undertaking bounds a request', async (t) => {
  const { fetch, url } = await serve(t, () => undefined, { limits: { totalMs: 60_000, maxBodyBytes: 1000 } })
  t.match(await fetch.get(url, { timeoutMs: 50 }), { ok: false, kind: 'timeout' })
  t.match(await fetch.get(url, { timeoutMs: -5 }), { ok: false, kind: 'timeout' })
})

t.test('a dead port is a failure with its code, and closing fails what runs', async (t) => {
  const { fetch, url } = await serve(t, () => undefined)
  t.match(await fetch.get('http://localhost:1/'), { ok: false, kind: 'network', detail: 'ECONNREFUSED' })
  const running = fetch.get(url)
  setTimeout(() => fetch.close(), 50)
  t.match(await running, { ok: false, kind: 'network' })
})

async function getOnce(url: string, caPem: string | undefined, insecureSkipVerify = false) {
  const fetch = createBoundedFetch({ rules: LOCAL, tls: { caPem, insecureSkipVerify } })
  const answer = await fetch.get(url)
  fetch.close()
  return answer
}

t.test('a certificate must hold, and a CA counts for its connector alone (TH-F07)', async (t) => {
  const trusted = await testCertificate()
  const foreign = await makeTestCertificate(['other.example.test'])
  const expired = await makeTestCertificate(['localhost'], Date.now() - 4 * 365 * 86_400_000)
  const start = async (options: https.ServerOptions) => {
    const server = https.createServer(options, (_request, response) => response.end('{}'))
    server.listen(0, 'localhost')
    await once(server, 'listening')
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return `https://localhost:${portOf(server)}/`
  }
  const good = await start({ cert: trusted.certPem, key: trusted.keyPem })
  t.match(await getOnce(good, trusted.caPem), { ok: true })
  t.match(await getOnce(good, undefined), { ok: false, kind: 'network' })
  t.match(await getOnce(good, foreign.caPem), { ok: false, kind: 'network' })
  t.match(await getOnce(good, undefined, true), { ok: true })
  const wrongName = await start({ cert: foreign.certPem, key: foreign.keyPem })
  t.match(await getOnce(wrongName, foreign.caPem), { ok: false, detail: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  const tooOld = await start({ cert: expired.certPem, key: expired.keyPem })
  t.match(await getOnce(tooOld, expired.caPem), { ok: false, detail: 'CERT_HAS_EXPIRED' })
  const oldProtocol = await start({
    cert: trusted.certPem,
    key: trusted.keyPem,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  t.match(await getOnce(oldProtocol, trusted.caPem), { ok: false, kind: 'network' })
})

t.test('the environment neither turns certificates off nor names a proxy (TH-F07, TH-F08)', async (t) => {
  const trusted = await testCertificate()
  const server = https.createServer({ cert: trusted.certPem, key: trusted.keyPem }, (_request, response) =>
    response.end('{}'),
  )
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const names = ['NODE_TLS_REJECT_UNAUTHORIZED', 'HTTPS_PROXY', 'https_proxy', 'NODE_USE_ENV_PROXY'] as const
  const before = names.map((name) => process.env[name])
  t.teardown(() => {
    for (const [index, name] of names.entries()) {
      const value = before[index]
      if (value === undefined) Reflect.deleteProperty(process.env, name)
      else process.env[name] = value
    }
    server.closeAllConnections()
    server.close()
  })
  for (const name of names)
    process.env[name] = name === 'NODE_TLS_REJECT_UNAUTHORIZED' ? '0' : 'http://127.0.0.1:1'
  process.env['NODE_USE_ENV_PROXY'] = '1'
  const url = `https://localhost:${portOf(server)}/`
  const distrusting = createBoundedFetch({ rules: LOCAL, tls: noTls })
  const trusting = createBoundedFetch({
    rules: LOCAL,
    tls: { caPem: trusted.caPem, insecureSkipVerify: false },
  })
  t.match(await distrusting.get(url), { ok: false, kind: 'network' })
  t.match(await trusting.get(url), { ok: true })
  distrusting.close()
  trusting.close()
})
