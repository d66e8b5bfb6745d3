// Trust policies as an operator writes them, in sallyport.yaml and in the overlay of a Dex configuration.
import type { ClaimPin, GrantSource, PolicySource } from '#core/policy/trust_policy.ts'
import { parseDuration } from '#platform/config/duration.ts'
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { parseTime } from '#platform/config/formats.ts'
import { duration, name, names } from './field_schema.ts'

const Scalar = Type.Union([Type.String({ minLength: 1 }), Type.Number(), Type.Boolean()])

export const PinSchema = Type.Union(
  [
    Type.String({ minLength: 1 }),
    Type.Number(),
    Type.Boolean(),
    Type.Array(Scalar, { minItems: 1, description: 'Any of these values, each byte for byte.' }),
    Type.Object({ exact: Scalar }),
    Type.Object({ anyOf: Type.Array(Scalar, { minItems: 1 }) }),
    Type.Object({ prefix: Type.String({ minLength: 1, description: 'Ends on `/`, `:` or `@`.' }) }),
    Type.Object({ glob: Type.String({ minLength: 1, description: '`*` never crosses `/`, `:` or `@`.' }) }),
    Type.Object({ re2: Type.String({ minLength: 1, description: 'RE2, anchored at both ends.' }) }),
  ],
  {
    description:
      'A plain value (equal byte for byte), a list (any of), or one of `{prefix: x/}`, `{glob: "acme/*/prod"}`, ' +
      '`{re2: ...}`. Numbers and texts never equal each other: most issuers write ids as text, so quote them.',
    examples: ['48291', ['main', 'release'], { glob: 'acme/*/prod' }],
  },
)

const GroupsFromSchema = Type.Object(
  {
    claim: name('Claim (or JSON pointer) whose value, or each of whose values, is looked up.'),
    groups: Type.Record(names('Groups that this value gives.'), {
      description: 'Value of the claim -> groups. A value that is not listed gives none.',
    }),
  },
  { description: 'Further groups, looked up by a claim.' },
)

const GrantSchema = Type.Object(
  {
    audiences: Type.Optional(
      names(
        'Audiences that may be asked for. Required here; in an overlay, left out means every audience that the ' +
          'client may name, as Dex does it.',
      ),
    ),
    groups: Type.Optional(names('Groups of the issued token.')),
    groupsFrom: Type.Optional(GroupsFromSchema),
    username: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Template over verified claims for `name` and `preferred_username`; begin it with a word for the issuer.',
        examples: ['gitlab:${project_path}'],
      }),
    ),
    claims: Type.Optional(
      Type.Record(Type.String(), {
        description: 'Further flat text claims of the issued token: name -> template over verified claims.',
        examples: [{ team: '${namespace_path}' }],
      }),
    ),
    scopes: Type.Optional(names('Scopes that may be asked for. Left out: every scope of the wire.')),
    ttl: Type.Optional(duration('Lifetime of the issued token; client and audience may make it shorter.')),
    singleUse: Type.Optional(
      words(['off', 'once', 'per_audience'], {
        description:
          'How often one subject token is exchanged: until it expires, once, or once for each audience. ' +
          "Left out: the connector's.",
      }),
    ),
  },
  { description: 'What a token for which the policy holds is worth.' },
)

export const PolicySchema = Type.Object({
  name: name('Name for audit events and for `policy=` in a request. Unique.'),
  connector: name('Id of the connector whose tokens it judges.'),
  clients: Type.Optional(names('Clients for which it holds. Left out: every client.')),
  claims: Type.Optional(
    Type.Record(PinSchema, { description: 'Claim name or JSON pointer -> value. Every one must hold.' }),
  ),
  condition: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'CEL over `claims`, `client` and `connector`; must give exactly `true`.',
      examples: ['claims.ref_protected == "true"'],
    }),
  ),
  events: Type.Optional(
    names(
      "Events (GitLab `pipeline_source`, GitHub `event_name`) it holds for. Left out: the connector type's list.",
    ),
  ),
  disabled: Type.Optional(
    Type.Boolean({ default: false, description: 'Keeps the policy in the file without effect.' }),
  ),
  notAfter: Type.Optional(
    Type.String({
      format: 'rfc3339-time',
      description: 'Time after which it holds no more.',
      examples: ['2027-01-01T00:00:00Z'],
    }),
  ),
  grant: GrantSchema,
})

export type PolicyFile = Static<typeof PolicySchema>

/** A policy that passed `PolicySchema` with `CONFIG_FORMATS`, as the compiler takes it. */
export function toPolicySource(policy: PolicyFile): PolicySource {
  return {
    name: policy.name,
    connector: policy.connector,
    clients: policy.clients,
    claims: Object.fromEntries(
      Object.entries(policy.claims ?? {}).map(([claim, pin]) => [claim, toPin(pin)]),
    ),
    condition: policy.condition,
    events: policy.events,
    disabled: policy.disabled ?? false,
    notAfter: policy.notAfter === undefined ? undefined : parseTime(policy.notAfter),
    grant: toGrant(policy.grant),
  }
}

function toPin(pin: Static<typeof PinSchema>): ClaimPin {
  if (typeof pin !== 'object') return { kind: 'exact', value: pin }
  if (Array.isArray(pin)) return { kind: 'any_of', values: pin }
  if ('exact' in pin) return { kind: 'exact', value: pin.exact }
  if ('anyOf' in pin) return { kind: 'any_of', values: pin.anyOf }
  if ('prefix' in pin) return { kind: 'prefix', prefix: pin.prefix }
  if ('glob' in pin) return { kind: 'glob', pattern: pin.glob }
  return { kind: 're2', pattern: pin.re2 }
}

function toGrant(grant: Static<typeof GrantSchema>): GrantSource {
  return {
    audiences: grant.audiences ?? [],
    groups: grant.groups ?? [],
    groupsFrom: grant.groupsFrom,
    username: grant.username,
    claims: grant.claims ?? {},
    scopes: grant.scopes,
    ttlSeconds: grant.ttl === undefined ? undefined : parseDuration(grant.ttl),
    singleUse: grant.singleUse,
  }
}
