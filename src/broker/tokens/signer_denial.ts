// What a failure of the signer elsewhere means for a request.
import type { Denial } from '#core/denial.ts'
import type { SignerFailure } from '#platform/remote_signer/remote_signer.ts'

export function signerDenial({ why, message, waiting }: SignerFailure): Denial {
  return why === 'busy'
    ? { reason: 'signer_busy', waiting, waitedMs: 0, retryAfterSeconds: 1 }
    : { reason: 'signer_unavailable', why, detail: message }
}
