// The small glob of trust policies: `*` is one or more characters of one segment and never crosses `/`, `:` or `@`.
// Matched by hand in linear space; a wildcard backs up only within its own segment.

/** For messages. */
export const DELIMITERS = '/ : @'

export function isDelimiter(character: string | undefined): boolean {
  return character === '/' || character === ':' || character === '@'
}

/** Whether `pattern` matches the whole of `text`. */
export function globMatches(pattern: string, text: string): boolean {
  let p = 0
  let i = 0
  // Where the last wildcard stands, and the first character that it has not taken yet.
  let star = -1
  let taken = 0
  while (i < text.length) {
    if (pattern[p] === '*' && !isDelimiter(text[i])) {
      star = p
      p += 1
      i += 1
      taken = i
    } else if (pattern[p] !== '*' && pattern[p] === text[i]) {
      p += 1
      i += 1
    } else if (star !== -1 && !isDelimiter(text[taken])) {
      taken += 1
      i = taken
      p = star + 1
    } else return false
  }
  return p === pattern.length
}
