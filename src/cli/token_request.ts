// RFC 8693 from the client's side: form, client authentication, and the answer read with suspicion.
import { TOKEN_EXCHANGE, ACCESS_TOKEN_TYPE, ID_TOKEN_TYPE, JWT_BEARER_ASSERTION } from '#core/oauth/names.ts'
import type { HttpAnswer, HttpRequest } from './http_call.ts'
import { parseObject } from './job_token/source.ts'
import { printable } from './printable.ts'

/** Who asks. `federated`: the subject token is the client assertion as well, so nothing is stored. */
export type ClientCredential =
  | { readonly kind: 'basic'; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'none'; readonly clientId: string }
  | { readonly kind: 'federated'; readonly clientId: string }

export type TokenTypeWord = 'id_token' | 'access_token'

export type TokenRequest = {
  readonly endpoint: URL
  readonly client: ClientCredential
  readonly subjectToken: string
  readonly subjectTokenType: TokenTypeWord
  readonly requestedTokenType: TokenTypeWord | undefined
  readonly connector: string | undefined
  readonly audiences: readonly string[]
  readonly scope: string
  readonly policy: string | undefined
}

export type IssuedToken = {
  readonly accessToken: string
  readonly issuedTokenType: string | undefined
  readonly tokenType: string | undefined
  /** Seconds, as the broker counted them when it answered. */
  readonly expiresIn: number | undefined
}

/** What the broker said instead of a token; `error` is RFC 6749 §5.2's code, or the status when there was none. */
export type TokenRefusal = {
  readonly status: number
  readonly error: string
  readonly description: string | undefined
  readonly requestId: string | undefined
}

/** No decision about this request: the broker, or what stands before it, is down or busy. */
export function isBrokersFault({ status }: Pick<TokenRefusal, 'status'>): boolean {
  return status >= 500 || status === 429
}

export type TokenAnswer =
  | { readonly ok: true; readonly issued: IssuedToken }
  | { readonly ok: false; readonly refusal: TokenRefusal }

const TOKEN_TYPES: Readonly<Record<TokenTypeWord, string>> = {
  id_token: ID_TOKEN_TYPE,
  access_token: ACCESS_TOKEN_TYPE,
}

/** The POST of one token exchange. */
export function toHttpRequest(request: TokenRequest): HttpRequest {
  const form = new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    subject_token: request.subjectToken,
    subject_token_type: TOKEN_TYPES[request.subjectTokenType],
    scope: request.scope,
  })
  for (const audience of request.audiences) form.append('audience', audience)
  if (request.connector !== undefined) form.set('connector_id', request.connector)
  if (request.policy !== undefined) form.set('policy', request.policy)
  if (request.requestedTokenType !== undefined) {
    form.set('requested_token_type', TOKEN_TYPES[request.requestedTokenType])
  }
  const authorization = authenticate(request, form)
  return {
    method: 'POST',
    url: request.endpoint,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      ...(authorization === undefined ? {} : { authorization }),
    },
    body: form.toString(),
  }
}

/** Puts the credential where its method wants it; returns the Authorization header when there is one. */
function authenticate(request: TokenRequest, form: URLSearchParams): string | undefined {
  const { client } = request
  switch (client.kind) {
    case 'basic': {
      // RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
      const pair = `${formEncode(client.clientId)}:${formEncode(client.secret)}`
      return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`
    }
    case 'none':
      form.set('client_id', client.clientId)
      return undefined
    case 'federated':
      form.set('client_id', client.clientId)
      form.set('client_assertion_type', JWT_BEARER_ASSERTION)
      form.set('client_assertion', request.subjectToken)
      return undefined
  }
}

function formEncode(text: string): string {
  return new URLSearchParams({ v: text }).toString().slice(2)
}

/** Reads a token answer. A 200 without a token that is safe to write down counts as refused. */
export function readTokenAnswer(answer: HttpAnswer): TokenAnswer {
  const members = parseObject(answer.body)
  const text = (name: string): string | undefined => {
    const value = members?.[name]
    return typeof value === 'string' && value !== '' ? value : undefined
  }
  const requestId = headerText(answer, 'x-request-id')
  const refuse = (error: string, description: string | undefined): TokenAnswer => ({
    ok: false,
    refusal: {
      status: answer.status,
      error: shown(error),
      description: description && shown(description),
      requestId,
    },
  })
  if (answer.status !== 200) {
    const location =
      answer.status >= 300 && answer.status < 400
        ? 'a redirect, which is not followed: is --broker its issuer URL?'
        : undefined
    return refuse(text('error') ?? `HTTP status ${answer.status}`, text('error_description') ?? location)
  }
  const accessToken = text('access_token')
  if (accessToken === undefined) return refuse('no token in the answer', 'is this a token endpoint?')
  // It is going into files that other programs parse line by line.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) return refuse('malformed token in the answer', undefined)
  const expiresIn = members?.['expires_in']
  return {
    ok: true,
    issued: {
      accessToken,
      issuedTokenType: text('issued_token_type'),
      tokenType: text('token_type'),
      expiresIn: typeof expiresIn === 'number' && Number.isFinite(expiresIn) ? expiresIn : undefined,
    },
  }
}

function headerText(answer: HttpAnswer, name: string): string | undefined {
  const value = answer.headers[name]
  return typeof value === 'string' ? shown(value) : undefined
}

const MAX_SHOWN_LENGTH = 500

function shown(text: string): string {
  return printable(text).slice(0, MAX_SHOWN_LENGTH)
}
