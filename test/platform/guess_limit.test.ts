// Back-off for guesses at client secrets, and whom it leaves alone.
import t from 'tap'
import { FREE_GUESSES, MAX_WAIT_SECONDS, createGuessLimit } from '../../src/platform/guess_limit.ts'
import type { SecretAttempt } from '../../src/platform/guess_limit.ts'
import { createRandomBytes } from '../../src/platform/random.ts'

const START = 1_795_262_400_000
/** Of the client whose secret was right. */
const HASHES = ['a hash']

function limited(maxCounts?: number) {
  const clock = { now: START }
  const limit = createGuessLimit({
    clock: () => clock.now,
    randomBytes: createRandomBytes(),
    ...(maxCounts !== undefined && { maxCounts }),
  })
  const attempt = (secret: string, change: Partial<SecretAttempt> = {}) =>
    limit.attempt({ clientId: 'ci', isKnown: true, network: '192.0.2.1', secret, ...change })
  return {
    clock,
    attempt,
    wait: (secret: string, change?: Partial<SecretAttempt>) => attempt(secret, change).waitSeconds,
    /** Uses up what is free, and so many more, each as soon as it may be tried. */
    guess: (beyond: number, change?: Partial<SecretAttempt>): void => {
      for (let count = 0; count < FREE_GUESSES + beyond; count += 1) {
        clock.now += attempt(`guess-${count}`, change).waitSeconds * 1000
        attempt(`guess-${count}`, change)
      }
    },
  }
}

t.test('the first wrong secrets cost no wait, each further one twice as much, up to an end', async (t) => {
  const { clock, wait, guess } = limited()
  guess(0)
  t.equal(wait('one too many'), 0, 'it is checked')
  const waits: number[] = []
  for (let count = 0; count < 11; count += 1) {
    const seconds = wait(`next-${count}`)
    waits.push(seconds)
    clock.now += seconds * 1000
    t.equal(wait(`next-${count}`), 0, 'when it has waited it is checked')
  }
  t.same(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
})

t.test('to ask again while held off makes no wait longer', async (t) => {
  const { clock, wait, guess } = limited()
  guess(4)
  t.same([wait('a'), wait('b'), wait('c')], [8, 8, 8])
  clock.now += 7000
  t.equal(wait('d'), 1)
})

t.test('a fleet that repeats one old secret is no guesser', async (t) => {
  const { wait } = limited()
  for (let count = 0; count < 10 * FREE_GUESSES; count += 1)
    t.equal(wait(count % 2 === 0 ? 'of last year' : 'of last month'), 0)
})

t.test('who guesses at a client holds off neither other networks nor other clients', async (t) => {
  const { wait, guess } = limited()
  guess(9)
  t.equal(wait('x'), 256)
  t.equal(wait('x', { network: '192.0.2.2' }), 0)
  t.equal(wait('x', { clientId: 'other' }), 0)
})

t.test('a secret that was right from a network passes there while a neighbour guesses', async (t) => {
  const { clock, attempt, wait, guess } = limited()
  attempt('right').wasRight(HASHES)
  guess(9)
  t.equal(wait('guess'), 256)
  t.equal(wait('right'), 0)
  t.ok(wait('right', { network: '192.0.2.2' }) === 0 && wait('guess') === 256)
  clock.now += 24 * 3_600_000
  guess(9)
  t.equal(wait('right'), 0, 'also the next day')
  clock.now += 26 * 3_600_000
  guess(9)
  t.equal(wait('right'), 256, 'though not for ever')
})

t.test('of a secret that was right it is known in which hashes it was found, and of no other', async (t) => {
  const { clock, attempt } = limited()
  t.equal(attempt('right').foundIn, undefined)
  attempt('right').wasRight(HASHES)
  t.equal(attempt('right').foundIn, HASHES, 'these very ones')
  const others: readonly (readonly [string, Partial<SecretAttempt>])[] = [
    ['wrong', {}],
    ['right', { clientId: 'other' }],
    ['right', { network: '192.0.2.2' }],
  ]
  for (const [secret, change] of others) t.equal(attempt(secret, change).foundIn, undefined)
  const afterReload = ['a hash']
  attempt('right').wasRight(afterReload)
  t.equal(attempt('right').foundIn, afterReload)
  clock.now += 26 * 3_600_000
  t.equal(attempt('right').foundIn, undefined, 'not for ever')
})

t.test('a right secret is no guess, whatever was counted while it was checked', async (t) => {
  const { attempt, wait, guess } = limited()
  guess(0)
  const checked = attempt('right after all')
  t.equal(wait('another'), 1, 'until it is known, it counts as one')
  checked.wasRight(HASHES)
  t.equal(wait('another'), 0, 'then it does not')
})

t.test('many at once cannot guess more than one after the other', async (t) => {
  const { wait } = limited()
  const checked = Array.from({ length: 1000 }, (_, count) => wait(`guess-${count}`)).filter(
    (seconds) => seconds === 0,
  )
  t.equal(checked.length, FREE_GUESSES + 1)
})

t.test('half an hour of silence, and what was counted is forgotten', async (t) => {
  const { clock, wait, guess } = limited()
  guess(9)
  clock.now += 31 * 60_000
  guess(0)
  t.equal(wait('x'), 0)
})

t.test('a clock that jumps back holds nobody off for longer than the longest wait', async (t) => {
  const { clock, wait, guess } = limited()
  guess(9)
  clock.now -= 86_400_000
  t.ok(wait('x') <= MAX_WAIT_SECONDS)
})

t.test('clients that do not exist are held off alike, and crowd out no count of those that do', async (t) => {
  const { wait, guess } = limited(100)
  guess(9)
  for (let count = 0; count < 1000; count += 1)
    wait('x', { clientId: `${count} ${'x'.repeat(40_000)}`, isKnown: false })
  t.equal(wait('x'), 256, 'memory is bounded, and still knows who guessed')
  guess(9, { clientId: 'nobody', isKnown: false })
  t.equal(wait('x', { clientId: 'nobody', isKnown: false }), 256)
})
