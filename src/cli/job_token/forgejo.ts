// Forgejo Actions, from 15 on. Its runner sets GITHUB_ACTIONS and GITEA_ACTIONS, too, so it is asked before them.
import { heldByActionsJob, requestActionsToken } from './actions_request.ts'
import type { JobTokenSource } from './source.ts'

export const forgejo: JobTokenSource = {
  name: 'forgejo',
  detect: (env) => env['FORGEJO_ACTIONS'] === 'true',
  held: heldByActionsJob,
  obtain: (env, audience, deps) =>
    requestActionsToken(
      'Forgejo Actions',
      env,
      audience,
      deps,
      'add to the job: enable-openid-connect: true (Forgejo 15 or newer); a pull request from a fork gets no id token',
    ),
}
