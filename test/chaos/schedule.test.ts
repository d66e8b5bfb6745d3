// The faults of a run: the same from the same seed, each where it can be, and never two at the same thing.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { FAULT_KINDS, QUIET_MS, THINGS, scheduleFaults } from './schedule.ts'
import type { SchedulePlan } from './schedule.ts'

const PLAN: SchedulePlan = {
  seed: 7,
  durationMs: 1_800_000,
  everyMs: 1500,
  kinds: FAULT_KINDS,
  things: THINGS,
}
const faults = scheduleFaults(PLAN)

function told(seed: number): string {
  return JSON.stringify(scheduleFaults({ ...PLAN, seed }))
}

t.test('the same seed gives the same faults, another seed others', async (t) => {
  t.equal(told(7), told(7))
  t.not(told(7), told(8))
})

t.test('in half an hour every kind comes, in every way and at everything it can happen to', async (t) => {
  for (const { name, ways, of, only } of FAULT_KINDS) {
    const own = faults.filter(({ kind }) => kind.name === name)
    t.same(new Set(own.map(({ thing }) => thing)), new Set(only ?? PLAN.things[of]), name)
    t.same(new Set(own.map(({ way }) => way)), new Set(ways), name)
  }
})

t.test('no two faults hold the same thing at the same time', async (t) => {
  const ends = new Map<string, number>()
  const early = faults.filter(({ at, kind, thing, lastsMs }) => {
    const held = `${kind.of} ${thing}`
    const isEarly = at < (ends.get(held) ?? 0)
    ends.set(held, at + lastsMs)
    return isEarly
  })
  t.same(early, [])
})

t.test('everything is whole at the beginning and at the end', async (t) => {
  t.ok(faults.length > 500, `${faults.length} faults`)
  t.same(
    faults.filter(({ at, lastsMs }) => at < QUIET_MS || at + lastsMs > PLAN.durationMs - QUIET_MS),
    [],
  )
})

t.test('what is not there does not fail', async (t) => {
  const left = scheduleFaults({ ...PLAN, things: { ...PLAN.things, disk: [] } })
  t.ok(left.length > 0)
  t.notOk(left.some(({ kind }) => kind.of === 'disk'))
})

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string }

function chaos(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(import.meta.dirname, 'run.ts'), ...args],
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

t.test('the command shows its faults, and its plan for a seed, without doing anything', async (t) => {
  const help = await chaos('--help')
  t.equal(help.code, 0)
  for (const { name } of FAULT_KINDS) t.match(help.stdout, `  ${name} `)
  const plan = await chaos('--plan', '--seed', '7', '--minutes', '2')
  t.equal(plan.code, 0)
  t.match(plan.stdout, /^seed 7, 120 s/)
  t.equal((await chaos('--plan', '--seed', '7', '--minutes', '2')).stdout, plan.stdout)
})

t.test('the command names what it does not understand', async (t) => {
  for (const [args, said] of [
    [['--minutes', '-1'], /--minutes/],
    [['--minutes', '0'], /--minutes wants a number up to/],
    [['--seed', 'x'], /--seed wants a whole number, not "x"/],
    [['--only', 'rain'], /there is no fault "rain"/],
  ] as const) {
    const { code, stderr } = await chaos(...args)
    t.equal(code, 2)
    t.match(stderr, said)
  }
})
