// The format strings of `'%s-%d'.format([…])`: cel-go v0.26 ext/formatting.go (strings library version 2).

export type FormatClause = {
  readonly verb: 's' | 'd' | 'f' | 'e' | 'b' | 'x' | 'X' | 'o'
  readonly precision: number | undefined
}

type FormatPart =
  | { readonly kind: 'text'; readonly text: string }
  | (FormatClause & { readonly kind: 'clause' })

export type ParsedFormat =
  | { readonly ok: true; readonly parts: readonly FormatPart[] }
  /** `clauses`: how many were read before it went wrong, whose arguments are looked at first. */
  | { readonly ok: false; readonly message: string; readonly parts: readonly FormatPart[] }

const CLAUSE = /%(?:(%)|(?:\.(\d*))?([^]?))|[^%]+/gu

/** Reads a format string for `size` arguments. A lone `%` at the end is told before a missing argument when checking only. */
export function parseFormat(format: string, size: number, isChecking: boolean): ParsedFormat {
  const parts: FormatPart[] = []
  let clauses = 0
  for (const match of format.matchAll(CLAUSE)) {
    const [whole, percent, digits, verb] = match
    if (!whole.startsWith('%') || percent !== undefined) {
      parts.push({ kind: 'text', text: percent ?? whole })
      continue
    }
    if (clauses >= size && !(isChecking && whole === '%'))
      return { ok: false, message: `index ${clauses} out of range`, parts }
    const problem = clauseProblem(whole, digits, verb)
    if (problem !== undefined) return { ok: false, message: problem, parts }
    if (isVerb(verb)) {
      const precision = digits === undefined ? undefined : Number(digits)
      parts.push({ kind: 'clause', verb, precision })
    }
    clauses += 1
  }
  return { ok: true, parts }
}

function clauseProblem(
  whole: string,
  digits: string | undefined,
  verb: string | undefined,
): string | undefined {
  if (whole === '%') return 'unexpected end of string'
  const start = 'could not parse formatting clause: '
  if (digits !== undefined && (verb === undefined || verb === '')) {
    return `${start}error while parsing precision: could not find end of precision specifier`
  }
  if (digits === '') {
    return `${start}error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax`
  }
  if (isVerb(verb)) return undefined
  return `${start}unrecognized formatting clause "${firstByte(verb ?? '')}"`
}

function isVerb(verb: string | undefined): verb is FormatClause['verb'] {
  return verb !== undefined && verb !== '' && 'sdfebxXo'.includes(verb)
}

/** cel-go reads format strings byte by byte. */
function firstByte(verb: string): string {
  return Buffer.from(verb).subarray(0, 1).toString('latin1')
}
