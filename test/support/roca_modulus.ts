// A modulus of 2048 bits as the library of ROCA (CVE-2017-15361) made its primes: 65537^a modulo the primorial, plus a
// multiple of it.
const PRIMES = [
  2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
  107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]

export function rocaModulus(): Buffer {
  const primorial = PRIMES.reduce((product, prime) => product * BigInt(prime), 1n)
  const weak = primorial * 2n ** 1835n + 65_537n ** 3n
  const hex = weak.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
}
