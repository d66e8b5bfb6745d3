// What was made of a text before. For pure functions of texts that come again and again, so that an entry never ages.
import { ownText } from './own_text.ts'

/** Then all are forgotten: whoever brings ever new texts costs time, and no memory. */
const MAX_TEXTS = 64
/** Longer ones are nobody's usual text, and not worth the memory. */
const MAX_CHARACTERS = 512

/**
 * `compute` for texts that are nearly always one of a few. It is given a text of its own, so that nothing made of it keeps the
 * request it stood in. `isKept`: which outcomes are remembered; all by default.
 */
export function rememberTexts<T>(
  compute: (text: string) => T,
  isKept: (outcome: T) => boolean = () => true,
): (text: string) => T {
  const known = new Map<string, { readonly outcome: T }>()
  return (text) => {
    if (text.length > MAX_CHARACTERS) return compute(text)
    const before = known.get(text)
    if (before !== undefined) return before.outcome
    const own = ownText(text)
    const outcome = compute(own)
    if (!isKept(outcome)) return outcome
    if (known.size >= MAX_TEXTS) known.clear()
    known.set(own, { outcome })
    return outcome
  }
}
