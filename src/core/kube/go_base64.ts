// base64url as Go's base64.RawURLEncoding reads it: no padding, and spare bits at the end may be anything.
import type { Result } from '#core/result.ts'

/** The denial is Go's text. */
export function goBase64(text: string): Result<Buffer, string> {
  const odd = /[^A-Za-z0-9_-]/.exec(text)
  const at = odd?.index ?? (text.length % 4 === 1 ? text.length - 1 : undefined)
  return at === undefined
    ? { ok: true, value: Buffer.from(text, 'base64url') }
    : { ok: false, denial: `illegal base64 data at input byte ${at}` }
}
