// Where spans go, as OpenTelemetry's own variables say it (OpenTelemetry specification, OTLP exporter configuration).
import type { Result } from '#core/result.ts'

/** `undefined`: nobody collects. The denial is a sentence with its way out. */
export function collectorAddress(
  env: Readonly<Record<string, string | undefined>>,
): Result<string | undefined, string> {
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? ''
  const shared = env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? ''
  const isOff = env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none'
  if (isOff || (own === '' && shared === '')) return { ok: true, value: undefined }
  const name = own === '' ? 'OTEL_EXPORTER_OTLP_ENDPOINT' : 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ?? env['OTEL_EXPORTER_OTLP_PROTOCOL'] ?? ''
  if (protocol === 'grpc') {
    return refused(
      'OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken: set http/json, and the port for it (4318)',
    )
  }
  const url = URL.parse(own === '' ? shared : own)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return refused(`${name} is no http(s) URL: set one such as http://localhost:4318`)
  }
  // The shared one is a base, the other is taken as it is.
  if (own === '') url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`
  return { ok: true, value: url.href }
}

function refused(denial: string): Result<never, string> {
  return { ok: false, denial }
}

/** `ratio`: of traces that begin here, and of those whose caller says that it samples. */
export type Sampling = {
  readonly ratio: number
  /** Whether a caller that says that it does not sample is believed. One that says that it does never is: it may be anybody. */
  readonly isParentAsked: boolean
}

/** OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG; all of them, unless the caller says no, where nothing is set. */
export function samplingOf(env: Readonly<Record<string, string | undefined>>): Result<Sampling, string> {
  const name = env['OTEL_TRACES_SAMPLER'] ?? ''
  const isParentAsked = name === '' || name.startsWith('parentbased_')
  switch (name.replace(/^parentbased_/, '')) {
    case '':
    case 'always_on':
      return { ok: true, value: { ratio: 1, isParentAsked } }
    case 'always_off':
      return { ok: true, value: { ratio: 0, isParentAsked } }
    case 'traceidratio': {
      const text = env['OTEL_TRACES_SAMPLER_ARG'] ?? '1'
      const ratio = text.trim() === '' ? Number.NaN : Number(text)
      return ratio >= 0 && ratio <= 1
        ? { ok: true, value: { ratio, isParentAsked } }
        : refused('OTEL_TRACES_SAMPLER_ARG is no share: set a number from 0 to 1')
    }
    default:
      return refused(
        `OTEL_TRACES_SAMPLER has no sampler of that name: set parentbased_traceidratio or another of OpenTelemetry's`,
      )
  }
}
