// An HTTP answer as a value, so that the endpoints stay free of the framework and a test compares bytes.
import { goJson } from '#core/dex/go_text.ts'
import type { OAuthError } from './oauth_error.ts'
import type { Issued } from '../tokens/issue.ts'

export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const JSON_NO_STORE = { 'content-type': 'application/json', 'cache-control': 'no-store', pragma: 'no-cache' }

/** RFC 6749 §5.2 as Dex writes it: `error` and, when there is one, `error_description`; no newline. */
export function errorAnswer(error: OAuthError): Answer {
  const description = error.description === undefined ? {} : { error_description: error.description }
  const retry =
    error.retryAfterSeconds === undefined ? {} : { 'retry-after': String(error.retryAfterSeconds) }
  return {
    status: error.status,
    headers: { ...JSON_NO_STORE, ...retry },
    body: goJson({ error: error.error, ...description }),
  }
}

/** RFC 6749 §5.1 and RFC 8693 §2.2.1 in Dex's member order; `token_type` lower case, as Dex's clients expect. */
export function tokenAnswer(issued: Issued): Answer {
  return {
    status: 200,
    headers: JSON_NO_STORE,
    body: tokenBody(issued),
  }
}

export function jsonAnswer(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body }
}

/** Dex's member order. Tokens, token types and numbers need no escape, so none is looked for. */
function tokenBody({ accessToken, issuedTokenType, expiresInSeconds, idToken }: Issued): string {
  const type = issuedTokenType === undefined ? '' : `"issued_token_type":"${issuedTokenType}",`
  const expires = expiresInSeconds === 0 ? '' : `,"expires_in":${expiresInSeconds}`
  const id = idToken === undefined ? '' : `,"id_token":"${idToken}"`
  return `{"access_token":"${accessToken}",${type}"token_type":"bearer"${expires}${id}}`
}
