// What the fuzz command and the properties share: one door, its corpus, and a slow and obvious reference beside it.

/** One door. `check` is a pure function of the bytes. */
export type FuzzTarget = {
  /** A folder of the corpus has this name. */
  readonly name: string
  /** What is asked and what it is compared with, in one line of the help. */
  readonly about: string
  /** Inputs to begin with. */
  readonly seeds: readonly string[]
  /** Scraps that mean something to this door; mutation puts them in. */
  readonly words: readonly string[]
  /**
   * The class of the outcome (`accepted`, `refused: not JSON`): an input that gives a new one is worth keeping.
   * Throws `Disagreement` where the door and the reference differ; anything else that is thrown is a crash.
   */
  readonly check: (input: Buffer) => string
}

/** The door said one thing and the reference another. */
class Disagreement extends Error {
  override readonly name = 'Disagreement'
}

/** Throws unless both are the same JSON. `what` is part of the message. */
export function agree(what: string, ours: unknown, reference: unknown): void {
  const [left, right] = [JSON.stringify(ours), JSON.stringify(reference)]
  if (left !== right) throw new Disagreement(`${what}: we say ${shown(left)}, the reference ${shown(right)}`)
}

/** Throws unless `holds`. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Disagreement(what)
}

/** A JSON value as text, which of a text is itself. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

/** The first words of a sentence, so that what it quotes makes no outcome of its own. */
export function phrase(sentence: string): string {
  return /^(?:[A-Za-z_]+ ?){0,3}/.exec(sentence)?.[0].trim() ?? ''
}

function shown(text: string | undefined): string {
  return text === undefined ? 'nothing' : text.slice(0, 300)
}
