// Functions on texts: the standard library's, the strings library (version 2) and Kubernetes' regex library.
// Positions count code points, as Go's runes do.
import { formatText } from './format.ts'
import { compileRegex } from './regex.ts'
import { bool, elementsAt, failure, int, numberAt, plainText, text, textAt, texts } from './value.ts'
import type { CelFunction, CelValue } from './value.ts'

const NO_OVERLOAD = failure('no such overload')

export const TEXT_FUNCTIONS: readonly (readonly [string, CelFunction])[] = [
  ['contains', twoTexts((a, b) => bool(a.includes(b)))],
  ['startsWith', twoTexts((a, b) => bool(a.startsWith(b)))],
  ['endsWith', twoTexts((a, b) => bool(a.endsWith(b)))],
  ['matches', twoTexts((a, pattern) => withRegex(pattern, '', (regex) => bool(regex.test(a))))],
  [
    'find',
    (args) => withRegex(textAt(args, 1), 'Illegal regex: ', (regex) => text(regex.find(textAt(args, 0)))),
  ],
  ['findAll', findAll],
  ['charAt', charAt],
  ['substring', substring],
  ['lowerAscii', (args) => text(textAt(args, 0).replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()))],
  ['upperAscii', (args) => text(textAt(args, 0).replaceAll(/[a-z]/g, (letter) => letter.toUpperCase()))],
  ['trim', (args) => text(textAt(args, 0).replaceAll(OUTER_SPACE, ''))],
  ['replace', replace],
  [
    'split',
    (args) => texts(splitText(textAt(args, 0), textAt(args, 1), args.length > 2 ? numberAt(args, 2) : -1)),
  ],
  ['join', join],
  ['format', (args) => formatText(textAt(args, 0), elementsAt(args, 1))],
  ['strings.quote', (args) => text(quote(textAt(args, 0)))],
]

/** unicode.IsSpace of Go: what strings.TrimSpace cuts. */
const SPACE = String.raw`[\t\n\v\f\r \u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]`
const OUTER_SPACE = new RegExp(`^${SPACE}+|${SPACE}+$`, 'g')

function twoTexts(operate: (left: string, right: string) => CelValue): CelFunction {
  return ([left, right]) =>
    left?.kind === 'string' && right?.kind === 'string' ? operate(left.value, right.value) : NO_OVERLOAD
}

type Found = Extract<ReturnType<typeof compileRegex>, { readonly ok: true }>['regex']

function withRegex(pattern: string, prefix: string, use: (regex: Found) => CelValue): CelValue {
  const compiled = compileRegex(pattern)
  return compiled.ok ? use(compiled.regex) : failure(prefix + compiled.message)
}

function findAll(args: readonly CelValue[]): CelValue {
  const limit = args.length > 2 ? numberAt(args, 2) : -1
  return withRegex(textAt(args, 1), 'Illegal regex: ', (regex) =>
    texts(regex.findAll(textAt(args, 0), limit)),
  )
}

function charAt(args: readonly CelValue[]): CelValue {
  const runes = Array.from(textAt(args, 0))
  const index = numberAt(args, 1)
  if (index < 0 || index > runes.length) return failure(`index out of range: ${index}`)
  return text(runes[index] ?? '')
}

function substring(args: readonly CelValue[]): CelValue {
  const runes = Array.from(textAt(args, 0))
  const start = numberAt(args, 1)
  const end = args.length > 2 ? numberAt(args, 2) : runes.length
  if (args.length > 2 && start > end) {
    return failure(`invalid substring range. start: ${start}, end: ${end}`)
  }
  for (const index of [start, end]) {
    if (index < 0 || index > runes.length) return failure(`index out of range: ${index}`)
  }
  return text(runes.slice(start, end).join(''))
}

/** `indexOf` of a text in a text. */
export function indexInText(args: readonly CelValue[]): CelValue {
  const part = textAt(args, 1)
  const offset = args.length > 2 ? numberAt(args, 2) : 0
  if (part === '') return int(offset)
  if (offset < 0) return failure(`index out of range: ${offset}`)
  const runes = Array.from(textAt(args, 0))
  const found = runes.slice(offset).join('').indexOf(part)
  return int(found < 0 ? -1 : offset + Array.from(runes.slice(offset).join('').slice(0, found)).length)
}

/** `lastIndexOf` of a text in a text: where it begins, at `offset` or before. */
export function lastIndexInText(args: readonly CelValue[]): CelValue {
  const runes = Array.from(textAt(args, 0))
  const part = Array.from(textAt(args, 1))
  if (part.length === 0) return int(args.length > 2 ? numberAt(args, 2) : runes.length)
  if (args.length < 3 && Buffer.byteLength(textAt(args, 0)) < Buffer.byteLength(textAt(args, 1)))
    return int(-1)
  const offset = args.length > 2 ? numberAt(args, 2) : runes.length - 1
  if (offset < 0) return failure(`index out of range: ${offset}`)
  if (offset >= runes.length) return int(-1)
  for (let at = Math.min(offset, runes.length - part.length); at >= 0; at -= 1) {
    if (part.every((rune, index) => rune === runes[at + index])) return int(at)
  }
  return int(-1)
}

/** Go's strings.Replace: an empty text stands before each code point and at the end. */
function replace(args: readonly CelValue[]): CelValue {
  const source = textAt(args, 0)
  const limit = args.length > 3 ? numberAt(args, 3) : -1
  const parts = splitText(source, textAt(args, 1), limit < 0 ? -1 : limit + 1)
  const isEmptyOld = textAt(args, 1) === ''
  const pieces = isEmptyOld ? splitBetween(source, limit) : parts
  return text(limit === 0 ? source : pieces.join(textAt(args, 2)))
}

/** What an empty text separates: nothing before the first code point, each of them, nothing after the last. */
function splitBetween(source: string, limit: number): readonly string[] {
  const pieces = ['', ...Array.from(source), '']
  if (limit < 0 || limit >= pieces.length - 1) return pieces
  return [...pieces.slice(0, limit), pieces.slice(limit).join('')]
}

/** Go's strings.SplitN: at most `limit` pieces, the last one with the rest; all when it is negative. */
function splitText(source: string, separator: string, limit: number): readonly string[] {
  if (limit === 0) return []
  const pieces = separator === '' ? Array.from(source) : source.split(separator)
  if (limit < 0 || pieces.length <= limit) return pieces
  return [...pieces.slice(0, limit - 1), pieces.slice(limit - 1).join(separator)]
}

function join(args: readonly CelValue[]): CelValue {
  const elements = elementsAt(args, 0)
  const bad = elements.find((element) => element.kind !== 'string')
  if (bad !== undefined) return failure(`join: invalid input: ${plainText(bad)}`)
  return text(
    elements.map((element) => (element.kind === 'string' ? element.value : '')).join(textAt(args, 1)),
  )
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\u0007': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
  '\\': String.raw`\\`,
  '"': String.raw`\"`,
}

function quote(source: string): string {
  // oxlint-disable-next-line no-control-regex -- these are the characters that CEL escapes
  return `"${source.replaceAll(/[\u0007\b\f\n\r\t\v\\"]/g, (character) => ESCAPES[character] ?? character)}"`
}
