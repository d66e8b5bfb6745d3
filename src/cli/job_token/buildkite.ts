// Buildkite: the agent's own program asks for the token. No shell is between us and it.
import type { JobTokenSource } from './source.ts'
import { heldIn, takeToken, without } from './source.ts'

const WAY_OUT =
  'run this step where buildkite-agent 3.50 or newer is on the PATH (mount it into the container)'

export const buildkite: JobTokenSource = {
  name: 'buildkite',
  detect: (env) => env['BUILDKITE'] === 'true',
  // The agent's token may outlive the job; the job's id is one that nobody can guess.
  held: async (env) => heldIn(env, ['BUILDKITE_AGENT_ACCESS_TOKEN', 'BUILDKITE_JOB_ID']),
  obtain: async (_env, audience, deps) => {
    try {
      const printed = await deps.run('buildkite-agent', ['oidc', 'request-token', '--audience', audience])
      return takeToken('Buildkite', printed, WAY_OUT)
    } catch (error) {
      return without(`Buildkite: ${error instanceof Error ? error.message : String(error)}`, WAY_OUT)
    }
  },
}
