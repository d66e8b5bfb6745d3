// CircleCI: `circleci run oidc get` makes a token for our audience; where that program is absent, the token in the
// environment is taken, whose audience is the organisation's UUID.
import type { JobTokenSource } from './source.ts'
import { takeToken, without } from './source.ts'

const WAY_OUT =
  'give the job a context or run it in a project with OIDC; the circleci program makes tokens for our audience'

export const circleci: JobTokenSource = {
  name: 'circleci',
  detect: (env) => env['CIRCLECI'] === 'true',
  held: async (env) => env['CIRCLE_OIDC_TOKEN_V2'] ?? env['CIRCLE_OIDC_TOKEN'] ?? '',
  obtain: async (env, audience, deps) => {
    try {
      const printed = await deps.run('circleci', [
        'run',
        'oidc',
        'get',
        '--claims',
        JSON.stringify({ aud: audience }),
      ])
      return takeToken('CircleCI', printed, WAY_OUT)
    } catch (error) {
      const given = env['CIRCLE_OIDC_TOKEN_V2'] ?? env['CIRCLE_OIDC_TOKEN'] ?? ''
      if (given !== '') return takeToken('CircleCI ($CIRCLE_OIDC_TOKEN_V2)', given, WAY_OUT)
      return without(`CircleCI: ${error instanceof Error ? error.message : String(error)}`, WAY_OUT)
    }
  },
}
