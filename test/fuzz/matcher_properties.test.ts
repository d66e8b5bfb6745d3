// Globs, patterns and templates that nearly match, beside matchers that try everything.
import { array, constantFrom, integer, letrec, oneof, record, string, tuple } from 'fast-check'
import t from 'tap'
import { globMatches } from '../../src/core/policy/glob.ts'
import { compileAnchored, compileSearch, hasUnescapedDot } from '../../src/core/policy/re2.ts'
import { anyText, holdsForAll } from './property.ts'
import { ends, printed, slowGlob } from './reference/matching.ts'
import type { Regex } from './reference/matching.ts'
import { agree, must } from './target.ts'
import { targetNamed } from './targets.ts'

const near = constantFrom('a', 'b', '/', ':', '@', '-', 'aa')
const text = array(near, { maxLength: 9 }).map((parts) => parts.join(''))

t.test('a glob matches what a matcher that tries every length matches', async (t) => {
  const pattern = array(oneof(near, constantFrom('*', '**', '*/')), { maxLength: 7 }).map((parts) =>
    parts.join(''),
  )
  holdsForAll(t, 4000, tuple(pattern, text), ([glob, value]) => {
    agree('match', globMatches(glob, value), slowGlob(glob, value))
    targetNamed('glob').check(Buffer.from(`${glob}\n${value}`))
  })
})

t.test('a star never crosses a delimiter, and a text without stars matches itself alone', async (t) => {
  holdsForAll(t, 2000, tuple(text, text), ([one, other]) => {
    agree('itself', globMatches(one, other), one === other)
    const isFree = other !== '' && !/[/:@]/.test(other)
    agree('one star', globMatches(`${one}*`, `${one}${other}`), isFree)
  })
})

t.test('a glob of a long text takes linear space and no time to speak of', async (t) => {
  holdsForAll(t, 40, integer({ min: 1, max: 8 }), (stars) => {
    const began = performance.now()
    globMatches(`${'a*'.repeat(stars)}b`, 'a'.repeat(16_000))
    must(performance.now() - began < 500, `${stars} stars`)
  })
})

t.test('a prefix covers what goes on behind its delimiter, and nothing else', async (t) => {
  holdsForAll(t, 2000, tuple(text, text), ([prefix, value]) => {
    targetNamed('prefix').check(Buffer.from(`${prefix}\n${value}`))
    targetNamed('prefix').check(Buffer.from(`${prefix}/\n${prefix}/${value}`))
  })
})

const { tree } = letrec<{ tree: Regex; leaf: Regex }>((tie) => ({
  leaf: oneof(
    constantFrom<Regex>(
      { is: 'any' },
      { is: 'text', text: '.' },
      { is: 'text', text: '' },
      { is: 'text', text: '\\' },
    ),
    constantFrom('a', 'b', 'ab', '😀', '^', '$', '(', '[', '\n', '-').map((literal): Regex => ({
      is: 'text',
      text: literal,
    })),
    tuple(constantFrom('ab', 'a]', '^a', '-b', '😀', '\\'), constantFrom(true, false)).map(
      ([members, negated]): Regex => ({ is: 'class', members, negated }),
    ),
  ),
  tree: oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    array(tie('tree'), { minLength: 1, maxLength: 3 }).map((parts): Regex => ({ is: 'all', parts })),
    array(tie('tree'), { minLength: 1, maxLength: 3 }).map((parts): Regex => ({ is: 'one', parts })),
    tuple(tie('tree'), integer({ min: 0, max: 2 }), integer({ min: 0, max: 2 })).map(
      ([part, least, more]): Regex => ({ is: 'times', part, least, most: least + more }),
    ),
  ),
}))

t.test('RE2 patterns match whole texts and parts as a matcher that follows every way does', async (t) => {
  const subject = array(constantFrom('a', 'b', 'ab', '😀', '.', '^', '\\', '\n', '(', ']', '-'), {
    maxLength: 6,
  }).map((parts) => parts.join(''))
  const seen = { compared: 0, whole: 0 }
  holdsForAll(t, 3000, tuple(tree, subject), ([regex, value]) => {
    const pattern = printed(regex)
    const [whole, search] = [compileAnchored(pattern), compileSearch(pattern)]
    if (pattern === '' || pattern.length > 512) return must(!whole.ok, 'an empty or endless pattern')
    must(whole.ok && search.ok, 'a good pattern is refused')
    const points = Array.from(value)
    const isWhole = ends(regex, points, 0).has(points.length)
    const isFound = Array.from(
      { length: points.length + 1 },
      (_, from) => ends(regex, points, from).size > 0,
    ).includes(true)
    seen.compared += 1
    if (isWhole) seen.whole += 1
    agree(`whole ${pattern}`, whole.test(value), isWhole)
    agree(`found ${pattern}`, search.test(value), isFound)
  })
  t.ok(seen.whole > seen.compared / 50, JSON.stringify(seen))
})

t.test('a dot that stands for any character is seen, wherever it hides', async (t) => {
  holdsForAll(t, 2000, tree, (regex) => {
    const pattern = printed(regex)
    agree(pattern, hasUnescapedDot(pattern), hasAny(regex))
  })
})

function hasAny(regex: Regex): boolean {
  if (regex.is === 'all' || regex.is === 'one') return regex.parts.some(hasAny)
  return regex.is === 'times' ? hasAny(regex.part) : regex.is === 'any'
}

t.test('any pattern is compiled or refused, and no flag gets in', async (t) => {
  const scrap = constantFrom(
    '(',
    ')',
    '(?',
    '(?i)',
    '(?P<n>',
    '(?:',
    '[',
    ']',
    '[^',
    '\\Q',
    '\\E',
    '\\',
    '{2}',
    '*',
    '|',
    '.',
    'a',
    '[:alpha:]',
    '$',
    '^',
    '😀',
  )
  holdsForAll(t, 3000, tuple(array(scrap, { maxLength: 7 }), string({ maxLength: 4 })), ([parts, value]) => {
    targetNamed('re2').check(Buffer.from(`${parts.join('')}\n${value}`))
    targetNamed('go-pattern').check(Buffer.from(parts.join('')))
    const compiled = compileAnchored(`${parts.join('')}k`)
    // U+212A is what `k` means as well where case is folded.
    if (compiled.ok && compiled.test('k'))
      must(!compiled.test('\u212a') || /[.[\]^|*]/.test(parts.join('')), 'a flag')
  })
})

t.test('a template says what a reader of single characters says', async (t) => {
  const part = oneof(
    constantFrom(
      '${',
      '$${',
      '$',
      '}',
      '${project_path}',
      '${/a/b}',
      '${number}',
      '${list}',
      '${truth}',
      '${missing}',
      'gitlab:',
      '/',
      '~',
      '\u202e',
      '\u0085',
    ),
    string({ maxLength: 3 }),
  )
  const value = oneof(
    anyText(5),
    integer({ min: 1000, max: 1030 }).map((length) => 'x'.repeat(length)),
  )
  holdsForAll(t, 3000, record({ parts: array(part, { maxLength: 5 }), value }), ({ parts, value: claim }) => {
    targetNamed('template').check(
      Buffer.from(`${parts.join('').replaceAll('\n', '')}\n${claim.toWellFormed()}`),
    )
  })
})
