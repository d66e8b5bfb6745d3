// The signer elsewhere of a loaded configuration in the words of sallyport.yaml. PIN and token stay in their files.
import { formatDuration } from '#platform/config/duration.ts'
import type { SignerConfig } from '../broker_config.ts'

/** Plain data of `keys.signer`; `undefined` members are left out. */
export function nativeSigner(signer: SignerConfig | undefined): unknown {
  if (signer === undefined) return undefined
  const { timeoutMs, ...rest } = signer
  return { ...rest, timeout: formatDuration(timeoutMs / 1000) }
}
