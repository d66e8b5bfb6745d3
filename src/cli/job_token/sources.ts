// The list of platforms in the order in which they are asked, and the choice among them.
import { azureDevops } from './azure_devops.ts'
import { buildkite } from './buildkite.ts'
import { circleci } from './circleci.ts'
import { forgejo } from './forgejo.ts'
import { gitea } from './gitea.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { kubernetes } from './kubernetes.ts'
import type { Environment, JobTokenDeps, JobTokenSource, Obtained } from './source.ts'
import { takeToken, without } from './source.ts'

/** Forgejo before Gitea before GitHub: each sets the later ones' markers. The pod last: a job's own token says more. */
export const JOB_TOKEN_SOURCES: readonly JobTokenSource[] = [
  gitlab,
  forgejo,
  gitea,
  github,
  azureDevops,
  buildkite,
  circleci,
  kubernetes,
]

export type JobTokenChoice = {
  /** A file, or `-` when the caller reads stdin itself and hands the text over. */
  readonly file: string | undefined
  /** Name of an environment variable that holds the token. */
  readonly variable: string | undefined
  /** A source's name; `undefined` means the platform that is detected. */
  readonly source: string | undefined
}

/** The job's own token: from the named file or variable, or from the platform. */
export async function obtainJobToken(
  choice: JobTokenChoice,
  env: Environment,
  audience: string,
  deps: JobTokenDeps,
): Promise<Obtained> {
  if (choice.file !== undefined) return readTokenFile(choice.file, deps)
  if (choice.variable !== undefined) return readTokenVariable(choice.variable, env)
  const source = sourceOf(choice, env)
  if (source !== undefined) return source.obtain(env, audience, deps)
  return without(
    'no CI platform is recognised here',
    'name the token: --subject-token-file FILE (or -), or --subject-token-env NAME',
  )
}

/**
 * What only the job of this token holds (see `JobTokenSource.held`), with the way by which it was found. Costs no
 * request. Rejects when a file cannot be read.
 */
export async function heldByJob(
  choice: JobTokenChoice,
  env: Environment,
  deps: Pick<JobTokenDeps, 'readFile'>,
): Promise<string> {
  const named = await heldByName(choice, env, deps)
  if (named !== undefined) return named
  const source = sourceOf(choice, env)
  const held = (await source?.held(env, deps)) ?? ''
  return held === '' ? '' : `${source?.name}\n${held}`
}

async function heldByName(
  choice: JobTokenChoice,
  env: Environment,
  deps: Pick<JobTokenDeps, 'readFile'>,
): Promise<string | undefined> {
  if (choice.file !== undefined) return deps.readFile(choice.file)
  return choice.variable === undefined ? undefined : (env[choice.variable] ?? '')
}

function sourceOf(choice: JobTokenChoice, env: Environment): JobTokenSource | undefined {
  return JOB_TOKEN_SOURCES.find((candidate) =>
    choice.source === undefined ? candidate.detect(env) : candidate.name === choice.source,
  )
}

async function readTokenFile(file: string, deps: JobTokenDeps): Promise<Obtained> {
  const wayOut = 'name a file that holds one token'
  try {
    return takeToken(file === '-' ? 'stdin' : file, await deps.readFile(file), wayOut)
  } catch (error) {
    return without(error instanceof Error ? error.message : String(error), wayOut)
  }
}

function readTokenVariable(name: string, env: Environment): Obtained {
  const wayOut = `GitLab: add to the job id_tokens: {${name}: {aud: ...}}; elsewhere: export ${name}`
  const value = env[name] ?? ''
  return value === '' ? without(`$${name} is not set`, wayOut) : takeToken(`$${name}`, value, wayOut)
}
