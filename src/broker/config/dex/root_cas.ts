// Dex's rootCAs: each entry the path of a PEM file, base64 of PEM, or PEM itself (pkg/httpclient extractCAs).
import { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import type { ConfigEnv } from '../config_env.ts'

/** All certificates as one PEM text; the index of the first entry that holds none. */
export type RootCas =
  | { readonly ok: true; readonly pem: string | undefined }
  | { readonly ok: false; readonly index: number }

export function readRootCas(entries: readonly string[], env: ConfigEnv): RootCas {
  const certificates: string[] = []
  for (const [index, entry] of entries.entries()) {
    if (entry === '') continue
    const found = certificatesIn(pemOf(entry, env))
    if (found.length === 0) return { ok: false, index }
    certificates.push(...found)
  }
  return { ok: true, pem: certificates.length === 0 ? undefined : `${certificates.join('\n')}\n` }
}

function pemOf(entry: string, env: ConfigEnv): string {
  if (entry.includes('-----BEGIN')) return entry
  try {
    return env.readFile(resolve(env.baseDir, entry))
  } catch {
    // not a readable file: Dex goes on with the text itself, and so do we
    return Buffer.from(entry, 'base64').toString('utf8')
  }
}

function certificatesIn(pem: string): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []
  return blocks.filter(isCertificate)
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}
