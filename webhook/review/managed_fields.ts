// metadata.managedFields says which client wrote which field. No rule reads it, and of a Module with a hundred versions it is more
// than half of the review: taken out of the text, it is neither parsed nor walked.

const FIELD = '"managedFields":['
/** Of UTF-16, as `charCodeAt` gives them. */
const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * The same JSON with empty lists for managedFields, where they stand as kube-apiserver writes them: a key, no blanks. A quote inside
 * of a text is escaped, so what follows `{` or `,` is a key. Text that is no JSON stays none: nothing outside of such a list changes.
 */
export function withoutManagedFields(text: string): string {
  let kept = ''
  let from = 0
  for (let at = text.indexOf(FIELD); at !== -1; at = text.indexOf(FIELD, at + FIELD.length)) {
    const before = text.charCodeAt(at - 1)
    if (before !== OPEN_OBJECT && before !== COMMA) continue
    const begin = at + FIELD.length
    const end = endOfList(text, begin)
    // Not closed: the parser says so.
    if (end === -1) break
    kept += text.slice(from, begin)
    from = end
    at = end - FIELD.length
  }
  return from === 0 ? text : kept + text.slice(from)
}

/** Where the `]` stands that closes a list which began before `at`; -1 where none does. */
function endOfList(text: string, at: number): number {
  let depth = 0
  for (let index = at; index < text.length; index += 1) {
    switch (text.charCodeAt(index)) {
      case QUOTE:
        index = endOfText(text, index + 1)
        if (index === -1) return -1
        break
      case OPEN_LIST:
      case OPEN_OBJECT:
        depth += 1
        break
      case CLOSE_LIST:
        if (depth === 0) return index
        depth -= 1
        break
      case CLOSE_OBJECT:
        if (depth === 0) return -1
        depth -= 1
        break
    }
  }
  return -1
}

/** The quote that ends a text; `"k:{\"version\":\"1.0.0\"}"` has escaped ones before it. */
function endOfText(text: string, at: number): number {
  for (let end = text.indexOf('"', at); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) return end
  }
  return -1
}
