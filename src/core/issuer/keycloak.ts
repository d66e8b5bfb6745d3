// Keycloak access tokens (client_credentials and the like), verified locally instead of at userinfo.
import { claimAt, stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { ASYMMETRIC_ALGORITHMS, NO_FACTS, missingString, presentFacts, wrongShape } from './claim_shape.ts'
import type { IssuerPreset } from './preset.ts'

export const keycloak: IssuerPreset = {
  name: 'keycloak',
  // A realm is its operator's own; its other clients are kept away by `aud`.
  isShared: () => false,
  // Set per client; every key in a realm's key set names its algorithm.
  algorithms: ASYMMETRIC_ALGORITHMS,
  // at+jwt with the client option "Use RFC 9068 access token header type".
  headerTypes: ['jwt', 'at+jwt', 'application/at+jwt'],
  immutablePins: [['sub']],
  mutablePins: [
    'azp',
    'client_id',
    'preferred_username',
    'email',
    'scope',
    'groups',
    'clientHost',
    'clientAddress',
  ],
  immutableId: (claims) => stringClaim(claims, 'sub'),
  checkShape,
  events: undefined,
  singleUse: 'off',
  maxAgeSeconds: 900,
  maxLifetimeSeconds: 2 * 3600,
  facts: () => presentFacts(NO_FACTS),
  displayName: (claims) => stringClaim(claims, 'preferred_username') ?? stringClaim(claims, 'azp'),
}

/** Access, id, logout and refresh tokens share issuer and keys; the claim `typ` alone tells them apart. */
function checkShape(claims: Claims): SubjectDenial | undefined {
  if (claimAt(claims, 'typ') !== 'Bearer') {
    return wrongShape('keycloak', 'claim "typ" must be "Bearer" (an access token)')
  }
  return missingString('keycloak', claims, ['sub', 'azp'])
}
