// GitHub Actions. The token lives about five minutes and may be asked for again as long as the job runs.
import { heldByActionsJob, requestActionsToken } from './actions_request.ts'
import type { JobTokenSource } from './source.ts'

export const github: JobTokenSource = {
  name: 'github',
  detect: (env) => env['GITHUB_ACTIONS'] === 'true',
  held: heldByActionsJob,
  obtain: (env, audience, deps) =>
    requestActionsToken(
      'GitHub Actions',
      env,
      audience,
      deps,
      'add to the job: permissions: {id-token: write, contents: read}; a pull request from a fork gets no id token',
    ),
}
