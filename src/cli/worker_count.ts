// `--workers`: how many processes serve.
import { availableParallelism } from 'node:os'

/** More than any machine has cores for a broker; a typing error must not start a thousand processes. */
const MAX_WORKERS = 64

/** The number, or what is wrong with the text. `auto`: one for each core that this process may use. */
export function workerCount(text: string | undefined, cores = availableParallelism()): number | string {
  if (text === undefined) return 1
  if (text === 'auto') return Math.min(MAX_WORKERS, cores)
  const count = /^[1-9]\d{0,2}$/.test(text) ? Number(text) : 0
  if (count >= 1 && count <= MAX_WORKERS) return count
  return `--workers is ${JSON.stringify(text.slice(0, 40))}: write auto, or a number from 1 to ${MAX_WORKERS}`
}
