// The part of gomplate that Dex's container image is used with: variables of the environment put into the file before
// it is YAML, and lines left out where a variable is not set (config.docker.yaml). Nothing is executed; every other
// template action is a problem with its place.
import type { DexCode } from './dex_codes.ts'

export type Template = {
  readonly text: string
  readonly problems: readonly TemplateProblem[]
  /** Offset in the source of an offset in `text`. */
  readonly sourceOffset: (offset: number) => number
}

type TemplateProblem = {
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
const STRING = '("[^"\\\\\\n]*"|`[^`]*`)'
const ENV_FIELD = /^\.Env\.([A-Za-z_][A-Za-z0-9_]*)$/
const GETENV = new RegExp(`^(?:getenv|env\\.Getenv)\\s+${STRING}(?:\\s+${STRING})?$`)
const REQUIRED = new RegExp(`^(?:test\\.)?(?:required|Required)(?:\\s+${STRING})?$`)
const DEFAULT = new RegExp(`^(?:conv\\.)?(?:default|Default)\\s+${STRING}$`)

/**
 * Renders `.Env.X`, `getenv "X" ["default"]`, `| required ["text"]`, `| default "text"`, `if`/`else if`/`else`/`end`
 * over them, comments and trim markers.
 */
export function renderTemplate(source: string, env: TemplateEnv): Template {
  const state: Render = { env, problems: [], blocks: [], pieces: [{ at: 0, source: 0 }], text: '' }
  let from = 0
  let trimNext = false
  for (const match of source.matchAll(ACTION)) {
    const [whole, trimLeft, body, trimRight] = match
    literal(state, source.slice(from, match.index), { left: trimNext, right: trimLeft !== undefined })
    act(state, (body ?? '').trim(), match.index)
    from = match.index + whole.length
    trimNext = trimRight !== undefined
    state.pieces.push({ at: state.text.length, source: from })
  }
  const rest = source.slice(from)
  if (rest.includes('{{')) state.problems.push(unclosed(from + rest.indexOf('{{')))
  const open = state.blocks.at(-1)
  if (open !== undefined) state.problems.push(unclosed(open.offset))
  literal(state, rest, { left: trimNext, right: false })
  const { text, problems, pieces } = state
  return { text, problems, sourceOffset: (offset) => sourceOffset(pieces, offset) }
}

type Render = {
  readonly env: TemplateEnv
  readonly problems: TemplateProblem[]
  /** Open `if`s, innermost last. */
  readonly blocks: Block[]
  readonly pieces: { readonly at: number; readonly source: number }[]
  text: string
}

/** `active`: this branch is written out. `done`: an earlier branch was, or the block itself lies in a dead one. */
type Block = { readonly offset: number; active: boolean; done: boolean }

function isLive(state: Render): boolean {
  return state.blocks.every(({ active }) => active)
}

function literal(state: Render, text: string, trim: { left: boolean; right: boolean }): void {
  if (!isLive(state)) return
  const left = trim.left ? text.trimStart() : text
  state.text += trim.right ? left.trimEnd() : left
}

function act(state: Render, action: string, offset: number): void {
  if (action.startsWith('/*') && action.endsWith('*/')) return
  const [, condition] = /^if\s+([\s\S]+)$/.exec(action) ?? []
  if (condition !== undefined) {
    const live = isLive(state)
    const holds = live && evaluate(state, condition, offset) !== ''
    state.blocks.push({ offset, active: holds, done: holds || !live })
    return
  }
  const [isElse, elseCondition] = /^else(?:\s+if\s+([\s\S]+))?$/.exec(action) ?? []
  const block = state.blocks.at(-1)
  if (isElse !== undefined && block !== undefined) {
    const holds =
      !block.done && (elseCondition === undefined || evaluate(state, elseCondition, offset) !== '')
    block.active = holds
    block.done ||= holds
    return
  }
  if (action === 'end' && block !== undefined) {
    state.blocks.pop()
    return
  }
  if (!isLive(state)) return
  state.pieces.push({ at: state.text.length, source: offset })
  state.text += evaluate(state, action, offset)
}

/** A value and what it is piped through. */
function evaluate(state: Render, pipeline: string, offset: number): string {
  const [first = '', ...filters] = pipes(pipeline)
  let value = valueOf(state, first, offset)
  for (const filter of filters) {
    const [isRequired, text] = REQUIRED.exec(filter) ?? []
    const [, fallback] = DEFAULT.exec(filter) ?? []
    if (isRequired !== undefined && value === '') {
      const message = text === undefined ? 'a required value is empty' : unquote(text)
      state.problems.push({ code: 'template_variable_unset', offset, message, wayOut: 'set the variable' })
    } else if (fallback !== undefined) {
      value = value === '' ? unquote(fallback) : value
    } else if (isRequired === undefined) {
      state.problems.push(unknownAction(pipeline, offset))
      return ''
    }
  }
  return value
}

function valueOf(state: Render, action: string, offset: number): string {
  const field = ENV_FIELD.exec(action)?.[1]
  if (field !== undefined) {
    const value = state.env.env[field]
    if (value === undefined) state.problems.push(unset(offset, field))
    return value ?? ''
  }
  const [, name, fallback] = GETENV.exec(action) ?? []
  if (name !== undefined) return getenv(unquote(name), unquote(fallback ?? '""'), state.env)
  state.problems.push(unknownAction(action, offset))
  return ''
}

/** Parts between `|` that do not stand inside a string. */
function pipes(pipeline: string): readonly string[] {
  const parts = pipeline.match(/(?:"[^"\n]*"|`[^`]*`|[^|"`])+/g) ?? []
  return parts.map((part) => part.trim())
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

function unquote(quoted: string): string {
  return quoted.slice(1, -1)
}

function unknownAction(action: string, offset: number): TemplateProblem {
  return {
    code: 'template_action',
    offset,
    message: `the template action {{ ${action} }} is not carried out here`,
    wayOut: 'only {{ .Env.NAME }}, {{ getenv "NAME" }} and {{ if }} are; render the file with gomplate first',
  }
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
    message: 'a template action is opened and never closed',
    wayOut: 'close it with }}, an if with {{ end }}',
  }
}

function sourceOffset(pieces: readonly { at: number; source: number }[], offset: number): number {
  const piece = pieces.findLast((candidate) => candidate.at <= offset)
  return piece === undefined ? offset : piece.source + (offset - piece.at)
}
