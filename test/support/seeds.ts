// The shell lines of the source documents ("seeds"), taken out of the documents themselves at test time, so that they are
// the words which users copy. Their folder is named by SALLYPORT_SHARED; without it these tests are skipped.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Reason to skip a test that needs the seeds; false if they are there. */
export function withoutSeeds(env: NodeJS.ProcessEnv = process.env): string | false {
  const shared = env['SALLYPORT_SHARED']
  if (shared === undefined) return 'SALLYPORT_SHARED is not set: the source documents are not here'
  if (existsSync(join(shared, 'seeds'))) return false
  throw new Error(`SALLYPORT_SHARED names ${shared}, which has no seeds`)
}

export function readSeed(file: string, env: NodeJS.ProcessEnv = process.env): string {
  return readFileSync(join(env['SALLYPORT_SHARED'] ?? '', 'seeds', file), 'utf8')
}

/** The text between two markers, without them; the first `from`, and the first `to` behind it. */
export function between(text: string, from: string, to: string): string {
  const start = text.indexOf(from)
  const end = text.indexOf(to, start + from.length)
  if (start < 0 || end < 0) throw new Error(`the document has no longer a passage from ${from} to ${to}`)
  return text.slice(start + from.length, end)
}

/** Lines without their common indentation. */
export function dedent(text: string): string {
  const lines = text.split('\n')
  const filled = lines.filter((line) => line.trim() !== '')
  const indent = Math.min(...filled.map((line) => line.length - line.trimStart().length))
  return lines.map((line) => line.slice(indent)).join('\n')
}
