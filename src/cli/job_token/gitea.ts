// Gitea Actions. Its runner sets GITHUB_ACTIONS, too, so it is asked before GitHub.
import { heldByActionsJob, requestActionsToken } from './actions_request.ts'
import type { JobTokenSource } from './source.ts'

export const gitea: JobTokenSource = {
  name: 'gitea',
  detect: (env) => env['GITEA_ACTIONS'] === 'true',
  held: heldByActionsJob,
  obtain: (env, audience, deps) =>
    requestActionsToken(
      'Gitea Actions',
      env,
      audience,
      deps,
      'add to the job: permissions: {id-token: write}; the Gitea server must be one that issues id tokens',
    ),
}
