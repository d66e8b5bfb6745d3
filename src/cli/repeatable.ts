// An option that may be given again: `-f a.yaml -f b.yaml`.

/** As commander asks for it: the next value, and what came before. */
export function gather(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}
