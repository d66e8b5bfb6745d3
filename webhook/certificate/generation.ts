// One generation of the webhook's certificate: a CA and the one leaf it signed. The CA's key is forgotten once it has signed, so
// that nothing stored can sign another certificate.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import type { Generation } from '#core/certificate_plan.ts'
import type { Clock } from '#core/clock.ts'

export type PemGeneration = Generation & {
  readonly ca: string
  readonly cert: string
  /** Never logged. */
  readonly key: string
}

export type GenerationOrder = {
  /** The first is what the apiserver calls. */
  readonly hosts: readonly string[]
  readonly lifetimeSeconds: number
}

/** Clocks of apiservers may be behind ours. */
const backdatedMs = 3_600_000
/** A CA, a leaf and a key of ours have 2.2 kB together. */
const maxPemLength = 16_384

export async function makeGeneration(
  { hosts, lifetimeSeconds }: GenerationOrder,
  clock: Clock,
): Promise<PemGeneration> {
  const { createAuthority, signCertificate } = await import('#platform/certificate_authority.ts')
  // Certificates know whole seconds.
  const startsAt = Math.floor(clock() / 1000)
  const endsAt = startsAt + lifetimeSeconds
  const order = { hosts, startsAt: startsAt * 1000 - backdatedMs, expiresAt: endsAt * 1000 }
  const authority = await createAuthority({ ...order, name: 'Sallyport webhook CA' })
  const { certPem, keyPem } = await signCertificate(authority, { ...order, name: hosts[0] ?? '' })
  return { startsAt, endsAt, ca: authority.certPem, cert: certPem, key: keyPem }
}

/** A stored generation that can be served to these hosts, or what is wrong with it, without a word of its content. */
export function readGeneration(
  { ca, cert, key }: { readonly ca: string; readonly cert: string; readonly key: string },
  hosts: readonly string[],
): PemGeneration | string {
  if ([ca, cert, key].some((pem) => pem.length > maxPemLength))
    return `a part is longer than ${maxPemLength} bytes`
  try {
    const authority = new X509Certificate(ca)
    const leaf = new X509Certificate(cert)
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return 'the key is not that of the certificate'
    if (!authority.ca || !leaf.verify(authority.publicKey)) return 'the CA has not signed the certificate'
    const unnamed = hosts.find((host) => !isFor(leaf, host))
    if (unnamed !== undefined) return `the certificate is not for ${unnamed}`
    const endsAt = Math.floor(Math.min(leaf.validToDate.getTime(), authority.validToDate.getTime()) / 1000)
    const startsAt = Math.min(endsAt, Math.floor((leaf.validFromDate.getTime() + backdatedMs) / 1000))
    return { ca: authority.toString(), cert: leaf.toString(), key, startsAt, endsAt }
  } catch {
    // Node's messages may quote what they could not read.
    return 'a part is no PEM'
  }
}

function isFor(leaf: X509Certificate, host: string): boolean {
  return (isIP(host) === 0 ? leaf.checkHost(host, { subject: 'never' }) : leaf.checkIP(host)) !== undefined
}
