// Which repository a Module comes from, in the words of the broker's claim `source`: host and path. The webhook, the
// controllers and the offline review all ask here.
import { ownText } from '#core/own_text.ts'
import type { ModuleObject } from './module_object.ts'

/**
 * `github.com/acme/terraform-aws-vpc` of `repoUrl`, else of `repoOwner` and the name on github.com, which is where
 * OpenDepot fetches from. `undefined` when the Module does not say.
 */
export function sourceOf(module: ModuleObject): string | undefined {
  const { repoUrl, repoOwner } = module.config
  if (repoUrl !== '') return sourceOfAddress(repoUrl)
  const name = module.config.name === '' ? module.meta.name : module.config.name
  if (!isSegment(repoOwner) || !isSegment(name)) return undefined
  return notTooLong(foldSource(`github.com/${repoOwner}/${name}`))
}

/** Characters: a forge's longest path has some hundred. What is longer nobody keeps, so nobody may be known by it. */
const MAX_SOURCE = 1024

function notTooLong(source: string): string | undefined {
  return source.length > MAX_SOURCE ? undefined : source
}

/**
 * Addresses as they were read: a review asks some five times for one, and reading it is a URL's. A pure function of the text; emptied
 * when it is full.
 */
const known = new Map<string, { readonly source: string | undefined }>()
const MAX_KNOWN = 1024
const MAX_KNOWN_LENGTH = 512

/** Of an address in `repoUrl`. */
export function sourceOfAddress(address: string): string | undefined {
  const found = known.get(address)
  if (found !== undefined) return found.source
  const source = readSource(address)
  if (address.length > MAX_KNOWN_LENGTH) return source
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(ownText(address), { source: source === undefined ? undefined : ownText(source) })
  return source
}

/**
 * `https://`, `http://`, `ssh://`, `git://` addresses and `git@host:path`; `undefined` for anything else, and for what git and a
 * browser's reader would fetch from two places (the table of docs/webhook-authors.md).
 */
function readSource(address: string): string | undefined {
  const short = /^[A-Za-z0-9_.-]+@([A-Za-z0-9.-]+):(?!\/)(.+)$/.exec(address)
  // Below the home directory of a login no path begins at the root.
  if (short?.[2]?.split('/').some(isUpward) === true) return undefined
  const text = short === null ? address : `ssh://${short[1]}/${short[2]}`
  if (!hasPlainHost(text)) return undefined
  const url = URL.parse(text)
  if (url === null || !PROTOCOLS.has(url.protocol) || url.search !== '' || url.hash !== '') return undefined
  const path = withoutSlashes(url.pathname).replace(/\.git$/i, '')
  // A port of ssh is not the web's: the claim names the forge's web address.
  const host = url.protocol === 'ssh:' ? url.hostname : url.host
  if (host === '' || !path.includes('/') || !path.split('/').every(isSegment)) return undefined
  return notTooLong(foldSource(`${host}/${path}`))
}

/**
 * By RFC 3986, section 3.2: the reader of URLs takes more. It drops tabs, takes `\\` for a slash, decodes `%68`, folds the Kelvin sign
 * and writes 127.1 as 127.0.0.1, each under some schemes only; other readers do not.
 */
function hasPlainHost(address: string): boolean {
  if (UNWRITTEN.test(address)) return false
  const host = AUTHORITY.exec(address)?.[1]
  if (host === undefined) return false
  const labels = host.split('.')
  const isNumber = /^(?:\d+|0x[\da-f]*)$/i.test(labels.at(-1) ?? '')
  return host.startsWith('[') || (isNumber ? isIpv4(labels) : labels.every((label) => LABEL.test(label)))
}

/** Nowhere in a URL: control characters, backslashes, blanks around it. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const UNWRITTEN = /[\u0000-\u001f\u007f\\]|^ | $/

/** Scheme, who logs in, the host as it is written, a port. What stands in brackets URL.parse reads. */
const AUTHORITY =
  /^[a-z]+:\/\/(?:(?:[\w.~!$&'()*+,;=:-]|%[\da-f]{2})*@)?(\[[\da-f:.]+\]|[\w.-]+)(?::\d*)?(?:\/|$)/i

/** RFC 1123, section 2.1, and the underscore that container networks have. */
const LABEL = /^\w(?:[\w-]*\w)?$/

function isIpv4(labels: readonly string[]): boolean {
  return (
    labels.length === 4 && labels.every((label) => /^(?:0|[1-9]\d{0,2})$/.test(label) && Number(label) < 256)
  )
}

function isUpward(segment: string): boolean {
  return /^(?:\.|%2e){1,2}$/i.test(segment)
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
