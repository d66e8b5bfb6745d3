// Signs JWS inputs with one private key. On Node 24 a bare KeyObject signs twice as fast as `{ key, dsaEncoding }`, so
// ES256's DER is turned into the two numbers of JWS here. Where it is signed, crypto_pool.ts decides.
import { sign as signNow } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from '#core/key_rotation.ts'
import type { CryptoPool } from '../crypto_pool.ts'
import { es256FromDer } from './es256_der.ts'

export type SigningKey = {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** The JWS signature of an ASCII signing input, base64url: RFC 7518 §3.3 (RS256) or §3.4 (ES256, R and S). */
  sign(input: string): Promise<string>
}

export function createSigner(
  key: { readonly kid: string; readonly algorithm: SigningAlgorithm; readonly privateKey: KeyObject },
  pool: CryptoPool,
): SigningKey {
  const { kid, algorithm, privateKey } = key
  switch (algorithm) {
    case 'RS256':
      return { kid, algorithm, sign: (input) => signRs256(privateKey, input, pool) }
    case 'ES256':
      return { kid, algorithm, sign: (input) => signEs256(privateKey, input, pool) }
  }
}

/** Ten times the work of ES256: on a thread it costs one hop in five and holds up nobody. */
function signRs256(key: KeyObject, input: string, pool: CryptoPool): Promise<string> {
  const bytes = Buffer.from(input, 'latin1')
  return pool.run({
    inPlace: () => signNow('sha256', bytes, key).toString('base64url'),
    onThread: (done) =>
      signNow('sha256', bytes, key, (error, signature) =>
        done(error, error === null ? signature.toString('base64url') : ''),
      ),
    cost: 'long',
  })
}

function signEs256(key: KeyObject, input: string, pool: CryptoPool): Promise<string> {
  return pool.run({
    inPlace: () => jwsSignature(signNow('sha256', Buffer.from(input, 'latin1'), key)),
    onSignatureThread: (thread, done) => thread.signEs256(key, input, done),
    onThread: (done) =>
      signNow('sha256', Buffer.from(input, 'latin1'), key, (error, der) =>
        done(error, error === null ? jwsSignature(der) : ''),
      ),
    cost: 'medium',
  })
}

function jwsSignature(der: Buffer): string {
  return es256FromDer(der).toString('base64url')
}
