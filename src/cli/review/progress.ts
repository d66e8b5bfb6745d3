// How far a long reading is, on a terminal alone: a job's log has no use for it.
import type { CommandIo } from '../command.ts'

/** Nobody wonders before. */
const QUIET_MS = 700
const EVERY = 200

export type Progress = { readonly seen: (files: number) => void; readonly end: () => void }

export function progress({ stderr, clock }: Pick<CommandIo, 'stderr' | 'clock'>): Progress {
  if (stderr.isTTY !== true) return { seen: () => undefined, end: () => undefined }
  const start = clock()
  let isShown = false
  return {
    seen: (files) => {
      if (files % EVERY !== 0 || clock() - start < QUIET_MS) return
      isShown = true
      stderr.write(`\rreading: ${files} files`)
    },
    end: () => {
      if (isShown) stderr.write('\r\u001B[K')
    },
  }
}
