// What every expr-lang expression keeps to, whatever it says.

/** Whether texts and comments end and brackets match, once both are taken out. */
export function areBracketsClosed(text: string): boolean {
  const open: string[] = []
  const closing = new Map([
    [')', '('],
    [']', '['],
    ['}', '{'],
  ])
  let rest = text
  while (rest !== '') {
    const hidden =
      /^(?:"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'|`(?:``|[^`])*`|\/\/[^\n]*|\/\*[^]*?\*\/)/.exec(
        rest,
      )?.[0]
    if (hidden !== undefined) {
      rest = rest.slice(hidden.length)
      continue
    }
    const character = rest.charAt(0)
    if (/["'`]/.test(character) || rest.startsWith('/*')) return false
    if (/[([{]/.test(character)) open.push(character)
    const opening = closing.get(character)
    if (opening !== undefined && open.pop() !== opening) return false
    rest = rest.slice(1)
  }
  return open.length === 0
}
