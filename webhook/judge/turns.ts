// Long work on the event loop, a few milliseconds at a time.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** What the others wait for at most, beside their own turn. */
const TURN_MS = 4
/** The clock is looked at once for so many. */
const ITEMS = 16

/** Does `visit` with each, and lets everybody else go on in between. */
export async function inTurns<Item>(items: Iterable<Item>, visit: (item: Item) => void): Promise<void> {
  let until = performance.now() + TURN_MS
  let count = 0
  for (const item of items) {
    visit(item)
    count += 1
    if (count % ITEMS !== 0 || performance.now() < until) continue
    await nextTurn()
    until = performance.now() + TURN_MS
  }
}
