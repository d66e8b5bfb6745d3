// The short way from the command line to the plugin, without commander and without Node's stdout stream: each of them
// costs a tenth of a start, and kubectl starts the plugin for each call.
import { fstatSync, writeSync } from 'node:fs'
import type { CommandIo, ExitCode } from '../command.ts'
import { runCredential } from '../credential_run.ts'
import { readPlainFlags } from './flags.ts'

// The package has all of this command in the file that is made of this one.
export { runCredential } from '../credential_run.ts'

const STDOUT = 1

/** `undefined`: not a plain list of flags; commander has the help and the words for mistakes. */
export async function runQuickly(argv: readonly string[], io: CommandIo): Promise<ExitCode | undefined> {
  const given = readPlainFlags(argv)
  if (given === undefined) return undefined
  return runCredential(given, {
    get stdin() {
      return io.stdin
    },
    get stderr() {
      return io.stderr
    },
    stdout: {
      get isTTY() {
        return isTerminal()
      },
      write: writeAll,
    },
    env: io.env,
    cwd: io.cwd,
    clock: io.clock,
    randomBytes: io.randomBytes,
    sleep: io.sleep,
  })
}

/** A pipe or a file is none; what may be one (also /dev/null) is asked about in earnest. */
function isTerminal(): boolean {
  if (!fstatSync(STDOUT).isCharacterDevice()) return false
  return process.getBuiltinModule('node:tty').isatty(STDOUT)
}

function writeAll(text: string): void {
  const bytes = Buffer.from(text)
  for (let written = 0; written < bytes.length;) {
    try {
      written += writeSync(STDOUT, bytes, written)
    } catch (error) {
      // A pipe that is full and does not wait: kubectl reads it in a moment.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
