// OpenSSL's spelling of a P-256 signature, turned into that of JWS.

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
