// Files that hold a token or a secret: mode 0600 from the first byte on.
import { chmod, open, rename, rm } from 'node:fs/promises'
import type { RandomBytes } from '#core/clock.ts'

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

/** Appends to a file and takes everybody else's rights to it away. */
export async function appendPrivately(file: string, text: string): Promise<void> {
  const handle = await open(file, 'a', PRIVATE)
  try {
    await chmod(file, PRIVATE)
    await handle.appendFile(text)
  } finally {
    await handle.close()
  }
}
