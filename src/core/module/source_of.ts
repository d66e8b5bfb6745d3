// Which repository a Module comes from, in the words of the broker's claim `source`: host and path. The webhook, the
// controllers and the offline review all ask here.
import type { ModuleObject } from './module_object.ts'

/**
 * `github.com/acme/terraform-aws-vpc` of `repoUrl`, else of `repoOwner` and the name on github.com, which is where
 * OpenDepot fetches from. `undefined` when the Module does not say.
 */
export function sourceOf(module: ModuleObject): string | undefined {
  const { repoUrl, repoOwner } = module.config
  if (repoUrl !== '') return sourceOfUrl(repoUrl)
  const name = module.config.name === '' ? module.meta.name : module.config.name
  if (!isSegment(repoOwner) || !isSegment(name)) return undefined
  return foldSource(`github.com/${repoOwner}/${name}`)
}

/** `https://`, `http://`, `ssh://`, `git://` addresses and `git@host:path`; `undefined` for anything else. */
function sourceOfUrl(address: string): string | undefined {
  const short = /^[A-Za-z0-9_.-]+@([A-Za-z0-9.-]+):(?!\/)(.+)$/.exec(address)
  const url = URL.parse(short === null ? address : `ssh://${short[1]}/${short[2]}`)
  if (url === null || !PROTOCOLS.has(url.protocol) || url.search !== '' || url.hash !== '') return undefined
  const path = withoutSlashes(url.pathname).replace(/\.git$/i, '')
  // A port of ssh is not the web's: the claim names the forge's web address.
  const host = url.protocol === 'ssh:' ? url.hostname : url.host
  if (host === '' || !path.includes('/') || !path.split('/').every(isSegment)) return undefined
  return foldSource(`${host}/${path}`)
}

/** At both ends. By hand: a pattern for the end looks at a hundred thousand slashes a hundred thousand times. */
function withoutSlashes(path: string): string {
  let [start, end] = [0, path.length]
  while (path[start] === '/') start += 1
  while (end > start && path[end - 1] === '/') end -= 1
  return path.slice(start, end)
}

const PROTOCOLS: ReadonlySet<string> = new Set(['https:', 'http:', 'ssh:', 'git:'])

function isSegment(text: string): boolean {
  return text !== '' && text !== '.' && text !== '..' && !/[\s\p{C}/\\]/u.test(text)
}

/**
 * The same repository in one spelling. Every forge whose CI tokens name a source (GitHub, GitLab, Gitea, Forgejo, Azure
 * DevOps, and CI services on top of them) takes `Acme/VPC` and `acme/vpc` for one repository. ASCII only: what Unicode
 * folds together (the Kelvin sign and k) are two names.
 */
export function foldSource(source: string): string {
  return source.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
