// The real public Dex files that compatibility is measured with. They are shared, not ours, and stay outside of the
// project: tests read them through SALLYPORT_SHARED and are skipped without it.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

export type CorpusFile = { readonly name: string; readonly text: string }

export const CORPUS_MISSING = 'SALLYPORT_SHARED does not name the folder with corpus/dex'

/** `undefined` without the shared folder. */
export function readDexCorpus(): readonly CorpusFile[] | undefined {
  const shared = process.env['SALLYPORT_SHARED']
  if (shared === undefined || shared === '') return undefined
  const folder = resolve(shared, 'corpus/dex')
  if (!existsSync(folder)) return undefined
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .toSorted()
    .map((name) => ({ name, text: readFileSync(join(folder, name), 'utf8') }))
}

/** Every variable that the corpus names, with a value of its own. */
export const CORPUS_VARIABLES: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'ARGOCD_CLIENT_SECRET',
    'CF_OIDC_SECRET',
    'CF_OIDC_SUBDOMAIN',
    'GITHUB_CLIENT_ID',
    'GITHUB_CLIENT_SECRET',
    'GOOGLE_CLIENT_ID',
    'GOOGLE_CLIENT_SECRET',
    'GRAFANA_CLIENT_SECRET',
    'ISSUER',
    'KEYCLOAK_CLIENT_SECRET',
    'KUBERNETES_CLIENT_SECRET',
    'MUSIC_DOWNLOADER_CLIENT_SECRET',
    'OPENDEPOT_CC_CLIENT_SECRET',
    'POSTGRES_PASSWORD',
    'PREAMP_CLIENT_SECRET',
    'RIG_CLIENT_SECRET',
    'SONARQUBE_CLIENT_SECRET',
  ].map((name) => [name, `value-of-${name.toLowerCase().replaceAll('_', '-')}`]),
)
