// git as a reader of objects: no work tree, no checkout, no hooks, no filters, no network.
import { spawn } from 'node:child_process'
import { InputFailure } from '../input_failure.ts'
import { printable } from '../printable.ts'
import { GIT_TIMEOUT_MS } from './limits.ts'

export type GitPlace = { readonly cwd: string; readonly env: Readonly<Record<string, string | undefined>> }

/** Before the subcommand: nothing of the repository's own configuration starts a program or a connection. */
const SAFE = [
  '--no-pager',
  '--literal-pathspecs',
  '--no-replace-objects',
  '-c',
  'protocol.allow=never',
  '-c',
  'core.fsmonitor=false',
  '-c',
  'core.hooksPath=/dev/null',
] as const

const SAFE_ENV = {
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_LAZY_FETCH: '1',
  GIT_OPTIONAL_LOCKS: '0',
  LC_ALL: 'C',
} as const

export type GitAnswer = { readonly code: number; readonly stdout: Buffer; readonly stderr: string }

/** Throws InputFailure when git is not there, takes too long or says more than `maxBytes`. */
export async function git(
  args: readonly string[],
  place: GitPlace,
  maxBytes: number,
  input = '',
): Promise<GitAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<GitAnswer>()
  const child = spawn('git', [...SAFE, ...args], {
    cwd: place.cwd,
    env: { ...place.env, ...SAFE_ENV },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  // Not spawn's own: its timer outlives a program that could not be started.
  const timer = setTimeout(() => child.kill('SIGKILL'), GIT_TIMEOUT_MS)
  const chunks: Buffer[] = []
  let bytes = 0
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > maxBytes) child.kill('SIGKILL')
    else chunks.push(chunk)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < 4096) stderr += text
  })
  // A git that ends early closes its input; its exit code says why.
  child.stdin.on('error', () => undefined)
  child.on('error', (error) => {
    clearTimeout(timer)
    reject(
      new InputFailure(`git cannot be started: ${'code' in error ? String(error.code) : 'failed'}`, {
        cause: error,
      }),
    )
  })
  child.on('close', (code) => {
    clearTimeout(timer)
    if (bytes > maxBytes)
      reject(new InputFailure(`git has more to say than the ${maxBytes} bytes that are read`))
    else if (code === null)
      reject(new InputFailure(`git ${args[0] ?? ''} took longer than ${GIT_TIMEOUT_MS / 1000} s`))
    else
      resolve({
        code,
        stdout: Buffer.concat(chunks),
        stderr: printable(stderr.trim().split('\n', 1)[0] ?? ''),
      })
  })
  child.stdin.end(input)
  return promise
}
