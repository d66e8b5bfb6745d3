// Adds up what the test runs of one CI run counted. usage: sum_totals.ts FILE FAILED_PARTS
// A part that failed counts as one failure unless its tests already say so. In CI nothing may be skipped.
import { existsSync, readFileSync } from 'node:fs'

const [file = '', parts = '0'] = process.argv.slice(2)
const totals = { passed: 0, failed: 0, skipped: 0 }
const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
for (const line of lines) {
  const run: typeof totals = JSON.parse(line)
  totals.passed += run.passed
  totals.failed += run.failed
  totals.skipped += run.skipped
}
const failedParts = Number(parts)
if (failedParts > 0 && totals.failed === 0) totals.failed = failedParts
if (totals.skipped > 0) console.log('Nothing may be skipped here: a missing peer is a failure.')
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`)
process.exit(totals.failed === 0 && totals.skipped === 0 && totals.passed > 0 ? 0 : 1)
