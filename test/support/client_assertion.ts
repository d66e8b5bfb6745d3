// The valid assertion of the client `signer` (RFC 7523), with one thing changed.
import { JWT_BEARER_ASSERTION } from '../../src/core/oauth/names.ts'
import { SIGNER_KEY } from './broker_config.ts'
import { BROKER_ISSUER, START } from './test_broker.ts'
import type { Form } from './test_broker.ts'
import { signCompact } from './test_issuer.ts'
import type { TestKey } from './test_issuer.ts'

export type Assertion = {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: TestKey
  /** Seconds since the epoch. */
  readonly now?: number
}

let count = 0

export function assertion({ claims, header, key = SIGNER_KEY, now = START / 1000 }: Assertion = {}): string {
  count += 1
  const payload = {
    iss: 'signer',
    sub: 'signer',
    aud: BROKER_ISSUER,
    iat: now,
    exp: now + 60,
    jti: `jti-${count}`,
    ...claims,
  }
  return signCompact({ alg: 'ES256', kid: SIGNER_KEY.kid, ...header }, payload, 'ES256', key.privateKey)
}

export function asSigner(client_assertion: string, change: Form = {}): Form {
  return {
    client_id: 'signer',
    client_secret: undefined,
    client_assertion_type: JWT_BEARER_ASSERTION,
    client_assertion,
    ...change,
  }
}
