// A thread that tries what it may do, and throws what came of it.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

function outcome(attempt: () => unknown): string {
  try {
    attempt()
    return 'done'
  } catch (error) {
    return String(Object(error).code)
  }
}

const outcomes = {
  'reads its own code': outcome(() => readFileSync(import.meta.filename)),
  'reads a file': outcome(() => readFileSync('/etc/hosts')),
  'writes a file': outcome(() => writeFileSync(join(tmpdir(), 'sallyport-probe'), '')),
  'starts a program': outcome(() => execFileSync('true')),
  'starts a thread': outcome(() => new Worker('', { eval: true })),
}
throw new Error(JSON.stringify(outcomes))
