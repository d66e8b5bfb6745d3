import { generateKeyPairSync, hash, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import t from 'tap'
import type { Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCryptoPool } from '../../src/platform/crypto_pool.ts'
import { createSigner } from '../../src/platform/keys/signer.ts'
import {
  DONE,
  fieldsOf,
  HANDED_OVER,
  layOut,
  newMemory,
  OPERATION,
  TAKE_KEY,
} from '../../src/platform/signature_thread/layout.ts'
import { startSignatureThread } from '../../src/platform/signature_thread/signature_thread.ts'
import type { Checked, SignatureThread } from '../../src/platform/signature_thread/signature_thread.ts'

// The thread keeps no process alive; something has to.
const awake = setInterval(() => {}, 60_000)
t.teardown(() => clearInterval(awake))

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const INPUT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0'
const HASH = hash('sha256', INPUT, 'base64url')

async function start(t: Test, firstJob?: number): Promise<SignatureThread> {
  const thread = startSignatureThread((error) => t.fail(`lost: ${error.message}`), {
    ...(firstJob !== undefined && { firstJob }),
  })
  t.teardown(() => thread.close())
  await isUp(thread)
  return thread
}

/** Jobs are refused until the thread runs. */
async function isUp(thread: SignatureThread): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (thread.signEs256(ec.privateKey, INPUT, () => {})) return
    await sleep(10)
  }
  throw new Error('the thread does not come up')
}

function signed(thread: SignatureThread, input: string, key: KeyObject = ec.privateKey): Promise<string> {
  return new Promise((resolve, reject) => {
    const taken = thread.signEs256(key, input, (error, signature) =>
      error === null ? resolve(signature) : reject(error),
    )
    if (!taken) reject(new Error('not taken'))
  })
}

type Check = { digest: string | null; key: KeyObject; input: string; signature: Buffer }

function checked(thread: SignatureThread, check: Check): Promise<Checked> {
  return new Promise((resolve, reject) => {
    const taken = thread.verify(check.digest, check.key, check.input, check.signature, (error, value) =>
      error === null ? resolve(value) : reject(error),
    )
    if (!taken) reject(new Error('not taken'))
  })
}

