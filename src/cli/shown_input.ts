// What of the command line and its variables a message may show. Who gives a token where a file is wanted must not find
// it in the log of the job: every message about an argument asks here, and what goes to stderr passes here once more.
import type { CommandIo } from './command.ts'

const NOT_SHOWN = '[a token, not shown]'
/** A JWT, or the beginning of one: base64url of `{"`, wherever it stands. */
const TOKEN = /eyJ[\w-]{8,}(?:\.[\w-]*)*/g
/** No file system takes a longer name (NAME_MAX), so it is none. */
const MAX_NAME_BYTES = 255
const SECRET_FILE = /\.(?:json|jwt|key|pem|secret|token|txt)$/

export const GIVE_A_FILE = 'give a file (or - for standard input), not the token'

/** Text with each token in it left out. */
export function withoutTokens(text: string): string {
  return text.replaceAll(TOKEN, NOT_SHOWN)
}

/** Commander lists the words that are too many; of a command that reads a secret they may be the secret. */
export function withoutExcess(text: string): string {
  return text.replace(
    /^(error: too many arguments[^]*? but got \d+): [^]*$/,
    '$1; a token or a secret is given in a file\n',
  )
}

/** The name of a file that is no secret; `undefined`: it looks like a token, or like no name at all. */
export function shownFile(file: string): string | undefined {
  const isLong = file.split('/').some((part) => Buffer.byteLength(part) > MAX_NAME_BYTES)
  return isLong || withoutTokens(file) !== file ? undefined : file
}

/**
 * The name of a file that should hold a token or a secret. What is not there may be the secret itself, so a bare word is
 * shown only when it is there, ends like such a file, or stands in a folder that is there.
 */
export function shownSecretFile(file: string, cwd: string): string | undefined {
  const shown = shownFile(file)
  // Taken on use: a help text loads this file, too, and does not need it.
  const path = process.getBuiltinModule('node:path')
  if (shown === undefined || shown === '-' || SECRET_FILE.test(shown)) return shown
  if (isThere(path.resolve(cwd, shown))) return shown
  const folder = path.dirname(shown)
  const isInFolder = folder !== '.' && folder !== '/' && isThere(path.resolve(cwd, folder))
  return isInFolder ? shown : undefined
}

/** Under Node's permission model asking for a path that is not allowed throws: then nobody knows. */
function isThere(path: string): boolean {
  const { existsSync } = process.getBuiltinModule('node:fs')
  try {
    return existsSync(path)
  } catch {
    return false
  }
}

/** `io` whose standard error shows no token, whoever writes: commander quotes what it does not know. */
export function withGuardedErrors(io: CommandIo): CommandIo {
  return {
    // The streams are opened on use.
    get stdin() {
      return io.stdin
    },
    get stdout() {
      return io.stdout
    },
    stderr: {
      get isTTY() {
        return io.stderr.isTTY
      },
      write: (text) => io.stderr.write(withoutTokens(text)),
    },
    env: io.env,
    cwd: io.cwd,
    clock: io.clock,
    randomBytes: io.randomBytes,
    sleep: io.sleep,
  }
}
