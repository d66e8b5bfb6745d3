// Tokens and secrets come from a file or from standard input (`-`), never from an argument: arguments stand in process
// lists and in job logs.
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { CommandIo } from './command.ts'

const MAX_SECRET_BYTES = 64 * 1024

/** A file that cannot be read, is too long or may not be written to; the message names the file and never quotes it. */
export class InputFailure extends Error {
  readonly code = 'SALLYPORT_INPUT'
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'InputFailure'
  }
}

/** The text of a file, or of stdin for `-`; at most `maxBytes`. Throws InputFailure. */
export async function readInput(
  file: string,
  io: Pick<CommandIo, 'stdin' | 'cwd'>,
  maxBytes = MAX_SECRET_BYTES,
): Promise<string> {
  const bytes =
    file === '-' ? await readStdin(io.stdin, maxBytes) : await readFile(resolve(io.cwd, file), maxBytes)
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

/** Reads one byte more than allowed, so that a long file is noticed and an endless one (a pipe) is not read to its end. */
async function readFile(path: string, maxBytes: number): Promise<Buffer> {
  try {
    const file = await open(path, 'r')
    try {
      const chunks: Buffer[] = []
      for await (const chunk of file.createReadStream({ end: maxBytes, autoClose: false })) {
        chunks.push(Buffer.from(chunk))
      }
      return Buffer.concat(chunks)
    } finally {
      await file.close()
    }
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new InputFailure(`${path} cannot be read (${reason})`, { cause: error })
  }
}
