// How every kube-apiserver is made to fetch our keys: it keeps a key it once fetched for as long as no token comes whose
// key it does not know (go-oidc, Kubernetes up to 1.37). What is shown to it, and for how long one has to try.
import type { JsonValue } from '#core/claims.ts'
import { jwksMaxAgeSeconds, ringRefreshSeconds } from '#core/key_rotation.ts'

/** go-oidc fetches again from this long before its copy expires. */
const earlyFetchSeconds = 30
const marginSeconds = 10

/** Every replica of the broker serves the new key from then on; an apiserver that looked earlier would see the old set. */
export const flushPauseSeconds = ringRefreshSeconds
/** A copy fetched in the last moment of the pause cannot be replaced before this is over. */
export const flushDeadlineSeconds =
  flushPauseSeconds + (jwksMaxAgeSeconds - earlyFetchSeconds) + marginSeconds
export const flushRetrySeconds = 2

/** Tokens of the revoked key are made before it is revoked, and must be refused for their key, not for their age. */
export const oldTokenSeconds = flushDeadlineSeconds + 60
/** The new key's token is made anew for each try. */
export const freshTokenSeconds = 30

/**
 * The claims of a token that is nobody's: its name holds fresh randomness, so no binding and no policy can mean it, and
 * it has no groups. It is what the rules of `sallyport kube auth-config` accept, because being accepted is the proof.
 */
export function flushClaims(order: {
  readonly issuer: string
  readonly audience: string
  /** A fresh UUID: in `jti`, and in every name, so that an answer that knows it has read this very token. */
  readonly nonce: string
  readonly nowSeconds: number
  readonly ttlSeconds: number
}): Readonly<Record<string, JsonValue>> {
  const { issuer, audience, nonce, nowSeconds, ttlSeconds } = order
  const nobody = `sallyport-key-flush:${nonce}`
  const iat = nowSeconds - 5
  return {
    iss: issuer,
    sub: nobody,
    aud: audience,
    exp: nowSeconds + ttlSeconds,
    iat,
    nbf: iat,
    jti: nonce,
    token_use: 'kube',
    username: nobody,
    uid: nobody,
  }
}
