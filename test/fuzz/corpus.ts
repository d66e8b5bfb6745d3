// Folders of inputs: one below the name of each target, a file for each input.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** In the repository: inputs that once found something, replayed by test/fuzz/corpus.test.ts. */
export const COMMITTED_CORPUS = join(import.meta.dirname, 'corpus')

/** What is kept between runs, unless `--corpus` says another folder; ignored by git. */
export const LOCAL_CORPUS = join(import.meta.dirname, '..', '..', '.fuzz')

export function readCorpus(folder: string, target: string): readonly Buffer[] {
  const below = join(folder, target)
  if (!existsSync(below)) return []
  return readdirSync(below)
    .sort()
    .map((name) => readFileSync(join(below, name)))
}

/** Gives the path. The name is a hash of the content: what is there already is written again as it was. */
export function writeInput(folder: string, target: string, input: Buffer): string {
  const below = join(folder, target)
  mkdirSync(below, { recursive: true })
  const path = join(below, createHash('sha256').update(input).digest('hex').slice(0, 16))
  writeFileSync(path, input)
  return path
}
