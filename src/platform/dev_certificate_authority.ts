// The development CA and the certificates under it: for how long, and under which names they show up.
import { createAuthority, signCertificate } from './certificate_authority.ts'
import type { Authority } from './certificate_authority.ts'

export { loadAuthority } from './certificate_authority.ts'

const day = 86_400_000
const authorityLifetimeMs = 3650 * day
// Apple refuses more than 398 days from any CA made later than 2020.
const leafLifetimeMs = 365 * day

export function makeAuthority(hosts: readonly string[], now: number): Promise<Authority> {
  const expiresAt = now + authorityLifetimeMs
  return createAuthority({ name: 'Sallyport development CA', hosts, startsAt: now - day, expiresAt })
}

/** A server certificate for `hosts`, for a year or as long as the CA lasts, with a key of its own. */
export function issueCertificate(
  authority: Authority,
  hosts: readonly string[],
  now: number,
): Promise<{ readonly certPem: string; readonly keyPem: string }> {
  const name = 'Sallyport development certificate'
  return signCertificate(authority, { name, hosts, startsAt: now - day, expiresAt: now + leafLifetimeMs })
}
