// A person's token, as a connector maps it for Dex.
import type { Claims } from '../../src/core/claims.ts'
import type { IdentityMapping } from '../../src/core/connector.ts'
import { mapIdentity } from '../../src/core/dex/map_identity.ts'
import type { Identity } from '../../src/core/identity.ts'
import type { Result } from '../../src/core/result.ts'
import { DEX_MAPPING, testConnector } from './connectors.ts'

/** A person's token at a connector with groups on: Dex's own test fixture in shape. */
export const person: Claims = {
  sub: 'subvalue',
  name: 'namevalue',
  email: 'emailvalue',
  email_verified: true,
}
const withGroups: IdentityMapping = { ...DEX_MAPPING, groupsEnabled: true }

export function mapDex(claims: Claims, mapping: Partial<IdentityMapping> = {}): Result<Identity> {
  return mapIdentity(claims, testConnector('oidc', { mapping: { ...withGroups, ...mapping } }))
}

export const newGroups = [
  { claims: ['organization', 'pipeline'], delimiter: '::', clearDelimiter: false, prefix: 'gh' },
  { claims: ['non-existing1', 'non-existing2'], delimiter: '::', clearDelimiter: false, prefix: 'tfe' },
  {
    claims: ['organization', 'claim-with-delimiter'],
    delimiter: '-',
    clearDelimiter: true,
    prefix: 'clr_delim',
  },
  {
    claims: ['organization', 'claim-with-delimiter'],
    delimiter: '-',
    clearDelimiter: false,
    prefix: 'keep_delim',
  },
  {
    claims: ['non-string-claim', 'non-string-claim2', 'email'],
    delimiter: '-',
    clearDelimiter: false,
    prefix: 'bk',
  },
]
