import { createHook } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { formatScrypt, hashGeneratedSecret, parsePhc } from '../../src/core/secret_hash.ts'
import { SecretCheckBusy, createSecretCheck, hashChosenSecret } from '../../src/platform/secret_check.ts'
import type { SecretCheck, SecretCheckDeps } from '../../src/platform/secret_check.ts'

const start = Date.UTC(2026, 10, 21)
const generated = 'q5bFz0m1V6pTn8wXyR2cLk'
const next = 'Wc0Zt4Yh9Lr2Kx7Bv5Ns3D'
const hash = (secret: string): string => hashGeneratedSecret(secret, randomBytes(16))
const chosenHash = await hashChosenSecret('correct horse', randomBytes)

function build(over: Partial<SecretCheckDeps> = {}): SecretCheck {
  return createSecretCheck({ clock: () => start, randomBytes, clients: [], ...over })
}

t.test('a generated secret is accepted, a wrong one is not', async (t) => {
  const check = build()
  t.equal(await check.verify(generated, [hash(generated)]), true)
  t.equal(await check.verify(next, [hash(generated)]), false)
  t.equal(await check.verify('', [hash(generated)]), false)
})

t.test('while a secret is rotated both are accepted, and a third is not', async (t) => {
  const check = build()
  const hashes = [hash(generated), hash(next)]
  t.equal(await check.verify(generated, hashes), true)
  t.equal(await check.verify(next, hashes), true)
  t.equal(await check.verify('another', hashes), false)
})

t.test('a secret that a person chose is kept as scrypt and accepted', async (t) => {
  const check = build()
  t.match(chosenHash, /^\$scrypt\$ln=15,r=8,p=1\$/)
  t.equal(await check.verify('correct horse', [chosenHash]), true)
  t.equal(await check.verify('correct Horse', [chosenHash]), false)
  t.equal(await check.verify('correct horse', [hash(generated), chosenHash]), true)
})

t.test('no hash, a broken hash and an endless secret accept nothing', async (t) => {
  const check = build()
  t.equal(await check.verify(generated, []), false)
  t.equal(await check.verify(generated, ['', generated, '$plain$x']), false)
  const endless = 'x'.repeat(5000)
  t.equal(await check.verify(endless, [hash(endless)]), false)
})

t.test('scrypt runs one at a time; what waits beyond the queue is refused as busy', async (t) => {
  const check = build({ maxConcurrent: 1, maxQueued: 2 })
  const answers = await Promise.allSettled(
    ['a', 'b', 'c', 'd', 'e'].map(async (secret) => check.verify(secret, [chosenHash])),
  )
  t.same(
    answers.map((answer) => answer.status),
    ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'],
  )
  const refused = answers.find((answer) => answer.status === 'rejected')
  t.ok(refused?.reason instanceof SecretCheckBusy)
  t.equal(await check.verify('correct horse', [chosenHash]), true, 'and afterwards there is room again')
})

t.test('guesses at one client, or at clients that do not exist, do not keep another one out', async (t) => {
  const other = await hashChosenSecret('battery staple', randomBytes)
  const crowds: readonly ((check: SecretCheck) => Promise<unknown>)[] = [
    async (check) => check.verify('guess', [chosenHash]),
    async (check) => check.dummy('guess'),
  ]
  for (const guess of crowds) {
    const check = build({ clients: [[chosenHash], [other]], maxQueued: 3 })
    const guesses = Array.from({ length: 6 }, async () => guess(check).catch(() => 'busy'))
    t.equal(await check.verify('battery staple', [other]), true)
    const answers = await Promise.all(guesses)
    t.equal(answers.filter((answer) => answer === 'busy').length, 3, 'two were too many, and one made room')
  }
})

t.test('whatever a client has and whether it exists, a wrong secret costs the same', async (t) => {
  const both = [chosenHash, await hashChosenSecret('battery staple', randomBytes)]
  const refusals: readonly ((check: SecretCheck) => Promise<unknown>)[] = [
    async (check) => check.verify('guess', both),
    async (check) => check.verify('guess', both.slice(0, 1)),
    async (check) => check.verify('guess', [hash(generated)]),
    async (check) => check.verify('guess', [hash(generated), hash(next)]),
    async (check) => check.dummy('guess'),
  ]
  const clients = [[hash(generated)], both, both.slice(0, 1)]
  for (const refuse of refusals) t.equal(await derivations(build({ clients }), refuse), 2)
  t.equal(await derivations(build({ clients: [[hash(generated)]] }), async (check) => check.dummy('x')), 0)
  t.equal(
    await derivations(build({ clients }), async (check) => check.verify(generated, [hash(generated)])),
    0,
  )
  t.equal(await derivations(build({ clients }), async (check) => check.dummy('x'.repeat(5000))), 0)
})

