// Reviews straight at a webhook, as fast as it takes them or paced: what a core judges, and what a webhook is that has judged before.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { appendReview } from './reviews.ts'

const run = promisify(execFile)

const CONNECTIONS = 16
/** Five for each Module, of other versions. */
const REVIEWS_OF_ONE = 5

/** A line each, of Modules `first` and on. */
export async function writeReviews(
  file: string,
  forge: string,
  {
    first,
    modules,
    versions,
  }: { readonly first: number; readonly modules: number; readonly versions: number },
): Promise<readonly string[]> {
  const reviews = Array.from({ length: REVIEWS_OF_ONE * modules }, (_, index) =>
    JSON.stringify(appendReview(forge, first + (index % modules), versions)),
  )
  await writeFile(file, `${reviews.join('\n')}\n`)
  return reviews
}

export type Loaded = {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly requests: number
}

/** Throws if any review was not allowed: a denial is quick, and here wrong. */
export async function loadReviews(url: string, file: string, seconds: number, pauseMs = 0): Promise<Loaded> {
  const script = join(import.meta.dirname, 'reviews.lua')
  const settings = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '10s', '-s', script]
  const { stdout } = await run('taskset', ['-c', '1', 'wrk', ...settings, url, '--', file, String(pauseMs)])
  const report = Object(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''))
  if (report.failedStatus + report.failedSocket > 0) throw new Error(`reviews failed: ${stdout}`)
  return {
    perSecond: report.requests / (report.microseconds / 1e6),
    p50Ms: report.p50 / 1000,
    p99Ms: report.p99 / 1000,
    requests: report.requests,
  }
}
