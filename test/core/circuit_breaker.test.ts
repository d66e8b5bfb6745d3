import { array, assert, boolean, nat, property, record } from 'fast-check'
import t from 'tap'
import { CLOSED, admit, settle } from '../../src/core/circuit_breaker.ts'
import type { BreakerRules, BreakerState } from '../../src/core/circuit_breaker.ts'

const rules: BreakerRules = { failures: 3, openMs: 1000, longestOpenMs: 3000 }
const failed = { isTrial: false, succeeded: false }
const succeeded = { isTrial: false, succeeded: true }

/** The state after ordinary calls at time 0 that ended so. */
function after(
  ...calls: readonly { readonly isTrial: boolean; readonly succeeded: boolean }[]
): BreakerState {
  return calls.reduce((state, call) => settle(state, call, rules, 0), CLOSED)
}

/** After a trial that failed at 5 s; it was open for `openMs` before. */
const again = (openMs: number): BreakerState =>
  settle({ kind: 'half_open', openMs }, { isTrial: true, succeeded: false }, rules, 5000)

const opened = after(failed, failed, failed)

t.test('calls pass until as many in a row have failed as the rules say', async (t) => {
  t.match(admit(after(failed, failed), 0), { admitted: true, isTrial: false })
  t.strictSame(admit(opened, 0), { admitted: false, retryMs: 1000 })
})

t.test('one success forgets the failures before it', async (t) => {
  t.strictSame(after(failed, failed, succeeded), CLOSED)
  t.match(admit(after(failed, failed, succeeded, failed, failed), 0), { admitted: true })
})

t.test('while it is open nothing passes, and it says for how long', async (t) => {
  t.strictSame(admit(opened, 999), { admitted: false, retryMs: 1 })
})

t.test('when its time is over one call is a trial and the others wait for its end', async (t) => {
  const trial = admit(opened, 1000)
  t.match(trial, { admitted: true, isTrial: true })
  if (trial.admitted) t.strictSame(admit(trial.state, 1000), { admitted: false, retryMs: 0 })
})

t.test('a trial that succeeds closes it', async (t) => {
  t.strictSame(
    settle({ kind: 'half_open', openMs: 1000 }, { isTrial: true, succeeded: true }, rules, 1000),
    CLOSED,
  )
})

t.test('a trial that fails opens it for twice as long, up to the longest time', async (t) => {
  t.strictSame(again(1000), { kind: 'open', untilMs: 7000, openMs: 2000 })
  t.strictSame(again(2000), { kind: 'open', untilMs: 8000, openMs: 3000 })
  t.strictSame(again(3000), { kind: 'open', untilMs: 8000, openMs: 3000 })
})

t.test('calls that began before it opened change nothing when they end', async (t) => {
  for (const state of [opened, { kind: 'half_open', openMs: 1000 } as const])
    for (const late of [failed, succeeded]) t.equal(settle(state, late, rules, 500), state)
})

t.test(
  'whatever happens, at most one call is under way from its opening to the end of its trial',
  async () => {
    const event = record({ waitMs: nat(4000), succeeds: boolean(), ends: boolean() })
    assert(
      property(array(event, { maxLength: 60 }), (events) => {
        let state: BreakerState = CLOSED
        let now = 0
        let trials = 0
        for (const { waitMs, succeeds, ends } of events) {
          now += waitMs
          const before: BreakerState['kind'] = state.kind
          const admission = admit(state, now)
          if (admission.admitted) {
            state = admission.state
            if (admission.isTrial) trials += 1
            else state = settle(state, { isTrial: false, succeeded: succeeds }, rules, now)
          }
          if (trials > 1) return false
          if (before !== 'closed' && admission.admitted && !admission.isTrial) return false
          if (trials === 1 && ends) {
            state = settle(state, { isTrial: true, succeeded: succeeds }, rules, now)
            trials = 0
            if ((state.kind === 'closed') !== succeeds) return false
          }
        }
        return true
      }),
    )
  },
)
