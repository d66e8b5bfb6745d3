// Text of others (tokens, answers, files) as it may be shown: it can neither steer a terminal nor begin a line of a CI log.

/** One line: control characters, line breaks too, and what reorders or hides text are shown as escapes. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}

/** The same of text whose line breaks are ours. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}
