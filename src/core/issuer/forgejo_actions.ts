// Forgejo Actions from release 15. Release 15 has no ids; the next one adds them and a second spelling of `sub` with
// hyphens, which a repository called `name-456` of a user `owner-123` can have without any id.
import { stringClaim } from '#core/claims.ts'
import type { Claims } from '#core/claims.ts'
import {
  ACTIONS_CLAIMS,
  ACTIONS_EVENTS,
  ACTIONS_KNOWN_CLAIMS,
  ACTIONS_MUTABLE_PINS,
  ACTIONS_REFS,
  actionsFacts,
  checkActionsShape,
} from './actions_claims.ts'
import { ASYMMETRIC_ALGORITHMS, hostAndPath, hostOf } from './claim_shape.ts'
import type { IssuerPreset } from './preset.ts'

const ISSUER_PATH = '/api/actions'

export const forgejoActions: IssuerPreset = {
  name: 'forgejo-actions',
  isShared: (issuer) => hostOf(issuer) === 'codeberg.org',
  // ID_TOKEN_SIGNING_ALGORITHM; RS256 unless set.
  algorithms: ASYMMETRIC_ALGORITHMS,
  headerTypes: ['jwt'],
  immutablePins: [['repository_id'], ['repository_owner_id']],
  mutablePins: ACTIONS_MUTABLE_PINS,
  claims: ACTIONS_KNOWN_CLAIMS,
  refs: ACTIONS_REFS,
  ambiguousPins: ['sub'],
  immutableId,
  checkShape: (claims) =>
    checkActionsShape(claims, {
      preset: 'forgejo-actions',
      required: ACTIONS_CLAIMS,
      idDelimiter: '-',
      subMayBeCustom: false,
    }),
  events: ACTIONS_EVENTS,
  // No `jti`: the replay key is the token's hash.
  singleUse: 'once',
  maxAgeSeconds: 3600,
  maxLifetimeSeconds: 3600,
  facts: (claims, issuer) => actionsFacts(claims, 'forgejo-actions', forgeOf(issuer)),
}

/** Release 15 tells no id, so the path stands in; an id has no slash and the two can never be equal. */
function immutableId(claims: Claims): string | undefined {
  return stringClaim(claims, 'repository_id') ?? stringClaim(claims, 'repository')
}

function forgeOf(issuer: string): string | undefined {
  const address = hostAndPath(issuer)
  if (address === undefined || !address.path.endsWith(ISSUER_PATH)) return undefined
  return `${address.host}${address.path.slice(0, -ISSUER_PATH.length)}`
}
