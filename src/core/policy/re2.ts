// The one regular-expression engine that touches claims: RE2 (linear time, no lookaround, no backreference).
// Patterns are plain: no inline flags, so that matching is always byte for byte, case-sensitive and single-line.
import { RE2JS } from 're2js'
import type { LocalProblem } from './problem.ts'

/** A pattern longer than this is a program, and belongs in review, not in a policy. */
const MAX_PATTERN_LENGTH = 512

export type TextTest = (text: string) => boolean

export type Re2Compiled =
  | { readonly ok: true; readonly test: TextTest }
  | { readonly ok: false; readonly problem: LocalProblem }

/** Compiles `pattern` to match the whole text. Never by text around it: `a)|(b` and `\Qa` would mean something else. */
export function compileAnchored(pattern: string): Re2Compiled {
  return compile(pattern, (compiled) => (text) => compiled.testExact(text))
}

/** Compiles `pattern` to match anywhere, as CEL's `matches` does. */
export function compileSearch(pattern: string): Re2Compiled {
  return compile(pattern, (compiled) => (text) => compiled.test(text))
}

function compile(pattern: string, testOf: (compiled: RE2JS) => TextTest): Re2Compiled {
  const problem = checkPattern(pattern)
  if (problem !== undefined) return { ok: false, problem }
  try {
    return { ok: true, test: testOf(RE2JS.compile(pattern)) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { ok: false, problem: malformed(why, 'write an RE2 pattern: no lookaround, no backreferences') }
  }
}

/** Whether a `.` stands unescaped outside a character class: it matches any character, not a dot. */
export function hasUnescapedDot(pattern: string): boolean {
  return scan(pattern).includes('.')
}

function checkPattern(pattern: string): LocalProblem | undefined {
  if (pattern === '') return malformed('the pattern is empty', 'write the pattern, or pin an exact value')
  if (pattern.length > MAX_PATTERN_LENGTH) {
    return malformed(
      `longer than ${MAX_PATTERN_LENGTH} characters`,
      'split it into several policies or list the values with anyOf',
    )
  }
  // After `(?` a letter or `-` is a flag, unless it begins a named group. RE2 itself refuses lookaround.
  if (/\(\?(?!P<)[A-Za-z-]/.test(scan(pattern))) {
    return {
      code: 're2_flags',
      message: 'inline flags such as (?i) change what the pattern means',
      wayOut: 'spell the letters out: [Mm]ain',
    }
  }
  return undefined
}

function malformed(message: string, wayOut: string): LocalProblem {
  return { code: 're2_malformed', message, wayOut }
}

/** What stands literally in a pattern: `\Q..\E`, an escape, or a character class; in one pass, as RE2 reads it. */
const LITERAL = /\\Q[\s\S]*?(?:\\E|$)|\\[\s\S]|\[\^?\]?(?:\\[\s\S]|\[:\^?[a-z]+:\]|[^\]\\])*\]/g

/** The pattern with everything literal blanked: what is left are operators and plain letters. */
function scan(pattern: string): string {
  return pattern.replaceAll(LITERAL, '_')
}
