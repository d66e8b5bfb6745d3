// Where a job finds the token that its platform gives it. One file for each platform; sources.ts holds the list.
import type { Result } from '#core/result.ts'
import type { HttpCaller } from '../http_call.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** A token as the platform gave it; never printed. */
export type JobToken = { readonly token: string; readonly source: string }

/** Why there is none, and what to add to the job. */
export type JobTokenProblem = { readonly message: string; readonly wayOut: string }

export type Obtained = Result<JobToken, JobTokenProblem>

export type JobTokenDeps = {
  readonly http: HttpCaller
  /** Runs a program without a shell. Rejects when it fails; an absent program's error has the code ENOENT. */
  readonly run: (program: string, args: readonly string[]) => Promise<string>
  /** Rejects when the file cannot be read. */
  readonly readFile: (path: string) => Promise<string>
}

export type JobTokenSource = {
  /** The word for `--job-source`. */
  readonly name: string
  /** Whether this job runs there. */
  readonly detect: (env: Environment) => boolean
  /**
   * What this job holds, nobody else knows, and stays the same as long as it runs: what a token that is kept for it is
   * locked with. Empty when there is nothing of the kind.
   */
  readonly held: (env: Environment, deps: Pick<JobTokenDeps, 'readFile'>) => Promise<string>
  /** Asks for a token whose `aud` is `audience`. */
  readonly obtain: (env: Environment, audience: string, deps: JobTokenDeps) => Promise<Obtained>
}

const MAX_TOKEN_BYTES = 64 * 1024

/** Takes what a platform handed out for a token: one line of visible ASCII, white space around it dropped. */
export function takeToken(source: string, text: string, wayOut: string): Obtained {
  const token = text.trim()
  if (token === '') return without(`${source}: the token is empty`, wayOut)
  if (token.length > MAX_TOKEN_BYTES)
    return without(`${source}: the token is longer than ${MAX_TOKEN_BYTES} bytes`, wayOut)
  if (!/^[\x21-\x7e]+$/.test(token))
    return without(`${source}: this is not a token (white space or control characters)`, wayOut)
  return { ok: true, value: { token, source } }
}

export function without(message: string, wayOut: string): Obtained {
  return { ok: false, denial: { message, wayOut } }
}

/** The values of these variables, or nothing when one of them is missing. */
export function heldIn(env: Environment, names: readonly string[]): string {
  const values = names.map((name) => env[name] ?? '')
  return values.includes('') ? '' : values.join('\n')
}

/** The named member of a JSON object, when it is a string. */
export function stringMember(body: string, name: string): string | undefined {
  const value = parseObject(body)?.[name]
  return typeof value === 'string' ? value : undefined
}

/** The members of a JSON object; `undefined` for anything else. */
export function parseObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value))
      : undefined
  } catch {
    // Not JSON: the caller says so in its own words.
    return undefined
  }
}
