// Matchers by trying everything: exponential where they must be, and a page long.

const DELIMITERS = '/:@'

/** The small glob: `*` is one or more characters that are no delimiter. */
export function slowGlob(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  if (!pattern.startsWith('*')) return pattern[0] === text[0] && slowGlob(pattern.slice(1), text.slice(1))
  for (let taken = 1; taken <= text.length && !DELIMITERS.includes(text.charAt(taken - 1)); taken += 1)
    if (slowGlob(pattern.slice(1), text.slice(taken))) return true
  return false
}

/** A regular expression as a tree; `printed` is its text, `ends` where it can end when it begins at a place. */
export type Regex =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'any' }
  | { readonly is: 'class'; readonly members: string; readonly negated: boolean }
  | { readonly is: 'all'; readonly parts: readonly Regex[] }
  | { readonly is: 'one'; readonly parts: readonly Regex[] }
  | { readonly is: 'times'; readonly part: Regex; readonly least: number; readonly most: number }

/** As RE2 writes it. Texts are quoted character by character. */
export function printed(regex: Regex): string {
  switch (regex.is) {
    case 'text':
      return regex.text.replaceAll(/[\\^$.|?*+()[\]{}]/g, '\\$&')
    case 'any':
      return '.'
    case 'class':
      return `[${regex.negated ? '^' : ''}${regex.members.replaceAll(/[\\\]^-]/g, '\\$&')}]`
    case 'all':
      return regex.parts.map(printed).join('')
    case 'one':
      return `(?:${regex.parts.map(printed).join('|')})`
    case 'times':
      return `(?:${printed(regex.part)}){${regex.least},${regex.most}}`
  }
}

/** Every place where a match that begins at `from` can end. `points` are code points. */
export function ends(regex: Regex, points: readonly string[], from: number): ReadonlySet<number> {
  const point = points[from]
  switch (regex.is) {
    case 'text': {
      const wanted = Array.from(regex.text)
      return new Set(wanted.every((one, index) => points[from + index] === one) ? [from + wanted.length] : [])
    }
    case 'any':
      return new Set(point === undefined || point === '\n' ? [] : [from + 1])
    case 'class':
      return new Set(point !== undefined && regex.members.includes(point) !== regex.negated ? [from + 1] : [])
    case 'all':
      return regex.parts.reduce<ReadonlySet<number>>(
        (places, part) => after(places, part, points),
        new Set([from]),
      )
    case 'one':
      return new Set(regex.parts.flatMap((part) => [...ends(part, points, from)]))
    case 'times': {
      const found = new Set<number>()
      let places: ReadonlySet<number> = new Set([from])
      for (let time = 0; time <= regex.most; time += 1) {
        if (time >= regex.least) for (const place of places) found.add(place)
        places = after(places, regex.part, points)
      }
      return found
    }
  }
}

function after(places: ReadonlySet<number>, part: Regex, points: readonly string[]): ReadonlySet<number> {
  const found = new Set<number>()
  for (const place of places) for (const end of ends(part, points, place)) found.add(end)
  return found
}

/** Go's `path.Match` as far as the pattern goes: is every `[` closed, with members, and nothing escaped at the end? */
export function isGoPattern(pattern: string): boolean {
  const member = String.raw`(?:\\[^]|[^\\\]-])`
  const whole = new RegExp(
    String.raw`^(?:\[(?:\^|(?!\^))(?:${member}(?:-${member})?)+\]|\\[^]|[^\\[])*$`,
    'u',
  )
  return whole.test(pattern)
}
