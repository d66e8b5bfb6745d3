// One connector, one clock and one valid token for tests of the verifier: each test changes one thing.
import type { Connector } from '../../src/core/connector.ts'
import { parseCompact } from '../../src/core/jwt/compact.ts'
import type { Result } from '../../src/core/result.ts'
import { createIssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import { createSubjectVerifier } from '../../src/platform/subject_verifier.ts'
import type { VerifiedToken } from '../../src/platform/subject_verifier.ts'
import type { TestIssuer } from './test_issuer.ts'

/** 2026-11-21T12:00:00Z, in milliseconds. */
export const NOW = 1_795_262_400_000
export const NOW_SECONDS = NOW / 1000
export const BROKER = 'https://broker.example.test'

/** A generic connector for a test issuer, as the loaders would resolve it. */
export function connectorFor(issuer: TestIssuer, over: Partial<Connector> = {}): Connector {
  return {
    id: 'ci',
    name: 'CI',
    kind: 'issuer',
    type: 'oidc',
    preset: 'oidc',
    issuer: issuer.url,
    keys: {
      kind: 'discovery',
      url: undefined,
      jwksUri: undefined,
      userinfoUri: undefined,
      documentIssuer: issuer.url,
    },
    tls: { caPem: issuer.caPem, insecureSkipVerify: false },
    trustedHosts: [],
    audiences: [BROKER],
    strictAudience: false,
    algorithms: ['RS256', 'ES256'],
    headerTypes: ['jwt'],
    clockSkewSeconds: 30,
    maxAgeSeconds: 3600,
    maxLifetimeSeconds: 86_400,
    singleUse: 'off',
    userinfo: false,
    mapping: {
      userIdKey: 'sub',
      userNameKey: 'name',
      userNameRequired: false,
      preferredUsernameKey: undefined,
      emailKey: undefined,
      groupsKey: undefined,
      overrideClaimMapping: false,
      emailRequired: false,
      insecureSkipEmailVerified: false,
      groupsEnabled: false,
      allowedGroups: [],
      groupsFilter: undefined,
      groupPrefix: '',
      groupSuffix: '',
      newGroups: [],
    },
    grants: [],
    needsPolicy: false,
    ...over,
  }
}

/** The claims of the one valid token, beside what the issuer fills in. */
export const VALID_CLAIMS = { sub: 'project_path:acme/vpc:ref_type:branch:ref:main', aud: BROKER }

export type Verification = {
  readonly check: (token: string, over?: Partial<Connector>) => Promise<Result<VerifiedToken>>
  readonly close: () => void
}

/** Parser and verifier in a row, at a fixed time. */
export function verificationOf(
  issuer: TestIssuer,
  connector: Connector = connectorFor(issuer),
): Verification {
  const issuerKeys = createIssuerKeysRegistry({ clock: () => NOW })
  const verifier = createSubjectVerifier({ clock: () => NOW, issuerKeys })
  return {
    async check(token, over = {}) {
      const parsed = parseCompact(token)
      return parsed.ok ? verifier.verify(parsed.value, { ...connector, ...over }) : parsed
    },
    close: () => issuerKeys.close(),
  }
}
