// The service is a process of ours (test/support/key_service_process.ts): it shows the protocol, and no cloud's KMS.
import { renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createHttpSigner } from '../../src/platform/remote_signer/http_signer.ts'
import type { RemoteSigner } from '../../src/platform/remote_signer/remote_signer.ts'
import { startKeyService } from '../support/key_service.ts'
import { describeRemoteSigner, describeSigningKey, guardedWorld } from './signing_key.ts'

const TOKEN = 'bearer-of-the-key-service'
const service = await startKeyService(t, t.testdir(), TOKEN)
const { url, caPem, tokenFile } = service

function open(): RemoteSigner {
  return createHttpSigner({ url, caPem, tokenFile, timeoutMs: 10_000 })
}

const order = { key: 'ec', algorithm: 'ES256', input: 'a.b' } as const

t.test('a key behind HTTP', async (t) => {
  describeSigningKey(t, guardedWorld(open))
})

t.test('a signer behind HTTP', async (t) => {
  describeRemoteSigner(t, {
    open,
    hang: async () => service.behave('hangs'),
    heal: async () => service.behave('well'),
    secrets: async () => [TOKEN, ...(await service.secrets())],
  })
})

for (const [behaviour, why, message] of [
  ['fails', 'refused', /^the signer: status 503$/],
  ['no_json', 'answer_invalid', /no JSON/],
  ['endless', 'refused', /more than 16384 bytes/],
  ['raw', 'answer_invalid', /not DER/],
] as const)
  t.test(
    `a service that answers wrongly (${behaviour}) is refused without repeating its words`,
    async (t) => {
      const signer = open()
      t.teardown(() => signer.close())
      await service.behave(behaviour)
      await t.rejects(signer.sign(order), { code: 'SALLYPORT_SIGNER', why, message })
      await service.behave('well')
    },
  )

t.test(
  'the bearer token is read again when its file changes, also when it is put in its place',
  async (t) => {
    const signer = open()
    t.teardown(() => signer.close())
    await signer.sign(order)
    await service.setToken('the-next-token')
    await t.rejects(signer.sign(order), {
      code: 'SALLYPORT_SIGNER',
      why: 'credential',
      message: /status 401$/,
    })
    writeFileSync(`${tokenFile}.new`, 'the-next-token\n', { mode: 0o600 })
    renameSync(`${tokenFile}.new`, tokenFile)
    t.equal((await signer.sign(order)).length, 64)
    await service.setToken(TOKEN)
    writeFileSync(tokenFile, TOKEN)
    t.equal((await signer.sign(order)).length, 64)
  },
)

t.test('a token file that is gone, empty, too large or no token is named', async (t) => {
  const dir = t.testdir({ empty: '', lines: 'one\ntwo', large: 'x'.repeat(20_000) })
  const asked = await service.asked()
  for (const name of ['gone', 'empty', 'lines', 'large']) {
    const signer = createHttpSigner({ url, caPem, tokenFile: `${dir}/${name}`, timeoutMs: 10_000 })
    t.teardown(() => signer.close())
    await t.rejects(signer.sign(order), {
      code: 'SALLYPORT_SIGNER',
      why: 'credential',
      message: new RegExp(`/${name} `),
    })
  }
  t.equal(await service.asked(), asked)
})

t.test('a certificate of somebody else is not trusted', async (t) => {
  const signer = createHttpSigner({ url, caPem: undefined, tokenFile, timeoutMs: 10_000 })
  t.teardown(() => signer.close())
  const asked = await service.asked()
  await t.rejects(signer.publicKey('ec'), { code: 'SALLYPORT_SIGNER', why: 'unreachable' })
  t.equal(await service.asked(), asked)
})

t.test('a name of a key stays one segment of the path, and what is signed does not leave', async (t) => {
  const seen: string[] = []
  const server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (chunk: string) => seen.push(chunk))
    seen.push(request.url ?? '')
    request.on('end', () => response.writeHead(302, { location: 'https://example.com/' }).end())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port }: AddressInfo = Object(server.address())
  const signer = createHttpSigner({
    url: `http://127.0.0.1:${port}/base/`,
    caPem: undefined,
    tokenFile,
    timeoutMs: 10_000,
  })
  t.teardown(() => signer.close())
  const secret = { ...order, key: 'projects/a/keys/b', input: 'head.eyJzdWIiOiJqb2IifQ' }
  await t.rejects(signer.sign(secret), { why: 'refused', message: /status 302/ })
  t.equal(seen[0], '/base/keys/projects%2Fa%2Fkeys%2Fb/sign')
  t.notOk(seen.join('').includes('eyJzdWIiOiJqb2IifQ'))
})
