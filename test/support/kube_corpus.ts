// Real AuthenticationConfigurations. They are not part of the project: tests read them through SALLYPORT_SHARED and are
// skipped without it. Placeholders for certificates are replaced by a real one first.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDocument } from 'yaml'
import { readCaBundle } from '../../src/core/kube/ca_bundle.ts'

export const KUBE_CORPUS_MISSING =
  'SALLYPORT_SHARED does not name the folder with corpus/authentication-configuration'

export type CorpusFile = { readonly name: string; readonly text: string }

/** `undefined` when the folder is not there. */
export function kubeCorpus(): readonly CorpusFile[] | undefined {
  const shared = process.env['SALLYPORT_SHARED']
  if (shared === undefined || shared === '') return undefined
  const folder = join(shared, 'corpus', 'authentication-configuration')
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
}

/** The text with `pem` in place of every certificateAuthority that is none. */
export function withRealCertificates(text: string, pem: string): string {
  const document = parseDocument(text)
  const jwt: unknown = document.toJS()?.jwt
  if (!Array.isArray(jwt)) return text
  let replaced = false
  for (const index of jwt.keys()) {
    const path = ['jwt', index, 'issuer', 'certificateAuthority']
    const found: unknown = document.getIn(path)
    if (typeof found !== 'string' || readCaBundle(found).ok) continue
    document.setIn(path, pem)
    replaced = true
  }
  return replaced ? String(document) : text
}
