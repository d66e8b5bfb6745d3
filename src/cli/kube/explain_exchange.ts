// The exchange before the apiserver: what a broker with a given configuration would make of the job's own token, by the
// steps of `sallyport explain`.
import type { AuthenticationConfiguration } from '#core/kube/authentication_configuration.ts'
import type { Explanation } from '../../broker/explain.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { DEFAULT_CONFIG_FILE } from '../config_source.ts'
import type { ExplainFlags } from '../explain.ts'
import type { KubeExplainFlags } from './explain.ts'

export type BrokerAnswer = {
  readonly explanation: Explanation
  /** Of the token that it would issue; `undefined` when it denies. */
  readonly claims: Explanation['claims']
  /** For people. */
  readonly text: string
}

export function isExchangeWanted({ brokerConfig, brokerDexConfig }: KubeExplainFlags): boolean {
  return brokerConfig !== undefined || brokerDexConfig !== undefined
}

/** The exit code when the broker's configuration cannot be used, or the input not be read; that has been told then. */
export async function exchangeFirst(
  flags: KubeExplainFlags,
  config: AuthenticationConfiguration,
  io: CommandIo,
): Promise<BrokerAnswer | ExitCode> {
  const { explainExchange, explanationText } = await import('../explain_run.ts')
  const explained = await explainExchange(requestOf(flags, config), io)
  if ('exit' in explained) return explained.exit
  const { explanation } = explained
  // The claims follow in the apiserver's own steps.
  const text = explanationText({ ...explanation, claims: undefined })
  return { explanation, claims: explanation.claims, text }
}

function requestOf(flags: KubeExplainFlags, { jwt }: AuthenticationConfiguration): ExplainFlags {
  const { brokerConfig, brokerDexConfig, token, claims, connector, audience, scope, tokenType } = flags
  // What a client of this cluster has to ask for.
  const [wanted = ''] = jwt[0]?.issuer.audiences ?? []
  return {
    ...(brokerDexConfig === undefined
      ? { config: brokerConfig ?? DEFAULT_CONFIG_FILE }
      : { dexConfig: brokerDexConfig, store: 'memory' }),
    ...(token === undefined ? {} : { token }),
    ...(claims === undefined ? {} : { claims }),
    ...(connector === undefined ? {} : { connector }),
    clientId: flags.clientId ?? '',
    ...(flags.clientSecretFile === undefined ? {} : { clientSecretFile: flags.clientSecretFile }),
    audience: audience ?? [wanted],
    scope,
    grant: 'token-exchange',
    tokenType,
  }
}
