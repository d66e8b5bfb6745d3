import t from 'tap'
import { collectorAddress, samplingOf } from '../../src/platform/tracing/otel_environment.ts'

const BASE = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

t.test('without an endpoint nobody collects', async (t) => {
  t.strictSame(collectorAddress({}), { ok: true, value: undefined })
  t.strictSame(collectorAddress({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }), { ok: true, value: undefined })
})

const addresses = [
  ['a base gets the path of traces', BASE, 'http://collector:4318/v1/traces'],
  [
    'a base with a path keeps it',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector/otlp/' },
    'https://collector/otlp/v1/traces',
  ],
  [
    'an endpoint for traces is taken as it is',
    { ...BASE, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other/t' },
    'http://other/t',
  ],
  ['OTEL_SDK_DISABLED switches it off', { ...BASE, OTEL_SDK_DISABLED: 'TRUE' }, undefined],
  ['so does no exporter for traces', { ...BASE, OTEL_TRACES_EXPORTER: 'none' }, undefined],
] as const
for (const [name, env, value] of addresses)
  t.test(name, async (t) => {
    t.strictSame(collectorAddress(env), { ok: true, value })
  })

const refusals = [
  [
    'grpc is not spoken',
    { ...BASE, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    /grpc is not spoken: set http\/json/,
  ],
  [
    'what is no URL is refused by its name',
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' },
    /^OTEL_EXPORTER_OTLP_ENDPOINT is no/,
  ],
  [
    'nor is a file one',
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'file:///x' },
    /^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no/,
  ],
] as const
for (const [name, env, sentence] of refusals)
  t.test(name, async (t) => {
    const address = collectorAddress(env)
    t.match(address.ok ? '' : address.denial, sentence)
  })

const samplers = [
  ['everything by default, unless the caller says no', {}, { ratio: 1, isParentAsked: true }],
  ['always_on asks no caller', { OTEL_TRACES_SAMPLER: 'always_on' }, { ratio: 1, isParentAsked: false }],
  ['always_off', { OTEL_TRACES_SAMPLER: 'always_off' }, { ratio: 0, isParentAsked: false }],
  [
    'a share',
    { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' },
    { ratio: 0.25, isParentAsked: true },
  ],
] as const
for (const [name, env, value] of samplers)
  t.test(`sampled: ${name}`, async (t) => {
    t.strictSame(samplingOf(env), { ok: true, value })
  })

t.test('a share that is none, and a sampler that is none, are refused', async (t) => {
  for (const share of ['1.1', '-0.1', 'x', ' ', 'NaN'])
    t.notOk(samplingOf({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: share }).ok, share)
  t.notOk(samplingOf({ OTEL_TRACES_SAMPLER: 'jaeger_remote' }).ok)
})
