// A git server on loopback: `git daemon` over bare repositories of a temporary folder. Whoever commits does it in a work tree of
// this process and pushes; who reads goes through the server. Always stopped, also when the test dies.
//
//   const git = await startGitServer()
//   const repository = await git.repository('manifests')
//   const commit = await repository.commit('add a module', { 'modules/vpc.yaml': text })
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, startChildServer } from './child_server.ts'

const run = promisify(execFile)

export type GitRepository = {
  /** `git://127.0.0.1:PORT/NAME.git` */
  readonly url: string
  /** Writes files (`undefined` removes one), commits and pushes to main. Resolves with the commit's id. */
  commit(message: string, files: Readonly<Record<string, string | undefined>>): Promise<string>
}

export type GitServer = {
  /** A new repository with the branch main and nothing in it. */
  repository(name: string): Promise<GitRepository>
  stop(): Promise<void>
}

/** Nothing of the machine's own configuration, so that every machine makes the same commits. */
const ENV = {
  ...process.env,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_SYSTEM: '/dev/null',
  GIT_AUTHOR_NAME: 'Alice',
  GIT_AUTHOR_EMAIL: 'alice@example.test',
  GIT_COMMITTER_NAME: 'Alice',
  GIT_COMMITTER_EMAIL: 'alice@example.test',
}

export async function startGitServer(): Promise<GitServer> {
  const [folder, port, program] = await Promise.all([
    mkdtemp(join(tmpdir(), 'sallyport-git-')),
    freePort(),
    gitDaemon(),
  ])
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  const served = join(folder, 'served')
  const url = `git://127.0.0.1:${port}`
  try {
    await git(folder, 'init', '--quiet', '--bare', join(served, 'probe.git'))
    const server = await startChildServer({
      name: 'git daemon',
      command: program,
      args: ['--reuseaddr', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${served}`, '--export-all'],
      env: ENV,
      ready: async () => {
        await git(folder, 'ls-remote', `${url}/probe.git`)
        return true
      },
    })
    return {
      repository: (name) => makeRepository(folder, join(served, `${name}.git`), `${url}/${name}.git`),
      async stop() {
        process.off('exit', remove)
        await server.stop()
        await rm(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

/** The program itself: `git daemon` is a parent of it, which a SIGKILL would leave alone. */
async function gitDaemon(): Promise<string> {
  const { stdout } = await run('git', ['--exec-path'])
  return join(stdout.trim(), 'git-daemon')
}

async function makeRepository(folder: string, bare: string, url: string): Promise<GitRepository> {
  const tree = await mkdtemp(join(folder, 'tree-'))
  await git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', bare)
  await git(folder, 'init', '--quiet', '--initial-branch=main', tree)
  return {
    url,
    async commit(message, files) {
      for (const [name, text] of Object.entries(files)) {
        const file = join(tree, name)
        await mkdir(dirname(file), { recursive: true })
        await (text === undefined ? rm(file) : writeFile(file, text))
      }
      await git(tree, 'add', '--all')
      await git(tree, 'commit', '--quiet', '--allow-empty', '--message', message)
      await git(tree, 'push', '--quiet', bare, 'main')
      return (await git(tree, 'rev-parse', 'HEAD')).trim()
    },
  }
}

async function git(folder: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run('git', [...args], { cwd: folder, env: ENV, timeout: 20_000 })
  return stdout
}
