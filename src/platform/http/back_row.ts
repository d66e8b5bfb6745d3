// Connections that brought what was refused sit in the back row: what they bring next is read when those that were not have been
// looked at. Who sends garbage as fast as it goes gets what others leave, and a little always: one client's address, credential or
// proxy may be that of good requests, too, so nothing is counted against any of them, and nobody is locked out.

/** What is needed of a `net.Socket`; paused, what comes stays with the operating system. */
type Pausable = {
  readonly destroyed: boolean
  pause(): unknown
  resume(): unknown
  on(event: 'resume', act: () => void): unknown
}

export type BackRow = {
  /** Its request was refused. Nothing of it is read before its turn; its answer leaves all the same. */
  readonly seat: (connection: Pausable) => void
}

/**
 * Refusals that are done with in one turn of the event loop, in which everybody else who has something to say is heard: half a
 * millisecond of them. Who sent many requests at once, which are answered as they were read, sits for all of them.
 */
const EACH_TURN = 2

/** `afterTurn`: calls back when whoever had something to say was heard; `setImmediate` by default. */
export function createBackRow(afterTurn: (act: () => void) => unknown = setImmediate): BackRow {
  // As many as there are connections at most, with how many refusals they sit for; in the order in which they came.
  const seated = new Map<Pausable, number>()
  const kept = new WeakSet<Pausable>()
  // Node reads on by itself when a body behind the refused request is wanted, or when a caller takes the answers it had left lying.
  const keepSeated = (connection: Pausable): void => {
    if (kept.has(connection)) return
    kept.add(connection)
    connection.on('resume', () => {
      if (seated.has(connection)) connection.pause()
    })
  }
  const next = (): void => {
    let heard = 0
    for (const [connection, refusals] of seated) {
      if (heard === EACH_TURN) break
      seated.delete(connection)
      if (connection.destroyed) continue
      heard += 1
      // Behind all others again.
      if (refusals > 1) seated.set(connection, refusals - 1)
      else connection.resume()
    }
    if (seated.size > 0) afterTurn(next)
  }
  return {
    seat(connection) {
      if (connection.destroyed) return
      const refusals = seated.get(connection) ?? 0
      seated.set(connection, refusals + 1)
      if (refusals > 0) return
      keepSeated(connection)
      connection.pause()
      if (seated.size === 1) afterTurn(next)
    },
  }
}
