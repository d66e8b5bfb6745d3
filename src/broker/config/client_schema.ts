// The section `clients` as an operator writes it: who may ask, and how each proves who it is.
import { CLIENT_CREDENTIALS, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import { Type, words } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { duration, name, names, path } from './field_schema.ts'

const oneOrTwo = (entry: string, description: string) =>
  Type.Union(
    [Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 2 })],
    { description: `${description} One, or two while a secret is rotated.`, examples: [entry] },
  )

const ClientAuthSchema = Type.Union(
  [
    Type.Object({
      method: Type.Literal('client_secret', {
        description: 'HTTP Basic or form. One or two secrets in all.',
      }),
      secretEnv: Type.Optional(oneOrTwo('CI_CLIENT_SECRET', 'Environment variable that holds the secret.')),
      secretFile: Type.Optional(oneOrTwo('/run/secrets/ci', 'File that holds the secret.')),
      secretHashes: Type.Optional(
        Type.Array(Type.String({ minLength: 1 }), {
          minItems: 1,
          maxItems: 2,
          description:
            'Hashes as `sallyport hash-secret` prints them; the secret itself is nowhere on this machine.',
        }),
      ),
    }),
    Type.Object({ method: Type.Literal('none', { description: 'A public client: its id is all it says.' }) }),
    Type.Object({
      method: Type.Literal('private_key_jwt', { description: 'RFC 7523: it signs with a key of its own.' }),
      jwks: Type.Optional(
        Type.Object(
          { keys: Type.Array(Type.Record(Type.Unknown()), { minItems: 1, description: 'Public JWKs.' }) },
          { description: 'Its public keys.' },
        ),
      ),
      jwksFile: Type.Optional(path('Its public keys as JWKS.')),
    }),
    Type.Object({
      method: Type.Literal('federated_jwt', {
        description: 'The token of the CI job is the credential: no secret.',
      }),
      connector: name('Connector that verifies it.'),
      policy: name('Policy that must hold.'),
    }),
  ],
  { description: 'How it proves that it is this client.' },
)

/** Words for grants, and the names on the wire that they stand for. */
export const GRANT_WORDS = {
  'token-exchange': TOKEN_EXCHANGE,
  client_credentials: CLIENT_CREDENTIALS,
} as const

export const ClientSchema = Type.Object({
  id: name('`client_id`. Unique.'),
  name: Type.Optional(
    name('Name for people, and claim `name` of a client_credentials token. Left out: the id.'),
  ),
  auth: ClientAuthSchema,
  connectors: Type.Optional(
    names('Connectors whose tokens it may exchange. Left out: all; a public client lists them.'),
  ),
  grants: Type.Optional(
    Type.Array(words(['token-exchange', 'client_credentials']), {
      minItems: 1,
      default: ['token-exchange'],
      description:
        'What it may ask for. A token for the client itself (`client_credentials`) is said explicitly.',
    }),
  ),
  defaultAudiences: Type.Optional(
    names('Audiences of a request that names none. Left out: the client itself.'),
  ),
  subject: Type.Optional(
    words(['dex', 'plain'], {
      default: 'dex',
      description: '`sub` of its client_credentials tokens: as Dex encodes it, or the plain client id.',
    }),
  ),
  groups: Type.Optional(names('Groups of its client_credentials tokens.')),
  ttl: Type.Optional(duration('Longest lifetime of its tokens. Left out: `tokens.ttl`.')),
})

export type ClientFile = Static<typeof ClientSchema>
export type ClientAuthFile = Static<typeof ClientAuthSchema>
