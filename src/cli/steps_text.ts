// How the two explain commands print a step.

const MARKS = { yes: 'yes', no: 'NO ', unchecked: ' ? ', 'not reached': ' - ' } as const

/** `yes  audience   kubernetes`; `width` is that of the widest name. */
export function stepLine(outcome: keyof typeof MARKS, step: string, value: string, width: number): string {
  return `${MARKS[outcome]}  ${step.padEnd(width)} ${value}`.trimEnd()
}

/** Characters that steer a terminal or reorder text are shown as escapes. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}
