// SIGHUP ends a process that does not listen for it, and whoever sends one (log rotation, systemctl reload) does not know
// whether a server has come that far. So it is listened for before anything is opened, and what came early is done once
// there is something to do it to.

import type { CommandIo } from './command.ts'

export interface Hangups {
  /** Calls `act` with each SIGHUP from now on, at once when there was one before. Returns how to end that. */
  obey(act: () => void): () => void
  /** A SIGHUP ends the process again. */
  close(): void
}

/** What a server has of its process. */
export type ServeIo = { readonly io: CommandIo; readonly hangups: Hangups }

/** Listens from now on. */
export function openHangups(): Hangups {
  let act: (() => void) | undefined
  let cameEarly = false
  const onHangup = (): void => {
    if (act === undefined) cameEarly = true
    else act()
  }
  process.on('SIGHUP', onHangup)
  return {
    obey(chosen) {
      act = chosen
      if (cameEarly) chosen()
      cameEarly = false
      return () => {
        // From here on it means nothing: the server ends.
        act = undefined
      }
    },
    close: () => void process.off('SIGHUP', onHangup),
  }
}
