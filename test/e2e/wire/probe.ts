// What a probe is: one request, written as data, that both brokers get. The tables stand in probes/.
import { ciClient, secrets, tokenExchange } from './world.ts'
import type { World } from './world.ts'

export type Probe = {
  /** Unique; src/broker/wire/dex_differences.ts names probes by it. */
  readonly name: string
  /** Which rule of Dex's dialect it stands for. */
  readonly proves: string
  readonly world?: World
  readonly method?: string
  /** Below the issuer's path, unless `atRoot`. */
  readonly path: string
  readonly atRoot?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /**
   * The body: form fields (percent-encoded here), or text as it is. In a field's value `@name` is a subject token of
   * world.ts, `@issued name` a token that this same server issues for the probe of that name, `@issued_id name` its id_token.
   */
  readonly form?: readonly (readonly [string, string])[]
  readonly body?: string
  /** What Dex does; the comparison is void if Dex itself does not answer this. */
  readonly dex: Expected
  /** What we do, where that is different on purpose; absent: the same as Dex. */
  readonly ours?: Expected
}

export type Expected = {
  readonly status: number
  readonly error?: string
  readonly description?: string
  /** Text that the body contains. */
  readonly has?: string
}

export type Fields = Readonly<Record<string, string | undefined>>

const idToken = 'urn:ietf:params:oauth:token-type:id_token'
export const types = {
  id: idToken,
  access: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  refresh: 'urn:ietf:params:oauth:token-type:refresh_token',
} as const

export const formType = { 'content-type': 'application/x-www-form-urlencoded' }

/** RFC 6749 §2.3.1: both halves form-encoded, then base64. */
export function basic(id: string, secret: string): Readonly<Record<string, string>> {
  return rawBasic(`${formEncode(id)}:${formEncode(secret)}`)
}

function formEncode(text: string): string {
  return encodeURIComponent(text).replaceAll('%20', '+')
}

export function rawBasic(pair: string): Readonly<Record<string, string>> {
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** Fields of a valid exchange; `over` replaces some, and leaves out those it sets to undefined. */
export function exchangeForm(over: Fields = {}): readonly (readonly [string, string])[] {
  return fields({
    grant_type: tokenExchange,
    subject_token: '@gitlab',
    subject_token_type: types.id,
    connector_id: 'gitlab',
    scope: 'openid profile email groups audience:server:client_id:kubernetes',
    requested_token_type: types.id,
    ...over,
  })
}

export function fields(over: Fields): readonly (readonly [string, string])[] {
  return Object.entries(over).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
}

type Rest = Partial<Omit<Probe, 'name' | 'proves' | 'dex'>>

/** A token exchange of seed 002's shape, authenticated by Basic as the CI client. */
export function exchange(name: string, proves: string, over: Fields, dex: Expected, rest: Rest = {}): Probe {
  return {
    name,
    proves,
    path: '/token',
    headers: { ...formType, ...basic(ciClient, secrets.ci) },
    form: exchangeForm(over),
    dex,
    ...rest,
  }
}

/** client_credentials of `ci-pipeline` by Basic. */
export function clientCredentials(
  name: string,
  proves: string,
  over: Fields,
  dex: Expected,
  rest: Rest = {},
): Probe {
  return {
    name,
    proves,
    path: '/token',
    headers: { ...formType, ...basic('ci-pipeline', secrets.pipeline) },
    form: fields({ grant_type: 'client_credentials', ...over }),
    dex,
    ...rest,
  }
}

export const granted: Expected = { status: 200, has: '"access_token"' }
export const denied: Expected = { status: 401, error: 'access_denied' }

export function refused(status: number, error: string, description?: string): Expected {
  return description === undefined ? { status, error } : { status, error, description }
}
