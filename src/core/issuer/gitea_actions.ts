// Gitea Actions: GitHub's claims, ids behind `@` in `sub`, issuer `https://HOST[/sub]/api/actions/oidc`.
import { stringClaim } from '#core/claims.ts'
import {
  ACTIONS_CLAIMS,
  ACTIONS_EVENTS,
  ACTIONS_KNOWN_CLAIMS,
  ACTIONS_MORE_CLAIMS,
  ACTIONS_MUTABLE_PINS,
  ACTIONS_REFS,
  actionsFacts,
  checkActionsShape,
} from './actions_claims.ts'
import { hostAndPath, hostOf } from './claim_shape.ts'
import type { IssuerPreset } from './preset.ts'

const ISSUER_PATH = '/api/actions/oidc'

export const giteaActions: IssuerPreset = {
  name: 'gitea-actions',
  isShared: (issuer) => hostOf(issuer) === 'gitea.com',
  algorithms: ['RS256'],
  headerTypes: ['jwt'],
  immutablePins: [['repository_id'], ['repository_owner_id']],
  mutablePins: ACTIONS_MUTABLE_PINS,
  claims: [...ACTIONS_KNOWN_CLAIMS, ...ACTIONS_MORE_CLAIMS],
  refs: ACTIONS_REFS,
  immutableId: (claims) => stringClaim(claims, 'repository_id'),
  checkShape: (claims) =>
    checkActionsShape(claims, {
      preset: 'gitea-actions',
      required: [...ACTIONS_CLAIMS, 'repository_id', 'repository_owner_id'],
      idDelimiter: '@',
      subMayBeCustom: false,
    }),
  events: ACTIONS_EVENTS,
  singleUse: 'per_audience',
  maxAgeSeconds: 600,
  // Asked for when needed, 300 s.
  maxLifetimeSeconds: 900,
  facts: (claims, issuer) => actionsFacts(claims, 'gitea-actions', forgeOf(issuer)),
}

function forgeOf(issuer: string): string | undefined {
  const address = hostAndPath(issuer)
  if (address === undefined || !address.path.endsWith(ISSUER_PATH)) return undefined
  return `${address.host}${address.path.slice(0, -ISSUER_PATH.length)}`
}
