// The token request that GitHub invented and Forgejo and Gitea kept: GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=...
import { HttpFailure } from '../http_failure.ts'
import type { Environment, JobTokenDeps, Obtained } from './source.ts'
import { heldIn, stringMember, takeToken, without } from './source.ts'

/** Both belong to this one job, and the second is a secret of it. */
export async function heldByActionsJob(env: Environment): Promise<string> {
  return heldIn(env, ['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'ACTIONS_ID_TOKEN_REQUEST_URL'])
}

/**
 * The URL already has a query (`?placeholder=true` at Forgejo, `?api-version=2.0` at GitHub), which stays as it is.
 * `wayOut` says what the workflow lacks when the two variables are absent.
 */
export async function requestActionsToken(
  source: string,
  env: Environment,
  audience: string,
  deps: JobTokenDeps,
  wayOut: string,
): Promise<Obtained> {
  const address = env['ACTIONS_ID_TOKEN_REQUEST_URL'] ?? ''
  const bearer = env['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? ''
  if (address === '' || bearer === '') {
    return without(
      `${source}: this job may not ask for an id token (ACTIONS_ID_TOKEN_REQUEST_URL is not set)`,
      wayOut,
    )
  }
  const url = withAudience(address, audience)
  if (url === undefined) return without(`${source}: ACTIONS_ID_TOKEN_REQUEST_URL is not a URL`, wayOut)
  try {
    const answer = await deps.http({
      method: 'GET',
      url,
      headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
      body: undefined,
    })
    if (answer.status !== 200)
      return without(`${source}: the token request was answered ${answer.status}`, wayOut)
    return takeToken(source, stringMember(answer.body, 'value') ?? '', wayOut)
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error
    return without(`${source}: ${error.message}`, 'check the connection of the runner to its server')
  }
}

function withAudience(address: string, audience: string): URL | undefined {
  const joint = address.includes('?') ? '&' : '?'
  const text = `${address}${joint}audience=${encodeURIComponent(audience)}`
  return URL.canParse(text) ? new URL(text) : undefined
}
