// A token request as its grant sees it: parsed once from the form, typed, never reached into again.
import { parseScopes } from '#core/dex/scopes.ts'
import type { Scopes } from '#core/dex/scopes.ts'
import { readCredentials } from '#core/oauth/credentials.ts'
import type { Credentials } from '#core/oauth/credentials.ts'
import type { Form } from '#core/oauth/form.ts'
import type { GrantType } from '#core/oauth/names.ts'
import { ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'

export type TokenRequest = {
  readonly grantType: GrantType
  readonly credentials: Credentials
  readonly scopes: Scopes
  /** RFC 8693 `audience` and RFC 8707 `resource`, in request order. */
  readonly audience: readonly string[]
  readonly resource: readonly string[]
  readonly nonce: string
  readonly connectorId: string
  readonly subjectToken: string
  readonly subjectTokenType: string
  readonly requestedTokenType: string
  /** The one policy that the caller wants to be judged by; `''` when it names none. */
  readonly policy: string
}

/** Reads a form whose `grant_type` is already known to be served. */
export function readTokenRequest(
  grantType: GrantType,
  form: Form,
  authorization: readonly string[],
): Result<TokenRequest> {
  const credentials = readCredentials(authorization, form)
  if (!credentials.ok) return credentials
  return ok({
    grantType,
    credentials: credentials.value,
    scopes: parseScopes(form.get('scope')),
    audience: form.all('audience'),
    resource: form.all('resource'),
    nonce: form.get('nonce'),
    connectorId: form.get('connector_id'),
    subjectToken: form.get('subject_token'),
    subjectTokenType: form.get('subject_token_type'),
    requestedTokenType: form.get('requested_token_type'),
    policy: form.get('policy'),
  })
}
