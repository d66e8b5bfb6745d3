// The part of gomplate that Dex's container image is used for: variables of the environment put into the file before
// it is YAML. Nothing is executed; every other template action is a problem with its place.

import type { DexCode } from './dex_codes.ts'

export type Template = {
  readonly text: string
  readonly problems: readonly TemplateProblem[]
  /** Offset in the source of an offset in `text`. */
  readonly sourceOffset: (offset: number) => number
}

export type TemplateProblem = {
  readonly code: Extract<DexCode, `template_${string}`>
  readonly offset: number
  readonly message: string
  readonly wayOut: string
}

export type TemplateEnv = {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readFile: (path: string) => string
}

const ACTION = /\{\{(-(?=\s))?([\s\S]*?)((?<=\s)-)?\}\}/g
const ENV_FIELD = /^\.Env\.([A-Za-z_][A-Za-z0-9_]*)$/
const GETENV = /^(?:getenv|env\.Getenv)\s+("[^"\\\n]*"|`[^`]*`)(?:\s+("[^"\\\n]*"|`[^`]*`))?$/

/** Renders `{{ .Env.X }}`, `{{ getenv "X" }}`, `{{ getenv "X" "default" }}`, comments and trim markers. */
export function renderTemplate(source: string, env: TemplateEnv): Template {
  const problems: TemplateProblem[] = []
  const pieces: { readonly at: number; readonly source: number }[] = [{ at: 0, source: 0 }]
  let text = ''
  let from = 0
  let trimNext = false
  for (const match of source.matchAll(ACTION)) {
    const [whole, trimLeft, body, trimRight] = match
    const literal = trimNext ? source.slice(from, match.index).trimStart() : source.slice(from, match.index)
    text += trimLeft === undefined ? literal : literal.trimEnd()
    pieces.push({ at: text.length, source: match.index })
    text += evaluate(body?.trim() ?? '', match.index, env, problems)
    from = match.index + whole.length
    trimNext = trimRight !== undefined
    pieces.push({ at: text.length, source: from })
  }
  const rest = source.slice(from)
  if (rest.includes('{{')) problems.push(unclosed(from + rest.indexOf('{{')))
  text += trimNext ? rest.trimStart() : rest
  return { text, problems, sourceOffset: (offset) => sourceOffset(pieces, offset) }
}

function evaluate(action: string, offset: number, env: TemplateEnv, problems: TemplateProblem[]): string {
  if (action.startsWith('/*') && action.endsWith('*/')) return ''
  const field = ENV_FIELD.exec(action)?.[1]
  if (field !== undefined) {
    const value = env.env[field]
    if (value === undefined) problems.push(unset(offset, field))
    return value ?? ''
  }
  const [, name, fallback] = GETENV.exec(action) ?? []
  if (name !== undefined) return getenv(unquote(name), unquote(fallback ?? '""'), env)
  problems.push({
    code: 'template_action',
    offset,
    message: `the template action {{ ${action} }} is not carried out here`,
    wayOut: 'only {{ .Env.NAME }} and {{ getenv "NAME" }} are; render the file with gomplate first',
  })
  return ''
}

/** gomplate's getenv: the variable, else the file that `NAME_FILE` points at, else the default. */
function getenv(name: string, fallback: string, env: TemplateEnv): string {
  const value = env.env[name]
  if (value !== undefined && value !== '') return value
  const file = env.env[`${name}_FILE`]
  const content = file === undefined || file === '' ? undefined : readOrNothing(file, env)
  return content === undefined || content === '' ? fallback : content
}

/** gomplate takes an unreadable file as an empty one; the empty value is then refused where it matters. */
function readOrNothing(file: string, env: TemplateEnv): string | undefined {
  try {
    return env.readFile(file).trim()
  } catch {
    return undefined
  }
}

function unquote(literal: string): string {
  return literal.slice(1, -1)
}

function unset(offset: number, name: string): TemplateProblem {
  return {
    code: 'template_variable_unset',
    offset,
    message: `the template names the variable ${name}, which is not set`,
    wayOut: `set ${name}, or write {{ getenv "${name}" "default" }}`,
  }
}

function unclosed(offset: number): TemplateProblem {
  return {
    code: 'template_unclosed',
    offset,
    message: 'a template action opens with {{ and is never closed',
    wayOut: 'close it with }}',
  }
}

function sourceOffset(pieces: readonly { at: number; source: number }[], offset: number): number {
  const piece = pieces.findLast((candidate) => candidate.at <= offset)
  return piece === undefined ? offset : piece.source + (offset - piece.at)
}
