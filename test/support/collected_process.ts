// A process that makes garbage in a thread until it was collected some ten times. usage: collected_process.ts CORES
import { isMainThread, Worker } from 'node:worker_threads'
import { collectInTurn } from '../../src/platform/young_generation.ts'

const LISTS = 40
const KEPT = 10

if (isMainThread) {
  collectInTurn(Number(process.argv[2]))
  void new Worker(new URL(import.meta.url))
} else {
  const text = JSON.stringify(Array.from({ length: 60_000 }, (_, index) => ({ version: `1.0.${index}` })))
  const kept: unknown[] = []
  for (let count = 0; count < LISTS; count += 1) {
    kept.push(JSON.parse(text))
    if (kept.length > KEPT) kept.splice(0, KEPT / 2)
  }
}
