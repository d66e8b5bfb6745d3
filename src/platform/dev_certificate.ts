// The development certificate: an own CA, kept in a folder, and a certificate for this machine's names that it signs.
// Reused until 30 days before it expires. The folder belongs to the broker: what does not fit there is made anew.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '#core/clock.ts'

export type DevCertificate = {
  /** What a client has to trust. */
  readonly caFile: string
  readonly certFile: string
  readonly keyFile: string
  /** Whether anything was made now. */
  readonly created: boolean
}

const day = 86_400_000
const renewBeforeMs = 30 * day

/**
 * Makes sure that `dir` holds a certificate for `hosts` (names and addresses) and says where. Files: `ca.crt`, `ca.key`,
 * `tls.crt`, `tls.key`; keys with mode 0600. Rejects when the folder cannot be read or written.
 */
export async function ensureDevCertificate(
  dir: string,
  hosts: readonly string[],
  clock: Clock,
): Promise<DevCertificate> {
  const caFile = join(dir, 'ca.crt')
  const caKeyFile = join(dir, 'ca.key')
  const certFile = join(dir, 'tls.crt')
  const keyFile = join(dir, 'tls.key')
  const now = clock()
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const [caPem, caKeyPem] = [await readIfThere(caFile), await readIfThere(caKeyFile)]
  const [certPem, keyPem] = [await readIfThere(certFile), await readIfThere(keyFile)]
  if (leafFits({ caPem, certPem, keyPem }, hosts, now)) return { caFile, certFile, keyFile, created: false }

  // Only now: the library costs more to load than the rest of a start.
  const { issueCertificate, loadAuthority, makeAuthority } = await import('./dev_certificate_authority.ts')
  const kept = await loadAuthority(caPem, caKeyPem, hosts)
  const usable = kept !== undefined && kept.expiresAt - now > renewBeforeMs && kept.startsAt <= now
  const authority = usable ? kept : await makeAuthority(hosts, now)
  const leaf = await issueCertificate(authority, hosts, now)
  if (!usable) {
    await writeWhole(caKeyFile, authority.keyPem, 0o600)
    await writeWhole(caFile, authority.certPem, 0o644)
  }
  await writeWhole(keyFile, leaf.keyPem, 0o600)
  await writeWhole(certFile, leaf.certPem, 0o644)
  return { caFile, certFile, keyFile, created: true }
}

type LeafFiles = {
  readonly caPem: string | undefined
  readonly certPem: string | undefined
  readonly keyPem: string | undefined
}

function leafFits(files: LeafFiles, hosts: readonly string[], now: number): boolean {
  if (files.caPem === undefined || files.certPem === undefined || files.keyPem === undefined) return false
  try {
    const ca = new X509Certificate(files.caPem)
    const leaf = new X509Certificate(files.certPem)
    if (!leaf.verify(ca.publicKey) || !leaf.checkPrivateKey(createPrivateKey(files.keyPem))) return false
    if (leaf.validFromDate.getTime() > now || ca.validToDate.getTime() <= now) return false
    if (leaf.validToDate.getTime() - now <= renewBeforeMs) return false
    return hosts.every((host) => (isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined)
  } catch {
    // A truncated or foreign file is the same as none: it is replaced.
    return false
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Whole or not at all, also when the process dies halfway. */
async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  const draft = `${file}.${process.pid}.tmp`
  await writeFile(draft, text, { mode })
  await rename(draft, file)
}
