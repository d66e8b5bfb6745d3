// From measurements to rows of the table, each with its verdict.
import type { Case, Target } from './cases.ts'
import { FOREIGN_CORES, ratioOf } from './measure.ts'
import type { Cell, Measured } from './measure.ts'
import type { CliTimes, StartTimes } from './start_times.ts'
import { judge } from './verdict.ts'
import type { Row } from './verdict.ts'

/** No rows where only one side was measured. */
export function judgeCase(one: Case, results: readonly Measured[]): Row[] {
  const ours = results.find(({ server }) => server === one.ours)
  const dex = results.find(({ server }) => server === one.dex)
  if (ours === undefined || dex === undefined) return []
  const noisy = [ours, dex].some(({ median }) => median.foreignCores > FOREIGN_CORES)
  return one.judged.map((target) => judgeTarget(one.title, target, ours, dex, noisy))
}

function judgeTarget(title: string, target: Target, ours: Measured, dex: Measured, noisy: boolean): Row {
  const [mine, theirs] = [figureOf(target, ours.median), figureOf(target, dex.median)]
  const ratio = ratioOf(ours.rounds, dex.rounds, (cell) => figureOf(target, cell))
  const atLeast = target.figure === 'rate'
  const unit = atLeast ? '/s' : ' ms'
  const sign = atLeast ? '>=' : '<='
  return {
    title,
    figure: target.figure,
    ours: `${mine.toFixed(atLeast ? 0 : 2)}${unit}`,
    theirs: `${theirs.toFixed(atLeast ? 0 : 2)}${unit}`,
    ratio,
    cpuRatio: atLeast ? ratioOf(dex.rounds, ours.rounds, (cell) => cell.cpuMicrosPerRequest) : undefined,
    goal: `${sign} ${target.goal}x`,
    floor: target.floor === undefined ? '' : `${sign} ${target.floor}x`,
    verdict: judge(ratio, target.goal, target.floor, atLeast ? 'atLeast' : 'atMost'),
    noisy,
  }
}

function figureOf(target: Target, cell: Cell): number {
  switch (target.figure) {
    case 'rate':
      return cell.perSecond
    case 'p50':
      return cell.p50Ms
    case 'p99':
      return cell.p99Ms
  }
}

export function judgeStarts(starts: StartTimes): Row {
  return timed('start to ready, keys present', starts.packed, starts.bareServer, 2.5, 400)
}

export function judgeCli(cli: CliTimes): Row {
  return timed('`exchange --help`', cli.packed, cli.bareNode, 1.5, 150)
}

/** The goal is a multiple of bare Node, the floor milliseconds. */
function timed(title: string, ours: number, bare: number, goal: number, floorMs: number): Row {
  const ratio = ours / bare
  return {
    title,
    figure: 'wall',
    ours: `${ours.toFixed(0)} ms`,
    theirs: `${bare.toFixed(0)} ms`,
    ratio,
    cpuRatio: undefined,
    goal: `<= ${goal}x`,
    floor: `<= ${floorMs} ms`,
    verdict: ratio <= goal ? 'goal' : judge(ours, floorMs, undefined, 'atMost') === 'goal' ? 'floor' : 'MISS',
    noisy: false,
  }
}

export function judgeMemory(idleMiB: number, usual: Measured, small: Measured): Row[] {
  const share = ratioOf(small.rounds, usual.rounds, ({ perSecond }) => perSecond)
  return [
    memory('RSS idle', idleMiB, 90, 110),
    memory('RSS loaded', usual.median.residentMiB, 170, 220),
    // The table states no floor for the small heap.
    memory('RSS loaded, small heap', small.median.residentMiB, 110, undefined),
    {
      title: 'small heap: rate',
      figure: 'rate',
      ours: `${small.median.perSecond.toFixed(0)}/s`,
      theirs: `${usual.median.perSecond.toFixed(0)}/s`,
      ratio: share,
      cpuRatio: ratioOf(usual.rounds, small.rounds, ({ cpuMicrosPerRequest }) => cpuMicrosPerRequest),
      goal: '>= 0.8x',
      floor: '',
      verdict: judge(share, 0.8, undefined, 'atLeast'),
      noisy: [usual, small].some(({ median }) => median.foreignCores > FOREIGN_CORES),
    },
  ]
}

function memory(title: string, mib: number, goal: number, floor: number | undefined): Row {
  return {
    title,
    figure: 'RSS',
    ours: `${mib.toFixed(0)} MiB`,
    theirs: '',
    ratio: undefined,
    cpuRatio: undefined,
    goal: `<= ${goal} MB`,
    floor: floor === undefined ? '' : `<= ${floor} MB`,
    verdict: judge(mib * 1.048576, goal, floor, 'atMost'),
    noisy: false,
  }
}
