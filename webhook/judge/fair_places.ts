// Who has a place where several want one thread: whoever comes takes any that is free, and when none is, one of whoever waits with more.
// Users take turns. So one user has it all while nobody else comes, and holds nobody up who does.

/** What one user has: places in all, of which some wait for their turn, in order. */
type Lane<Item> = { held: number; readonly waiting: Item[] }

export type FairPlacesOptions = {
  /** Waiting and at work, all users together. */
  readonly most: number
  /** At work at a time, of one user: what is at work cannot make room any more. */
  readonly mostAtWork: number
}

export class FairPlaces<Item> {
  readonly #options: FairPlacesOptions
  /** In the order of their turns; a user without a place is not there. */
  readonly #lanes = new Map<string, Lane<Item>>()
  #held = 0

  constructor(options: FairPlacesOptions) {
    this.#options = options
  }

  get held(): number {
    return this.#held
  }

  /** Whether it has places, and nobody more. */
  isBusiest(user: string): boolean {
    const own = this.#lanes.get(user)?.held ?? 0
    return own > 0 && [...this.#lanes.values()].every(({ held }) => held <= own)
  }

  /** Whether one that comes now has a place, or could take one. */
  hasRoomFor(user: string): boolean {
    return this.#held < this.#options.most || this.#longestBeside(user) !== undefined
  }

  /** After `hasRoomFor`: the item that makes room, where none was free. */
  take(user: string, item: Item): Item | undefined {
    const longest = this.#held < this.#options.most ? undefined : this.#longestBeside(user)
    // Whoever came last of those has the least to lose.
    const pushedOut = longest?.lane.waiting.pop()
    if (longest !== undefined) this.free(longest.user)
    const lane = this.#lanes.get(user) ?? { held: 0, waiting: [] }
    lane.held += 1
    lane.waiting.push(item)
    this.#lanes.set(user, lane)
    this.#held += 1
    return pushedOut
  }

  /** Whose turn it is; it stays where it is. */
  next(): Item | undefined {
    return this.#turn()?.lane.waiting[0]
  }

  /** It is at work from now on, until `free`. */
  begin(): Item | undefined {
    const turn = this.#turn()
    if (turn === undefined) return undefined
    const { user, lane } = turn
    this.#lanes.delete(user)
    this.#lanes.set(user, lane)
    return lane.waiting.shift()
  }

  /** A place of this user, which was at work. */
  free(user: string): void {
    const lane = this.#lanes.get(user)
    if (lane === undefined) return
    lane.held -= 1
    this.#held -= 1
    if (lane.held === 0) this.#lanes.delete(user)
  }

  #turn(): { readonly user: string; readonly lane: Lane<Item> } | undefined {
    for (const [user, lane] of this.#lanes) {
      const atWork = lane.held - lane.waiting.length
      if (lane.waiting.length > 0 && atWork < this.#options.mostAtWork) return { user, lane }
    }
    return undefined
  }

  /** Of those who wait whoever has the most, and has no fewer than this user when one of it goes. */
  #longestBeside(user: string): { readonly user: string; readonly lane: Lane<Item> } | undefined {
    let longest: { readonly user: string; readonly lane: Lane<Item> } | undefined
    for (const [other, lane] of this.#lanes)
      if (lane.waiting.length > 0 && lane.held > (longest?.lane.held ?? 0)) longest = { user: other, lane }
    const own = this.#lanes.get(user)?.held ?? 0
    return longest !== undefined && longest.lane.held > own + 1 ? longest : undefined
  }
}
