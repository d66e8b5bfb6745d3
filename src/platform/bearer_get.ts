// One GET that shows an issuer somebody's token: how userinfo and GitLab's user API prove an opaque one. Through the same
// guarded way out as the issuer's keys; what is the network's fault is told apart from what the issuer answers.
import { BEARER_TOKEN } from '#core/oauth/credentials.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { BoundedFetch, Fetched } from './egress/bounded_fetch.ts'

export type BearerGet = {
  readonly fetch: BoundedFetch
  readonly token: string
  readonly connector: string
  /** What is asked, for the evidence: `userinfo`, `gitlab`. */
  readonly what: string
}

/** Any answer below 500. Denials: `subject_malformed`, `issuer_keys_unavailable`. */
export async function bearerGet(
  url: string,
  { fetch, token, connector, what }: BearerGet,
): Promise<Result<Fetched>> {
  if (!BEARER_TOKEN.test(token)) return deny({ reason: 'subject_malformed', detail: 'not a bearer token' })
  const answer = await fetch.get(url, { headers: { authorization: `Bearer ${token}` } })
  if (answer.ok && answer.status < 500) return ok(answer)
  const detail = answer.ok ? `status ${answer.status}` : answer.detail
  return deny({ reason: 'issuer_keys_unavailable', connector, detail: `${what}: ${detail}` })
}

/** Whether `bearerGet` would send it at all; asked before an endpoint is looked up for it. */
export function isBearer(token: string): boolean {
  return BEARER_TOKEN.test(token)
}
