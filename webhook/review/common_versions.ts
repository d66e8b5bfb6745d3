// An update is reviewed with the object before and after, and nearly always the one list of versions begins as the other does. Of a
// large review that is nearly all of the text: it is parsed once.
import { ownField } from '#core/own_field.ts'

const KEY = '"versions":'
const LIST = '['
/** In the place of what both lists begin with. No character of it can be escaped but by `\u`. */
const MARK = 'sallyport.dev what both lists begin with'
/** Between two entries. */
const BOUNDARY = '},{'

export type CommonVersionsOptions = {
  /** Characters; a shorter beginning is parsed twice in less time than it is found. */
  readonly worthIt?: number
  /** Characters that are compared at once. */
  readonly step?: number
}

/** The same value as `JSON.parse(text)`, and throws where that does. Entries that both lists begin with are the same objects in both. */
export function parseWithCommonVersions(
  text: string,
  { worthIt = 32 * 1024, step = 4096 }: CommonVersionsOptions = {},
): unknown {
  const common = text.length < 2 * worthIt ? undefined : commonBeginning(text, step)
  if (common === undefined || common.length < worthIt) return JSON.parse(text)
  const entries = parsedList(text.slice(common.one, common.one + common.length - 1))
  if (entries === undefined) return JSON.parse(text)
  const value: unknown = JSON.parse(marked(text, common))
  // Whether they are the two lists that they are taken for, the marks say.
  const [before, after] = [markedSpec(value, 'oldObject'), markedSpec(value, 'object')]
  if (before === undefined || after === undefined) return JSON.parse(text)
  for (const spec of [before, after]) spec.versions = entries.concat(spec.versions.slice(1))
  return value
}

type Common = {
  /** Where the first entry of each list stands. */
  readonly one: number
  readonly other: number
  /** With the comma at its end. */
  readonly length: number
}

/** Of the only two lists of that name, as kube-apiserver writes them: without blanks. */
function commonBeginning(text: string, step: number): Common | undefined {
  const one = endOf(text, 0)
  const other = endOf(text, one)
  if (one === -1 || other === -1 || endOf(text, other) !== -1) return undefined
  // What stands for a mark stands for it once: a text that has it, or could have it in other words, is parsed as it is.
  if (text.includes(MARK) || text.includes('\\u')) return undefined
  // Of plain entries, which long lists have, this ends the list: what follows it may be the same, too.
  const end = text.indexOf('}]', one)
  let length = 0
  while (one + length < end) {
    const compared = Math.min(step, end - one - length)
    if (!text.startsWith(text.slice(one + length, one + length + compared), other + length)) break
    length += compared
  }
  const boundary = text.lastIndexOf(BOUNDARY, one + length - 2)
  return boundary < one ? undefined : { one, other, length: boundary + 2 - one }
}

/** Behind the next list's bracket; -1 where there is none. */
function endOf(text: string, from: number): number {
  if (from === -1) return -1
  // A bracket is rare where quotes are not.
  for (let at = text.indexOf(LIST, from); at !== -1; at = text.indexOf(LIST, at + 1)) {
    if (text.startsWith(KEY, at - KEY.length)) return at + LIST.length
  }
  return -1
}

/**
 * `undefined` where a boundary was none: inside of a text, or of an entry. What is a list with a bracket behind it leaves whoever
 * reads on behind an entry of that list, in both.
 */
function parsedList(entries: string): readonly unknown[] | undefined {
  const plain = plainList(entries)
  if (plain !== undefined) return plain
  try {
    const list: unknown = JSON.parse(`[${entries}]`)
    return Array.isArray(list) ? list : undefined
  } catch {
    return undefined
  }
}

const PLAIN_BEGINNING = '{"version":"'
const PLAIN_END = '"}'
const BETWEEN_PLAIN = `${PLAIN_END},${PLAIN_BEGINNING}`
/** What JSON has in no text as it is, or has for something else. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const NOT_AS_IT_IS = /[\u0000-\u001f\\]/

/**
 * What `JSON.parse` makes of a list of nothing but plain entries, as nearly every one is, in a third of its time. `undefined` of any
 * other: a quote, an escape or a control character tells.
 */
function plainList(entries: string): readonly { version: string }[] | undefined {
  const least = PLAIN_BEGINNING.length + PLAIN_END.length
  if (entries.length < least || !entries.startsWith(PLAIN_BEGINNING) || !entries.endsWith(PLAIN_END)) {
    return undefined
  }
  if (NOT_AS_IT_IS.test(entries)) return undefined
  const versions = entries.slice(PLAIN_BEGINNING.length, -PLAIN_END.length).split(BETWEEN_PLAIN)
  if (versions.some((version) => version.includes('"'))) return undefined
  return versions.map((version) => ({ version }))
}

function marked(text: string, { one, other, length }: Common): string {
  const mark = `"${MARK}",`
  return text.slice(0, one) + mark + text.slice(one + length, other) + mark + text.slice(other + length)
}

type Spec = { versions: readonly unknown[] }

function markedSpec(value: unknown, object: 'object' | 'oldObject'): Spec | undefined {
  const spec = ownField(ownField(ownField(value, 'request'), object), 'spec')
  return isMarked(spec) ? spec : undefined
}

function isMarked(spec: unknown): spec is Spec {
  const list = ownField(spec, 'versions')
  return Array.isArray(list) && list[0] === MARK
}
