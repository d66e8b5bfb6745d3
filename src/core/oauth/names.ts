// Registered names of RFC 6749, RFC 8693 and RFC 7523 that stand on the wire.

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const CLIENT_CREDENTIALS = 'client_credentials'
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'
export const JWT_BEARER_ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Every grant name that a Dex configuration may list; only `SERVED_GRANTS` work so far. */
export const KNOWN_GRANTS = [
  'authorization_code',
  'refresh_token',
  'implicit',
  'password',
  CLIENT_CREDENTIALS,
  DEVICE_CODE,
  TOKEN_EXCHANGE,
] as const
export type GrantType = (typeof KNOWN_GRANTS)[number]

export const SERVED_GRANTS = [CLIENT_CREDENTIALS, TOKEN_EXCHANGE] as const

export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token'
export const ID_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:id_token'

/** The two subject and requested token types that Dex knows (`reference: Dex server/grants/tokenexchange.go`). */
export type TokenType = typeof ACCESS_TOKEN_TYPE | typeof ID_TOKEN_TYPE
