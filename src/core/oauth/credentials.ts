// What a request offers to prove which client it is: Basic, form fields or a client assertion (RFC 6749 §2.3,
// RFC 7521 §4.2), parsed in Dex's way; two of them at once are refused.
import { decode } from './form.ts'
import type { Form } from './form.ts'
import { JWT_BEARER_ASSERTION } from './names.ts'
import { deny, ok } from '#core/result.ts'
import type { Result } from '#core/result.ts'

export type Credentials =
  | { readonly kind: 'secret'; readonly clientId: string; readonly secret: string }
  | { readonly kind: 'assertion'; readonly clientId: string; readonly assertion: string }

/**
 * Reads the credentials of a form request. `authorization` is the header's values as they came, one for each time it
 * stood. A malformed Basic header or another scheme falls back to the form fields (Dex); the halves of Basic are
 * form-decoded after base64 (RFC 6749 §2.3.1), so a raw `+` in a secret is a space.
 */
export function readCredentials(authorization: readonly string[], form: Form): Result<Credentials> {
  if (authorization.length > 1) return deny({ reason: 'credentials_repeated', methods: ['basic', 'basic'] })
  const basic = parseBasic(authorization[0])
  const secret = form.get('client_secret')
  const offered: string[] = []
  if (basic !== undefined) offered.push('client_secret_basic')
  if (secret !== '') offered.push('client_secret_post')
  if (form.has('client_assertion') || form.has('client_assertion_type')) offered.push('client_assertion')
  if (offered.length > 1) return deny({ reason: 'credentials_repeated', methods: offered })
  if (offered[0] === 'client_assertion') {
    const assertion = form.get('client_assertion')
    return form.get('client_assertion_type') === JWT_BEARER_ASSERTION && assertion !== ''
      ? ok({ kind: 'assertion', clientId: form.get('client_id'), assertion })
      : deny({ reason: 'form_malformed', detail: 'client_assertion needs client_assertion_type jwt-bearer' })
  }
  if (basic === undefined) return ok({ kind: 'secret', clientId: form.get('client_id'), secret })
  const clientId = basic.id === undefined ? undefined : decode(basic.id)
  if (clientId === undefined) return deny({ reason: 'client_id_encoding' })
  const basicSecret = basic.secret === undefined ? undefined : decode(basic.secret)
  if (basicSecret === undefined) return deny({ reason: 'client_secret_encoding' })
  if (form.has('client_id') && form.get('client_id') !== clientId) {
    return deny({ reason: 'credentials_repeated', methods: ['client_secret_basic', 'client_id'] })
  }
  return ok({ kind: 'secret', clientId, secret: basicSecret })
}

/** A bearer token as it may stand in a header: nothing that could end the line (RFC 6750 §2.1). */
export const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** A half that is no UTF-8 is `undefined`: as text, all such halves would be one. */
type BasicPair = { readonly id: string | undefined; readonly secret: string | undefined }

/** As Go's `Request.BasicAuth`: `undefined` for another scheme, bad base64 or no colon. */
export function parseBasic(header: string | undefined): BasicPair | undefined {
  if (header === undefined || header.slice(0, 6).toLowerCase() !== 'basic ') return undefined
  const encoded = header.slice(6)
  if (!BASE64.test(encoded)) return undefined
  const bytes = Buffer.from(encoded, 'base64')
  const text = bytes.toString('utf8')
  const mark = text.indexOf(':')
  if (mark === -1) return undefined
  // An invalid sequence becomes U+FFFD; only where one stands each half must prove what it is.
  if (!text.includes('\uFFFD')) return { id: text.slice(0, mark), secret: text.slice(mark + 1) }
  const colon = bytes.indexOf(':')
  return { id: textOf(bytes.subarray(0, colon)), secret: textOf(bytes.subarray(colon + 1)) }
}

function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}
