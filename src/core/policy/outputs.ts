// What a policy may put out, and the names it may never put out: those that mean something to kube-apiserver or
// that the broker itself gives (registered claims, and `client:`, the registry's virtual group of a client_credentials
// token).
import type { LocalProblem } from './problem.ts'

const RESERVED_PREFIXES = ['system:', 'client:'] as const

/** The reserved prefix with which a group or user name begins, or `undefined`. */
export function reservedPrefix(name: string): string | undefined {
  return RESERVED_PREFIXES.find((prefix) => name.startsWith(prefix))
}

export function reservedOutput(name: string, prefix: string): LocalProblem {
  return {
    code: 'output_reserved',
    message: `"${name}" begins with the reserved "${prefix}"`,
    wayOut: 'choose another name and bind the role to that',
  }
}

/** Claims that the broker writes itself; a policy cannot say them. */
const RESERVED_CLAIMS: ReadonlySet<string> = new Set(
  [
    'iss sub aud exp nbf iat jti azp typ cnf act may_act nonce sid',
    'at_hash c_hash auth_time acr amr scope client_id grant token_use policy',
    'name email email_verified preferred_username username uid groups federated_claims',
    '__proto__ constructor prototype',
  ].flatMap((names) => names.split(' ')),
)

export function checkOutputClaim(name: string): LocalProblem | undefined {
  if (!RESERVED_CLAIMS.has(name) && /^[A-Za-z0-9_./:-]{1,128}$/.test(name)) return undefined
  return {
    code: 'output_claim_reserved',
    message: RESERVED_CLAIMS.has(name) ? `"${name}" is written by the broker` : `"${name}" is no claim name`,
    wayOut: 'use a name of your own, of letters, digits and _ . / : -',
  }
}
