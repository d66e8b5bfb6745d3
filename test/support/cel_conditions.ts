// Conditions grown from a grammar, over the claims of the probes.
import { constant, constantFrom, oneof, tuple } from 'fast-check'
import type { Arbitrary } from 'fast-check'

const pick = (...texts: readonly string[]) => constantFrom(...texts)
const glued = (...parts: readonly Arbitrary<string>[]) => tuple(...parts).map((texts) => texts.join(''))
const text = (literal: string) => constant(literal)

/** Loop variables have names of their own at each depth, as the profile wants. */
function grammar(depth: number) {
  const variable = `x${depth}`
  if (depth === 0) {
    return {
      words: pick(
        'claims.ref',
        '"a"',
        '"main"',
        '""',
        'client',
        'claims.empty',
        'claims.missing',
        'claims["ref"]',
      ),
      numbers: pick(
        '1',
        '2',
        '0',
        'claims.exp',
        'claims.half',
        '1.5',
        '-1',
        'claims.numbers[1]',
        '9223372036854775807',
      ),
      lists: pick(
        'claims.groups',
        'claims.numbers',
        'claims.none',
        '["a", "main"]',
        '[1, 2]',
        'claims.lists[0]',
        'claims.ref',
      ),
      bools: pick(
        'true',
        'false',
        'claims.flag == true',
        'has(claims.ref)',
        'has(claims.missing)',
        '"a" in claims.groups',
      ),
    }
  }
  const below: { readonly [kind in 'words' | 'numbers' | 'lists' | 'bools']: Arbitrary<string> } = grammar(
    depth - 1,
  )
  const { words, numbers, lists, bools } = below
  const loop = pick(variable)
  const body = oneof(bools, glued(loop, pick(' == ', ' != '), oneof(words, numbers)))
  return {
    words: oneof(
      words,
      glued(text('('), words, text(' + '), words, text(')')),
      glued(words, pick('.lowerAscii()', '.trim()', '.substring(1)', '.upperAscii()')),
      glued(text('('), bools, text(' ? '), words, text(' : '), words, text(')')),
      glued(text('string('), numbers, text(')')),
    ),
    numbers: oneof(
      numbers,
      glued(text('('), numbers, pick(' + ', ' - ', ' * ', ' / ', ' % '), numbers, text(')')),
      glued(text('size('), oneof(words, lists), text(')')),
      glued(text('int('), oneof(numbers, words), text(')')),
      glued(words, text('.indexOf('), words, text(')')),
    ),
    lists: oneof(
      lists,
      glued(text('('), lists, text(' + '), lists, text(')')),
      glued(lists, text(`.map(${variable}, `), oneof(loop, words, numbers), text(')')),
      glued(lists, text(`.filter(${variable}, `), body, text(')')),
      glued(words, text('.split('), pick('","', '"a"', '""'), text(')')),
    ),
    bools: oneof(
      bools,
      glued(text('('), bools, pick(' && ', ' || '), bools, text(')')),
      glued(text('!('), bools, text(')')),
      glued(text('('), words, pick(' == ', ' != ', ' < ', ' >= '), words, text(')')),
      glued(text('('), numbers, pick(' == ', ' != ', ' < ', ' >= '), numbers, text(')')),
      glued(text('('), lists, pick(' == ', ' != '), lists, text(')')),
      glued(text('('), oneof(words, numbers), text(' in '), lists, text(')')),
      glued(lists, pick('.all(', '.exists(', '.exists_one('), text(`${variable}, `), body, text(')')),
      glued(words, pick('.startsWith(', '.endsWith(', '.contains('), words, text(')')),
      glued(words, pick('.matches("^m")', '.matches("a|b")', '.matches("^$")')),
      glued(text('('), bools, text(' ? '), bools, text(' : '), bools, text(')')),
    ),
  }
}

export const anyCondition: Arbitrary<string> = oneof(grammar(1).bools, grammar(2).bools, grammar(3).bools)
