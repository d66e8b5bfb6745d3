// The flags of `sallyport exchange`, checked: what is asked, of whom, and where the answer goes.
import type { Result } from '#core/result.ts'
import { isPlainHttp } from '#platform/config/formats.ts'
import type { ExchangeOptions } from './exchange.ts'
import type { Environment } from './job_token/source.ts'
import { JOB_TOKEN_SOURCES } from './job_token/sources.ts'
import type { JobTokenChoice } from './job_token/sources.ts'
import type { TokenOutput } from './token_output.ts'
import type { ClientCredential, TokenRequest, TokenTypeWord } from './token_request.ts'

/** As seed pipelines send it to Dex, without the audience. */
const DEFAULT_SCOPE = 'openid profile email groups'

export type ExchangePlan = {
  readonly request: Omit<TokenRequest, 'client' | 'subjectToken'>
  readonly clientId: string
  readonly clientAuth: ClientCredential['kind']
  readonly clientSecretFile: string | undefined
  readonly caFile: string | undefined
  readonly jobToken: JobTokenChoice
  readonly jobAudience: string
  readonly outputs: readonly TokenOutput[]
}

/** Every problem at once, as sentences about flags. */
export function planExchange(
  options: ExchangeOptions,
  env: Environment,
): Result<ExchangePlan, readonly string[]> {
  const problems: string[] = []
  const endpoint = endpointOf(options, problems)
  const clientAuth = clientAuthOf(options, env, problems)
  const subjectTokenType = tokenTypeOf('--subject-token-type', options.subjectTokenType, problems)
  const requestedTokenType = tokenTypeOf('--requested-token-type', options.requestedTokenType, problems)
  const outputs = outputsOf(options, env, problems)
  checkJobToken(options, problems)
  const clientId = options.clientId ?? ''
  if (clientId === '') problems.push('--client-id (or SALLYPORT_CLIENT_ID) is missing')
  if (endpoint === undefined || problems.length > 0) return { ok: false, denial: problems }
  return {
    ok: true,
    value: {
      request: {
        endpoint,
        subjectTokenType: subjectTokenType ?? 'id_token',
        requestedTokenType,
        connector: options.connector,
        audiences: options.audience ?? [],
        scope: options.scope ?? DEFAULT_SCOPE,
        policy: options.policy,
      },
      clientId,
      clientAuth,
      clientSecretFile: options.clientSecretFile,
      caFile: options.caFile,
      jobToken: {
        file: options.subjectTokenFile,
        variable: options.subjectTokenEnv,
        source: options.jobSource,
      },
      jobAudience: options.jobAudience ?? options.broker ?? endpoint.origin,
      outputs,
    },
  }
}

function endpointOf(options: ExchangeOptions, problems: string[]): URL | undefined {
  const flag = options.tokenEndpoint === undefined ? '--broker' : '--token-endpoint'
  const text = options.tokenEndpoint ?? (options.broker && `${options.broker.replace(/\/+$/, '')}/token`)
  if (text === undefined || text === '') {
    problems.push('--broker (or SALLYPORT_BROKER) is missing')
    return undefined
  }
  problems.push(...brokerUrlProblem(flag, text, options.insecureAllowHttp === true))
  return URL.canParse(text) ? new URL(text) : undefined
}

/** Why tokens may not be sent to this URL; `flag` is what named it. */
export function brokerUrlProblem(flag: string, text: string, allowHttp: boolean): readonly string[] {
  if (!URL.canParse(text)) return [`${flag} is not a URL`]
  const url = new URL(text)
  const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && (allowHttp || !isPlainHttp(text)))
  const user = url.username === '' && url.password === '' ? [] : [`${flag} must not hold a user or password`]
  if (isSafe) return user
  return [
    ...user,
    url.protocol === 'http:'
      ? `${flag} is plain HTTP, so anybody on the way reads the tokens; --insecure-allow-http if you mean it`
      : `${flag} must begin with https://`,
  ]
}

function clientAuthOf(
  options: ExchangeOptions,
  env: Environment,
  problems: string[],
): ClientCredential['kind'] {
  const hasSecret = options.clientSecretFile !== undefined || (env['SALLYPORT_CLIENT_SECRET'] ?? '') !== ''
  const method = options.clientAuth ?? (hasSecret ? 'basic' : 'none')
  // `secret` is the script's word: one SALLYPORT_CLIENT_AUTH serves both.
  if (method === 'basic' || method === 'secret') {
    if (!hasSecret)
      problems.push(`--client-auth ${method} needs --client-secret-file or SALLYPORT_CLIENT_SECRET`)
    return 'basic'
  }
  if (method === 'none' || method === 'federated') return method
  problems.push('--client-auth must be basic (or secret), none or federated')
  return 'none'
}

function tokenTypeOf(flag: string, word: string | undefined, problems: string[]): TokenTypeWord | undefined {
  if (word === undefined || word === 'id_token' || word === 'access_token') return word
  problems.push(`${flag} must be id_token or access_token`)
  return undefined
}

function checkJobToken(options: ExchangeOptions, problems: string[]): void {
  const names = JOB_TOKEN_SOURCES.map((source) => source.name)
  // No name of a variable is more likely the token itself, so it is not repeated.
  if (options.subjectTokenEnv !== undefined && !/^[A-Za-z_]\w{0,99}$/.test(options.subjectTokenEnv)) {
    problems.push(
      '--subject-token-env (or SALLYPORT_SUBJECT_TOKEN_ENV) is not the name of a variable: give the name, not the token',
    )
  }
  if (options.jobSource !== undefined && !names.includes(options.jobSource)) {
    problems.push(`--job-source must be one of ${names.join(', ')}`)
  }
  const ways = [options.subjectTokenFile, options.subjectTokenEnv, options.jobSource]
  if (ways.filter((way) => way !== undefined).length > 1) {
    problems.push('--subject-token-file, --subject-token-env and --job-source exclude one another')
  }
  if (options.subjectTokenFile === '-' && options.clientSecretFile === '-') {
    problems.push('standard input holds one thing: the subject token or the client secret')
  }
}

function outputsOf(options: ExchangeOptions, env: Environment, problems: string[]): readonly TokenOutput[] {
  const outputs: TokenOutput[] = []
  const json = options.json === true
  if (options.githubOutput !== undefined) {
    const file = env['GITHUB_OUTPUT'] ?? ''
    if (file === '')
      problems.push(
        '--github-output: GITHUB_OUTPUT is not set, so this is no job of GitHub, Forgejo or Gitea',
      )
    if (!/^[A-Za-z_][\w-]*$/.test(options.githubOutput))
      problems.push('--github-output: not a name of an output')
    outputs.push({ kind: 'github', name: options.githubOutput, file })
  }
  if (options.dotenv !== undefined) {
    const name = options.dotenvName ?? 'SALLYPORT_TOKEN'
    if (!/^[A-Za-z_]\w*$/.test(name)) problems.push('--dotenv-name: not a name of a variable')
    outputs.push({ kind: 'dotenv', name, file: options.dotenv })
  }
  if (options.outputFile !== undefined) outputs.push({ kind: 'file', file: options.outputFile, json })
  if (options.outputFile === undefined && json && outputs.length > 0) {
    problems.push('--json goes with stdout or --output-file')
  }
  return outputs.length > 0 ? outputs : [{ kind: 'stdout', json }]
}
