// What OpenTelemetry's variables ask for, opened. Without an endpoint the SDK is never loaded.
import type { Log } from '../log.ts'
import { collectorAddress, samplingOf } from './otel_environment.ts'
import { NO_TRACES } from './traces.ts'
import type { Traces } from './traces.ts'

export type OpenTracesOptions = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly version: string
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** Rejects with a sentence and its way out where a variable asks for what is not offered. */
export async function openTraces({ env, version, log }: OpenTracesOptions): Promise<Traces> {
  const address = collectorAddress(env)
  if (!address.ok) throw new Error(address.denial)
  const url = address.value
  if (url === undefined) return NO_TRACES
  const sampling = samplingOf(env)
  if (!sampling.ok) throw new Error(sampling.denial)
  const { openOtlpTraces } = await import('./otlp_traces.ts')
  const { origin, pathname } = new URL(url)
  log.info({ collector: `${origin}${pathname}`, ...sampling.value }, 'spans go to a collector')
  return openOtlpTraces({ url, sampling: sampling.value, version, log })
}
