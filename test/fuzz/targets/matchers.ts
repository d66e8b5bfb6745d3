// What policies compare with: globs, prefixes, patterns, templates.
import { goPatternProblem } from '../../../src/core/group_binding/go_pattern.ts'
import { globMatches } from '../../../src/core/policy/glob.ts'
import { compilePin } from '../../../src/core/policy/pins.ts'
import { compileAnchored, compileSearch } from '../../../src/core/policy/re2.ts'
import { parseTemplate } from '../../../src/core/policy/template.ts'
import { isGoPattern, slowGlob } from '../reference/matching.ts'
import { slowTemplate } from '../reference/template.ts'
import { agree, must } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

/** Pattern and text, parted by the first line feed. */
function halves(input: Buffer): readonly [string, string] {
  const text = input.toString('utf8')
  const at = text.indexOf('\n')
  return at === -1 ? [text, text] : [text.slice(0, at), text.slice(at + 1)]
}

const glob: FuzzTarget = {
  name: 'glob',
  about: 'the small glob, beside one that tries every length; pattern and text are parted by a line feed',
  seeds: ['repo:acme/*:ref\nrepo:acme/app:ref', '*-*-*\na-b-c-d', 'v*.*\nv1.2.3', '**\nab'],
  words: ['*', '/', ':', '@', '\n', 'a', 'aa', '*a', '-', '*/*'],
  check: (input) => {
    const [pattern, text] = halves(input)
    // The reference takes exponential time.
    if (pattern.split('*').length > 9 || text.length > 24 || pattern.length > 40) return 'too long'
    const ours = globMatches(pattern, text)
    agree('match', ours, slowGlob(pattern, text))
    const pin = compilePin('repository', { kind: 'glob', pattern })
    if (!pin.ok) return `no pin: ${pin.problems[0]?.code ?? ''}, ${ours}`
    must(
      (pin.check({ repository: text }) === undefined) === ours,
      'the pin says something else than the glob',
    )
    for (const other of [[text], null, 1, { a: text }])
      must(pin.check({ repository: other }) !== undefined, 'a glob holds for what is no text')
    return `${ours}`
  },
}

const prefix: FuzzTarget = {
  name: 'prefix',
  about: 'a prefix that ends on a delimiter; prefix and text are parted by a line feed',
  seeds: ['repo:acme/\nrepo:acme/app', 'acme\nacme-evil', '/\n//'],
  words: ['/', ':', '@', '\n', 'acme', '-evil'],
  check: (input) => {
    const [pattern, text] = halves(input)
    const pin = compilePin('sub', { kind: 'prefix', prefix: pattern })
    const isPrefix = pattern !== '' && '/:@'.includes(pattern.slice(-1))
    must(pin.ok === isPrefix, 'a prefix off its delimiter, or a good one refused')
    if (!pin.ok) return `refused: ${pin.problems[0]?.code ?? ''}`
    const holds = pin.check({ sub: text }) === undefined
    agree('holds', holds, text !== pattern && text.slice(0, pattern.length) === pattern)
    return `${holds}`
  },
}

/** No pattern that is let in may see more than the case, the line and the very characters. */
const re2: FuzzTarget = {
  name: 're2',
  about:
    "RE2 patterns: whole means whole, no flag gets in, and JavaScript's own engine agrees where it reads the same",
  seeds: [
    'a.b|c+\nacb',
    'repo:\\Qa.b\nrepo:a.b',
    '(?i)a\nA',
    '[[:alpha:]]{2,3}\nab',
    '^(a+)+$\naaaa!',
    'a)|(b\na',
    '\\x{10FFFF}\n\u{10ffff}',
  ],
  words: [
    '(',
    ')',
    '(?:',
    '(?P<n>',
    '(?i)',
    '(?-s',
    '|',
    '[',
    ']',
    '[^',
    '[:alpha:]',
    '\\Q',
    '\\E',
    '\\',
    '\\d',
    '\\pL',
    '\\z',
    '\\b',
    '{2,3}',
    '{1000}',
    '*',
    '+?',
    '^',
    '$',
    '\n',
    '.',
    '\\x{41}',
  ],
  check: (input) => {
    const [pattern, text] = halves(input)
    const whole = compileAnchored(pattern)
    const search = compileSearch(pattern)
    must(whole.ok === search.ok, 'a pattern that is only good in one place')
    if (!whole.ok || !search.ok) return `refused: ${whole.ok ? '' : whole.problem.code}`
    const [isWhole, isFound] = [whole.test(text), search.test(text)]
    must(!isWhole || isFound, 'the whole text matches and no part of it does')
    const same = sameInJavaScript(pattern)
    if (same === undefined) return `${isWhole}, ${isFound}`
    agree('whole', isWhole, new RegExp(`^(?:${same})$`, 'u').test(text))
    agree('found', isFound, new RegExp(same, 'u').test(text))
    return `${isWhole}, ${isFound}, compared`
  },
}

/** A pattern that both engines read the same: plain characters, groups, alternatives, and counts that cannot explode. */
function sameInJavaScript(pattern: string): string | undefined {
  const isPlain = /^(?:[a-z0-9:/@ -]|\\[.d]|\(\?:|[)|]|\[[a-z]+\]|\{\d\})*$/.test(pattern)
  if (!isPlain || /^\{|[(|{}]\{|\|\{/.test(pattern)) return undefined
  try {
    return new RegExp(pattern, 'u').source
  } catch {
    // What JavaScript does not take is not compared.
    return undefined
  }
}

const template: FuzzTarget = {
  name: 'template',
  about:
    'templates of user and group names, beside a reader of single characters; template and claim are parted by a line feed',
  seeds: [
    'gitlab:${project_path}\nacme/app',
    '${/a/b}-$${x}\nv',
    '$$${project_path}\nx',
    '${project_path\nx',
    'a${}\nx',
    'plain\nx',
  ],
  words: [
    '${',
    '$${',
    '}',
    '$',
    '${project_path}',
    '${/a/b}',
    '${/a/~1}',
    '/',
    '\n',
    '\u202e',
    '\u2028',
    '\u0085',
    '\u0000',
    'x',
  ],
  check: (input) => {
    const [text, value] = halves(input)
    const parsed = parseTemplate(text)
    const reference = slowTemplate(text)
    must(parsed.ok || reference === undefined, 'refused, and the reference reads it')
    if (!parsed.ok) return `refused: ${parsed.problem.code}`
    must(reference !== undefined, 'read, and the reference refuses it')
    const claims = { project_path: value, a: { b: value }, number: 5, list: [value], truth: true }
    const rendered = parsed.template.render(claims)
    const expected = reference(claims)
    agree('rendered', rendered.ok ? rendered.text : undefined, expected)
    if (!rendered.ok) return 'read, not rendered'
    must(rendered.text.startsWith(parsed.template.head), 'the fixed beginning is not the beginning')
    return 'rendered'
  },
}

const goPattern: FuzzTarget = {
  name: 'go-pattern',
  about: "patterns of Go's path.Match, beside its grammar as one regular expression",
  seeds: ['vpc-*', '[a-z][^0-9]?', '[]a]', '[a-', 'a\\', '[\\]-\\^]'],
  words: ['[', ']', '[^', '-', '\\', '*', '?', 'a-z', '^'],
  check: (input) => {
    const pattern = input.toString('utf8')
    if (pattern.length > 60) return 'too long'
    const problem = goPatternProblem(pattern)
    agree('well-formed', problem === undefined, isGoPattern(pattern))
    return problem ?? 'accepted'
  },
}

export const MATCHER_TARGETS: readonly FuzzTarget[] = [glob, prefix, re2, template, goPattern]
