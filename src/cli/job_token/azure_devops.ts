// Azure DevOps Pipelines: POST $SYSTEM_OIDCREQUESTURI with the job's access token. The audience of its tokens is fixed
// (api://AzureADTokenExchange), so the connector must list that audience and the policy must pin ids.
import { HttpFailure } from '../http_failure.ts'
import type { JobTokenSource } from './source.ts'
import { heldIn, stringMember, takeToken, without } from './source.ts'

const API_VERSION = '7.1-preview.1'
const WAY_OUT = 'add to the step: env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}'

export const azureDevops: JobTokenSource = {
  name: 'azure-devops',
  detect: (env) => (env['TF_BUILD'] ?? '').toLowerCase() === 'true',
  held: async (env) => heldIn(env, ['SYSTEM_ACCESSTOKEN', 'SYSTEM_OIDCREQUESTURI']),
  obtain: async (env, _audience, deps) => {
    const address = env['SYSTEM_OIDCREQUESTURI'] ?? ''
    const bearer = env['SYSTEM_ACCESSTOKEN'] ?? ''
    if (!URL.canParse(address)) return without('Azure DevOps: SYSTEM_OIDCREQUESTURI is not set', WAY_OUT)
    if (bearer === '') return without('Azure DevOps: SYSTEM_ACCESSTOKEN is not set', WAY_OUT)
    const url = new URL(address)
    url.searchParams.set('api-version', API_VERSION)
    try {
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' }
      const answer = await deps.http({ method: 'POST', url, headers, body: '' })
      if (answer.status !== 200)
        return without(`Azure DevOps: the token request was answered ${answer.status}`, WAY_OUT)
      return takeToken('Azure DevOps', stringMember(answer.body, 'oidcToken') ?? '', WAY_OUT)
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error
      return without(`Azure DevOps: ${error.message}`, 'check the connection of the agent to its server')
    }
  },
}
