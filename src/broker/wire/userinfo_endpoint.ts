// GET|POST /userinfo in Dex's dialect: the bearer token's own payload, byte for byte. Read from the header only.
import { verifyOwnToken } from '../tokens/own_token.ts'
import type { OwnTokenDeps } from '../tokens/own_token.ts'
import { jsonAnswer } from './answer.ts'
import type { Answer } from './answer.ts'

const INVALID_BEARER = JSON.stringify({ error: 'access_denied', error_description: 'Invalid bearer token.' })
const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' }

export async function answerUserinfo(authorization: readonly string[], deps: OwnTokenDeps): Promise<Answer> {
  const [header = '', second] = authorization
  if (second !== undefined || header.slice(0, 7).toLowerCase() !== 'bearer ') {
    return jsonAnswer(401, INVALID_BEARER, { 'www-authenticate': 'Bearer', ...NO_STORE })
  }
  const token = await verifyOwnToken(header.slice(7), deps)
  if (token === undefined) return jsonAnswer(403, INVALID_BEARER, NO_STORE)
  return jsonAnswer(200, token.payload, NO_STORE)
}
