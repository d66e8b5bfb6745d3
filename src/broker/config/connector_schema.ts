// The section `connectors` as an operator writes it: where subject tokens come from.
import { PRESET_NAMES } from '#core/issuer/preset.ts'
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { duration, name, names, path, url } from './field_schema.ts'

/** What holds where the file says nothing. */
export const CONNECTOR_DEFAULTS = { clockSkew: '30s' } as const

const ClaimMappingSchema = Type.Object(
  {
    userId: Type.Optional(
      name("Claim for the user id inside `sub`. Left out: the connector type's immutable id."),
    ),
    username: Type.Optional(name('Claim for `name`.')),
    preferredUsername: Type.Optional(name('Claim for `preferred_username`.')),
    email: Type.Optional(name('Claim for `email`.')),
    groups: Type.Optional(name('Claim whose values become groups. Left out: no group comes from the token.')),
    groupPrefix: Type.Optional(
      Type.String({ minLength: 1, description: 'Put before each of these groups.' }),
    ),
    groupsFilter: Type.Optional(
      Type.String({ minLength: 1, description: 'RE2; only groups it finds are taken.' }),
    ),
  },
  { description: 'Claim names (or JSON pointers) that say who the token speaks of.' },
)

const DexOptionsSchema = Type.Object(
  {
    preferStandardClaims: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          "`preferred_username`, `email` and `groups` of a token win over the claims of `claimMapping` (Dex's " +
          '`overrideClaimMapping: false`).',
      }),
    ),
    requireEmail: Type.Optional(
      Type.Boolean({ default: false, description: 'A token without e-mail is denied (Dex scope `email`).' }),
    ),
    assumeEmailVerified: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'A missing `email_verified` counts as true (Dex `insecureSkipEmailVerified`).',
      }),
    ),
    groupSuffix: Type.Optional(Type.String({ minLength: 1, description: 'Put behind each group.' })),
    newGroups: Type.Optional(
      Type.Array(
        Type.Object({
          claims: names('Text claims that are joined, the missing ones skipped.'),
          delimiter: Type.Optional(Type.String({ description: 'Put between prefix and claims.' })),
          clearDelimiter: Type.Optional(
            Type.Boolean({ default: false, description: 'Delete the delimiter inside of values.' }),
          ),
          prefix: Type.Optional(Type.String({ description: 'Put first.' })),
        }),
        { description: 'Groups made of claims (Dex `newGroupFromClaims`).' },
      ),
    ),
    documentIssuer: Type.Optional(
      url('Issuer that the discovery document names in place of `issuer` (Dex `issuerAlias`).'),
    ),
    jwksUri: Type.Optional(url('Key set in place of the discovered one; discovery still happens.')),
    userinfoUri: Type.Optional(url('Userinfo endpoint in place of the discovered one.')),
  },
  {
    description:
      "Options of Dex's `oidc` connector that have no other word here, written by `config from-dex`. With it an " +
      'unverified e-mail may name a user, as in Dex.',
  },
)

export const ConnectorSchema = Type.Object({
  id: name('Named by policies, clients and `connector_id` in a request. Unique.'),
  type: words(PRESET_NAMES, {
    description:
      'Kind of issuer: its claims, immutable ids, event list, lifetimes and traps are known. `oidc`: any other.',
  }),
  issuer: url('Compared byte for byte with `iss` of a token.', ['https://gitlab.example.com']),
  name: Type.Optional(name('Name for people. Left out: the id.')),
  audiences: Type.Optional(
    names(
      'Values of `aud` of which a token must carry one. Left out: the issuer of this broker, with and without a ' +
        'trailing slash.',
    ),
  ),
  strictAudience: Type.Optional(
    Type.Boolean({ default: false, description: 'A token must carry that audience and no other.' }),
  ),
  discoveryUrl: Type.Optional(url('Discovery document, where it is not below the issuer.')),
  jwksUri: Type.Optional(url('Key set, without discovery.')),
  jwksFile: Type.Optional(path('Key set in a file, for an issuer that cannot be reached.')),
  caFile: Type.Optional(path('Certificates, PEM, that the issuer is trusted by instead of the system ones.')),
  insecureSkipVerify: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Any certificate of the issuer passes: whoever answers chooses its keys. Warned of at each start.',
    }),
  ),
  trustedHosts: Type.Optional(
    Type.Array(Type.String({ format: 'host-name' }), {
      description: "Hosts other than the issuer's that its documents may point at, without scheme and port.",
      examples: [['keys.example.com']],
    }),
  ),
  algorithms: Type.Optional(
    Type.Array(
      words(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']),
      { minItems: 1, description: "Signature algorithms accepted. Left out: the connector type's." },
    ),
  ),
  clockSkew: Type.Optional(
    Type.String({
      format: 'go-duration-or-zero',
      default: CONNECTOR_DEFAULTS.clockSkew,
      description: 'Tolerance between its clock and ours.',
    }),
  ),
  maxAge: Type.Optional(duration("Oldest token accepted, by `iat`. Left out: the connector type's.")),
  maxLifetime: Type.Optional(duration("Longest `exp` - `iat` accepted. Left out: the connector type's.")),
  singleUse: Type.Optional(
    words(['off', 'once', 'per_audience'], {
      description:
        'How often one token is exchanged: until it expires, once, or once for each audience. Left out: the ' +
        "connector type's.",
    }),
  ),
  whenStoreFails: Type.Optional(
    words(['refuse', 'accept_replays'], {
      default: 'refuse',
      description:
        'A token that is good once, while the store does not answer: 503, or exchanged once at each broker process ' +
        'that cannot reach the store. Warned of at each start.',
    }),
  ),
  userinfo: Type.Optional(
    Type.Boolean({
      default: false,
      description: 'Take opaque access tokens, too, and prove them at userinfo.',
    }),
  ),
  claimMapping: Type.Optional(ClaimMappingSchema),
  allowedGroups: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'The token must carry one of these groups (in the claim of `claimMapping.groups`).',
    }),
  ),
  dex: Type.Optional(DexOptionsSchema),
})

export type ConnectorFile = Static<typeof ConnectorSchema>
