// RE2 as Go's regexp package has it, for `matches`, `find` and `findAll`: linear time, no lookaround, no backreference.
import { RE2JS } from 're2js'

/** A pattern longer than this, or one that repeats its way past RE2's own limit, is not compiled. */
const MAX_PATTERN_LENGTH = 10_000

type Regex = {
  readonly test: (text: string) => boolean
  /** The leftmost match, '' when there is none. */
  readonly find: (text: string) => string
  /** The matches from left to right, at most `limit`; all when it is negative. */
  readonly findAll: (text: string, limit: number) => readonly string[]
}

export type CompiledRegex =
  | { readonly ok: true; readonly regex: Regex }
  | { readonly ok: false; readonly message: string }

export function compileRegex(pattern: string): CompiledRegex {
  if (pattern.length > MAX_PATTERN_LENGTH) {
    return { ok: false, message: `the pattern is longer than ${MAX_PATTERN_LENGTH} characters` }
  }
  const unsupported = unsupportedByGo(pattern)
  if (unsupported !== undefined) return { ok: false, message: `error parsing regexp: ${unsupported}` }
  try {
    const compiled = RE2JS.compile(pattern)
    return { ok: true, regex: regexOf(compiled) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { ok: false, message: why.startsWith('error parsing') ? why : `error parsing regexp: ${why}` }
  }
}

function unsupportedByGo(pattern: string): string | undefined {
  return pattern.isWellFormed() ? undefined : 'invalid UTF-8'
}

function regexOf(compiled: RE2JS): Regex {
  const findAll = (source: string, limit: number): readonly string[] => {
    const found: string[] = []
    const most = limit < 0 ? Infinity : limit
    const matcher = compiled.matcher(source)
    while (found.length < most && matcher.find()) found.push(matcher.group() ?? '')
    return found
  }
  return {
    test: (source) => compiled.test(source),
    find: (source) => findAll(source, 1)[0] ?? '',
    findAll,
  }
}
