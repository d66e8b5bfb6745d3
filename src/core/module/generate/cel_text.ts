// CEL of Kubernetes 1.34 and later, written by us: literals, and the phrases that several rules share. Nothing that a policy says
// gets into an expression but as a literal.

/** An expression. */
export type Cel = string

/** A variable of a ValidatingAdmissionPolicy. Evaluated when first read, once for a binding. */
export type Variable = {
  readonly name: string
  readonly expression: Cel
  /**
   * Its expression is printed where it is read: it is cheap, or read at one place that is in no loop. Each expression by itself costs
   * kube-apiserver memory for good, since it carries all functions that there are.
   */
  readonly inline?: true
}

/** JSON's escapes are CEL's. */
export function celText(text: string): Cel {
  return JSON.stringify(text)
}

export function celList(texts: readonly string[]): Cel {
  return `[${texts.map(celText).join(', ')}]`
}

/** A pattern of RE2; a raw literal, so it has no quote. */
export function celPattern(pattern: string): Cel {
  if (pattern.includes("'")) throw new Error('a pattern with a quote is no raw literal')
  return `r'${pattern}'`
}

/** In brackets, so that it stands in any expression; false of none. */
export function anyOf(conditions: readonly Cel[]): Cel {
  return conditions.length === 0 ? 'false' : `(${conditions.join(' || ')})`
}

/** true of none. */
export function allOf(conditions: readonly Cel[]): Cel {
  return conditions.length === 0 ? 'true' : `(${conditions.join(' && ')})`
}

/** As in the webhook's sentences: in quotes, at most 80 characters. kube-apiserver drops a message with a line break. */
export function quoted(text: Cel): Cel {
  const printable = celPattern('^[^\\p{C}\\x{2028}\\x{2029}]*$')
  // CEL has no other way to name what is read three times.
  return `[${text}].map(said, !said.matches(${printable}) ? '"(unprintable)"'
: said.size() > 80 ? '"' + said.substring(0, 80) + '..."' : '"' + said + '"')[0]`
}

const MAX_TOLD = 3

export type Noted = {
  readonly rule: string
  /** A list. */
  readonly list: Cel
  /** The sentence about one of them. */
  readonly sentence: (one: Cel) => Cel
  /** What one of them is called where there are many. */
  readonly short?: (one: Cel) => Cel
}

export type Told = Noted & {
  /** The same for all, which is what the list is called in it: `all`. */
  readonly wayOut: Cel
}

/** `WH-V1: first; second; third; the same of a, b, c and 2 more. Instead: ...` as a list of one text; empty of an empty list. */
export function told({ wayOut, ...rest }: Told): Cel {
  return listed(rest, ` + '. Instead: ' + (${wayOut})`)
}

/** Without a way out. */
export function noted(about: Noted): Cel {
  return listed(about, '')
}

const most = (count: number): Cel => `(all.size() < ${count} ? all.size() : ${count})`

function listed({ rule, list, sentence, short = (one) => one }: Noted, end: Cel): Cel {
  const shown = `all.slice(0, ${most(MAX_TOLD)}).map(one, ${sentence('one')}).join('; ')`
  const named = `all.slice(${MAX_TOLD}, ${most(2 * MAX_TOLD)}).map(one, ${short('one')}).join(', ')`
  const more = `(all.size() > ${2 * MAX_TOLD} ? ' and ' + string(all.size() - ${2 * MAX_TOLD}) + ' more' : '')`
  const rest = `(all.size() > ${MAX_TOLD} ? '; the same of ' + ${named} + ${more} : '')`
  return `[${list}].filter(all, all.size() > 0).map(all,
${celText(`${rule}: `)} + ${shown} + ${rest}${end})`
}

/** One sentence, where the condition holds. */
export function toldWhere(condition: Cel, rule: string, sentence: Cel, wayOut: Cel): Cel {
  return `${condition} ? [${celText(`${rule}: `)} + ${sentence} + '. Instead: ' + (${wayOut})] : []`
}

/** A notice that asks for nothing. */
export function notedWhere(condition: Cel, rule: string, sentence: Cel): Cel {
  return `${condition} ? [${celText(`${rule}: `)} + ${sentence}] : []`
}

export type Written = { readonly variables: readonly Variable[]; readonly inPlace: (expression: Cel) => Cel }

/** What is declared, with what is inline in its places. */
export function written(declared: readonly Variable[]): Written {
  const inlined = new Map(
    declared.filter((one) => one.inline === true).map((one) => [one.name, one.expression]),
  )
  const inPlace = (expression: Cel): Cel =>
    expression.replaceAll(READ, (read: string, name: string) => {
      const own = inlined.get(name)
      return own === undefined ? read : `(${inPlace(own)})`
    })
  const variables = declared
    .filter(({ name }) => !inlined.has(name))
    .map(({ name, expression }) => ({ name, expression: inPlace(expression) }))
  return { variables, inPlace }
}

/** Those variables that the expressions read, and what these read, in the order in which they are declared. */
export function variablesRead(
  declared: readonly Variable[],
  expressions: readonly Cel[],
): readonly Variable[] {
  const wanted = new Set<string>()
  const pending = [...expressions]
  for (let expression = pending.pop(); expression !== undefined; expression = pending.pop()) {
    for (const name of namesRead(expression)) {
      if (wanted.has(name)) continue
      const variable = declared.find((one) => one.name === name)
      if (variable === undefined) throw new Error(`no variable is called ${name}`)
      wanted.add(name)
      pending.push(variable.expression)
    }
  }
  return declared.filter(({ name }) => wanted.has(name))
}

const READ = /\bvariables\.([A-Za-z0-9_]+)/g

function namesRead(expression: Cel): readonly string[] {
  return [...expression.matchAll(READ)].map(([, name = '']) => name)
}

/** A version as sentences name it: plain, and in quotes what is none. */
export function plainTextOf(text: Cel, isVersion: (text: Cel) => Cel, plainOf: (text: Cel) => Cel): Cel {
  const plain = plainOf(text)
  return `${isVersion(plain)} ? ${plain} : ${quoted(text)}`
}
