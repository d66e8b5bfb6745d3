// Decoders, a byte or a character at a time.

const STRICT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of valid UTF-8, with a byte order mark kept; `undefined` for anything else. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return STRICT.decode(bytes)
  } catch {
    // The decoder throws for exactly the bytes that are no UTF-8.
    return undefined
  }
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Unpadded base64url in its canonical spelling (RFC 4648 §3.5), bit by bit; `undefined` for any other spelling. */
export function slowBase64url(text: string): Uint8Array | undefined {
  let bits = ''
  for (const character of text) {
    const value = BASE64URL.indexOf(character)
    if (value === -1) return undefined
    bits += value.toString(2).padStart(6, '0')
  }
  const whole = Math.floor(bits.length / 8) * 8
  // What is left over is less than a character and nothing but zeros.
  if (bits.length - whole > 4 || bits.slice(whole).includes('1')) return undefined
  const bytes: number[] = []
  for (let at = 0; at < whole; at += 8) bytes.push(Number.parseInt(bits.slice(at, at + 8), 2))
  return Uint8Array.from(bytes)
}

/** Go's `url.QueryUnescape`, over bytes; `undefined` for a bad escape, and for what is no UTF-8 afterwards. */
export function slowUnescape(text: string): string | undefined {
  const bytes: number[] = []
  const source = new TextEncoder().encode(text)
  for (let at = 0; at < source.length; at += 1) {
    const character = String.fromCharCode(source[at] ?? 0)
    if (character === '+') bytes.push(0x20)
    else if (character === '%') {
      const digits = String.fromCharCode(source[at + 1] ?? 0, source[at + 2] ?? 0)
      if (!/^[0-9a-fA-F]{2}$/.test(digits)) return undefined
      bytes.push(Number.parseInt(digits, 16))
      at += 2
    } else bytes.push(source[at] ?? 0)
  }
  return utf8Text(Uint8Array.from(bytes))
}

/** What Go's `unicode.IsSpace` holds for white space. */
const GO_SPACES =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'

/** Go's `strings.Fields`. */
export function goFields(text: string): readonly string[] {
  const fields: string[] = []
  let field = ''
  for (const character of text) {
    if (!GO_SPACES.includes(character)) field += character
    else if (field !== '') {
      fields.push(field)
      field = ''
    }
  }
  return field === '' ? fields : [...fields, field]
}
