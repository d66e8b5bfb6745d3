// The rows of the table "how fast": who is measured against whom, and which ratio is the goal and the floor.
import type { ContestantName } from './contestants.ts'
import type { Operation } from './measure.ts'

export type Case = {
  readonly title: string
  readonly operation: Operation
  readonly connections: number
  readonly ours: ContestantName
  readonly dex: ContestantName
  readonly judged: readonly Target[]
}

/** `rate`: ours / Dex's, at least. `p50`, `p99`: ours / Dex's, at most. No floor: a wish, never a miss. */
export type Target = {
  readonly figure: 'rate' | 'p50' | 'p99'
  readonly goal: number
  readonly floor: number | undefined
}

const rate = (goal: number, floor: number): Target => ({ figure: 'rate', goal, floor })
const p99 = (goal: number): Target => ({ figure: 'p99', goal, floor: undefined })
const p50: Target = { figure: 'p50', goal: 1, floor: 1.25 }

export const cases: readonly Case[] = [
  {
    title: 'exchange, ES256 both, Dex in memory',
    operation: 'exchange',
    connections: 32,
    ours: 'sallyport ES256',
    dex: 'dex ES256',
    judged: [rate(2, 1.7), p99(0.5)],
  },
  {
    title: 'client_credentials, ES256 both',
    operation: 'client_credentials',
    connections: 32,
    ours: 'sallyport ES256',
    dex: 'dex ES256',
    judged: [rate(1.5, 1.3)],
  },
  {
    title: 'exchange, RS256 both',
    operation: 'exchange',
    connections: 32,
    ours: 'sallyport RS256',
    dex: 'dex RS256',
    judged: [rate(2.6, 2.2), p99(0.25)],
  },
  {
    title: 'client_credentials, RS256 both',
    operation: 'client_credentials',
    connections: 32,
    ours: 'sallyport RS256',
    dex: 'dex RS256',
    judged: [rate(2.6, 2.2), p99(0.25)],
  },
  {
    title: "exchange, our default against Dex's",
    operation: 'exchange',
    connections: 32,
    ours: 'sallyport ES256',
    dex: 'dex RS256',
    judged: [rate(7, 6)],
  },
  {
    title: "client_credentials, our default against Dex's",
    operation: 'client_credentials',
    connections: 32,
    ours: 'sallyport ES256',
    dex: 'dex RS256',
    judged: [rate(9, 7)],
  },
  {
    title: 'exchange, ES256, one connection',
    operation: 'exchange',
    connections: 1,
    ours: 'sallyport ES256',
    dex: 'dex ES256',
    judged: [p50],
  },
  {
    title: 'client_credentials, ES256, one connection',
    operation: 'client_credentials',
    connections: 1,
    ours: 'sallyport ES256',
    dex: 'dex ES256',
    judged: [p50],
  },
  {
    title: 'exchange, RS256, SQLite both',
    operation: 'exchange',
    connections: 32,
    ours: 'sallyport RS256',
    dex: 'dex RS256 SQLite',
    judged: [rate(4, 3)],
  },
  {
    title: '/keys, Dex in memory',
    operation: 'keys',
    connections: 32,
    ours: 'sallyport RS256',
    dex: 'dex RS256',
    judged: [rate(2.5, 2)],
  },
  {
    title: '/keys, Dex on SQLite',
    operation: 'keys',
    connections: 32,
    ours: 'sallyport RS256',
    dex: 'dex RS256 SQLite',
    judged: [rate(15, 10)],
  },
  {
    title: 'discovery',
    operation: 'discovery',
    connections: 32,
    ours: 'sallyport RS256',
    dex: 'dex RS256',
    judged: [rate(2.5, 2)],
  },
]
