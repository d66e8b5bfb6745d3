// GitHub Actions: github.com, GHE.com and GitHub Enterprise Server.
// https://docs.github.com/actions/security-for-github-actions/security-hardening-your-deployments
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

const PUBLIC_ISSUER_HOST = 'token.actions.githubusercontent.com'

export const githubActions: IssuerPreset = {
  name: 'github-actions',
  // With an enterprise slug in its path, too: slugs can be given up and registered by somebody else.
  isShared: (issuer) => hostOf(issuer) === PUBLIC_ISSUER_HOST,
  algorithms: ['RS256'],
  headerTypes: ['jwt'],
  immutablePins: [['repository_id'], ['repository_owner_id'], ['enterprise_id']],
  mutablePins: [...ACTIONS_MUTABLE_PINS, 'enterprise'],
  claims: [
    ...ACTIONS_KNOWN_CLAIMS,
    ...ACTIONS_MORE_CLAIMS,
    'environment',
    'environment_node_id',
    'enterprise',
    'enterprise_id',
    'check_run_id',
    'issuer_scope',
    // Custom properties of the organisation.
    'repo_property_*',
  ],
  refs: ACTIONS_REFS,
  immutableId: (claims) => stringClaim(claims, 'repository_id'),
  checkShape: (claims) =>
    checkActionsShape(claims, {
      preset: 'github-actions',
      required: [...ACTIONS_CLAIMS, 'repository_id', 'repository_owner_id'],
      idDelimiter: '@',
      subMayBeCustom: true,
    }),
  events: ACTIONS_EVENTS,
  singleUse: 'per_audience',
  maxAgeSeconds: 600,
  // Asked for when needed, 300 s.
  maxLifetimeSeconds: 900,
  facts: (claims, issuer) => actionsFacts(claims, 'github-actions', forgeOf(issuer)),
}

/** The web host that belongs to an issuer: github.com, SUB.ghe.com, or the server's own. */
function forgeOf(issuer: string): string | undefined {
  const address = hostAndPath(issuer)
  if (address === undefined) return undefined
  if (address.host === PUBLIC_ISSUER_HOST) return 'github.com'
  const [, tenant] = /^token\.actions\.([a-z0-9-]+\.ghe\.com)$/.exec(address.host) ?? []
  if (tenant !== undefined) return tenant
  return address.path === '/_services/token' ? address.host : undefined
}
