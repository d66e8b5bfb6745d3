// How the two explain commands print a step.

const MARKS = { yes: 'yes', no: 'NO ', unchecked: ' ? ', 'not reached': ' - ' } as const

/** `yes  audience   kubernetes`; `width` is that of the widest name. */
export function stepLine(outcome: keyof typeof MARKS, step: string, value: string, width: number): string {
  return `${MARKS[outcome]}  ${step.padEnd(width)} ${value}`.trimEnd()
}

/** A step within the step above it; its value stands two columns further right. */
export function subStepLine(outcome: keyof typeof MARKS, step: string, value: string, width: number): string {
  return stepLine(outcome, `  ${step}`, value, width + 2)
}
