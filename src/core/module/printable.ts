// Text of others inside our sentences: whole, short, and nothing a terminal would obey.

const MAX_SHOWN = 80
/** Nearly all that is ever shown, told from the rest ten times as fast. */
const PLAIN = /^[ -~]*$/

/** In quotes, at most 80 characters of it; what is invisible or obeyed is written as its code point. */
export function quoted(text: string): string {
  if (text.length <= MAX_SHOWN && PLAIN.test(text)) return `"${text}"`
  let shown = ''
  // Whole characters and whole escapes, and of a text of megabytes no more than is shown.
  for (const character of text) {
    const next = shown + printable(character)
    if (next.length > MAX_SHOWN) return `"${shown}..."`
    shown = next
  }
  return `"${shown}"`
}

const MAX_ADDRESS = 4096

/** An address may carry somebody's password: `https://host/path` of `https://user:password@host/path`, at most 4,096 characters of it. */
export function withoutLogin(address: string): string {
  const [beginning, isCut] = [address.slice(0, MAX_ADDRESS), address.length > MAX_ADDRESS]
  const shown = beginning.replaceAll(/\/\/[^/]*@/g, '//')
  // What stands before the cut may be the password of a host behind it.
  return isCut ? shown.replace(/\/\/[^/]*$/, '//...') : shown
}

/** Control, format, private and unassigned characters, broken surrogates and line separators, as `\u{1b}`. */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text
  return text.replaceAll(
    /[\p{C}\u2028\u2029]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}

/** The longest beginning of at most so many bytes of UTF-8, without half a character at its end. */
export function cutToBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text
  const bytes = Buffer.from(text.slice(0, maxBytes)).subarray(0, maxBytes - 3)
  return `${bytes.toString('utf8').replace(/\u{FFFD}+$/u, '')}...`
}

/** `1.0.0, 1.1.0 and 7 more`. @param show what is made of each that is shown */
export function listed(
  texts: readonly string[],
  most: number,
  show: (text: string) => string = (text) => text,
): string {
  const shown = texts.slice(0, most).map(show).join(', ')
  return texts.length > most ? `${shown} and ${texts.length - most} more` : shown
}
