// A process that makes garbage in a thread until its collector has marked it often. usage: collected_process.ts CORES
// Prints what V8's own threads took, in milliseconds of processor.
import { readdirSync, readFileSync } from 'node:fs'
import { isMainThread, Worker } from 'node:worker_threads'
import { collectInTurn } from '../../src/platform/young_generation.ts'

const LISTS = 50
const KEPT = 10

if (isMainThread) {
  collectInTurn(Number(process.argv[2]))
  const thread = new Worker(new URL(import.meta.url))
  thread.once('exit', () => console.log(helpersMs()))
} else {
  const text = JSON.stringify(Array.from({ length: 60_000 }, (_, index) => ({ version: `1.0.${index}` })))
  const kept: unknown[] = []
  for (let count = 0; count < LISTS; count += 1) {
    kept.push(JSON.parse(text))
    if (kept.length > KEPT) kept.splice(0, KEPT / 2)
  }
}

/** proc(5): utime and stime of each thread are the 12th and 13th field behind its name, in hundredths of a second. */
function helpersMs(): number {
  let ticks = 0
  for (const thread of readdirSync('/proc/self/task')) {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    if (!stat.includes('(V8Worker)')) continue
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks * 10
}
