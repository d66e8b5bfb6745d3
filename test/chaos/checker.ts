// The checker of a run of chaos: a pure function of what the client recorded and the brokers wrote. It shares no code
// with the broker, so that a mistake is not made twice; test/chaos/checker.test.ts plants every violation that it knows.
import { checkAudit } from './checks/audit.ts'
import { readIssued } from './checks/issued.ts'
import { checkKeys } from './checks/keys.ts'
import { checkPurchases } from './checks/purchases.ts'
import { timelineOf } from './checks/timeline.ts'
import type { History, Violation } from './history.ts'

/** What was promised and did not hold, in order of time. */
export async function checkHistory(history: History): Promise<readonly Violation[]> {
  const time = timelineOf(history)
  const { issued, violations } = await readIssued(history)
  const processes = history.mishaps.map(({ kind, at, broker, detail }): Violation => ({
    kind,
    at,
    evidence: `broker ${broker}: ${detail}`,
  }))
  return [
    ...violations,
    ...checkKeys(history, issued, time),
    ...checkPurchases(history, time),
    ...checkAudit(history),
    ...processes,
  ].toSorted((a, b) => a.at - b.at)
}
