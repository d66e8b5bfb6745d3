// Whether a signature holds, on the thread pool or in place. The only caller of crypto.verify for tokens.
import { constants, verify } from 'node:crypto'
import { toOpensslSignature } from '#core/jwt/algorithms.ts'
import type { Algorithm } from '#core/jwt/algorithms.ts'
import type { CryptoPool } from './crypto_pool.ts'
import { fits } from '#core/jwt/public_key.ts'
import type { VerificationKey } from '#core/jwt/public_key.ts'

export type SignedInput = {
  /** ASCII, exactly as sent. */
  readonly signingInput: string
  readonly signature: Buffer
}

/** Verifies one JWS signature. False for whatever is not a valid signature of this key and algorithm. */
export async function verifySignature(
  algorithm: Algorithm,
  key: VerificationKey,
  input: SignedInput,
  pool: CryptoPool,
): Promise<boolean> {
  if (!fits(key, algorithm)) return false
  const signature = toOpensslSignature(algorithm, input.signature)
  if (signature === undefined) return false
  const data = Buffer.from(input.signingInput, 'latin1')
  const keyInput =
    algorithm.padding === 'pss'
      ? {
          key: key.key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        }
      : // Bare: on Node 24 an options object costs more than the rest of the call.
        key.key
  return pool.run({
    inPlace: () => verify(algorithm.digest, data, keyInput, signature),
    // An error means that OpenSSL could make nothing of the signature: it does not hold.
    onThread: (done) =>
      verify(algorithm.digest, data, keyInput, signature, (error, holds) =>
        done(null, error === null && holds),
      ),
    cost: 'medium',
  })
}
