// What the AuthenticationConfiguration of one Kubernetes release can say (k8s.io/apiserver, feature gates of 1.30 to 1.37).
import type { AuthenticationApiVersion } from './authentication_configuration.ts'

export type KubeVersion = {
  readonly minor: number
  /** `v1` is there from 1.34 on; before it, `v1beta1`. */
  readonly apiVersion: AuthenticationApiVersion
  /** `anonymous`: unknown to 1.30, behind AnonymousAuthConfigurableEndpoints (off) in 1.31. */
  readonly anonymous: 'unknown' | 'gated' | 'known'
  /** `issuer.egressSelectorType`, and with it a strict decoder's refusal, from 1.34 on. */
  readonly hasEgressSelector: boolean
}

export const OLDEST_MINOR = 30
export const NEWEST_MINOR = 37
export const DEFAULT_KUBE_VERSION = '1.36'

/** `1.36`, `v1.36.4`; `undefined` for what is no release from 1.30 to 1.37. */
export function kubeVersion(text: string): KubeVersion | undefined {
  const minor = Number(/^v?1\.([1-9]\d{0,2})(?:\.\d{1,3})?$/.exec(text)?.[1] ?? Number.NaN)
  if (!(minor >= OLDEST_MINOR && minor <= NEWEST_MINOR)) return undefined
  return {
    minor,
    apiVersion: minor >= 34 ? 'v1' : 'v1beta1',
    anonymous: minor === 30 ? 'unknown' : minor === 31 ? 'gated' : 'known',
    hasEgressSelector: minor >= 34,
  }
}
