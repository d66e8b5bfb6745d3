// The section `keys.signer` as an operator writes it: private keys that lie elsewhere.
import { Type } from '#platform/config/schema_type.ts'
import type { Static } from '#platform/config/schema_type.ts'
import { duration, path } from './field_schema.ts'

/** What holds where the file says nothing. */
export const SIGNER_DEFAULTS = {
  timeout: '2s',
  maxWaiting: 256,
  /** Sessions with a token: each is a thread, and few tokens sign two things at once. */
  pkcs11Concurrent: 2,
  httpConcurrent: 32,
} as const

const key = (what: string, pattern: string) =>
  Type.Optional(
    Type.String({
      pattern,
      description:
        `${what} An EC key on P-256 signs ES256, an RSA key RS256, as \`keys.algorithm\` says. Another key is named to ` +
        'rotate: it is published at the next start and signs when every verifier has had time to fetch it. Left out: the ' +
        'broker makes its keys again, and they follow the one that signs elsewhere.',
    }),
  )

const common = {
  timeout: Type.Optional(
    duration('Longest wait for a signature; after it the request is answered 503.', SIGNER_DEFAULTS.timeout),
  ),
  maxWaiting: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 100_000,
      default: SIGNER_DEFAULTS.maxWaiting,
      description: 'Signatures that may wait for their turn; more are answered 429.',
    }),
  ),
}

const concurrent = (fallback: number, maximum: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, default: fallback, description }))

const Pkcs11Schema = Type.Object({
  type: Type.Literal('pkcs11', {
    description:
      'A PKCS#11 token: an HSM, a smart card, SoftHSM. Needs the package pkcs11js (remote-signing.md).',
  }),
  library: path("The token's PKCS#11 library, a shared object. It runs inside the broker."),
  token: Type.String({ minLength: 1, maxLength: 32, description: 'Label of the token.' }),
  pinFile: path('The PIN of its user; read again when it changes. Mode 0600.'),
  key: key('Label of the private and the public key in the token (CKA_LABEL).', '^[ -~]{1,255}$'),
  maxConcurrent: concurrent(
    SIGNER_DEFAULTS.pkcs11Concurrent,
    32,
    'Sessions, each on a thread of its own: signatures at once.',
  ),
  ...common,
})

const HttpSchema = Type.Object({
  type: Type.Literal('http', {
    description:
      'An HTTP service with the small protocol of remote-signing.md, for instance before a cloud KMS.',
  }),
  url: Type.String({
    minLength: 1,
    format: 'https-or-http-url',
    examples: ['https://kms.example.com/v1'],
    description: 'Base of its paths. Plain HTTP on the loopback alone.',
  }),
  tokenFile: path('Bearer token; read again when it changes. Mode 0600.'),
  caFile: Type.Optional(
    path('Certificates, PEM, that it is trusted by instead of the system ones. Read at the start.'),
  ),
  key: key('What the service calls the key.', '^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}$'),
  maxConcurrent: concurrent(SIGNER_DEFAULTS.httpConcurrent, 1024, 'Requests to it at once.'),
  ...common,
})

export const SignerSchema = Type.Union([Pkcs11Schema, HttpSchema], {
  description:
    'Where private keys lie that this broker does not hold. Left out: they are made here and kept in the store.',
})

export type SignerFile = Static<typeof SignerSchema>
