// Patterns of Go's path.Match, with which OpenDepot matches the names of Modules: `*`, `?`, `[a-z]`, `[^a]`, `\` before any
// character. A malformed one matches nothing, and nobody is told.

/** `undefined`: well-formed. */
export function goPatternProblem(pattern: string): string | undefined {
  const points = Array.from(pattern)
  let at = 0
  while (at < points.length) {
    const point = points[at]
    if (point === '\\' && at + 1 >= points.length) return 'it ends with a backslash'
    if (point === '\\') at += 2
    else if (point !== '[') at += 1
    else {
      const end = classEnd(points, at)
      if (end === undefined) return 'a [ opens what no ] closes'
      at = end
    }
  }
  return undefined
}

/** Behind the `]`. In a class a range has two ends, and neither `-` nor `]` stands for itself without a backslash. */
function classEnd(points: readonly string[], from: number): number | undefined {
  let at = points[from + 1] === '^' ? from + 2 : from + 1
  let ranges = 0
  while (points[at] !== ']' || ranges === 0) {
    const low = memberEnd(points, at)
    if (low === undefined) return undefined
    at = low
    if (points[at] === '-') {
      const high = memberEnd(points, at + 1)
      if (high === undefined) return undefined
      at = high
    }
    ranges += 1
  }
  return at + 1
}

function memberEnd(points: readonly string[], at: number): number | undefined {
  const point = points[at]
  if (point === undefined || point === '-' || point === ']') return undefined
  const end = point === '\\' ? at + 2 : at + 1
  // A class needs its ] behind it.
  return end < points.length ? end : undefined
}
