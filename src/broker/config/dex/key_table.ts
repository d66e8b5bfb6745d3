// How the tables of Dex's keys are written down: what a key holds, whether this broker takes it over, and what it
// becomes or why it has no effect. keys.ts and connector_keys.ts are the tables; read_keys.ts walks them.

/** What Go's JSON reader accepts for the key; `any` where this broker does not look inside. */
export type Shape = 'text' | 'flag' | 'count' | 'texts' | 'any'

export type LeafRule = {
  readonly shape: Shape
  readonly verdict: 'taken' | 'ignored'
  readonly why: string
  readonly wayOut: string | undefined
  /** Why one entry of a list that is taken has no effect; `undefined` when it is taken, too. */
  readonly ignoredEntry?: (text: string) => string | undefined
}

export type KeyRule =
  | LeafRule
  | { readonly shape: 'section'; readonly keys: KeyTable }
  | { readonly shape: 'items'; readonly keys: KeyTable }
  /** A section whose keys depend on the `type` that stands beside it; Dex expands variables in it. */
  | { readonly shape: 'by_type'; readonly tables: ReadonlyMap<string, KeyTable> }

/** Keys by the name Dex spells them with; Go matches them in any case. */
export type KeyTable = Readonly<Record<string, KeyRule>>

export function taken(shape: Shape, why: string): KeyRule {
  return { shape, verdict: 'taken', why, wayOut: undefined }
}

/** A list of texts, some of which are ignored. */
export function takenInPart(why: string, ignoredEntry: (text: string) => string | undefined): KeyRule {
  return { shape: 'texts', verdict: 'taken', why, wayOut: undefined, ignoredEntry }
}

export function ignored(shape: Shape, why: string, wayOut?: string): KeyRule {
  return { shape, verdict: 'ignored', why, wayOut }
}

export function section(keys: KeyTable): KeyRule {
  return { shape: 'section', keys }
}

export function items(keys: KeyTable): KeyRule {
  return { shape: 'items', keys }
}

/** Several keys that are ignored for one reason. */
export function allIgnored(names: readonly string[], why: string): KeyTable {
  return Object.fromEntries(names.map((name) => [name, ignored('any', why)]))
}
