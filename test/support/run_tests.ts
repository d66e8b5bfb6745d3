// Runs one kind of test, each file in a process of its own as `node FILE` would, and prints a truthful total as the last line: `N passed, N failed, N skipped`; before it
// what the tests say of their figures (t.comment).
// tap's own runner starts its compiler and its mocks for every file, which was half of the time; these tests need neither.
// usage: run_tests.ts unit|e2e [file ...]. Unit: everything that needs no Go or Java. e2e: the real counterparts.
import { spawn } from 'node:child_process'
import { appendFileSync, globSync } from 'node:fs'
import { Parser } from 'tap-parser'
import type { FinalResults, Result as TapResult } from 'tap-parser'

const [kind, ...named] = process.argv.slice(2)
if (kind !== 'unit' && kind !== 'e2e') {
  console.error('usage: run_tests.ts unit|e2e [file ...]')
  process.exit(2)
}
const patterns =
  kind === 'e2e'
    ? ['test/e2e/**/*.test.ts']
    : ['test/{core,platform,broker,threats,cli,webhook,conformance,demo,fuzz,chaos}/**/*.test.ts']
const files = named.length > 0 ? named : patterns.flatMap((pattern) => globSync(pattern)).sort()

const totals = { passed: 0, failed: 0, skipped: 0 }
const skips: string[] = []

/** A test is a named subtest of a file; a file without subtests counts its own assertions, one that is skipped as a whole once. */
function count(parser: Parser, path: readonly string[]): void {
  parser.on('child', (child) => count(child, [...path, child.name]))
  parser.on('assert', (result: TapResult) => {
    // Deeper levels are parts of a test, except that a grouping of subtests is not one itself.
    if (path.length > 1) return
    if (result.skip !== false && result.skip !== undefined) skipped([...path, result.name], result.skip)
    else if (result.ok) totals.passed += 1
    else totals.failed += 1
  })
}

function skipped(path: readonly string[], why: string | true): void {
  totals.skipped += 1
  skips.push(`${path.join(' > ')}: ${String(why)}`)
}

/** A comment inside of a file that tap does not make itself. */
const FIGURE = /^\s*# (?!Subtest: |time=|failed |\{ total: )/

/** One more than the least of machines has cores: a good part of the tests waits for processes and timers. */
const UNIT_JOBS = 3
const TIMEOUT_SECONDS = kind === 'e2e' ? 900 : 120
/** For what tap itself says when its time is up, before the process is ended. */
const GRACE_SECONDS = 15

const options = { TAP: '1', TAP_TIMEOUT: String(TIMEOUT_SECONDS) }

/** Whether everything in it passed. Its output is shown when not. */
async function runFile(file: string, nth: number): Promise<boolean> {
  const began = performance.now()
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...options },
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), (TIMEOUT_SECONDS + GRACE_SECONDS) * 1000)
  const parser = new Parser()
  count(parser, [file])
  parser.on('line', (line) => {
    if (FIGURE.test(line)) console.log(line.trim())
  })
  const completed = new Promise<FinalResults>((resolve) => parser.on('complete', resolve))
  let output = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    output += chunk
    parser.write(chunk)
  })
  const code = await new Promise<number>((resolve) => child.on('close', (status) => resolve(status ?? 1)))
  clearTimeout(timer)
  parser.end()
  const results = await completed
  const isFine = code === 0 && results.ok
  if (isFine && results.plan.skipAll) skipped([file], results.plan.skipReason)
  // A file that dies says nothing of the tests that it did not come to.
  if (!isFine && results.fail === 0) totals.failed += 1
  const ms = (performance.now() - began).toFixed(0)
  console.log(`${isFine ? 'ok' : 'not ok'} ${nth} - ${file} # time=${ms}ms`)
  if (!isFine) console.log(`${output}\n# ${file} ended with ${code}`)
  return isFine
}

const waiting = files.entries()
let areAllFine = true
await Promise.all(
  Array.from({ length: kind === 'e2e' ? 1 : UNIT_JOBS }, async () => {
    for (const [index, file] of waiting) {
      if (!(await runFile(file, index + 1))) areAllFine = false
    }
  }),
)
for (const skip of skips) console.log(`skipped: ${skip}`)
if (process.env['SALLYPORT_TEST_TOTALS'] !== undefined) {
  appendFileSync(process.env['SALLYPORT_TEST_TOTALS'], `${JSON.stringify(totals)}\n`)
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(areAllFine && totals.failed === 0 ? 0 : 1)
