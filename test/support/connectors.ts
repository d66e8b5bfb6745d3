// One valid connector and one valid Dex mapping; a test changes what it is about.
import type { Connector, IdentityMapping } from '../../src/core/connector.ts'
import { defaultMapping } from '../../src/core/dex/map_identity.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { presetOf } from '../../src/core/issuer/presets.ts'

/** What the loader makes of Dex's `oidc` connector with nothing but an issuer. */
export const DEX_MAPPING: IdentityMapping = {
  ...defaultMapping(),
  userNameRequired: true,
  emailRequired: true,
  emailNamesVerified: false,
}

export function testConnector(preset: PresetName, over: Partial<Connector> = {}): Connector {
  const known = presetOf(preset)
  const issuer = over.issuer ?? 'https://issuer.example.test'
  return {
    id: 'test',
    name: 'Test',
    kind: 'issuer',
    type: preset,
    preset,
    issuer,
    keys: {
      kind: 'discovery',
      url: undefined,
      jwksUri: undefined,
      userinfoUri: undefined,
      documentIssuer: issuer,
    },
    tls: { caPem: undefined, insecureSkipVerify: false },
    trustedHosts: [],
    audiences: ['https://broker.example.test'],
    strictAudience: false,
    algorithms: known.algorithms,
    headerTypes: known.headerTypes,
    clockSkewSeconds: 30,
    maxAgeSeconds: known.maxAgeSeconds,
    maxLifetimeSeconds: known.maxLifetimeSeconds,
    singleUse: known.singleUse,
    userinfo: false,
    mapping: defaultMapping(),
    grants: [],
    needsPolicy: true,
    ...over,
  }
}
