// Tokens and secrets come from a file or from standard input (`-`), never from an argument: arguments stand in process
// lists and in job logs.
import { closeSync, openSync, readSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CommandIo } from './command.ts'
import { InputFailure } from './input_failure.ts'

const MAX_SECRET_BYTES = 64 * 1024
const CHUNK_BYTES = 16 * 1024

/** The text of a file, or of stdin for `-`; at most `maxBytes`. Throws InputFailure. */
export async function readInput(
  file: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
  maxBytes = MAX_SECRET_BYTES,
): Promise<string> {
  const bytes = file === '-' ? await readStdin(io.stdin, maxBytes) : readFile(resolve(io.cwd, file), maxBytes)
  if (bytes.length > maxBytes) throw new InputFailure(`${nameOf(file)} is longer than ${maxBytes} bytes`)
  return bytes.toString('utf8')
}

/** A secret: the text without the line break that editors and `echo` leave at its end. */
export async function readSecret(file: string, io: Pick<CommandIo, 'stdin' | 'cwd'>): Promise<string> {
  const secret = (await readInput(file, io)).replace(/\r?\n$/, '')
  if (secret === '') throw new InputFailure(`${nameOf(file)} is empty`)
  return secret
}

function nameOf(file: string): string {
  return file === '-' ? 'standard input' : file
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
function readFile(path: string, maxBytes: number): Buffer {
  try {
    const file = openSync(path, 'r')
    try {
      return readUpTo(file, maxBytes + 1)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
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
