// Which fault comes when: a pure function of the seed, so that a run can be had again.
import { randomOf } from '../fuzz/mutation.ts'
import type { Below } from '../fuzz/mutation.ts'

/** What a fault takes for itself while it lasts, by kind of thing; two faults never hold the same one. */
export type ThingKind =
  | 'process'
  | 'worker'
  | 'clock'
  | 'disk'
  | 'config'
  | 'link'
  | 'database'
  | 'file'
  | 'keys'
  | 'levers'
  | 'upstream'

export type FaultKind = {
  readonly name: string
  readonly about: string
  readonly of: ThingKind
  /** How much more often than a fault of weight 1 it is drawn. */
  readonly weight: number
  /** Milliseconds, least and greatest; it is over after that. */
  readonly lasts: readonly [number, number]
  /** Not again for so long, on the same thing; 0 by default. */
  readonly restMs?: number
  /** Not before this much of the run is over, from 0 to 1. */
  readonly notBefore?: number
  /** Only at these things; at all of them by default. */
  readonly only?: readonly string[]
  /** Ways to do it, of which one is drawn. */
  readonly ways: readonly string[]
}

export const FAULT_KINDS: readonly FaultKind[] = [
  {
    name: 'kill',
    about: 'SIGKILL, and a start after a while',
    of: 'process',
    weight: 4,
    lasts: [100, 3000],
    ways: [''],
  },
  {
    name: 'restart',
    about: 'SIGTERM, and a start at once',
    of: 'process',
    weight: 2,
    lasts: [0, 500],
    ways: [''],
  },
  {
    name: 'pause',
    about: 'a broker stands still (SIGSTOP)',
    of: 'process',
    weight: 2,
    lasts: [300, 4000],
    ways: [''],
  },
  {
    name: 'worker',
    about: 'a worker of `serve --workers` is killed, or stands still',
    of: 'worker',
    weight: 2,
    lasts: [300, 4000],
    ways: ['killed', 'halted'],
  },
  {
    name: 'clock',
    about: 'the clock of one broker jumps, up to 20 s from everybody else’s',
    of: 'clock',
    weight: 3,
    lasts: [0, 0],
    ways: ['-20000', '-12000', '-5000', '-900', '0', '900', '5000', '12000', '20000'],
  },
  {
    name: 'clock_off',
    about: 'the clock of one replica is minutes off, or an hour: it issues nothing',
    of: 'clock',
    weight: 2,
    lasts: [2000, 8000],
    // A single server has nobody to compare its clock with.
    only: ['a', 'b'],
    ways: ['-3600000', '-300000', '-90000', '90000', '300000', '3600000'],
  },
  {
    name: 'database',
    about: 'PostgreSQL is stopped, crashes, or stands still',
    of: 'database',
    weight: 4,
    lasts: [500, 6000],
    ways: ['stopped', 'crashed', 'frozen'],
  },
  {
    name: 'link',
    about: 'the way of one broker to PostgreSQL: no answers, nothing at all, closed, or cut once',
    of: 'link',
    weight: 4,
    lasts: [300, 6000],
    ways: ['deaf', 'silent', 'closed', 'cut'],
  },
  {
    name: 'locked',
    about: 'somebody else holds the SQLite file',
    of: 'file',
    weight: 1,
    lasts: [300, 7000],
    ways: [''],
  },
  {
    name: 'disk_full',
    about: 'no room for audit log and SQLite',
    of: 'disk',
    weight: 4,
    lasts: [500, 5000],
    ways: [''],
  },
  {
    name: 'upstream',
    about: 'an issuer hangs, drips, fails or talks nonsense',
    of: 'upstream',
    weight: 3,
    lasts: [1000, 10_000],
    ways: ['hang', 'drip', 'status500', 'status404', 'huge', 'not_json', 'empty'],
  },
  {
    name: 'upstream_keys',
    about: 'an issuer has new keys, beside the old ones or in their place',
    of: 'upstream',
    weight: 1,
    lasts: [0, 0],
    ways: ['beside', 'instead'],
  },
  {
    name: 'rotate',
    about: 'sallyport keys rotate',
    of: 'keys',
    weight: 2,
    lasts: [0, 0],
    restMs: 15_000,
    ways: [''],
  },
  {
    name: 'revoke',
    about: 'sallyport keys revoke, of the key that signs',
    of: 'keys',
    weight: 2,
    lasts: [0, 0],
    // Long enough that the waits of ordinary rotations are seen in between.
    restMs: 400_000,
    notBefore: 0.4,
    ways: [''],
  },
  {
    name: 'emergency',
    about: 'sallyport emergency: a connector is switched off for a while, or a token denied',
    of: 'levers',
    weight: 3,
    // Long enough to be obeyed, and for a while after that.
    lasts: [6000, 12_000],
    ways: ['once', 'many', 'token'],
  },
  {
    name: 'reload',
    about: 'SIGHUP with the same, a changed or a broken configuration, or with the audit file moved away',
    of: 'config',
    weight: 3,
    lasts: [200, 3000],
    ways: ['same', 'changed', 'broken', 'moved'],
  },
]

