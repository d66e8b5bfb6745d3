// Whether the signer elsewhere is well, for the operators' listener. While it is left alone after failures this is what
// tries it again, so that no job's token is burned on the trial.
import type { Check } from '#platform/http/ops_app.ts'
import type { KeyRing } from '#platform/keys/key_ring.ts'
import { SignerFailure } from '#platform/remote_signer/remote_signer.ts'

/** No token: there is no dot in it. */
const TRIAL_INPUT = 'sallyport looks whether the signer is back'

/** Empty where every key lies in the broker. */
export async function signerCheck(
  keyRing: Pick<KeyRing, 'current' | 'signerStatus'>,
): Promise<readonly Check[]> {
  if (keyRing.signerStatus()?.isTrialDue === true) await tryAgain(keyRing)
  const status = keyRing.signerStatus()
  if (status === undefined) return []
  const failure = status.lastFailure === undefined ? '' : `: ${status.lastFailure}`
  const details = {
    closed: `answers${failure === '' ? '' : `, failed last${failure}`}`,
    open: `left alone after failures${failure}`,
    half_open: `being tried${failure}`,
  } as const
  return [
    { name: 'signer', ok: status.breaker === 'closed', detail: details[status.breaker], isRequired: true },
  ]
}

async function tryAgain(keyRing: Pick<KeyRing, 'current'>): Promise<void> {
  try {
    await keyRing.current().sign(TRIAL_INPUT)
  } catch (error) {
    // How it ended stands in the status.
    if (!(error instanceof SignerFailure)) throw error
  }
}
