// What a claim takes, and what is left of a thing when a part of it is taken. The stores call this within one
// transaction, so that all of them agree.

/** One use of a thing that may be used once, or once in each of its parts. */
export type Claim = {
  readonly key: string
  /** What is taken; empty: the whole. Whoever has a part keeps others from the whole, and the other way round. */
  readonly parts: readonly string[]
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The value of a key of which these parts are taken; `''`: the whole, as `claimOnce` writes it. */
export function claimedValue(parts: readonly string[]): string {
  return parts.length === 0 ? '' : JSON.stringify(parts)
}

/** The value after `parts` were taken as well; `undefined` when what `held` says leaves no room for them. */
export function claimedToo(held: string, parts: readonly string[]): string | undefined {
  // Only a list that a claim has written begins so; every other value is somebody's whole.
  if (parts.length === 0 || !held.startsWith('[')) return undefined
  const taken: unknown = JSON.parse(held)
  if (!Array.isArray(taken) || parts.some((part) => taken.includes(part))) return undefined
  return JSON.stringify([...taken, ...parts])
}
