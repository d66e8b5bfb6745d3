// `sallyport serve` whose private key lies elsewhere: behind a key service (a process of ours) and in a SoftHSM token.
import { createPrivateKey } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import type { Test } from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import type { ChildServer } from '../support/child_server.ts'
import { startKeyService } from '../support/key_service.ts'
import { runSallyport } from '../support/sallyport_command.ts'
import { FOR_APP, exchangeForm, makeFolder } from '../support/served.ts'
import type { Folder } from '../support/served.ts'
import { SOFT_HSM_PIN, makeSoftHsm, softHsmMissing } from '../support/soft_hsm.ts'
import type { Config } from '../support/test_broker.ts'
import { startTestIssuer } from '../support/test_issuer.ts'

const command = { env: { CI_SECRET: SECRETS.ci, PIPELINE_SECRET: SECRETS.pipeline } }
const BEARER = 'bearer-of-the-key-service'
const upstream = await startTestIssuer()
t.teardown(() => upstream.close())
const service = await startKeyService(t, t.testdir(), BEARER)
const folder = await makeFolder(t, upstream)

const signer = (change: Config = {}) => ({
  type: 'http',
  url: service.url,
  tokenFile: service.tokenFile,
  caFile: service.caFile,
  key: 'ec',
  timeout: '1s',
  ...change,
})

function configure(at: Folder, keys: Config): void {
  at.write((config) => Object.assign(config, { keys }))
}

let tokens = 0
/** One exchange of a token that was not used before. */
async function exchange(at: Folder, token = at.mint({ jti: `job-${(tokens += 1)}` })) {
  return at.post(exchangeForm(token, FOR_APP))
}

/** The kid of the token, once a relying party has verified it with the key set of now. */
async function verifiedKid(at: Folder, token: unknown): Promise<string | undefined> {
  const keySet = createLocalJWKSet(JSON.parse(await at.text(`${at.issuer}/keys`)))
  return (await jwtVerify(String(token), keySet, { issuer: at.issuer })).protectedHeader.kid
}

const kids = async (at: Folder): Promise<readonly string[]> =>
  JSON.parse(await at.text(`${at.issuer}/keys`)).keys.map(({ kid }: { readonly kid: string }) => kid)

const auditEvents = (at: Folder): readonly Config[] =>
  readFileSync(join(at.path, 'audit.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

/** Nothing that was written down, and nothing in the store, holds one of the secrets. */
async function keepsQuiet(
  t: Test,
  at: Folder,
  server: ChildServer,
  secrets: readonly string[],
): Promise<void> {
  const files = readdirSync(at.path).filter((name) => /audit|sallyport\.db/.test(name))
  const pages = [await at.text(`${at.opsUrl}/metrics`), await at.text(`${at.opsUrl}/healthz`)]
  const texts = [server.logs(), ...pages].map((text) => Buffer.from(text))
  const bytes = Buffer.concat([...texts, ...files.map((name) => readFileSync(join(at.path, name)))])
  const all = bytes.toString('latin1')
  const says = (secret: string | Buffer): boolean => all.includes(secret.toString('latin1'))
  for (const secret of secrets) {
    t.notOk(says(secret))
    if (!secret.includes('PRIVATE KEY')) continue
    const { d = '-' } = createPrivateKey(secret).export({ format: 'jwk' })
    t.notOk(says(d))
    t.notOk(says(Buffer.from(d, 'base64url')))
  }
}

configure(folder, { signer: signer() })
const server = await folder.start()
const [old = ''] = await kids(folder)

t.test('a key behind HTTP signs, and the broker holds no private key', async (t) => {
  const issued = await exchange(folder)
  t.equal(issued.status, 200)
  t.strictSame([await verifiedKid(folder, issued.json['access_token'])], await kids(folder))
  t.match(await folder.text(`${folder.opsUrl}/readyz`), /signer/)
  const metrics = await folder.text(`${folder.opsUrl}/metrics`)
  t.match(metrics, /^sallyport_signer_seconds_count\{result="ok"\} [1-9]/m)
  t.match(metrics, /^sallyport_signer_breaker_state\{state="closed"\} 1$/m)
  await keepsQuiet(t, folder, server, [BEARER, ...(await service.secrets())])
})

t.test(
  'a signer that hangs or fails: 503 with its reason, nothing burned while it is left alone, and back by itself',
  async (t) => {
    await service.behave('hangs')
    const late = await exchange(folder)
    t.match(late, { status: 503, json: { error: 'temporarily_unavailable' } })
    t.match(auditEvents(folder).at(-1), { decision: 'fail', reason: 'signer_unavailable', step: 'mint' })
    await service.behave('fails')
    // Five in a row open the breaker: the one that hung, and these.
    for (let index = 0; index < 4; index += 1) t.equal((await exchange(folder)).status, 503)
    const asked = await service.asked()
    const kept = folder.mint({ jti: 'kept' })
    t.equal((await exchange(folder, kept)).status, 503)
    t.equal(await service.asked(), asked, 'nobody asks it')
    const ready = await fetch(`${folder.opsUrl}/readyz`)
    t.equal(ready.status, 503)
    t.match(await ready.text(), /\[-\]signer/)
    t.match(
      await folder.text(`${folder.opsUrl}/metrics`),
      /^sallyport_signer_breaker_state\{state="open"\} 1$/m,
    )
    t.equal((await kids(folder)).length, 1, 'what is published is served')

    await service.behave('well')
    while (!(await fetch(`${folder.opsUrl}/readyz`)).ok)
      await new Promise((resolve) => setTimeout(resolve, 50))
    t.equal((await exchange(folder, kept)).status, 200, 'the token that was refused is still good')
    t.match(server.logs(), /the signer fails: it is left alone/)
    t.match(server.logs(), /the signer answers again/)
    await keepsQuiet(t, folder, server, [BEARER, ...(await service.secrets())])
    await server.stop()
  },
)

t.test(
  'another name in the configuration is published at the next start, and the first key still signs',
  async (t) => {
    configure(folder, { signer: signer({ key: 'ec-next' }) })
    const next = await folder.start()
    t.equal((await kids(folder)).length, 2)
    const issued = await exchange(folder)
    t.equal(await verifiedKid(folder, issued.json['access_token']), old)
    await next.stop()

    const listed = await runSallyport(['keys', 'list'], { ...command, cwd: folder.path })
    t.match(listed.stdout, new RegExp(`^signing  ${old}.*\\nnext  `))
    const rotated = await runSallyport(['keys', 'revoke', '--', old], { ...command, cwd: folder.path })
    t.equal(rotated.code, 0, rotated.stderr)
    const after = await folder.start()
    t.not((await kids(folder))[0], old)
    t.equal((await kids(folder)).length, 1)
    await after.stop()
  },
)

t.test('a key in a PKCS#11 token signs RS256', { skip: softHsmMissing() }, async (t) => {
  const hsm = makeSoftHsm(t.testdir())
  const at = await makeFolder(t, upstream)
  configure(at, {
    algorithm: 'RS256',
    signer: { type: 'pkcs11', library: hsm.library, token: hsm.token, pinFile: hsm.pinFile, key: 'rsa' },
  })
  const holder = await at.start([], { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] })
  const issued = await exchange(at)
  t.equal(issued.status, 200)
  t.strictSame([await verifiedKid(at, issued.json['access_token'])], await kids(at))
  await keepsQuiet(t, at, holder, [SOFT_HSM_PIN, ...hsm.secrets])
  await holder.stop()
})