function isSigned(input: string, signature: string, key: KeyObject = ec.publicKey): boolean {
  const bytes = Buffer.from(signature, 'base64url')
  return verify('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }, bytes)
}

t.test('a signature of the thread verifies, and is the 64 bytes of JWS', async (t) => {
  const signature = await signed(await start(t), INPUT)
  t.match(signature, /^[\w-]{86}$/)
  t.ok(isSigned(INPUT, signature))
  t.notOk(isSigned(`${INPUT}x`, signature))
})

t.test('the thread says of every kind of signature what OpenSSL says, and names the token', async (t) => {
  const thread = await start(t)
  const data = Buffer.from(INPUT)
  for (const digest of ['sha256', 'sha384', 'sha512']) {
    for (const { privateKey, publicKey: key } of [ec, rsa]) {
      const right = { digest, key, input: INPUT, signature: sign(digest, data, privateKey) }
      t.same(await checked(thread, right), { holds: true, hash: HASH })
      const changed = await checked(thread, { ...right, input: `${INPUT.slice(0, -1)}X` })
      t.equal(changed.holds, false, 'another input')
      t.equal((await checked(thread, { ...right, signature: Buffer.alloc(70, 1) })).holds, false, 'noise')
    }
  }
  const signature = sign('sha256', data, ec.privateKey)
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey
  t.equal((await checked(thread, { digest: 'sha256', key: other, input: INPUT, signature })).holds, false)
})

t.test('what the thread cannot do it does not take', async (t) => {
  const thread = await start(t)
  const never = (): void => {
    t.fail('answered')
  }
  const signature = Buffer.alloc(64)
  t.notOk(thread.verify(null, ec.publicKey, INPUT, signature, never), 'Ed25519 brings its own digest')
  t.notOk(thread.verify('sha1', ec.publicKey, INPUT, signature, never), 'a digest of no row')
  t.notOk(thread.signEs256(ec.privateKey, 'x'.repeat(4000), never), 'longer than a slot')
  t.ok(isSigned('x'.repeat(3900), await signed(thread, 'x'.repeat(3900))), 'as long as a slot')
})

t.test('a key that cannot do the job is the caller’s to find out about', async (t) => {
  const thread = await start(t)
  await t.rejects(signed(thread, INPUT, rsa.privateKey), { code: 'SALLYPORT_NOT_DONE' })
  t.ok(isSigned(INPUT, await signed(thread, INPUT)), 'and the next job is done')
})

t.test(
  'a key that was announced and did not come ends the thread, before any other is taken for it',
  async (t) => {
    const memory = newMemory()
    const { counters, fields } = layOut(memory)
    fields[fieldsOf(0) + OPERATION] = TAKE_KEY
    counters[HANDED_OVER] = 1
    const { port1, port2 } = new MessageChannel()
    t.teardown(() => port1.close())
    const file = new URL('../../src/platform/signature_thread/thread.ts', import.meta.url)
    const worker = new Worker(file, {
      workerData: { memory, keys: port2 },
      transferList: [port2],
      execArgv: [],
    })
    t.teardown(() => worker.terminate())
    const [error] = await once(worker, 'error')
    t.match(error, { message: 'a key was announced and did not come' })
    t.equal(counters[DONE], 0)
  },
)

t.test('a full ring takes no more, and everything taken is answered for itself', async (t) => {
  const thread = await start(t)
  const inputs = Array.from({ length: 300 }, (_, index) => `header.${index}`)
  const jobs = inputs.map((input) => ({ input, job: signed(thread, input).catch(() => undefined) }))
  const answers = await Promise.all(jobs.map(async ({ input, job }) => ({ input, signature: await job })))
  const taken = answers.filter(({ signature }) => signature !== undefined)
  t.ok(taken.length >= 100 && taken.length < 200, `${taken.length} taken`)
  t.ok(taken.every(({ input, signature = '' }) => isSigned(input, signature)))
  t.ok(isSigned(INPUT, await signed(thread, INPUT)), 'and then there is room again')
})

t.test('the numbers of jobs wrap around after 2^31', async (t) => {
  const thread = await start(t, 0x7fffffff - 20)
  for (let round = 0; round < 100; round += 1)
    t.ok(isSigned(`a.${round}`, await signed(thread, `a.${round}`)))
})

t.test('more keys than the thread holds, each used again after the others', async (t) => {
  const thread = await start(t)
  const pairs = Array.from({ length: 300 }, () => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
  for (const round of [1, 2]) {
    for (const [index, { privateKey, publicKey }] of pairs.entries()) {
      const input = `${round}.${index}`
      if (!isSigned(input, await signed(thread, input, privateKey), publicKey)) t.fail(input)
    }
  }
  t.pass()
})

t.test('a loaded pool signs while the thread starts, on it, and after it was lost', async (t) => {
  const lost: string[] = []
  let thread: SignatureThread | undefined
  const pool = createCryptoPool({
    isIdle: () => false,
    startThread: () => (thread = startSignatureThread((error) => lost.push(error.message))),
  })
  t.teardown(() => pool.close())
  const signer = createSigner({ kid: 'k', algorithm: 'ES256', privateKey: ec.privateKey }, pool)
  t.ok(isSigned(INPUT, await signer.sign(INPUT)), 'while it starts')
  if (thread === undefined) throw new Error('not started')
  await isUp(thread)
  const many = await Promise.all(Array.from({ length: 50 }, () => signer.sign(INPUT)))
  t.ok(many.every((signature) => isSigned(INPUT, signature)))
  // A job that the thread throws at is done in place, where OpenSSL says what is wrong.
  const misfit = createSigner({ kid: 'k', algorithm: 'ES256', privateKey: rsa.privateKey }, pool)
  await t.rejects(misfit.sign(INPUT), /not a DER signature/)
  const running = signer.sign(INPUT)
  thread.close()
  t.ok(isSigned(INPUT, await running), 'work under way is done in place')
  t.ok(isSigned(INPUT, await signer.sign(INPUT)), 'work after it on other threads')
})

t.test('the thread may read its own code, and touch nothing else', async (t) => {
  const found = Promise.withResolvers<string>()
  const folder = new URL('../support/', import.meta.url)
  const program = { file: new URL('probing_thread.ts', folder), folder }
  const thread = startSignatureThread((error) => found.resolve(error.message), { program })
  t.teardown(() => thread.close())
  t.strictSame(JSON.parse(await found.promise), {
    'reads its own code': 'done',
    'reads a file': 'ERR_ACCESS_DENIED',
    'writes a file': 'ERR_ACCESS_DENIED',
    'starts a program': 'ERR_ACCESS_DENIED',
    'starts a thread': 'ERR_ACCESS_DENIED',
  })
})
