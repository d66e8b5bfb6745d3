// What a subject token proves: the numbered pipeline between the strict parser (core/jwt/compact.ts) and what the
// issuer's preset and the policies make of the claims. The order is the contract: cheap before dear, and nothing in
// the claims is believed, logged as fact or compared before the signature holds, except `iss`, which must be ours.
import type { Claims } from '#core/claims.ts'
import type { Clock } from '#core/clock.ts'
import type { Connector } from '#core/connector.ts'
import { algorithmOf } from '#core/jwt/algorithms.ts'
import {
  checkAudience,
  checkHeaderType,
  checkIssuer,
  checkSubject,
  checkTimes,
} from '#core/jwt/claim_rules.ts'
import type { SubjectDenial } from '#core/denial.ts'
import type { ParsedToken } from '#core/jwt/compact.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { inPlacePool } from './crypto_pool.ts'
import type { CryptoPool } from './crypto_pool.ts'
import type { IssuerKeysRegistry } from './issuer_keys/registry.ts'
import { verifySignature } from './jws_signature.ts'

export type VerifiedToken = {
  readonly claims: Claims
  /** base64url SHA-256 of the signing input. */
  readonly hash: string
  readonly kid: string
}

export interface SubjectVerifier {
  /**
   * Verifies a parsed token as one of the connector's. Denials: every `subject_*` that speaks of header, key, signature,
   * time, audience or `sub`, and `issuer_keys_unavailable`. The preset's shape is the caller's next step.
   */
  verify(parsed: ParsedToken, connector: Connector): Promise<Result<VerifiedToken>>
}

export type SubjectVerifierDeps = {
  readonly clock: Clock
  readonly issuerKeys: IssuerKeysRegistry
  /** Where signatures are checked; in place by default. */
  readonly pool?: CryptoPool
}

export function createSubjectVerifier({
  clock,
  issuerKeys,
  pool = inPlacePool,
}: SubjectVerifierDeps): SubjectVerifier {
  return {
    async verify(parsed, connector) {
      const { header, claims } = parsed
      // 1. header: an algorithm of the table that this connector allows, a type that it expects
      const algorithm = connector.algorithms.includes(header.alg) ? algorithmOf(header.alg) : undefined
      if (algorithm === undefined)
        return deny({
          reason: 'subject_algorithm_not_allowed',
          got: header.alg,
          allowed: connector.algorithms,
        })
      const wrongType = checkHeaderType(header.typ, connector.headerTypes)
      if (wrongType !== undefined) return deny(wrongType)

      // 2. issuer, before its keys are asked for
      const wrongIssuer = checkIssuer(claims, connector.issuer)
      if (wrongIssuer !== undefined) return deny(wrongIssuer)

      // 3. key: the issuer's own, by kid; the first step that may wait
      const key = await issuerKeys.of(connector).find(header.alg, header.kid)
      if (!key.ok) return key

      // 4. signature over the exact bytes: the first step that costs
      const { kid } = key.value
      const hash = await verifySignature(algorithm, key.value, parsed, pool)
      if (hash === undefined) return deny({ reason: 'subject_signature_invalid', kid })

      // 5. time, 6. audience, 7. subject
      const wrongClaim = checkSignedClaims(claims, connector, clock() / 1000)
      if (wrongClaim !== undefined) return deny(wrongClaim)
      return ok({ claims, hash, kid })
    },
  }
}

/** Steps 5 to 7: what must hold of claims whose signature holds. `now` in seconds; explain asks it of bare claim sets. */
export function checkSignedClaims(
  claims: Claims,
  connector: Connector,
  now: number,
): SubjectDenial | undefined {
  return checkTimes(claims, connector, now) ?? checkAudience(claims, connector) ?? checkSubject(claims)
}
