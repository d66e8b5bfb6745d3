// Random bytes from a pool that is filled 8 KiB at a time: one system call for hundreds of ids.
import { randomFillSync } from 'node:crypto'
import type { RandomBytes } from '#core/clock.ts'

const POOL_BYTES = 8192

export function createRandomBytes(): RandomBytes {
  const pool = Buffer.alloc(POOL_BYTES)
  let offset = POOL_BYTES
  return (length) => {
    if (length > POOL_BYTES) return randomFillSync(Buffer.alloc(length))
    if (offset + length > POOL_BYTES) {
      randomFillSync(pool)
      offset = 0
    }
    // A copy: what is handed out must not change when the pool is filled again.
    const bytes = Buffer.from(pool.subarray(offset, offset + length))
    pool.fill(0, offset, offset + length)
    offset += length
    return bytes
  }
}
