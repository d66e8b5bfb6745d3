// RFC 9562 §5.4 version 4, from injected randomness: the `jti` of issued tokens (122 random bits, as Dex).
import type { RandomBytes } from '#core/clock.ts'

export function uuidV4(randomBytes: RandomBytes): string {
  const bytes = Buffer.from(randomBytes(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
