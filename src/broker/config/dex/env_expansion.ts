// `$VAR` and `${VAR}` by the rules of Go's os.ExpandEnv, in the three places where Dex expands: storage.config,
// signer.config and connectors[].config (cmd/dex expandEnvInMap). A variable that is not set becomes empty there, and
// so it does here, but never without a word.
import type { YamlPath } from '#platform/config/yaml_document.ts'
import type { Reporter } from './report.ts'

export type Expansion = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly report: Reporter
  /** Whether this broker uses the value: nobody is sent to set a variable for one that has no effect here. */
  readonly isUsed: boolean
}

const SPECIAL = /^[*#$@!?\-0-9]$/
const NAME = /[A-Za-z0-9_]*/y

/** Expands every string of maps and lists below `value`; lists inside lists stay as written, as in Dex. */
export function expandEnv(value: unknown, path: YamlPath, expansion: Expansion): unknown {
  if (typeof value === 'string') return expandString(value, path, expansion)
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) =>
      Array.isArray(item) ? item : expandEnv(item, [...path, index], expansion),
    )
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, expandEnv(item, [...path, key], expansion)]),
  )
}

function expandString(text: string, path: YamlPath, { env, report, isUsed }: Expansion): string {
  const unused = 'nothing is needed here: the key is ignored. Dex itself would run with an empty value'
  return goExpand(text, (name) => {
    if (SPECIAL.test(name)) {
      const message = `Dex expands "$${name}" here, and nothing has that name: it becomes empty`
      const wayOut = isUsed ? 'take the value from a variable that holds the dollar sign' : unused
      report.warn(path, 'dollar_expanded', message, wayOut)
      return ''
    }
    const found = env[name]
    if (found === undefined || found === '') {
      const message = `the variable ${name} is not set: the value becomes empty`
      report.warn(path, 'variable_unset', message, isUsed ? `set ${name}` : unused)
      return ''
    }
    return found
  })
}

/** Go's os.Expand: `${NAME}`, `$NAME`, one-character shell variables; bad syntax is eaten. */
export function goExpand(text: string, valueOf: (name: string) => string): string {
  let result = ''
  let from = 0
  for (let at = text.indexOf('$'); at !== -1 && at + 1 < text.length; at = text.indexOf('$', from)) {
    const { name, width } = shellName(text, at + 1)
    result += text.slice(from, at)
    if (name !== '') result += valueOf(name)
    else if (width === 0) result += '$'
    from = at + 1 + width
  }
  return result + text.slice(from)
}

/** The name that begins at `at` and how many characters it takes; an empty name with a width is bad syntax. */
function shellName(text: string, at: number): { name: string; width: number } {
  const first = text.charAt(at)
  if (first === '{') {
    const close = text.indexOf('}', at + 1)
    if (close === -1) return { name: '', width: 1 }
    return { name: text.slice(at + 1, close), width: close - at + 1 }
  }
  if (SPECIAL.test(first)) return { name: first, width: 1 }
  NAME.lastIndex = at
  const name = NAME.exec(text)?.[0] ?? ''
  return { name, width: name.length }
}
