// Signs JWS inputs with one private key. On Node 24 a bare KeyObject signs twice as fast as `{ key, dsaEncoding }`, so
// ES256's DER is turned into the two numbers of JWS here. Where it is signed, crypto_pool.ts decides.
import { sign as signNow } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { SigningAlgorithm } from '#core/key_rotation.ts'
import type { CryptoPool } from '../crypto_pool.ts'

export type SigningKey = {
  readonly kid: string
  readonly algorithm: SigningAlgorithm
  /** The JWS signature of an ASCII signing input: RFC 7518 §3.3 (RS256) or §3.4 (ES256, R and S). */
  sign(input: string): Promise<Buffer>
}

export function createSigner(
  key: { readonly kid: string; readonly algorithm: SigningAlgorithm; readonly privateKey: KeyObject },
  pool: CryptoPool,
): SigningKey {
  const { kid, algorithm, privateKey } = key
  const sign = (input: string): Promise<Buffer> => {
    const bytes = Buffer.from(input, 'latin1')
    return pool.run({
      inPlace: () => signNow('sha256', bytes, privateKey),
      onThread: (done) => signNow('sha256', bytes, privateKey, done),
      // RS256 is ten times the work of ES256; on a thread it costs one hop in five and holds up nobody.
      cost: algorithm === 'RS256' ? 'long' : 'medium',
    })
  }
  switch (algorithm) {
    case 'RS256':
      return { kid, algorithm, sign }
    case 'ES256':
      return { kid, algorithm, sign: async (input) => es256FromDer(await sign(input)) }
  }
}

/** ECDSA-Sig-Value (RFC 3279 §2.2.3) of a P-256 signature to R and S, 32 bytes each (RFC 7518 §3.4). */
export function es256FromDer(der: Buffer): Buffer {
  const rLength = der[3] ?? 0
  const sStart = 6 + rLength
  const sLength = der[5 + rLength] ?? 0
  // A P-256 signature is at most 72 bytes, so every length fits in one byte.
  if (der[0] !== 0x30 || der[2] !== 0x02 || der[4 + rLength] !== 0x02 || sStart + sLength !== der.length) {
    throw new TypeError('not a DER signature of P-256')
  }
  const out = Buffer.alloc(64)
  copyNumber(der, 4, rLength, out, 32)
  copyNumber(der, sStart, sLength, out, 64)
  return out
}

// DER numbers have a leading zero when the top bit is set, and none when they are short.
function copyNumber(der: Buffer, start: number, length: number, out: Buffer, end: number): void {
  const from = length > 32 ? start + length - 32 : start
  der.copy(out, end - Math.min(length, 32), from, start + length)
}
