// What has to be undone at the end, last first: what tap does for a test, for a command.
export type Teardowns = {
  readonly teardown: (undo: () => unknown) => void
  /** Undoes everything, whatever fails on the way. Rejects with the first failure. */
  readonly run: () => Promise<void>
}

export function createTeardowns(): Teardowns {
  const undos: (() => unknown)[] = []
  return {
    teardown: (undo) => void undos.push(undo),
    async run() {
      const failures: unknown[] = []
      for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
        try {
          await undo()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}
