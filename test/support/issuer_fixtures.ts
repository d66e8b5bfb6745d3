// The claim sets of test/fixtures/issuers: one for each kind of token that an issuer signs, hostile ones among them.
import { readFileSync, readdirSync } from 'node:fs'
import { stringClaim } from '../../src/core/claims.ts'
import type { Claims } from '../../src/core/claims.ts'

const directory = new URL('../fixtures/issuers/', import.meta.url)

export const ISSUER_FIXTURES: readonly string[] = readdirSync(directory)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.slice(0, -'.json'.length))
  .sort()

export function issuerClaims(name: string): Claims {
  return JSON.parse(readFileSync(new URL(`${name}.json`, directory), 'utf8'))
}

/** The issuer that signed them, as a connector would be configured. */
export function issuerOf(claims: Claims): string {
  return stringClaim(claims, 'iss') ?? ''
}

/** The claims with some of them changed; `undefined` takes one away. */
export function changed(
  claims: Claims,
  changes: Readonly<Record<string, Claims[string] | undefined>>,
): Claims {
  const entries = Object.entries({ ...claims, ...changes })
  return Object.fromEntries(
    entries.filter((entry): entry is [string, Claims[string]] => entry[1] !== undefined),
  )
}