/** `at` and `lastsMs` in milliseconds, `at` from the beginning. */
export type Fault = {
  readonly at: number
  readonly kind: FaultKind
  readonly thing: string
  readonly way: string
  readonly lastsMs: number
}

export type SchedulePlan = {
  readonly seed: number
  readonly durationMs: number
  readonly kinds: readonly FaultKind[]
  /** What there is to break, by kind. */
  readonly things: Readonly<Record<ThingKind, readonly string[]>>
  /** Mean milliseconds from one fault to the next. */
  readonly everyMs: number
}

/** What makeWorld makes, for a schedule without a world. */
export const THINGS: SchedulePlan['things'] = {
  process: ['a', 'b', 'c'],
  worker: ['b'],
  clock: ['a', 'b', 'c'],
  config: ['a', 'b', 'c'],
  disk: ['a', 'b', 'c'],
  link: ['a', 'b'],
  file: ['c'],
  database: ['postgres'],
  keys: ['postgres', 'sqlite'],
  levers: ['postgres', 'sqlite'],
  upstream: ['once', 'many'],
}

/** Everything is whole for so long at the beginning, and again at the end. */
export const QUIET_MS = 3000

export function scheduleFaults(plan: SchedulePlan): readonly Fault[] {
  const below = randomOf(plan.seed)
  const kinds = plan.kinds.filter((kind) => placesOf(kind, plan).length > 0)
  const weights = kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind))
  const busy = new Map<string, number>()
  const rests = new Map<string, number>()
  const faults: Fault[] = []
  const end = plan.durationMs - QUIET_MS
  for (let at = QUIET_MS; at < end; at += 1 + below(2 * plan.everyMs)) {
    const kind = weights[below(weights.length)]
    if (kind === undefined) break
    const thing = oneOf(placesOf(kind, plan), below)
    const way = oneOf(kind.ways, below)
    const [least, greatest] = kind.lasts
    const lastsMs = least + below(greatest - least + 1)
    const held = `${kind.of} ${thing}`
    const own = `${kind.name} ${thing}`
    const isFree = at >= (busy.get(held) ?? 0) && at >= (rests.get(own) ?? 0)
    if (!isFree || at < (kind.notBefore ?? 0) * plan.durationMs || at + lastsMs > end) continue
    busy.set(held, at + lastsMs)
    rests.set(own, at + lastsMs + (kind.restMs ?? 0))
    faults.push({ at, kind, thing, way, lastsMs })
  }
  return faults
}

function placesOf({ of, only }: FaultKind, { things }: Pick<SchedulePlan, 'things'>): readonly string[] {
  return things[of].filter((thing) => only?.includes(thing) ?? true)
}

function oneOf(items: readonly string[], below: Below): string {
  return items[below(items.length)] ?? ''
}
