// One folder for everything that a demo writes, gone when it ends, also when somebody interrupts it.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Servers end themselves on a signal; what they still write comes before this. */
const SERVERS_END_MS = 300

/** What is made in the system's temporary folder from now on is made in this one. Returns how to take it away. */
export function useTemporaryFolder(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-demo-'))
  process.env['TMPDIR'] = folder
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  let isInterrupted = false
  const interrupt = (): void => {
    if (isInterrupted) return
    isInterrupted = true
    process.once('exit', remove)
    setTimeout(() => process.exit(130), SERVERS_END_MS)
  }
  // They stay, so that no signal ends the process before its time.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt)
  return remove
}
