// A git repository in a folder of the test: commits of files as a team makes them.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { folder } from './cli.ts'

export type GitRepository = {
  readonly path: string
  /** Exactly these files, by name; `undefined` takes one away, others stay. The new commit's id. */
  readonly commit: (files: Readonly<Record<string, string | undefined>>) => string
  readonly link: (name: string, target: string) => void
  readonly git: (...args: readonly string[]) => string
}

/** Who commits and when is the same each time, and nothing of the machine's own configuration counts. */
const ENV = {
  PATH: process.env['PATH'] ?? '',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'jo',
  GIT_AUTHOR_EMAIL: 'jo@acme.example',
  GIT_COMMITTER_NAME: 'jo',
  GIT_COMMITTER_EMAIL: 'jo@acme.example',
}

export function gitRepository(t: Pick<Test, 'teardown'>): GitRepository {
  const path = folder(t)
  const git = (...args: readonly string[]): string =>
    execFileSync('git', args, {
      cwd: path,
      env: ENV,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim()
  git('init', '--quiet', '--initial-branch=main')
  return {
    path,
    git,
    link: (name, target) => {
      mkdirSync(dirname(join(path, name)), { recursive: true })
      rmSync(join(path, name), { force: true })
      symlinkSync(target, join(path, name))
    },
    commit: (files) => {
      for (const [name, text] of Object.entries(files)) {
        const file = join(path, name)
        mkdirSync(dirname(file), { recursive: true })
        if (text === undefined) rmSync(file)
        else writeFileSync(file, text)
      }
      git('add', '--all')
      git('commit', '--quiet', '--allow-empty', '--message=a change')
      return git('rev-parse', 'HEAD')
    },
  }
}
