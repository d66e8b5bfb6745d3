// `keys revoke --flush` towards apiservers that behave as the real ones do, and towards those that do not. The real ones
// are asked in test/e2e/kube_rotation.test.ts.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { hashGeneratedSecret } from '../../src/core/secret_hash.ts'
import { flushDeadlineSeconds } from '../../src/core/kube/key_flush.ts'
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import { makeKeyPair } from '../../src/platform/keys/key_material.ts'
import { openKeyRing } from '../../src/platform/keys/key_ring.ts'
import type { SigningKey } from '../../src/platform/keys/key_ring.ts'
import { createSigner } from '../../src/platform/keys/signer.ts'
import { openSqliteStore } from '../../src/platform/store/sqlite_store.ts'
import { flushApiservers, makeOldTokens } from '../../src/cli/keys_flush.ts'
import type { FlushResult } from '../../src/cli/keys_flush.ts'
import { freePort, portOf } from '../support/child_server.ts'
import { NOW, folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { makeClusterAuthority } from '../support/kube_pki.ts'
import { decodeToken } from '../support/test_broker.ts'

const ISSUER = 'https://sallyport.example.com'
const AUDIENCE = 'kube:prod'
const KEY_SET = '{"keys":[]}'
const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

const authority = await makeClusterAuthority()
const certificate = await authority.server(['127.0.0.1'])
const dir = folder(t)
const caFile = join(dir, 'ca.crt')
writeFileSync(caFile, authority.caPem)

type Seen = { readonly kid: string; readonly claims: Readonly<Record<string, unknown>>; readonly now: number }
type Said = { readonly status: number; readonly body: string }
type Apiserver = { readonly url: string; readonly seen: readonly Seen[]; readonly tokens: readonly string[] }

/** Answers each shown token as `judge` says; `metrics` is what its /metrics holds for who shows `metrics-token`. */
async function apiserver(
  t: Test,
  world: World,
  judge: (seen: Seen) => Said,
  metrics = (): string => '',
): Promise<Apiserver> {
  const seen: Seen[] = []
  const tokens: string[] = []
  const answer = (request: IncomingMessage): Said => {
    const token = (request.headers.authorization ?? '').replace('Bearer ', '')
    if (request.url === '/metrics')
      return token === 'metrics-token' ? { status: 200, body: metrics() } : { status: 403, body: '' }
    const { header, claims } = decodeToken(token)
    const one = { kid: String(header['kid']), claims, now: world.clock() }
    seen.push(one)
    tokens.push(token)
    return judge(one)
  }
  const server = createServer({ cert: certificate.certPem, key: certificate.keyPem }, (request, response) => {
    const { status, body } = answer(request)
    response.writeHead(status).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `https://127.0.0.1:${portOf(server)}`, seen, tokens }
}

const REFUSED: Said = { status: 401, body: '{"kind":"Status","code":401}' }
const known = ({ claims }: Seen): Said => ({
  status: 201,
  body: JSON.stringify({
    kind: 'SelfSubjectReview',
    status: { userInfo: { username: `ci:${String(claims['sub'])}` } },
  }),
})

type World = {
  readonly clock: () => number
  readonly sleep: (milliseconds: number) => Promise<void>
  readonly told: string[]
}

/** Whoever sleeps wakes at its time at once; time goes no way back. */
function virtualWorld(): World {
  let now = NOW
  return {
    clock: () => now,
    told: [],
    async sleep(milliseconds) {
      const wake = now + milliseconds
      await new Promise((resolve) => setImmediate(resolve))
      now = Math.max(now, wake)
    },
  }
}

async function signer(): Promise<SigningKey> {
  const { kid, privateKey } = await makeKeyPair('ES256')
  return createSigner({ kid, algorithm: 'ES256', privateKey }, inPlacePool)
}
const [oldKey, fresh] = [await signer(), await signer()]

async function flush(
  world: World,
  urls: readonly string[],
  metricsTokenFile?: string,
): Promise<readonly FlushResult[]> {
  const apiservers = urls.map((url) => ({ url, audience: AUDIENCE, caFile, metricsTokenFile }))
  const { clock, sleep, told } = world
  const order = { issuer: ISSUER, apiservers }
  const oldTokens = await makeOldTokens(oldKey, order, { clock, randomBytes })
  return flushApiservers(
    { ...order, fresh, oldTokens },
    { clock, sleep, randomBytes, keySet: async () => KEY_SET, tell: (line) => told.push(line) },
  )
}

/** As go-oidc: the fresh key is met `lagSeconds` after the revocation, and then the old one is forgotten. */
function honest(lagSeconds: number): (seen: Seen) => Said {
  let fetched = false
  return (seen) => {
    if (seen.kid === fresh.kid && seen.now >= NOW + lagSeconds * 1000) fetched = true
    return (seen.kid === fresh.kid) === fetched ? known(seen) : REFUSED
  }
}

t.test('an apiserver is flushed when it accepts the new key, and the old one is then refused', async (t) => {
  const world = virtualWorld()
  const [quick, slow] = [await apiserver(t, world, honest(0)), await apiserver(t, world, honest(69))]
  t.match(await flush(world, [quick.url, slow.url]), [
    { url: quick.url, proof: 'token', oldKey: 'refused', problem: undefined },
    { url: slow.url, proof: 'token', oldKey: 'refused', problem: undefined },
  ])
  t.equal(slow.seen[0]?.kid, oldKey.kid, 'first what it still trusts')
  t.ok(slow.seen.filter(({ kid }) => kid === fresh.kid).length > 20, 'tried every two seconds')
  t.ok((quick.seen[1]?.now ?? 0) >= NOW + 10_000, 'not before every replica of the broker serves the key')
})

t.test('what is shown is nobody: no groups, a name of fresh randomness, for seconds', async (t) => {
  const server = await apiserver(t, virtualWorld(), honest(0))
  await flush(virtualWorld(), [server.url])
  for (const { kid, claims } of server.seen) {
    t.match(claims, { iss: ISSUER, aud: AUDIENCE, token_use: 'kube', groups: undefined, policy: undefined })
    t.match(claims['sub'], /^sallyport-key-flush:[0-9a-f-]{36}$/)
    t.equal(claims['sub'], `sallyport-key-flush:${String(claims['jti'])}`)
    const seconds = Number(claims['exp']) - Number(claims['iat'])
    t.equal(seconds <= (kid === fresh.kid ? 35 : flushDeadlineSeconds + 65), true, `${seconds} s`)
  }
  t.equal(
    new Set(server.tokens).size,
    server.tokens.length,
    'each token once: an apiserver caches what it accepted',
  )
})

t.test('an apiserver that cannot be reached is named, and does not hold up the others', async (t) => {
  const world = virtualWorld()
  const gone = `https://127.0.0.1:${await freePort()}`
  const up = await apiserver(t, world, honest(0))
  const [first, second] = await flush(world, [gone, up.url])
  t.match(first, { url: gone, proof: undefined, problem: /ECONNREFUSED/ })
  t.match(second, { proof: 'token', problem: undefined })
  t.equal(world.told.filter((line) => line.includes(gone)).length, 1, 'told once, not for each try')
})

t.test('a machine that slept through the time asks once more', async (t) => {
  const world = virtualWorld()
  const asleep = { ...world, sleep: (milliseconds: number) => world.sleep(milliseconds * 100) }
  let asked = 0
  const { url } = await apiserver(t, world, (seen) => {
    asked += 1
    return asked === 2
      ? { status: 503, body: '' }
      : seen.kid === fresh.kid || asked === 1
        ? known(seen)
        : REFUSED
  })
  // The old key's token has expired meanwhile: that it is refused would say nothing.
  t.match(await flush(asleep, [url]), [{ proof: 'token', oldKey: 'untried', problem: undefined }])
})

t.test('one that never accepts the new key is not flushed', async (t) => {
  const world = virtualWorld()
  const { url } = await apiserver(t, world, (seen) => (seen.kid === oldKey.kid ? known(seen) : REFUSED))
  const [result] = await flush(world, [url])
  t.match(result, { proof: undefined, problem: /did not accept the new key within 80 s/ })
  t.ok((result?.seconds ?? 0) >= flushDeadlineSeconds)
})

t.test('one that accepts the new key and the old one too is not flushed', async (t) => {
  const world = virtualWorld()
  const { url } = await apiserver(t, world, known)
  t.match(await flush(world, [url]), [{ oldKey: 'accepted', problem: /still accepts the revoked key/ }])
})

t.test('a server that answers without reading the token proves nothing', async (t) => {
  const world = virtualWorld()
  for (const status of [200, 201, 403, 500]) {
    const { url } = await apiserver(t, world, () => ({ status, body: '{"kind":"SelfSubjectReview"}' }))
    t.match(await flush(world, [url]), [{ proof: undefined, problem: new RegExp(`answered ${status}`) }])
  }
})

t.test('where a cluster forbids the question, the answer that names the user is as good', async (t) => {
  const world = virtualWorld()
  const judge = honest(0)
  const { url } = await apiserver(t, world, (seen) => {
    const said = judge(seen)
    return said === REFUSED ? said : { ...said, status: 403 }
  })
  t.match(await flush(world, [url]), [{ proof: 'token', oldKey: 'refused' }])
})

/** The line of one issuer's key set in /metrics. */
function keySetLine(set: string, issuer = ISSUER): string {
  const labels = `apiserver_id_hash="sha256:0",hash="${sha256(set)}",jwt_issuer_hash="${sha256(issuer)}"`
  return `apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info{${labels}} 1\n`
}

t.test('where rules refuse every token of a flush, its metrics name the key set that it holds', async (t) => {
  const world = virtualWorld()
  const metrics = (): string =>
    `# HELP x\n${keySetLine(KEY_SET, 'https://other.example.com')}${keySetLine(world.clock() < NOW + 40_000 ? 'old' : KEY_SET)}`
  const { url } = await apiserver(t, world, () => REFUSED, metrics)
  t.match(await flush(world, [url]), [{ proof: undefined, problem: /give it metricsTokenFile/ }])
  const metricsTokenFile = join(dir, 'metrics-token')
  writeFileSync(metricsTokenFile, 'metrics-token\n')
  const next = virtualWorld()
  const again = await apiserver(t, next, () => REFUSED, metrics)
  t.match(await flush(next, [again.url], metricsTokenFile), [{ proof: 'metrics', problem: undefined }])
})

type Installed = { readonly kid: string; readonly run: (...argv: string[]) => Promise<CliRun> }

async function install(t: Test, apiservers: string): Promise<Installed> {
  const cwd = folder(t)
  writeFileSync(
    join(cwd, 'sallyport.yaml'),
    `issuer: ${ISSUER}
listen: { public: '127.0.0.1:8443' }
store: { type: sqlite, file: sallyport.db }
clients: [{ id: ci, auth: { method: client_secret, secretHashes: ['${hashGeneratedSecret('k', Buffer.alloc(16))}'] } }]
audiences: [{ id: '${AUDIENCE}', profile: kubernetes, clients: [ci] }]
kube: { apiservers: [${apiservers}] }
`,
  )
  const store = await openSqliteStore({ file: join(cwd, 'sallyport.db'), clock: () => NOW })
  const ring = await openKeyRing({
    store,
    clock: () => NOW,
    randomBytes,
    config: {
      algorithm: 'ES256',
      rotationSeconds: 86_400,
      sealingKeyFile: undefined,
      extraPublicKeysFile: undefined,
    },
    maxTokenTtlSeconds: 600,
    log: { info: () => {}, warn: () => {} },
    refreshSeconds: 0,
  })
  const { kid } = ring.current()
  await store.close()
  return { kid, run: (...argv) => runCli(['keys', ...argv], { cwd }) }
}

t.test('revoke --flush says of each apiserver that it is flushed, and never a token', async (t) => {
  let revoked = ''
  let shown = 0
  const { url, tokens } = await apiserver(t, virtualWorld(), (seen) => {
    shown += 1
    // The first is the old key's; from the second on the fetch has happened.
    return (seen.kid === revoked) === (shown === 1) ? known(seen) : REFUSED
  })
  const { kid, run } = await install(t, `{ url: '${url}', audience: '${AUDIENCE}', caFile: '${caFile}' }`)
  revoked = kid
  const done = await run('revoke', kid, '--flush')
  t.equal(done.code, 0, done.stderr)
  const lines = done.stdout.split('\n')
  t.match(lines[0], `revoked  ${kid}`)
  t.match(lines[1], /^signing  /)
  t.match(
    lines[2],
    /^flushed {6}https:\/\/127\.0\.0\.1:\d+ {2}kube:prod {2}after \d+ s: accepts the new key, refuses the revoked one$/,
  )
  t.match(done.stderr, /flushing 1 kube-apiserver/)
  for (const token of tokens) t.notMatch(done.stdout + done.stderr, token.split('.')[2])
  t.notMatch((await run('list')).stdout, kid)
})

t.test('keys flush publishes a key that nobody has met, and the answer is JSON when asked for', async (t) => {
  const { url, seen } = await apiserver(t, virtualWorld(), known)
  const { kid, run } = await install(t, `{ url: '${url}', audience: '${AUDIENCE}', caFile: '${caFile}' }`)
  const done = await run('flush', '--json')
  t.equal(done.code, 0, done.stderr)
  t.match(JSON.parse(done.stdout), {
    signing: { kid },
    apiservers: [{ url, audience: AUDIENCE, flushed: true, proof: 'token', oldKey: 'untried' }],
  })
  t.not(seen[0]?.kid, kid)
  t.match((await run('list')).stdout, new RegExp(`^signing  ${kid} .*\nnext     ${seen[0]?.kid}`))
})

t.test('without apiservers nothing is revoked, and an unknown key flushes nobody', async (t) => {
  const none = await install(t, '')
  t.match(await none.run('revoke', none.kid, '--flush'), {
    code: 78,
    stderr: /nothing was done.*kube\.apiservers/,
  })
  t.match((await none.run('list')).stdout, none.kid)
  const { url, seen } = await apiserver(t, virtualWorld(), known)
  const { run } = await install(t, `{ url: '${url}', audience: '${AUDIENCE}', caFile: '${caFile}' }`)
  t.match(await run('revoke', 'nothing', '--flush'), {
    code: 1,
    stdout: '',
    stderr: /no key has the kid nothing/,
  })
  t.equal(seen.length, 0)
})