t.test('where hashes of clients cost more and less, a wrong secret pays each cost everywhere', async (t) => {
  const cheap = formatScrypt({ ln: 12, r: 8, p: 1 }, randomBytes(16), randomBytes(32))
  const clients = [[chosenHash], [cheap], [cheap, cheap]]
  const refusals: readonly ((check: SecretCheck) => Promise<unknown>)[] = [
    ...clients.map((hashes) => async (check: SecretCheck) => check.verify('guess', hashes)),
    async (check) => check.dummy('guess'),
  ]
  for (const refuse of refusals) t.equal(await derivations(build({ clients }), refuse), 3)
})

/** How many times `ask` makes Node derive a scrypt key. */
async function derivations(
  check: SecretCheck,
  ask: (check: SecretCheck) => Promise<unknown>,
): Promise<number> {
  let count = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'SCRYPTREQUEST') count += 1
    },
  }).enable()
  await ask(check)
  hook.disable()
  return count
}

t.test('a reload keeps what was right, and costs what its own clients cost', async (t) => {
  const check = build({ clients: [[chosenHash]] })
  t.equal(await check.verify('correct horse', [chosenHash]), true)
  const same = check.withClients([[chosenHash]])
  t.equal(
    await derivations(same, async (asked) => {
      t.equal(await asked.verify('correct horse', [chosenHash]), true)
    }),
    0,
  )
  t.equal(await derivations(same, async (asked) => asked.verify('wrong horse', [chosenHash])), 1)
  t.equal(await derivations(same, async (asked) => asked.dummy('guess')), 1)
  const fast = check.withClients([[hash(generated)]])
  t.equal(await derivations(fast, async (asked) => asked.dummy('guess')), 0, 'no client is slow any more')
})

t.test('a reload makes no second queue', async (t) => {
  const check = build({ clients: [[chosenHash]], maxConcurrent: 1, maxQueued: 0 })
  const running = check.verify('keeps it busy', [chosenHash])
  await t.rejects(check.withClients([[chosenHash]]).verify('guess', [chosenHash]), SecretCheckBusy)
  t.equal(await running, false)
  t.equal(await check.withClients([[chosenHash]]).verify('correct horse', [chosenHash]), true)
})

t.test('a job that asks again pays scrypt once in five minutes, a guess pays every time', async (t) => {
  let now = start
  const check = build({ clock: () => now, maxQueued: 0 })
  // While one derivation runs and none may wait, only what needs no derivation gets an answer.
  const whileBusy = async (secret: string, text: string): Promise<boolean> => {
    const [, answer] = await Promise.allSettled([
      check.verify('keeps it busy', [chosenHash]),
      check.verify(secret, [text]),
    ])
    if (answer.status === 'rejected') throw answer.reason
    return answer.value
  }
  t.equal(await check.verify('correct horse', [chosenHash]), true)
  t.equal(await whileBusy('correct horse', chosenHash), true)
  await t.rejects(whileBusy('wrong horse', chosenHash), SecretCheckBusy)
  const sameSecret = await hashChosenSecret('correct horse', randomBytes)
  await t.rejects(whileBusy('correct horse', sameSecret), SecretCheckBusy, 'another hash is another question')
  now = start + 300_001
  await t.rejects(whileBusy('correct horse', chosenHash), SecretCheckBusy)
})

t.test('a hash with other costs than ours is checked with its own', async (t) => {
  const { scryptSync } = await import('node:crypto')
  const salt = randomBytes(16)
  const text = formatScrypt(
    { ln: 14, r: 8, p: 2 },
    salt,
    scryptSync('x', salt, 64, { N: 2 ** 14, r: 8, p: 2 }),
  )
  t.ok(parsePhc(text))
  t.equal(await build().verify('x', [text]), true)
  t.equal(await build().verify('y', [text]), false)
})
