// The fingerprint of RSA keys made by Infineon's broken library (ROCA, CVE-2017-15361): modulo each small prime the
// modulus lies in the subgroup that 65537 generates. A sound key does so by chance once in 2^154.

const PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]

const SUBGROUPS: readonly (readonly [number, ReadonlySet<number>])[] = PRIMES.map((prime) => [
  prime,
  subgroupOf(prime),
])

/** Whether an RSA modulus (big-endian) carries the fingerprint: its private key can be computed. */
export function isRocaModulus(modulus: Uint8Array): boolean {
  return SUBGROUPS.every(([prime, residues]) => residues.has(remainder(modulus, prime)))
}

function subgroupOf(prime: number): ReadonlySet<number> {
  const residues = new Set<number>()
  for (let residue = 1; !residues.has(residue); residue = (residue * 65_537) % prime) residues.add(residue)
  return residues
}

function remainder(bytes: Uint8Array, divisor: number): number {
  let rest = 0
  for (const byte of bytes) rest = (rest * 256 + byte) % divisor
  return rest
}
