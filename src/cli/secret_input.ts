// Tokens and secrets come from a file or from standard input (`-`), never from an argument: arguments stand in process
// lists and in job logs.
import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CommandIo } from './command.ts'
import { InputFailure } from './input_failure.ts'
import { GIVE_A_FILE, shownFile, shownSecretFile } from './shown_input.ts'

const MAX_SECRET_BYTES = 64 * 1024
const CHUNK_BYTES = 16 * 1024

/** The text of a file, or of stdin for `-`; at most `maxBytes`. Throws InputFailure. */
export async function readInput(
  file: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
  maxBytes = MAX_SECRET_BYTES,
): Promise<string> {
  return (await readInputBytes(file, io, maxBytes)).toString('utf8')
}

/** As readInput, where a text would hide which bytes were no UTF-8. */
export async function readInputBytes(
  file: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
  maxBytes: number,
): Promise<Buffer> {
  return readNamed(file, shownFile(file), io, maxBytes)
}

/** The text of a file that holds a token or a secret: a name that may be the secret itself is not told. */
export async function readSecretInput(file: string, io: Pick<CommandIo, 'stdin' | 'cwd'>): Promise<string> {
  const bytes = await readNamed(file, shownSecretFile(file, io.cwd), io, MAX_SECRET_BYTES)
  return bytes.toString('utf8')
}

async function readNamed(
  file: string,
  shown: string | undefined,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
  maxBytes: number,
): Promise<Buffer> {
  const bytes =
    file === '-' ? await readStdin(io.stdin, maxBytes) : readFile(resolve(io.cwd, file), shown, maxBytes)
  if (bytes.length > maxBytes)
    throw new InputFailure(`${nameOf(file, shown)} is longer than ${maxBytes} bytes`)
  return bytes
}

/** A secret: the text without the line break that editors and `echo` leave at its end. */
export async function readSecret(file: string, io: Pick<CommandIo, 'stdin' | 'cwd'>): Promise<string> {
  const secret = (await readSecretInput(file, io)).replace(/\r?\n$/, '')
  if (secret === '') throw new InputFailure(`${nameOf(file, shownSecretFile(file, io.cwd))} is empty`)
  return secret
}

function nameOf(file: string, shown: string | undefined): string {
  return file === '-' ? 'standard input' : (shown ?? 'the named file')
}

async function readStdin(stdin: CommandIo['stdin'], maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stdin) {
    const part = Buffer.from(chunk)
    chunks.push(part)
    bytes += part.length
    if (bytes > maxBytes) break
  }
  return Buffer.concat(chunks)
}

/**
 * Reads one byte more than allowed, so that a long file is noticed and an endless one (a pipe) is not read to its end.
 * All at once: a command has nothing else to do meanwhile, and Node's asynchronous files take milliseconds to load.
 */
function readFile(path: string, shown: string | undefined, maxBytes: number): Buffer {
  try {
    const file = openSync(path, 'r')
    try {
      return readUpTo(file, maxBytes + 1)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    // Node's own error quotes the path, so it is no cause of one that does not.
    if (shown === undefined)
      throw new InputFailure(`the named file cannot be read (${reason}): ${GIVE_A_FILE}`)
    if (reason === 'EISDIR')
      throw new InputFailure(`${path} is a folder: name a file in it`, { cause: error })
    throw new InputFailure(`${path} cannot be read (${reason})`, { cause: error })
  }
}

function readUpTo(file: number, maxBytes: number): Buffer {
  const chunks: Buffer[] = []
  for (let bytes = 0; bytes < maxBytes;) {
    const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, maxBytes - bytes))
    const length = readSync(file, chunk)
    if (length === 0) break
    bytes += length
    chunks.push(chunk.subarray(0, length))
  }
  return Buffer.concat(chunks)
}
