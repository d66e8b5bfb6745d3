// Any other OpenID provider: nothing is known of its claims, so little is checked and policies carry the weight. Also
// the preset of every `oidc` connector of a Dex configuration, whose loader relaxes the limits to Dex's.
import { claimAt, stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import type { SubjectDenial } from '#core/denial.ts'
import { NO_FACTS, presentFacts, wrongShape } from './claim_shape.ts'
import type { IssuerPreset } from './preset.ts'

/** Values of Keycloak's and its kin's `typ` claim that no exchange is meant for. */
const FOREIGN_TOKEN_CLASSES: ReadonlySet<unknown> = new Set(['Refresh', 'Offline', 'Logout'])
const LOGOUT_EVENT = '/events/http:~1~1schemas.openid.net~1event~1backchannel-logout'

export const genericOidc: IssuerPreset = {
  name: 'oidc',
  isShared: () => false,
  // One for each kind of key, so that one key never means two algorithms.
  algorithms: ['RS256', 'ES256', 'EdDSA'],
  headerTypes: ['jwt', 'at+jwt', 'application/at+jwt'],
  immutablePins: [['sub']],
  mutablePins: ['name', 'email', 'preferred_username', 'nickname', 'groups', 'azp', 'client_id'],
  immutableId: (claims) => stringClaim(claims, 'sub'),
  checkShape,
  events: undefined,
  singleUse: 'off',
  maxAgeSeconds: undefined,
  maxLifetimeSeconds: 24 * 3600,
  facts: () => presentFacts(NO_FACTS),
}

/** A logout token (OpenID Connect Back-Channel Logout §2.4) is signed like an id token and carries `sub` and `aud`. */
function checkShape(claims: Claims): SubjectDenial | undefined {
  if (FOREIGN_TOKEN_CLASSES.has(claimAt(claims, 'typ'))) {
    return wrongShape('oidc', 'claim "typ" says that this is neither an id token nor an access token')
  }
  return claimAt(claims, LOGOUT_EVENT) === undefined ? undefined : wrongShape('oidc', 'a logout token')
}
