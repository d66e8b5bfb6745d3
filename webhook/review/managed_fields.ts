// metadata.managedFields says which client wrote which field. No rule reads it, and of a Module with a hundred versions it is more
// than half of the review: taken out of the bytes, it is neither decoded nor parsed nor walked.

const FIELD = Buffer.from('"managedFields":[')
const QUOTE = 0x22
const COMMA = 0x2c
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * The same JSON in UTF-8 with empty lists for managedFields, where they stand as kube-apiserver writes them: a key, no blanks. A quote
 * inside of a text is escaped, so what follows `{` or `,` is a key; and what is ASCII is part of no other character. What is no JSON
 * stays none: nothing outside of such a list changes.
 */
export function withoutManagedFields(json: Uint8Array): Uint8Array {
  const bytes = Buffer.from(json.buffer, json.byteOffset, json.byteLength)
  const kept: Buffer[] = []
  let from = 0
  for (let at = bytes.indexOf(FIELD); at !== -1; at = bytes.indexOf(FIELD, at + FIELD.length)) {
    const before = bytes[at - 1]
    if (before !== OPEN_OBJECT && before !== COMMA) continue
    const begin = at + FIELD.length
    const end = endOfList(bytes, begin)
    // Not closed: the parser says so.
    if (end === -1) break
    kept.push(bytes.subarray(from, begin))
    from = end
    at = end - FIELD.length
  }
  return from === 0 ? json : Buffer.concat([...kept, bytes.subarray(from)])
}

/** Where the `]` stands that closes a list which began before `at`; -1 where none does. */
function endOfList(bytes: Uint8Array, at: number): number {
  let depth = 0
  for (let index = at; index < bytes.length; index += 1) {
    switch (bytes[index]) {
      case QUOTE:
        index = endOfText(bytes, index + 1)
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
      case undefined:
      default:
    }
  }
  return -1
}

/** The quote that ends a text; `"k:{\"version\":\"1.0.0\"}"` has escaped ones before it. */
function endOfText(bytes: Uint8Array, at: number): number {
  for (let index = at; index < bytes.length; index += 1) {
    const byte = bytes[index]
    if (byte === QUOTE) return index
    if (byte === BACKSLASH) index += 1
  }
  return -1
}
