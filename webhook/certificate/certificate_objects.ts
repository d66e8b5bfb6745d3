// What the keeper of certificates needs of a cluster: one Secret, and the bundle in one ValidatingWebhookConfiguration.
import type { Result } from '#core/result.ts'
import type { SecretData } from './stored.ts'

type StoredSecret = {
  readonly data: SecretData
  /** For compare-and-set. */
  readonly version: string
}

export type RegisteredBundles = {
  /** Name of a webhook -> PEM that the apiserver trusts for it; '' when there is none. */
  readonly bundles: ReadonlyMap<string, string>
  readonly version: string
}

/** `conflict`: somebody was faster; read again. */
export type Written = 'written' | 'conflict'

/** A denial is one line for log and readiness: which object, which verb, what the apiserver said. */
export type CertificateObjects = {
  /** `undefined`: there is none. */
  readSecret(): Promise<Result<StoredSecret | undefined, string>>
  /** Creates without a `version`, else replaces exactly that one. */
  writeSecret(data: SecretData, version: string | undefined): Promise<Result<Written, string>>
  /** `undefined`: not registered (yet). */
  readBundles(): Promise<Result<RegisteredBundles | undefined, string>>
  /** One bundle for all webhooks that were read. */
  writeBundle(bundle: string, read: RegisteredBundles): Promise<Result<Written, string>>
  /** Calls back when either may have changed, as far as that is known; the answer ends it. */
  watch(changed: () => void): () => void
}
