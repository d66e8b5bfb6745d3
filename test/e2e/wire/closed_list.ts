// Holds the answers of both brokers against the closed list of differences (src/broker/wire/dex_differences.ts): a
// difference that is not on it is a fault, and so is an entry that no longer differs.
import type { DexDifference } from '../../../src/broker/wire/dex_differences.ts'
import type { Difference } from './compare.ts'

/**
 * One line of an entry's `probes`: `NAME`, `NAME > ASPECT` or `NAME > ASPECT = VALUE`, where `*` in NAME and VALUE
 * stands for anything. With an aspect it explains that aspect alone (`header cache-control`, `access_token claims`),
 * with a value only where we answer exactly that; without one, what the lines with an aspect leave over.
 */
type Pattern = {
  readonly text: string
  readonly entry: string
  readonly name: RegExp
  readonly aspect: string | undefined
  readonly value: RegExp | undefined
}

export type Judgement = {
  /** Differences that no entry explains, as `probe > aspect`. */
  readonly unlisted: readonly (Difference & { readonly probe: string })[]
  /** Lines of entries that explained nothing, as `entry: line`. */
  readonly stale: readonly string[]
  /** Entries that explain something about a probe, by the probe's name. */
  readonly explained: ReadonlyMap<string, ReadonlySet<string>>
}

export type Compared = { readonly probe: string; readonly differences: readonly Difference[] }

export function judgeDifferences(
  compared: readonly Compared[],
  entries: readonly DexDifference[],
): Judgement {
  const patterns = entries.flatMap((entry) => entry.probes.map((line) => parsePattern(entry.id, line)))
  const used = new Set<Pattern>()
  const explained = new Map<string, Set<string>>()
  const unlisted: (Difference & { readonly probe: string })[] = []
  const explain = (probe: string, pattern: Pattern): void => {
    used.add(pattern)
    explained.set(probe, (explained.get(probe) ?? new Set()).add(pattern.entry))
  }
  for (const { probe, differences } of compared) {
    const named = patterns.filter((pattern) => pattern.name.test(probe))
    for (const difference of differences) {
      const narrow = named.find((pattern) => pattern.aspect !== undefined && fits(pattern, difference))
      const pattern = narrow ?? named.find((wide) => wide.aspect === undefined)
      if (pattern === undefined) unlisted.push({ ...difference, probe })
      else explain(probe, pattern)
    }
  }
  const stale = patterns.filter((pattern) => !used.has(pattern)).map(({ entry, text }) => `${entry}: ${text}`)
  return { unlisted, stale, explained }
}

function fits(pattern: Pattern, difference: Difference): boolean {
  if (pattern.aspect !== difference.aspect) return false
  return pattern.value === undefined || pattern.value.test(difference.ours ?? '')
}

function parsePattern(entry: string, text: string): Pattern {
  const [name, rest] = splitOnce(text, ' > ')
  const [aspect, value] = rest === undefined ? [undefined, undefined] : splitOnce(rest, ' = ')
  return {
    text,
    entry,
    name: glob(name),
    aspect,
    value: value === undefined ? undefined : glob(value),
  }
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)]
}

function glob(text: string): RegExp {
  const escaped = text.split('*').map((part) => part.replaceAll(/[$()+.?[\\\]^{|}]/g, String.raw`\$&`))
  return new RegExp(`^${escaped.join('.*')}$`, 's')
}
