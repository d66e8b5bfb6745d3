// GitLab CI. The token is made at job start and stands in a variable that the job names under `id_tokens:`.
import type { Environment, JobTokenSource } from './source.ts'
import { takeToken, without } from './source.ts'

/** Names looked for, in this order; `--subject-token-env` names any other. */
const GITLAB_VARIABLES = ['SALLYPORT_ID_TOKEN', 'GITLAB_OIDC_TOKEN', 'BROKER_ID_TOKEN', 'ID_TOKEN']

export const gitlab: JobTokenSource = {
  name: 'gitlab',
  detect: (env) => env['GITLAB_CI'] === 'true',
  held: async (env) => env[variableOf(env) ?? ''] ?? '',
  obtain: async (env, audience) => {
    const wayOut = `add to the job: id_tokens: {SALLYPORT_ID_TOKEN: {aud: ${audience}}}, or name its variable with --subject-token-env`
    const name = variableOf(env)
    if (name === undefined) {
      return without(`GitLab CI: none of ${GITLAB_VARIABLES.join(', ')} is set`, wayOut)
    }
    return takeToken(`GitLab CI ($${name})`, env[name] ?? '', wayOut)
  },
}

function variableOf(env: Environment): string | undefined {
  return GITLAB_VARIABLES.find((candidate) => (env[candidate] ?? '') !== '')
}
