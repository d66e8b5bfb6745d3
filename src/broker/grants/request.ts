// A token request as its grant sees it: parsed once from the form, typed, never reached into again.
import type { RequestDenial } from '#core/denial.ts'
import { parseScopes } from '#core/dex/scopes.ts'
import type { Scopes } from '#core/dex/scopes.ts'
import { readCredentials } from '#core/oauth/credentials.ts'
import type { Credentials } from '#core/oauth/credentials.ts'
import type { Form } from '#core/oauth/form.ts'
import type { GrantType } from '#core/oauth/names.ts'
import { TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import type { SecretMemory } from '#platform/guess_limit.ts'

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
  /** Where it comes from, as `callerNetwork` has it. */
  readonly network: string
  /** Of the secret among the credentials; absent: nobody remembers. */
  readonly memory?: SecretMemory
}

/** Reads a form whose `grant_type` is already known to be served. */
export function readTokenRequest(
  grantType: GrantType,
  form: Form,
  { authorization, network }: { readonly authorization: readonly string[]; readonly network: string },
): Result<TokenRequest> {
  const denial = requestDenial(grantType, form)
  if (denial !== undefined) return deny(denial)
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
    network,
  })
}

/** What the caller chooses and the token repeats: within these no token outgrows the 8 KB that a server's header may have. */
const MAX_NONCE_LENGTH = 512
const MAX_TARGETS_LENGTH = 4096

function requestDenial(grantType: GrantType, form: Form): RequestDenial | undefined {
  // Nobody checks an actor here, so nobody may believe that one was checked (RFC 8693 §2.1).
  if (grantType === TOKEN_EXCHANGE && (form.get('actor_token') !== '' || form.get('actor_token_type') !== ''))
    return { reason: 'actor_token_unsupported' }
  if (form.get('nonce').length > MAX_NONCE_LENGTH)
    return { reason: 'form_malformed', detail: `nonce is longer than ${MAX_NONCE_LENGTH} characters` }
  if (form.get('scope').length > MAX_TARGETS_LENGTH)
    return { reason: 'form_malformed', detail: `scope is longer than ${MAX_TARGETS_LENGTH} characters` }
  if (lengthOf(form.all('audience')) + lengthOf(form.all('resource')) > MAX_TARGETS_LENGTH)
    return {
      reason: 'form_malformed',
      detail: `audience and resource are longer than ${MAX_TARGETS_LENGTH} characters`,
    }
  return undefined
}

function lengthOf(values: readonly string[]): number {
  let length = 0
  for (const value of values) length += value.length
  return length
}
