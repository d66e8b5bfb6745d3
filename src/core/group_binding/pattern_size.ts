// How large a pattern is once its counts are written out, which is what compiling it costs: `(ab){500}` is a thousand steps.

/** Whole classes and escapes are one step each; a count multiplies what stands before it. */
const PART =
  /\\[xpP]\{[^}]*\}|\\[^]|\[\^?\]?(?:\[:\w*:\]|\\[^]|[^\]\\])*\]|\{(?<least>\d{1,5})(?:,(?<most>\d{0,5}))?\}|[^]/gu

/** At least as many steps as the pattern has, and of one without counts no more than its characters. */
export function patternSize(pattern: string): number {
  // What is quoted has brackets that open nothing.
  if (pattern.includes(String.raw`\Q`)) return pattern.length * (/\{\d/.test(pattern) ? MOST_COPIES : 1)
  const open: number[] = []
  let [sum, last] = [0, 0]
  for (const { 0: part, groups } of pattern.matchAll(PART)) {
    if (groups?.['least'] !== undefined) {
      const copies = Math.min(MOST_COPIES, Math.max(1, Number(groups['least']), Number(groups['most'] ?? 0)))
      sum += last * (copies - 1)
      last *= copies
      continue
    }
    if (/^[*+?]$/.test(part)) continue
    if (part === '(') {
      open.push(sum)
      sum = 0
      last = 1
      continue
    }
    last = part === ')' ? sum + 1 : 1
    sum = part === ')' ? (open.pop() ?? 0) + last : sum + 1
  }
  return open.reduce((whole, inner) => whole + inner, sum)
}

/** More of anything Go's regexp refuses. */
const MOST_COPIES = 1000
