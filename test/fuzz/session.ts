// A run of the fuzz command: turns of the doors, until the time is up or something is found. No files and no clock of its own.
import { examine, shrunk } from './examine.ts'
import { mutated } from './mutation.ts'
import type { Below } from './mutation.ts'
import type { FuzzTarget } from './target.ts'

export type Finding = { readonly target: string; readonly input: Buffer; readonly problem: string }
type Kept = { readonly target: string; readonly input: Buffer; readonly outcome: string }
type TargetFigures = { readonly target: string; readonly inputs: number; readonly outcomes: number }

export type SessionPlan = {
  readonly targets: readonly FuzzTarget[]
  /** What was kept before, by target; the target's own seeds come on top. */
  readonly corpus: (target: string) => readonly Buffer[]
  readonly below: Below
  /** Milliseconds of any clock that goes forward, and when on it the run ends. */
  readonly now: () => number
  readonly until: number
  /** Before an input is asked, so that one that never comes back is known. */
  readonly onAsk: (target: string, input: Buffer) => void
  readonly onKept: (kept: Kept) => void
}

export type SessionResult = {
  readonly finding: Finding | undefined
  readonly figures: readonly TargetFigures[]
}

/** How long a door is asked before the next one's turn. */
const TURN_MS = 500
/** Inputs kept of one outcome, so that there is more than one way to each. */
const KEPT_OF_AN_OUTCOME = 6
/** More is not read again in a reasonable time. */
const MAX_CORPUS = 1000
/** One in so many of a known outcome is kept. */
const KEPT_AGAIN = 200

type State = {
  readonly target: FuzzTarget
  readonly corpus: Buffer[]
  readonly outcomes: Map<string, number>
  inputs: number
}

export function runSession(plan: SessionPlan): SessionResult {
  const states = plan.targets.map((target) => ({
    target,
    corpus: [],
    outcomes: new Map<string, number>(),
    inputs: 0,
  }))
  const finding = find(plan, states)
  const figures = states.map(({ target, inputs, outcomes }) => ({
    target: target.name,
    inputs,
    outcomes: outcomes.size,
  }))
  return { finding, figures }
}

function find(plan: SessionPlan, states: readonly State[]): Finding | undefined {
  // 1. what is known
  for (const state of states) {
    const known = [...state.target.seeds.map((seed) => Buffer.from(seed)), ...plan.corpus(state.target.name)]
    for (const input of known) {
      const finding = ask(plan, state, input, 'known')
      if (finding !== undefined) return finding
    }
  }
  // 2. what comes of it, each door in its turn
  while (plan.now() < plan.until) {
    for (const state of states) {
      const end = Math.min(plan.until, plan.now() + TURN_MS)
      while (plan.now() < end) {
        const finding = ask(plan, state, mutated(state.target, state.corpus, plan.below), 'new')
        if (finding !== undefined) return finding
      }
    }
  }
  return undefined
}

function ask(plan: SessionPlan, state: State, input: Buffer, origin: 'known' | 'new'): Finding | undefined {
  const { target, outcomes, corpus } = state
  plan.onAsk(target.name, input)
  state.inputs += 1
  const examined = examine(target, input)
  if ('problem' in examined) return small(target, input, examined.problem)
  const { outcome } = examined
  const times = outcomes.get(outcome) ?? 0
  const isWorth =
    origin === 'known' || times === 0 || (times < KEPT_OF_AN_OUTCOME && plan.below(KEPT_AGAIN) === 0)
  if (!isWorth || (origin === 'new' && corpus.length >= MAX_CORPUS)) return undefined
  outcomes.set(outcome, times + 1)
  corpus.push(input)
  if (origin === 'new') plan.onKept({ target: target.name, input, outcome })
  return undefined
}

function small(target: FuzzTarget, found: Buffer, problem: string): Finding {
  const input = shrunk(target, found)
  const examined = examine(target, input)
  return { target: target.name, input, problem: 'problem' in examined ? examined.problem : problem }
}
