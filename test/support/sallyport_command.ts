// `sallyport` as a job has it: a command on the PATH, and its runs as processes of their own. Also Deckhouse's `d8 k`,
// which is kubectl by another name.
import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CliRun } from './cli.ts'

const main = join(import.meta.dirname, '..', '..', 'src', 'main.ts')

export type CommandOptions = {
  readonly cwd?: string
  /** The whole environment beside PATH. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

/** Runs `sallyport ...args` from the checkout and waits for its end, 30 s at most (`code` is then -1). */
export function runSallyport(args: readonly string[], options: CommandOptions = {}): Promise<CliRun> {
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  const child = execFile(
    process.execPath,
    [main, ...args],
    {
      timeout: 30_000,
      maxBuffer: 16 * 1024 * 1024,
      env: { PATH: process.env['PATH'], ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    },
    (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr })
    },
  )
  // A command that has ended without reading is no failure of the test's.
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(options.input ?? '')
  return promise
}

/** A folder for the front of the PATH with `sallyport`, this kubectl, and `d8` whose `k` it is. Gone with the test. */
export function commandFolder(t: { teardown(fn: () => void): void }, kubectl: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-path-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const scripts = {
    sallyport: `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`,
    kubectl: `#!/bin/sh\nexec '${kubectl}' "$@"\n`,
    d8: `#!/bin/sh\nshift\nexec '${kubectl}' "$@"\n`,
  }
  for (const [name, text] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), 0o755)
  }
  return folder
}
