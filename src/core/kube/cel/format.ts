// `'…%s…'.format([…])` on values, as cel-go v0.26 ext/formatting.go (strings library version 2) writes them in English.
import { convert, formatDuration, formatTimestamp } from './conversions.ts'
import { parseFormat } from './format_clauses.ts'
import { cannot, failure, text, typeNameOf } from './value.ts'
import type { FormatClause } from './format_clauses.ts'
import type { CelMap, CelValue } from './value.ts'

type Written =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly problem: CelValue }

export function formatText(format: string, args: readonly CelValue[]): CelValue {
  const parsed = parseFormat(format, args.length, false)
  const written: string[] = []
  let next = 0
  for (const part of parsed.parts) {
    if (part.kind === 'text') {
      written.push(part.text)
      continue
    }
    const argument = args[next]
    next += 1
    const clause = argument === undefined ? undefined : writeClause(part, argument)
    if (clause === undefined) return failure(`index ${next - 1} out of range`)
    if (!clause.ok) return clause.problem
    written.push(clause.text)
  }
  return parsed.ok ? text(written.join('')) : failure(parsed.message)
}

function writeClause(clause: FormatClause, value: CelValue): Written {
  switch (clause.verb) {
    case 's':
      return writeText(value)
    case 'd':
      return isWhole(value)
        ? done(String(value.value))
        : refuse('decimal clause can only be used on integers', value)
    case 'b':
      if (value.kind === 'bool') return done(value.value ? '1' : '0')
      return isWhole(value)
        ? done(value.value.toString(2))
        : refuse('only integers and bools can be formatted as binary', value)
    case 'o':
      return isWhole(value)
        ? done(value.value.toString(8))
        : refuse('octal clause can only be used on integers', value)
    case 'x':
    case 'X':
      return writeHex(value, clause.verb === 'X')
    // Go's English number formatting, with its separators and exponents, is not rebuilt here.
    case 'f':
    case 'e':
      return { ok: false, problem: cannot(`%${clause.verb} in format()`) }
  }
}

function isWhole(value: CelValue): value is Extract<CelValue, { readonly kind: 'int' | 'uint' }> {
  return value.kind === 'int' || value.kind === 'uint'
}

function writeHex(value: CelValue, isUpper: boolean): Written {
  const hex = isWhole(value)
    ? value.value.toString(16)
    : value.kind === 'string' || value.kind === 'bytes'
      ? Buffer.from(value.value).toString('hex')
      : undefined
  if (hex === undefined) {
    return refuse('only integers, byte buffers, and strings can be formatted as hex', value)
  }
  return done(isUpper ? hex.toUpperCase() : hex)
}

function writeText(value: CelValue): Written {
  switch (value.kind) {
    case 'list':
    case 'map':
      return writeNested(value)
    case 'null':
      return done('null')
    case 'type':
      return done(value.name)
    case 'bool':
    case 'bytes':
    case 'double':
    case 'duration':
    case 'int':
    case 'string':
    case 'timestamp':
    case 'uint': {
      const converted = convert('string', value)
      if (converted.kind === 'string') return done(converted.value)
      return { ok: false, problem: cannot('%s of bytes that are no text') }
    }
    case 'error':
    case 'variable':
    case 'optional':
      return refuse(
        'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
        value,
      )
  }
}

/** Inside of lists and maps values are written as CEL would read them. */
function writeNested(value: CelValue): Written {
  switch (value.kind) {
    case 'list': {
      const elements = value.elements.map(writeNested)
      const bad = elements.find((element) => !element.ok)
      return bad ?? done(`[${elements.map((element) => (element.ok ? element.text : '')).join(', ')}]`)
    }
    case 'map':
      return writeMap(value)
    case 'string':
      return quoted(value.value)
    case 'double':
      return Number.isFinite(value.value) && Math.abs(value.value) < 1e21
        ? done(value.value.toFixed(6))
        : { ok: false, problem: cannot('a number that large in format()') }
    case 'timestamp':
      return done(`timestamp("${formatTimestamp(value.value, value.offset)}")`)
    case 'duration':
      return done(`duration("${formatDuration(value.value)}")`)
    case 'bytes':
      return { ok: false, problem: cannot('bytes in a list in format()') }
    case 'error':
    case 'variable':
    case 'optional':
      return {
        ok: false,
        problem: failure(`error during formatting: no formatting function for ${typeNameOf(value)}`),
      }
    case 'bool':
    case 'int':
    case 'null':
    case 'type':
    case 'uint':
      return writeText(value)
  }
}

function writeMap(map: CelMap): Written {
  const pairs: (readonly [string, string])[] = []
  for (const [key, value] of map.entries.values()) {
    if (!['string', 'bool', 'int', 'uint'].includes(key.kind)) {
      const message = `error during formatting: no formatting function for map key of type ${typeNameOf(key)}`
      return { ok: false, problem: failure(message) }
    }
    const [name, content] = [writeNested(key), writeNested(value)]
    if (!name.ok) return name
    if (!content.ok) return content
    pairs.push([name.text, content.text])
  }
  const sorted = pairs.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return done(`{${sorted.map(([key, value]) => `${key}:${value}`).join(', ')}}`)
}

/** Go's %q of plain text; what it would escape in its own way is left to the apiserver. */
function quoted(value: string): Written {
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} \t\n\r]*$/u.test(value)) {
    const escaped = value.replaceAll(/["\\\t\n\r]/g, (character) => JSON.stringify(character).slice(1, -1))
    return done(`"${escaped}"`)
  }
  return { ok: false, problem: cannot('such characters in a list in format()') }
}

function done(written: string): Written {
  return { ok: true, text: written }
}

function refuse(message: string, value: CelValue): Written {
  const problem = failure(`error during formatting: ${message}, was given ${typeNameOf(value)}`)
  return { ok: false, problem }
}
