// The options of what is run by hand (`npm run fuzz`, `npm run chaos`).
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'

/** Said to whoever called, without a trace. */
export class Misuse extends Error {}

export function readOptions<const Options extends NonNullable<ParseArgsConfig['options']>>(options: Options) {
  try {
    return parseArgs({ options, strict: true }).values
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : String(error))
  }
}

export function wholeNumber(text: string | undefined, otherwise: number, name: string): number {
  if (text === undefined) return otherwise
  if (!/^\d{1,9}$/.test(text)) throw new Misuse(`${name} wants a whole number, not "${text}"`)
  return Number(text)
}
