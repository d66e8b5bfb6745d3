// The port behind which a private key lives elsewhere: in a PKCS#11 token (pkcs11/), behind an HTTP service
// (http_signer.ts). What is common to all, time-out, queue, breaker and the check of each signature, is guarded_signer.ts.
import type { SigningAlgorithm } from '#core/key_rotation.ts'
import type { PublicJwk } from '#core/public_jwk.ts'

export type SignOrder = {
  /** As the configuration calls the key: the label in a token, the name at a service. */
  readonly key: string
  readonly algorithm: SigningAlgorithm
  /** A JWS signing input, ASCII. Only its SHA-256 leaves this process. */
  readonly input: string
}

export interface RemoteSigner {
  /** The public half of a P-256 or RSA key. Rejects with SignerFailure. */
  publicKey(key: string): Promise<PublicJwk>
  /** RFC 7518 §3.3 (RS256) or §3.4 (ES256: R and S, 64 bytes). Nobody has verified it. Rejects with SignerFailure. */
  sign(order: SignOrder): Promise<Buffer>
  close(): void
}

/** `busy` and `breaker_open`: the signer was not even asked. */
export type SignerCause =
  | 'timeout'
  | 'unreachable'
  | 'credential'
  | 'refused'
  | 'key_unfit'
  | 'answer_invalid'
  | 'signature_invalid'
  | 'busy'
  | 'breaker_open'

/** No signature, and why; the message holds neither credential nor key material. */
export class SignerFailure extends Error {
  readonly code = 'SALLYPORT_SIGNER'
  readonly why: SignerCause
  /** With `busy`: how many wait already. */
  readonly waiting: number
  constructor(why: SignerCause, message: string, options: { cause?: unknown; waiting?: number } = {}) {
    super(message, options)
    this.name = 'SignerFailure'
    this.why = why
    this.waiting = options.waiting ?? 0
  }
}
