// POST /token/introspect (RFC 7662) in Dex's shape, for authenticated confidential clients only. Everything that is not a
// living token of ours is `{"active":false}`.
import type { Claims, JsonValue } from '#core/claims.ts'
import { goJson } from '#core/dex/go_text.ts'
import { readCredentials } from '#core/oauth/credentials.ts'
import type { Form } from '#core/oauth/form.ts'
import { authenticateClient } from '../clients/authenticate_client.ts'
import type { ClientDeps } from '../clients/authenticate_client.ts'
import { verifyOwnToken } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { errorAnswer, jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { toOAuthError } from './oauth_error.ts'
import { readForm } from './token_endpoint.ts'
import type { RawRequest } from './token_endpoint.ts'

export type IntrospectionDeps = {
  readonly clientDeps: ClientDeps
  readonly ownToken: OwnTokenDeps
}

const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

export async function answerIntrospection(raw: RawRequest, deps: IntrospectionDeps): Promise<Answer> {
  // 1. the request, with Dex's texts
  if (raw.method !== 'POST') return badRequest(`HTTP method is "${raw.method}", expected "POST".`)
  const form = readForm(raw)
  if (!form.ok) {
    return form.denial.reason === 'parameter_repeated'
      ? errorAnswer(toOAuthError(form.denial))
      : badRequest('Unable to parse HTTP body, make sure to send a properly formatted form request body.')
  }
  if (form.value.isEmpty) return badRequest('The POST body can not be empty.')
  if (!form.value.has('token')) return badRequest("The POST body doesn't contain 'token' parameter.")

  // 2. who asks
  const refusal = await authenticate(raw.authorization, form.value, deps.clientDeps)
  if (refusal !== undefined) return refusal

  // 3. what the token is
  const token = await verifyOwnToken(form.value.get('token'), deps.ownToken)
  const client = token === undefined ? undefined : clientOf(token.claims)
  // A token whose client was removed is dead with it; Dex answers 500 there.
  if (token === undefined || client === undefined || !isKnown(client, deps)) {
    return jsonAnswer(200, '{"active":false}\n', NO_STORE)
  }
  return jsonAnswer(200, goJson(introspection(token.claims, client)), NO_STORE)
}

async function authenticate(
  authorization: readonly string[],
  form: Form,
  deps: ClientDeps,
): Promise<Answer | undefined> {
  const credentials = readCredentials(authorization, form)
  if (!credentials.ok) return errorAnswer(toOAuthError(credentials.denial))
  const client = await authenticateClient(credentials.value, '', deps)
  if (!client.ok) return errorAnswer(toOAuthError(client.denial))
  // A public client's id is no secret: whoever knows it could ask for anybody's token.
  const denial = { reason: 'client_public', client: client.value.client.id } as const
  if (client.value.method === 'none')
    return errorAnswer({ ...toOAuthError(denial), status: 401, error: 'invalid_client' })
  return undefined
}

function isKnown(client: string, deps: IntrospectionDeps): boolean {
  return deps.clientDeps.clients.has(client)
}

/** Dex: the only audience, else `azp`; for RFC 9068 tokens their `client_id`. */
function clientOf(claims: Claims): string | undefined {
  const { aud, azp, client_id: clientId } = claims
  if (typeof clientId === 'string') return clientId
  if (typeof azp === 'string') return azp
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return typeof only === 'string' ? only : undefined
}

function introspection(claims: Claims, client: string): Record<string, JsonValue | undefined> {
  const iat = claims['iat']
  return {
    active: true,
    client_id: client,
    sub: claims['sub'],
    exp: claims['exp'],
    iat,
    nbf: claims['nbf'] ?? iat,
    username: claims['preferred_username'] ?? claims['username'],
    aud: claims['aud'],
    iss: claims['iss'],
    token_type: 'Bearer',
    token_use: 'access_token',
    ext: defined({
      azp: claims['azp'],
      email: claims['email'],
      email_verified: claims['email_verified'],
      groups: claims['groups'],
      name: claims['name'],
      preferred_username: claims['preferred_username'],
      federated_claims: claims['federated_claims'],
    }),
  }
}

function defined(members: Record<string, JsonValue | undefined>): Record<string, JsonValue> {
  const kept: Record<string, JsonValue> = {}
  for (const [name, value] of Object.entries(members)) if (value !== undefined) kept[name] = value
  return kept
}

function badRequest(description: string): Answer {
  return errorAnswer({ status: 400, error: 'invalid_request', description })
}
