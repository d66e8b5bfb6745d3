// How often a client may ask, and guess, from one network: before anything of its credential is looked at.
import type { Client } from '#core/client.ts'
import type { Credentials } from '#core/oauth/credentials.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { NOTHING_KNOWN } from '#platform/guess_limit.ts'
import type { GuessLimit, SecretMemory } from '#platform/guess_limit.ts'
import { callerNetwork } from '#platform/http/client_address.ts'
import type { RateLimit } from '#platform/rate_limit.ts'

/** Shared by all endpoints: a guess at one of them counts at each. */
export type ClientLimits = { readonly clientLimit: RateLimit; readonly guessLimit: GuessLimit }

/** What is known of the secret, for `authenticateClient`. Denials: `rate_limited`, `client_held_off`. */
export function limitClient(
  credentials: Credentials,
  peer: string,
  clients: ReadonlyMap<string, Client>,
  { clientLimit, guessLimit }: ClientLimits,
): Result<SecretMemory> {
  const { clientId } = credentials
  const network = callerNetwork(peer)
  const isKnown = clients.has(clientId)
  // Only a known client has a bucket of its own: invented ids share one for each network.
  const wait = clientLimit.take(isKnown ? `${clientId} ${network}` : ` ${network}`)
  if (wait > 0) return deny({ reason: 'rate_limited', key: 'client', retryAfterSeconds: wait })
  if (credentials.kind === 'assertion' || credentials.secret === '') return ok(NOTHING_KNOWN)
  const { secret } = credentials
  const attempted = guessLimit.attempt({ clientId, isKnown, network, secret })
  return attempted.waitSeconds > 0
    ? deny({ reason: 'client_held_off', client: clientId, retryAfterSeconds: attempted.waitSeconds })
    : ok(attempted)
}
