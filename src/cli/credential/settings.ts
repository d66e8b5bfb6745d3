// Flags, kubeconfig and environment of `sallyport credential` in one: a flag wins; then what the kubeconfig says of the
// cluster that is called, since a job's variables may be meant for another place; then the environment.
import type { Result } from '#core/result.ts'
import { planExchange } from '../exchange_plan.ts'
import type { ExchangePlan } from '../exchange_plan.ts'
import type { ExchangeOptions } from '../exchange.ts'
import type { Environment } from '../job_token/source.ts'
import { readExecInfo } from './exec_info.ts'
import { CREDENTIAL_FLAGS, longName } from './flags.ts'
import type { GivenFlags } from './flags.ts'

export type CredentialSettings = {
  readonly plan: ExchangePlan
  /** Named by flag or variable; `undefined`: the user's. */
  readonly cacheFolder: string | undefined
  readonly noCache: boolean
}

/** Every problem at once, as sentences. */
export function readSettings(
  given: GivenFlags,
  env: Environment,
): Result<CredentialSettings, readonly string[]> {
  const cluster = readExecInfo(env['KUBERNETES_EXEC_INFO'])
  const told = cluster.ok ? cluster.value : new Map<string, string>()
  const text = (name: string): string | undefined => {
    const value = given.get(name) ?? told.get(name) ?? twinOf(name, env)
    return value === true ? undefined : value
  }
  const isOn = (name: string): boolean => given.has(name) || isTrue(twinOf(name, env))
  const options = toOptions(text, isOn)
  const plan = planExchange(options, env)
  const problems = [
    ...switchProblems(env),
    ...(cluster.ok ? [] : [cluster.denial]),
    ...(plan.ok ? [] : plan.denial),
    ...problemsOf(options),
  ]
  if (!plan.ok || problems.length > 0) return { ok: false, denial: problems }
  return {
    ok: true,
    value: { plan: plan.value, cacheFolder: text('cache-dir'), noCache: isOn('no-cache') },
  }
}

function toOptions(
  text: (name: string) => string | undefined,
  isOn: (name: string) => boolean,
): ExchangeOptions {
  return {
    broker: text('broker'),
    tokenEndpoint: text('token-endpoint'),
    clientId: text('client-id'),
    clientSecretFile: text('client-secret-file'),
    clientAuth: text('client-auth'),
    connector: text('connector'),
    audience: (text('audience') ?? '').split(/\s+/).filter((word) => word !== ''),
    scope: text('scope'),
    policy: text('policy'),
    caFile: text('ca-file'),
    insecureAllowHttp: isOn('insecure-allow-http'),
    jobSource: text('job-source'),
    jobAudience: text('job-audience'),
    subjectTokenFile: text('subject-token-file'),
    subjectTokenEnv: text('subject-token-env'),
    subjectTokenType: text('subject-token-type'),
    requestedTokenType: text('requested-token-type'),
  }
}

function problemsOf(options: ExchangeOptions): readonly string[] {
  const problems: string[] = []
  const audiences = options.audience ?? []
  // A scope may name the audience the way Dex wants it.
  if (audiences.length === 0 && options.scope === undefined) {
    problems.push(
      '--audience (or SALLYPORT_AUDIENCE, or audience in the extension of the kubeconfig) is missing',
    )
  }
  if (audiences.length > 1) {
    problems.push(
      `${audiences.length} audiences are named, a token for an API server has one: use --audience`,
    )
  }
  if (options.subjectTokenFile === '-' || options.clientSecretFile === '-') {
    problems.push('standard input belongs to kubectl: name a file')
  }
  return problems
}

function twinOf(name: string, env: Environment): string | undefined {
  const twin = CREDENTIAL_FLAGS.find((flag) => longName(flag) === name)?.twin
  const value = twin === undefined ? undefined : env[twin]
  return value === '' ? undefined : value
}

function isTrue(text: string | undefined): boolean {
  return text === 'true' || text === '1'
}

function switchProblems(env: Environment): readonly string[] {
  return CREDENTIAL_FLAGS.filter(({ flags }) => !flags.includes('<')).flatMap((flag) => {
    const value = twinOf(longName(flag), env) ?? 'false'
    if (isTrue(value) || value === 'false' || value === '0') return []
    return [`${flag.twin} is ${JSON.stringify(value)}: write true or false`]
  })
}
