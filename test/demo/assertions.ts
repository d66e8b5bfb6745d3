// What a demo claims, counted: it prints only what does not hold, and says at its end how much did.
export type Assertions = {
  readonly check: (holds: boolean, assertion: string) => void
  /** Prints the sum and what failed; the exit code. */
  readonly conclude: () => 0 | 1
}

export function createAssertions(): Assertions {
  const problems: string[] = []
  let count = 0
  return {
    check: (holds, assertion) => {
      count += 1
      if (holds) return
      problems.push(assertion)
      console.log(`  FAILED: ${assertion}`)
    },
    conclude: () => {
      console.log(`\n${count - problems.length} of ${count} assertions held.`)
      for (const problem of problems) console.log(`FAILED: ${problem}`)
      return problems.length === 0 ? 0 : 1
    },
  }
}

/** Two spaces before each line. */
export function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ')
}
