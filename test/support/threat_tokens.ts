// Subject tokens for the threat table: the valid one of now, and what an attacker makes of it.
import type { MintOptions } from './test_issuer.ts'
import type { TestBroker } from './test_broker.ts'
import type { RefusedRow, ThreatTable } from './threat_case.ts'

export type Make = (world: TestBroker) => string
export type Row = Pick<RefusedRow, 'reason'> & Partial<RefusedRow>

/** A row of a subject token that must not pass, and of the one beside it that must. */
export type TokenRow = (id: string, says: string, make: Make, row: Row, twin?: Make) => void

/** Rows whose whole request is the valid exchange with another subject token. */
export function tokenRows({ refuses }: ThreatTable): TokenRow {
  return (id, says, make, row, twin) =>
    refuses({ id, says, attack: exchanged(make), ...(twin && { twin: exchanged(twin) }), ...row })
}

export function exchanged(make: Make): RefusedRow['attack'] {
  return (world) => world.exchange({ subject_token: make(world) })
}

export function mint(options: MintOptions, claims: Readonly<Record<string, unknown>> = {}): Make {
  return (world) => world.mint(claims, options)
}

/** The valid token with these claims, rightly signed. */
export function claiming(claims: Readonly<Record<string, unknown>>): Make {
  return mint({}, claims)
}

/** Header, payload and signature as they stand. */
export function parts(text: string): [string, string, string] {
  const [head = '', body = '', tail = ''] = text.split('.')
  return [head, body, tail]
}

/** The valid token of now with a part exchanged, and nothing signed anew. */
export function altered(change: (head: string, body: string, tail: string) => string): Make {
  return (world) => change(...parts(world.mint()))
}

export function decoded(part: string): string {
  return Buffer.from(part, 'base64url').toString('utf8')
}

export const malformed: Row = { reason: 'subject_malformed' }
export const badClaim: Row = { reason: 'subject_claim_invalid' }
export const badHeader: Row = { reason: 'subject_header_not_allowed' }
export const badSignature: Row = { reason: 'subject_signature_invalid' }
export const notAllowed: Row = { reason: 'subject_algorithm_not_allowed' }
/** The issuer is asked once whether it has a new key of that name. */
export const noKey: Row = { reason: 'subject_key_unknown', fetches: { jwks: 1 } }
