// Runs one kind of test with tap and prints a truthful total as the last line: `N passed, N failed, N skipped`; before it
// what the tests say of their figures (t.comment).
// usage: run_tests.ts unit|e2e [file ...]. Unit: everything that needs no Go or Java. e2e: the real counterparts.
import { spawn } from 'node:child_process'
import { appendFileSync, globSync } from 'node:fs'
import { Parser } from 'tap-parser'
import type { Result as TapResult } from 'tap-parser'

const [kind, ...named] = process.argv.slice(2)
if (kind !== 'unit' && kind !== 'e2e') {
  console.error('usage: run_tests.ts unit|e2e [file ...]')
  process.exit(2)
}
const patterns =
  kind === 'e2e'
    ? ['test/e2e/**/*.test.ts']
    : ['test/{core,platform,broker,cli,webhook,conformance,demo}/**/*.test.ts']
const files = named.length > 0 ? named : patterns.flatMap((pattern) => globSync(pattern)).sort()

const totals = { passed: 0, failed: 0, skipped: 0 }
const skips: string[] = []

/** A test is a named subtest of a file; a file without subtests counts its own assertions, one that is skipped as a whole once. */
function count(parser: Parser, path: readonly string[]): void {
  parser.on('child', (child) => count(child, [...path, child.name]))
  parser.on('assert', (result: TapResult) => {
    const isSkipped = result.skip !== false && result.skip !== undefined
    if (path.length === 0 && !isSkipped) return
    // Deeper levels are parts of a test, except that a grouping of subtests is not one itself.
    if (path.length > 1) return
    if (isSkipped) {
      totals.skipped += 1
      skips.push(`${[...path, result.name].join(' > ')}: ${String(result.skip)}`)
    } else if (result.ok) totals.passed += 1
    else totals.failed += 1
  })
}

/** A comment inside of a file that tap does not make itself. */
const FIGURE = /^\s+# (?!Subtest: |time=|failed )/

const parser = new Parser()
count(parser, [])
const failures: string[] = []
parser.on('line', (line) => {
  if (/^\s*not ok/.test(line)) failures.push(line.trim())
  if (FIGURE.test(line)) console.log(line.trim())
})

/** One more than the least of machines has cores: a good part of the tests waits for processes and timers. */
const UNIT_JOBS = 3

const tap = spawn(
  'tap',
  [
    '--reporter=tap',
    `--jobs=${kind === 'e2e' ? 1 : UNIT_JOBS}`,
    `--timeout=${kind === 'e2e' ? 900 : 120}`,
    ...files,
  ],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
)
let output = ''
tap.stdout.setEncoding('utf8')
tap.stdout.on('data', (chunk: string) => {
  output += chunk
  parser.write(chunk)
  for (const line of chunk.split('\n')) if (/^(not ok|ok)/.test(line)) console.log(line)
})
const code = await new Promise<number>((resolve) => tap.on('close', (status) => resolve(status ?? 1)))
parser.end()
if (failures.length > 0) console.log(output)
for (const skip of skips) console.log(`skipped: ${skip}`)
if (code !== 0 && totals.failed === 0) totals.failed += 1
if (process.env['SALLYPORT_TEST_TOTALS'] !== undefined) {
  appendFileSync(process.env['SALLYPORT_TEST_TOTALS'], `${JSON.stringify(totals)}\n`)
}
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(code === 0 && totals.failed === 0 ? 0 : 1)
