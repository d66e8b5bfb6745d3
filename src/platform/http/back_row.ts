// Connections that brought what was refused sit in the back row: what they bring next is read when those that were not have been
// looked at. Who sends garbage as fast as it goes gets what others leave, and a little always: one client's address, credential or
// proxy may be that of good requests, too, so nothing is counted against any of them, and nobody is locked out.

/** What is needed of a `net.Socket`; paused, what comes stays with the operating system. */
type Pausable = {
  readonly destroyed: boolean
  pause(): unknown
  resume(): unknown
}

export type BackRow = {
  /** Its request was refused. Nothing of it is read before its turn; its answer leaves all the same. */
  readonly seat: (connection: Pausable) => void
}

/** Of one turn of the event loop, in which everybody else who has something to say is heard: half a millisecond of refusals. */
const EACH_TURN = 2

/** `afterTurn`: calls back when whoever had something to say was heard; `setImmediate` by default. */
export function createBackRow(afterTurn: (act: () => void) => unknown = setImmediate): BackRow {
  // As many as there are connections at most; in the order in which they came.
  const seated = new Set<Pausable>()
  const next = (): void => {
    let heard = 0
    for (const connection of seated) {
      if (heard === EACH_TURN) break
      seated.delete(connection)
      if (connection.destroyed) continue
      connection.resume()
      heard += 1
    }
    if (seated.size > 0) afterTurn(next)
  }
  return {
    seat(connection) {
      if (connection.destroyed || seated.has(connection)) return
      connection.pause()
      seated.add(connection)
      if (seated.size === 1) afterTurn(next)
    },
  }
}
