// A disk that is easily filled: a tmpfs of a few megabytes.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { Teardowns } from './teardowns.ts'

export type SmallDisk = {
  readonly path: string
  /** Not a byte is left. */
  fill(): Promise<void>
  free(): Promise<void>
}

/** Only root may mount; whoever may not learns how to go on. */
export class NoMount extends Error {}

export function mountSmallDisk(
  { teardown }: Pick<Teardowns, 'teardown'>,
  path: string,
  mebibytes: number,
): SmallDisk {
  mkdirSync(path)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'chaos', path], {
      stdio: 'pipe',
    })
  } catch (error) {
    throw new NoMount(
      `no tmpfs can be mounted: ${String(error)}\n  -> run it as root, or leave full disks out: --without disk_full`,
    )
  }
  let isMounted = true
  const unmount = (): void => {
    if (!isMounted) return
    isMounted = false
    execFileSync('umount', ['--lazy', path], { stdio: 'pipe' })
  }
  // However this process ends.
  process.once('exit', unmount)
  teardown(() => {
    process.off('exit', unmount)
    unmount()
  })
  const filler = join(path, 'filler')
  return {
    path,
    async fill() {
      const file = await open(filler, 'a')
      try {
        // Ever smaller pieces, so that the last page is taken, too.
        for (const size of [1 << 20, 1 << 16, 1 << 12, 1]) await writeUntilFull(file, Buffer.alloc(size))
      } finally {
        await file.close()
      }
    },
    free: () => rm(filler, { force: true }),
  }
}

async function writeUntilFull(file: FileHandle, piece: Buffer): Promise<void> {
  try {
    for (;;) await file.appendFile(piece)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
  }
}
