// The ledger as text: JSON lines, one entry each, as `sallyport ledger export` writes them and `sallyport review --ledger` reads
// them. Sorted, so that two exports of one ledger are one text.
import type { JsonValue } from '#core/claims.ts'
import type { LedgerEntry } from './ledger.ts'
import { factFields, readEntry, readKey } from './published_version.ts'
import { deny, ok, reading } from './reading.ts'
import type { Reading } from './reading.ts'

export function ledgerLine({ module, version, facts }: LedgerEntry): string {
  return `${JSON.stringify({ ...module, version, ...factFields(facts) })}\n`
}

/** By kind, namespace, name; versions as texts. */
export function compareEntries(left: LedgerEntry, right: LedgerEntry): number {
  const [a, b] = [left, right].map(({ module, version }) => [
    module.kind,
    module.namespace,
    module.name,
    version,
  ])
  for (const [index, text] of (a ?? []).entries()) {
    const other = b?.[index] ?? ''
    if (text !== other) return text < other ? -1 : 1
  }
  return 0
}

/** Empty lines are passed over. The denial names the first line that is no entry. */
export function readLedgerLines(text: string): Reading<readonly LedgerEntry[]> {
  const entries: LedgerEntry[] = []
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const entry = readLine(line)
    if (!entry.ok) return deny(`line ${index + 1}: ${entry.denial}`)
    entries.push(entry.value)
  }
  return ok(entries)
}

function readLine(line: string): Reading<LedgerEntry> {
  let value: JsonValue
  try {
    value = JSON.parse(line)
  } catch {
    return deny('it is no JSON object')
  }
  const read = reading(value, (root) => readEntry(readKey(root), root))
  return read.ok ? read.value : read
}
