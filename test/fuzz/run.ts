// npm run fuzz: asks the doors for a given time with inputs made of a corpus, and keeps what gave a new outcome.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Misuse, readOptions, wholeNumber } from '../support/run_options.ts'
import { LOCAL_CORPUS, writeInput } from './corpus.ts'
import { createCurrent, readCurrent } from './current_input.ts'
import { examine } from './examine.ts'
import { UnknownTarget, selectedTargets } from './selected_targets.ts'
import type { Finding } from './session.ts'
import type { FuzzTarget } from './target.ts'
import type { WorkerAnswer, WorkerPlan } from './worker.ts'

const DEFAULT_SECONDS = 60
const PROGRESS_SECONDS = 5
/** Making a finding small may take 20 s. */
const DEFAULT_HANG_SECONDS = 60

const OPTIONS = {
  seconds: { type: 'string' },
  target: { type: 'string', multiple: true },
  seed: { type: 'string' },
  corpus: { type: 'string' },
  'targets-from': { type: 'string' },
  'hang-seconds': { type: 'string' },
  replay: { type: 'string' },
  help: { type: 'boolean' },
} as const

function help(all: readonly FuzzTarget[]): string {
  return `usage: npm run fuzz -- [--seconds N] [--target NAME]... [--seed S] [--corpus DIR] [--replay FILE]

Asks each parser that a stranger's bytes reach, beside a slow reference that stands in test/fuzz/reference. Inputs are made
of the target's seeds, of test/fuzz/corpus and of what earlier runs kept.

  --seconds N       how long, all targets together (${DEFAULT_SECONDS})
  --target NAME     only this one; may come more than once
  --seed S          the numbers that mutation goes by (of the clock); the first line says which one it was
  --corpus DIR      where inputs with new outcomes are kept, and findings below findings/ (.fuzz)
  --hang-seconds N  an input that takes longer is a finding (${DEFAULT_HANG_SECONDS})
  --replay FILE     asks one file and nothing else; wants --target
  --targets-from F  a module whose export "targets" stands in for ours

ends with 0: nothing found; 1: something found, its input is in the file named; 2: called wrongly

examples
  npm run fuzz -- --seconds 300
  npm run fuzz -- --target json --target compact --seconds 30 --seed 7
  npm run fuzz -- --target json --replay .fuzz/findings/json/0a1b2c3d4e5f6071

targets
${all.map(({ name, about }) => `  ${name.padEnd(18)}${about}`).join('\n')}
`
}

async function main(): Promise<number> {
  const options = readOptions(OPTIONS)
  const targetsFile = options['targets-from']
  const names = options.target ?? []
  const targets = await selectedTargets(targetsFile, names)
  if (options.help === true) {
    console.log(help(targets))
    return 0
  }
  const corpus = options.corpus ?? LOCAL_CORPUS
  if (options.replay !== undefined) return replay(targets, options.replay)
  const seconds = wholeNumber(options.seconds, DEFAULT_SECONDS, '--seconds')
  const seed = wholeNumber(options.seed, Date.now() % 1_000_000_007, '--seed')
  console.log(`${targets.length} targets for ${seconds} s, seed ${seed}, corpus ${corpus}`)
  const current = createCurrent()
  const plan: WorkerPlan = { seed, seconds, corpus, targetsFile, names, current }
  const hangSeconds = wholeNumber(options['hang-seconds'], DEFAULT_HANG_SECONDS, '--hang-seconds')
  const answer = await watched(plan, targets, hangSeconds)
  for (const { target, inputs, outcomes } of answer.figures)
    console.log(`  ${target.padEnd(18)}${String(inputs).padStart(9)} inputs, ${outcomes} outcomes`)
  console.log(`${answer.kept} new inputs kept`)
  if (answer.finding === undefined) return 0
  const { target, problem } = answer.finding
  // A Buffer comes out of the thread as a plain array of bytes.
  const input = Buffer.from(answer.finding.input)
  const path = writeInput(join(corpus, 'findings'), target, input)
  console.log(`FOUND ${target}: ${problem}`)
  console.log(`  input ${JSON.stringify(input.toString('latin1').slice(0, 200))}`)
  console.log(`  written to ${path}; again: npm run fuzz -- --target ${target} --replay ${path}`)
  return 1
}

function replay(targets: readonly FuzzTarget[], file: string): number {
  const [target, second] = targets
  if (target === undefined || second !== undefined) throw new Misuse('--replay wants one --target')
  const examined = examine(target, readFileSync(file))
  console.log(
    'problem' in examined
      ? `FOUND ${target.name}: ${examined.problem}`
      : `${target.name}: ${examined.outcome}`,
  )
  return 'problem' in examined ? 1 : 0
}

/** Runs the thread; one that hangs or dies of an input is a finding as well. */
async function watched(
  plan: WorkerPlan,
  targets: readonly FuzzTarget[],
  hangSeconds: number,
): Promise<WorkerAnswer> {
  const thread = new Worker(new URL('worker.ts', import.meta.url), { workerData: plan })
  const found = (problem: string): WorkerAnswer => {
    const { target, input } = readCurrent(plan.current)
    const finding: Finding = { target: targets[target]?.name ?? 'unknown', input, problem }
    return { finding, figures: [], kept: 0 }
  }
  let timer: NodeJS.Timeout | undefined
  const answer = await new Promise<WorkerAnswer>((resolve, reject) => {
    thread.once('message', resolve)
    thread.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ERR_WORKER_OUT_OF_MEMORY') resolve(found('the memory was not enough'))
      else reject(error)
    })
    let [last, silent, seconds] = [0, 0, 0]
    timer = setInterval(() => {
      seconds += 1
      const { asked } = readCurrent(plan.current)
      silent = asked === last ? silent + 1 : 0
      last = asked
      if (silent >= hangSeconds) resolve(found(`no answer for ${hangSeconds} s`))
      if (seconds % PROGRESS_SECONDS === 0) console.log(`${seconds} s: ${asked} inputs`)
    }, 1000)
  })
  clearInterval(timer)
  await thread.terminate()
  return answer
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof Misuse) && !(error instanceof UnknownTarget)) throw error
  console.error(`fuzz: ${error.message} (--help shows examples)`)
  process.exitCode = 2
}
