// Files that hold a token or a secret: mode 0600 from the first byte on.
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { RandomBytes } from '#core/clock.ts'
import { InputFailure } from './input_failure.ts'

const PRIVATE = 0o600

/** Replaces a file. Readers see the old text or the whole new one, and nobody else sees either. */
export async function writePrivateFile(file: string, text: string, randomBytes: RandomBytes): Promise<void> {
  const draft = `${file}.${Buffer.from(randomBytes(6)).toString('hex')}`
  const handle = await open(draft, 'wx', PRIVATE)
  try {
    await handle.writeFile(text)
    await handle.close()
    await rename(draft, file)
  } catch (error) {
    await handle.close()
    await rm(draft, { force: true })
    throw error
  }
}

/** Makes a file that must not be there yet. Throws InputFailure when it is. */
export async function createPrivateFile(file: string, text: string): Promise<void> {
  const handle = await openNew(file)
  try {
    await handle.writeFile(text)
  } finally {
    await handle.close()
  }
}

async function openNew(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx', PRIVATE)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unwritable'
    const problem =
      code === 'EEXIST'
        ? 'is there already, and a secret in use is not replaced: name another file, or remove it first'
        : `cannot be written (${code})`
    throw new InputFailure(`${file} ${problem}`, { cause: error })
  }
}

/**
 * Appends to a file and takes everybody else's rights to it away. Throws InputFailure for a symbolic link: it may stand
 * in a repository, and what it points to is not ours to open or to close.
 */
export async function appendPrivately(file: string, text: string): Promise<void> {
  const handle = await openItself(file)
  try {
    await handle.chmod(PRIVATE)
    await handle.appendFile(text)
  } finally {
    await handle.close()
  }
}

async function openItself(file: string): Promise<FileHandle> {
  const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants
  try {
    return await open(file, O_APPEND | O_CREAT | O_NOFOLLOW | O_WRONLY, PRIVATE)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ELOOP')) throw error
    throw new InputFailure(`${file} is a symbolic link: name the file itself`, { cause: error })
  }
}
