// What OpenDepot's `status.checksum` says, in the words of the ledger.

/** `sha256:<64 hex digits>` of the base64 (or hex) of a SHA-256; `undefined` of anything else. */
export function digestOfChecksum(checksum: string): string | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(checksum)) return `sha256:${checksum.toLowerCase()}`
  if (!/^[A-Za-z0-9+/]{43}=$/.test(checksum)) return undefined
  return `sha256:${Buffer.from(checksum, 'base64').toString('hex')}`
}
