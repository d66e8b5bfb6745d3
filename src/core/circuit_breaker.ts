// When to stop asking a party that does not answer, and when to ask again: closed (all calls pass), open (none does),
// half open (one call is a trial for all). Pure: whoever makes the calls keeps the state. Times are milliseconds of one
// clock that never goes back.

export type BreakerRules = {
  /** So many failures one after the other open it. */
  readonly failures: number
  /** How long it stays open the first time; each failed trial doubles it. */
  readonly openMs: number
  readonly longestOpenMs: number
}

export type BreakerState =
  | { readonly kind: 'closed'; readonly failures: number }
  | { readonly kind: 'open'; readonly untilMs: number; readonly openMs: number }
  /** `openMs`: how long it was open before this trial. */
  | { readonly kind: 'half_open'; readonly openMs: number }

export const CLOSED: BreakerState = { kind: 'closed', failures: 0 }

type Admission =
  | { readonly admitted: true; readonly state: BreakerState; readonly isTrial: boolean }
  /** `retryMs`: when asking again may help; 0 while a trial is under way. */
  | { readonly admitted: false; readonly retryMs: number }

/** Whether a call may begin now. An admitted one must end in `settle`, or a trial would keep everybody out. */
export function admit(state: BreakerState, now: number): Admission {
  switch (state.kind) {
    case 'closed':
      return { admitted: true, state, isTrial: false }
    case 'open':
      return now < state.untilMs
        ? { admitted: false, retryMs: state.untilMs - now }
        : { admitted: true, state: { kind: 'half_open', openMs: state.openMs }, isTrial: true }
    case 'half_open':
      return { admitted: false, retryMs: 0 }
  }
}

/**
 * What the end of an admitted call means. Calls that began before it opened say nothing about now: in the open and half
 * open states only the trial counts.
 */
export function settle(
  state: BreakerState,
  call: { readonly isTrial: boolean; readonly succeeded: boolean },
  rules: BreakerRules,
  now: number,
): BreakerState {
  switch (state.kind) {
    case 'closed':
      if (call.succeeded) return state.failures === 0 ? state : CLOSED
      return state.failures + 1 < rules.failures
        ? { kind: 'closed', failures: state.failures + 1 }
        : open(rules.openMs, now)
    case 'open':
      return state
    case 'half_open':
      if (!call.isTrial) return state
      return call.succeeded ? CLOSED : open(Math.min(2 * state.openMs, rules.longestOpenMs), now)
  }
}

function open(openMs: number, now: number): BreakerState {
  return { kind: 'open', untilMs: now + openMs, openMs }
}
