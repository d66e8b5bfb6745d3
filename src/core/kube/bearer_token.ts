// A bearer token as kube-apiserver takes it apart: the unverified issuer first (oidc.go `untrustedIssuer`), then
// go-jose v2.6 (`ParseSigned`). More is let through than by our own broker: other spellings of base64url, names twice.
import type { JsonValue } from '#core/claims.ts'
import type { Result } from '#core/result.ts'
import { goBase64 } from './go_base64.ts'
import { goText, untrustedIssuer } from './go_claims.ts'
import { goMember, readGoJson, repeatedGoName, toJsonValue } from './go_json.ts'
import type { GoJson } from './go_json.ts'
import { readGoJoseKey } from './go_jose_keys.ts'

export type BearerToken = {
  /** The denial is Go's text behind `oidc: malformed jwt: `. */
  readonly header: Result<JoseHeader, string>
  /** An object, always. */
  readonly payload: GoJson
  /** Nobody has verified it; it decides which authenticator looks at the token. */
  readonly issuer: string
  /** Latin-1: go-jose writes both parts anew, so another spelling of base64url does not matter to it. */
  readonly signingInput: string
  readonly signature: Buffer
  /** A claim set: header, algorithm and signature are nobody's. */
  readonly isUnsigned: boolean
}

type JoseHeader = {
  readonly alg: string
  /** '' when there is none: then every key is tried. */
  readonly kid: string
  /** Whether `crit` names nothing that go-jose does not know. */
  readonly isCriticalKnown: boolean
}

const MAX_TOKEN_BYTES = 64 * 1024

/** Takes a token apart. The denial is a phrase for people: for the apiserver such a text is only not its own. */
export function readBearerToken(text: string): Result<BearerToken, string> {
  if (text.length > MAX_TOKEN_BYTES) return no(`longer than ${MAX_TOKEN_BYTES} bytes`)
  if (/\s/.test(text)) return no('white space inside, so no Authorization header can carry it whole')
  const parts = text.split('.')
  const [head = '', body = '', tail = ''] = parts
  if (parts.length === 5)
    return no('five segments: an encrypted token (JWE), which kube-apiserver cannot read')
  if (parts.length !== 3) return no(`${parts.length} dot-separated segments, and a JWT has three`)
  const payloadBytes = goBase64(body)
  if (!payloadBytes.ok) return no(`payload: ${payloadBytes.denial}`)
  const payload = readGoJson(payloadBytes.value)
  if (!payload.ok) return no(`payload: ${payload.denial}`)
  const issuer = untrustedIssuer(payload.value)
  if (issuer === undefined) return no('payload: no object, or its iss is not a text')
  if (payload.value.kind !== 'object') return no('payload: not an object')
  const header = readHeader(head, tail)
  return {
    ok: true,
    value: {
      header: header.ok ? { ok: true, value: header.value.header } : header,
      payload: payload.value,
      issuer,
      signingInput: header.ok ? signingInput(header.value, payloadBytes.value) : '',
      signature: header.ok ? header.value.signature : Buffer.alloc(0),
      isUnsigned: false,
    },
  }
}

type ReadHeader = {
  readonly header: JoseHeader
  readonly bytes: Buffer
  readonly signature: Buffer
  readonly isPayloadEncoded: boolean
}

function readHeader(head: string, tail: string): Result<ReadHeader, string> {
  const bytes = goBase64(head)
  if (!bytes.ok) return bytes
  const signature = goBase64(tail)
  if (!signature.ok) return signature
  const json: Result<GoJson, string> =
    bytes.value.length === 0 ? { ok: true, value: { kind: 'null' } } : readGoJson(bytes.value)
  if (!json.ok) return json
  const twice = repeatedGoName(json.value)
  if (twice !== undefined) return no(`json: duplicate key '${twice}' in object`)
  if (json.value.kind !== 'object' && json.value.kind !== 'null')
    return no(`json: cannot unmarshal ${json.value.kind} into Go value of type jose.rawHeader`)
  const alg = headerText(json.value, 'alg', 'algorithm')
  const kid = headerText(json.value, 'kid', 'key ID')
  const nonce = headerText(json.value, 'nonce', 'nonce')
  const problem = firstDenial([alg, kid, nonce, headerKey(json.value)])
  if (problem !== undefined) return no(problem)
  return {
    ok: true,
    value: {
      header: {
        alg: alg.ok ? alg.value : '',
        kid: kid.ok ? kid.value : '',
        isCriticalKnown: isCriticalKnown(memberValue(json.value, 'crit')),
      },
      bytes: bytes.value,
      signature: signature.value,
      isPayloadEncoded: memberValue(json.value, 'b64') !== false,
    },
  }
}

function headerText(header: GoJson, name: string, called: string): Result<string, string> {
  const value = goMember(header, name)
  if (value === undefined) return { ok: true, value: '' }
  const text = goText(value)
  if (text.ok) return text
  return no(`failed to unmarshal ${called}: ${text.denial}: ${JSON.stringify(written(value))}`)
}

/** RFC 7515 §4.1.3 lets a token bring its key along. Nobody uses it, but a broken one is refused. */
function headerKey(header: GoJson): Result<unknown, string> {
  const jwk = goMember(header, 'jwk')
  if (jwk === undefined || jwk.kind === 'null') return { ok: true, value: undefined }
  const key = readGoJoseKey(jwk)
  if (!key.ok) return no(`failed to unmarshal JWK: ${key.denial}: ${JSON.stringify(written(jwk))}`)
  return key.value.kind === 'public' ? key : no('go-jose/go-jose: invalid embedded jwk, must be public key')
}

function isCriticalKnown(crit: JsonValue | undefined): boolean {
  if (crit === undefined || crit === null) return true
  return Array.isArray(crit) && crit.every((name) => name === 'b64')
}

function memberValue(header: GoJson, name: string): JsonValue | undefined {
  const value = goMember(header, name)
  return value === undefined ? undefined : toJsonValue(value)
}

function written(value: GoJson): string {
  return value.kind === 'number' ? value.text : JSON.stringify(toJsonValue(value))
}

function firstDenial(results: readonly Result<unknown, string>[]): string | undefined {
  const bad = results.find((result) => !result.ok)
  return bad?.ok === false ? bad.denial : undefined
}

function signingInput({ bytes, isPayloadEncoded }: ReadHeader, payload: Buffer): string {
  const body = isPayloadEncoded ? payload.toString('base64url') : payload.toString('latin1')
  return `${bytes.toString('base64url')}.${body}`
}

function no(denial: string): Result<never, string> {
  return { ok: false, denial }
}

/** A claim set as a token whose signature nobody asks about. `payload`: one JSON object. */
export function unsignedToken(payload: string): BearerToken {
  const json = readGoJson(Buffer.from(payload, 'utf8'))
  if (!json.ok || json.value.kind !== 'object') throw new Error('a claim set is one JSON object')
  return {
    header: { ok: true, value: { alg: 'ES256', kid: '', isCriticalKnown: true } },
    payload: json.value,
    issuer: untrustedIssuer(json.value) ?? '',
    signingInput: '',
    signature: Buffer.alloc(0),
    isUnsigned: true,
  }
}
