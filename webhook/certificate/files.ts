// A certificate that somebody else renews: read at the start, and again when one of its files changes.
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Log } from '#platform/log.ts'
import type { CertificateSource, ServingCertificate } from './source.ts'

/** A mounted Secret changes within a minute or so; nothing is gained by looking more often. */
const CHECK_MS = 5000

export type FileCertificateOptions = {
  readonly certFile: string
  readonly keyFile: string
  /** Another file whose change means a new context: the clients' authorities. */
  readonly clientCaFile: string | undefined
  readonly log: Pick<Log, 'error'>
  readonly checkMs?: number
}

/** Throws when the files cannot be read or do not belong together. */
export function openFileCertificate(options: FileCertificateOptions): CertificateSource {
  const { certFile, keyFile, clientCaFile, log, checkMs = CHECK_MS } = options
  const listeners = new Set<() => void>()
  let served = read(certFile, keyFile)
  const look = (): void => {
    try {
      served = read(certFile, keyFile)
    } catch (error) {
      // Half of a pair may be there; the other half is the next change.
      log.error({ certFile, err: error }, 'certificate not read, the old one stays')
      return
    }
    for (const changed of listeners) changed()
  }
  const files = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])]
  for (const file of files) watchFile(file, { interval: checkMs, persistent: false }, look)
  return {
    current: () => served,
    onChange(changed) {
      listeners.add(changed)
      return () => listeners.delete(changed)
    },
    missing: () => undefined,
    close() {
      for (const file of files) unwatchFile(file, look)
    },
  }
}

function read(certFile: string, keyFile: string): ServingCertificate {
  const cert = readFileSync(certFile, 'utf8')
  const key = readFileSync(keyFile, 'utf8')
  const leaf = new X509Certificate(cert)
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('certificate and key are no pair')
  return { cert, key, notAfterSeconds: Math.floor(leaf.validToDate.getTime() / 1000) }
}
