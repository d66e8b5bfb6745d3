// Writes YAML that is commented line for line and reads the same to YAML 1.1 and 1.2 readers: what kube-apiserver and kubectl
// are given. Only as much of YAML as our own documents need; the printer of `yaml` places no comment where we want one.

export type YamlValue = string | boolean | YamlBlock | YamlMap | YamlList | YamlWords
/** A text of several lines, written as it stands (`|`): PEM. */
type YamlBlock = { readonly kind: 'block'; readonly text: string }
export type YamlMap = { readonly kind: 'map'; readonly entries: readonly YamlEntry[] }
export type YamlList = { readonly kind: 'list'; readonly items: readonly YamlItem[] }
/** A short list on one line. */
type YamlWords = { readonly kind: 'words'; readonly words: readonly string[] }
export type YamlEntry = { readonly key: string; readonly why?: string | undefined; readonly value: YamlValue }
type YamlItem = { readonly why?: string | undefined; readonly value: YamlMap | string }

const COMMENT_COLUMNS = 110
/** Lines of printable ASCII that neither begin nor end with a blank: as they stand in a block, so they are read. */
const PLAIN_LINES = /^(?:[!-~](?:[ -~]*[!-~])?\n+)*[!-~](?:[ -~]*[!-~])?\n*$/

export function yamlMap(entries: readonly (YamlEntry | undefined)[]): YamlMap {
  return { kind: 'map', entries: entries.filter((entry) => entry !== undefined) }
}

/** A document: `heading` as a comment above it. Ends with a line break. */
export function printYaml(heading: string, map: YamlMap): string {
  return [...comment(heading, ''), ...mapLines(map, '')].map((line) => `${line}\n`).join('')
}

function mapLines(map: YamlMap, indent: string): string[] {
  return map.entries.flatMap((entry) => [
    ...comment(entry.why, indent),
    ...entryLines(`${indent}${yamlScalar(entry.key)}:`, entry.value, indent),
  ])
}

function entryLines(head: string, value: YamlValue, indent: string): string[] {
  if (typeof value === 'boolean') return [`${head} ${value}`]
  if (typeof value === 'string') return [`${head} ${yamlScalar(value)}`]
  switch (value.kind) {
    case 'block':
      return PLAIN_LINES.test(value.text)
        ? [`${head} |`, ...blockLines(value.text, `${indent}  `)]
        : [`${head} ${yamlScalar(value.text)}`]
    case 'words':
      return [`${head} [${value.words.map(flowScalar).join(', ')}]`]
    case 'map':
      return [head, ...mapLines(value, `${indent}  `)]
    case 'list':
      return [head, ...value.items.flatMap((item) => itemLines(item, `${indent}  `))]
  }
}

/** `- ` takes the place of the first line's indentation; a comment of the first key goes above the dash. */
function itemLines(item: YamlItem, indent: string): string[] {
  if (typeof item.value === 'string')
    return [...comment(item.why, indent), `${indent}- ${yamlScalar(item.value)}`]
  const [first, ...rest] = item.value.entries
  if (first === undefined) return [`${indent}- {}`]
  const inner = `${indent}  `
  const [dashed = '', ...more] = entryLines(`${inner}${yamlScalar(first.key)}:`, first.value, inner)
  return [
    ...comment(item.why, indent),
    ...comment(first.why, indent),
    `${indent}- ${dashed.slice(inner.length)}`,
    ...more,
    ...mapLines({ kind: 'map', entries: rest }, inner),
  ]
}

function blockLines(text: string, indent: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `${indent}${line}`))
}

/** What some YAML reader takes for the end of a line, and so of a comment: a certificate's name may hold it. */
const BREAKS_A_COMMENT = /[^\P{C}\n]|[\u2028\u2029]/gu

/** Wrapped at blanks; each line of `text` starts a line. */
function comment(text: string | undefined, indent: string): string[] {
  if (text === undefined) return []
  const width = COMMENT_COLUMNS - indent.length - 2
  return text
    .replaceAll(BREAKS_A_COMMENT, ' ')
    .split('\n')
    .flatMap((line) => wrap(line, width))
    .map((line) => `${indent}#${line === '' ? '' : ` ${line}`}`)
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}

/** Words that some YAML reader takes for something else than a text. */
const NOT_A_TEXT = /^(?:y|n|yes|no|on|off|true|false|null|e\d+)$/i
const PLAIN = /^[A-Za-z/][\w./@+-]*(?::[\w./@+-]+)*$/
/** Besides line breaks and controls: what YAML counts as a line break or does not allow as it stands. */
const NEEDS_ESCAPE = /[\p{Cc}\u2028\u2029\uFEFF\uFFFE\uFFFF]/u

/** A text on one line: bare, in the quotes that need no escape, or escaped. */
function yamlScalar(text: string): string {
  if (PLAIN.test(text) && !NOT_A_TEXT.test(text)) return text
  if (NEEDS_ESCAPE.test(text)) return escaped(text)
  return /["\\]/.test(text) || !text.includes("'") ? `'${text.replaceAll("'", "''")}'` : `"${text}"`
}

function flowScalar(text: string): string {
  return text === '*' ? "'*'" : yamlScalar(text)
}

function escaped(text: string): string {
  const json = JSON.stringify(text)
  return json.replace(
    /[\u007F-\u009F\u2028\u2029\uFEFF\uFFFE\uFFFF]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
