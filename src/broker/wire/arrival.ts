// Before a byte of a request is read: what comes is a POST, of an address that has not asked too often.
import type { RequestDenial } from '#core/denial.ts'
import type { RateLimit } from '#platform/rate_limit.ts'

/** `undefined`: it may be read. `network`: of the caller, which gives one of its tokens. */
export function arrivalDenial(
  method: string,
  network: string,
  addressLimit: RateLimit,
): RequestDenial | undefined {
  if (method !== 'POST') return { reason: 'method_not_allowed', method }
  const retryAfterSeconds = addressLimit.take(network)
  return retryAfterSeconds > 0 ? { reason: 'rate_limited', key: 'address', retryAfterSeconds } : undefined
}
