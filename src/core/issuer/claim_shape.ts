// Small tools that the presets share: say what is wrong with a token's shape, read issuer addresses, keep facts flat.
import { claimAt, isJsonObject, stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { rememberTexts } from '#core/known_texts.ts'
import type { PresetName, SourceFacts } from './preset.ts'

/** Every asymmetric algorithm that the issuers in the table can be configured to sign with. */
export const ASYMMETRIC_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

export function wrongShape(preset: PresetName, detail: string): SubjectDenial {
  return { reason: 'subject_shape_wrong', preset, detail }
}

/** The first of `names` that is absent, empty or not a string, as a denial. */
export function missingString(
  preset: PresetName,
  claims: Claims,
  names: readonly string[],
): SubjectDenial | undefined {
  const name = names.find((candidate) => stringClaim(claims, candidate) === undefined)
  return name === undefined ? undefined : wrongShape(preset, `claim "${name}" must be a non-empty string`)
}

/** Whether `text` is `prefix` itself or goes on with `:` after it, so that `repo:a/b` never covers `repo:a/bc`. */
export function isSegmentPrefix(text: string, prefix: string): boolean {
  return text === prefix || text.startsWith(`${prefix}:`)
}

export type HostAndPath = { readonly host: string; readonly path: string }

/**
 * `host[:port]` and path of an address, no slash at the end; `undefined` when it is no http(s) address. They are those of the configured
 * issuers, nearly always.
 */
export const hostAndPath: (address: string) => HostAndPath | undefined = rememberTexts(parseAddress)

function parseAddress(address: string): HostAndPath | undefined {
  const url = URL.parse(address)
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return undefined
  // By hand: a pattern for the end looks at ten thousand slashes ten thousand times, and a claim can bring them.
  let end = url.pathname.length
  while (url.pathname[end - 1] === '/') end -= 1
  return { host: url.host, path: url.pathname.slice(0, end) }
}

export function hostOf(address: string): string | undefined {
  return hostAndPath(address)?.host
}

/** `branch` or `tag` of a full Git ref; pull request refs and the like have no type. */
export function refTypeOf(ref: string | undefined): string | undefined {
  if (ref?.startsWith('refs/heads/')) return 'branch'
  return ref?.startsWith('refs/tags/') ? 'tag' : undefined
}

/** Drops what the token does not say. */
export function presentFacts(facts: Readonly<Record<keyof SourceFacts, string | undefined>>): SourceFacts {
  const present: Partial<Record<keyof SourceFacts, string>> = {}
  for (const name of FACT_NAMES) {
    const value = facts[name]
    if (value !== undefined) present[name] = value
  }
  return present
}

const FACT_NAMES = [
  'ci',
  'source',
  'repository',
  'repository_id',
  'ref',
  'ref_type',
  'sha',
  'run_id',
  'environment',
] as const satisfies readonly (keyof SourceFacts)[]

export const NO_FACTS = {
  ci: undefined,
  source: undefined,
  repository: undefined,
  repository_id: undefined,
  ref: undefined,
  ref_type: undefined,
  sha: undefined,
  run_id: undefined,
  environment: undefined,
} as const satisfies Readonly<Record<keyof SourceFacts, undefined>>

/** A nested object claim, or `undefined` when it is anything else. */
export function objectClaim(claims: Claims, name: string): Claims | undefined {
  const value = claimAt(claims, name)
  return isJsonObject(value) ? value : undefined
}
