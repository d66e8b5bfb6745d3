// Whether a signature holds, on the thread pool or in place. The only caller of crypto.verify for tokens.
import { constants, verify } from 'node:crypto'
import { toOpensslSignature } from '#core/jwt/algorithms.ts'
import type { Algorithm } from '#core/jwt/algorithms.ts'
import { tokenHash } from '#core/jwt/compact.ts'
import type { CryptoPool } from './crypto_pool.ts'
import type { Checked } from './signature_thread/signature_thread.ts'
import { fits } from '#core/jwt/public_key.ts'
import type { VerificationKey } from '#core/jwt/public_key.ts'

export type SignedInput = {
  /** ASCII, exactly as sent. */
  readonly signingInput: string
  readonly signature: Buffer
}

/**
 * Verifies one JWS signature: the base64url SHA-256 of what it covers, which names the token in the replay store and in
 * logs; `undefined` for whatever is not a valid signature of this key and algorithm.
 */
export async function verifySignature(
  algorithm: Algorithm,
  key: VerificationKey,
  input: SignedInput,
  pool: CryptoPool,
): Promise<string | undefined> {
  if (!fits(key, algorithm)) return undefined
  const signature = toOpensslSignature(algorithm, input.signature)
  if (signature === undefined) return undefined
  const keyInput =
    algorithm.padding === 'pss'
      ? {
          key: key.key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        }
      : // Bare: on Node 24 an options object costs more than the rest of the call.
        key.key
  const { signingInput } = input
  const bytes = (): Buffer => Buffer.from(signingInput, 'latin1')
  const checked = (holds: boolean): Checked => ({ holds, hash: holds ? tokenHash(signingInput) : '' })
  const outcome = await pool.run({
    inPlace: () => checked(verify(algorithm.digest, bytes(), keyInput, signature)),
    onSignatureThread: (thread, done) =>
      algorithm.padding !== 'pss' && thread.verify(algorithm.digest, key.key, signingInput, signature, done),
    // An error means that OpenSSL could make nothing of the signature: it does not hold.
    onThread: (done) =>
      verify(algorithm.digest, bytes(), keyInput, signature, (error, holds) =>
        done(null, checked(error === null && holds)),
      ),
    cost: 'medium',
  })
  return outcome.holds ? outcome.hash : undefined
}
