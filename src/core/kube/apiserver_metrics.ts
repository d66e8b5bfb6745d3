// What kube-apiserver's /metrics say of its authentication: which file it has loaded, how reloads went, and which keys of
// which issuer it fetched last. Kubernetes 1.35 to 1.37; hashes are `sha256:` and lower-case hex.
import { hash } from 'node:crypto'

export type ApiserverFacts = {
  /** Of the bytes of the file that is in force; `undefined`: started without one, or too old to say. */
  readonly configHash: string | undefined
  readonly reloads: { readonly success: number; readonly failure: number }
  /** Seconds since the epoch. */
  readonly lastReload: { readonly success: number | undefined; readonly failure: number | undefined }
  /** By `jwt_issuer_hash`. */
  readonly issuers: ReadonlyMap<string, IssuerFacts>
}

type IssuerFacts = {
  /** Of the body of the key set it fetched last; `undefined`: none yet. */
  readonly keySetHash: string | undefined
  readonly lastFetch: { readonly success: number | undefined; readonly failure: number | undefined }
}

const CONTROLLER = 'apiserver_authentication_config_controller_'
const JWKS = 'apiserver_authentication_jwt_authenticator_jwks_fetch_'

/** As the apiserver makes its labels. */
export function metricHash(text: string | Buffer): string {
  return `sha256:${hash('sha256', text, 'hex')}`
}

/** Reads the few lines that matter; whatever else is there, or broken, is passed over. */
export function readApiserverMetrics(text: string): ApiserverFacts {
  const samples = text
    .split('\n')
    .filter((line) => line.startsWith(CONTROLLER) || line.startsWith(JWKS))
    .flatMap(readSample)
  const value = (name: string, labels: Readonly<Record<string, string>>): number | undefined =>
    samples.find((sample) => sample.name === name && matches(sample, labels))?.value
  const issuerHashes = new Set(samples.flatMap(({ labels }) => labels.get('jwt_issuer_hash') ?? []))
  return {
    configHash: samples.find(({ name }) => name === `${CONTROLLER}last_config_info`)?.labels.get('hash'),
    reloads: {
      success: value(`${CONTROLLER}automatic_reloads_total`, { status: 'success' }) ?? 0,
      failure: value(`${CONTROLLER}automatic_reloads_total`, { status: 'failure' }) ?? 0,
    },
    lastReload: {
      success: value(`${CONTROLLER}automatic_reload_last_timestamp_seconds`, { status: 'success' }),
      failure: value(`${CONTROLLER}automatic_reload_last_timestamp_seconds`, { status: 'failure' }),
    },
    issuers: new Map(
      [...issuerHashes].map((issuer) => [
        issuer,
        {
          keySetHash: samples
            .find(
              (sample) =>
                sample.name === `${JWKS}last_key_set_info` && matches(sample, { jwt_issuer_hash: issuer }),
            )
            ?.labels.get('hash'),
          lastFetch: {
            success: value(`${JWKS}last_timestamp_seconds`, { jwt_issuer_hash: issuer, result: 'success' }),
            failure: value(`${JWKS}last_timestamp_seconds`, { jwt_issuer_hash: issuer, result: 'failure' }),
          },
        },
      ]),
    ),
  }
}

type Sample = { readonly name: string; readonly labels: ReadonlyMap<string, string>; readonly value: number }

/** One line of the Prometheus text format; the labels that matter here hold no escapes. */
function readSample(line: string): readonly Sample[] {
  const parts = /^([a-z_]+)\{([^}]*)\} (\S+)/.exec(line)
  if (parts === null) return []
  const [, name = '', inside = '', value = ''] = parts
  const labels = [...inside.matchAll(/([a-z_]+)="([^"]*)"/g)].map(
    ([, label = '', of = '']) => [label, of] as const,
  )
  return [{ name, labels: new Map(labels), value: Number(value) }]
}

function matches({ labels }: Sample, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([label, value]) => labels.get(label) === value)
}
