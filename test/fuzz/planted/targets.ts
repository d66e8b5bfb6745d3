// Doors with a bug that somebody put there: the fuzz command has to find each, and name the input.
import { agree } from '../target.ts'
import type { FuzzTarget } from '../target.ts'

const add = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

/** Reads a sum of single digits, and forgets the last digit when there are more than three. */
const sum: FuzzTarget = {
  name: 'planted-sum',
  about: 'adds digits, and loses one of more than three',
  seeds: ['1+2'],
  words: ['+', '1', '9'],
  check: (input) => {
    const text = input.toString('latin1')
    if (!/^\d(?:\+\d)*$/.test(text)) return 'refused'
    const digits = text.split('+').map(Number)
    const kept = digits.length > 3 ? digits.slice(0, -1) : digits
    agree('sum', add(kept), add(digits))
    return `sum of ${digits.length}`
  },
}

/** Throws where it should refuse. */
const crash: FuzzTarget = {
  name: 'planted-crash',
  about: 'takes an unclosed quotation for a closed one',
  seeds: ['"a"', 'a'],
  words: ['"', 'a'],
  check: (input) => {
    const text = input.toString('latin1')
    if (!text.startsWith('"')) return 'plain'
    if (!text.slice(1).includes('"')) throw new RangeError('end of quotation not found')
    return 'quoted'
  },
}

/** Waits for a time that is over. */
const hang: FuzzTarget = {
  name: 'planted-hang',
  about: 'never comes back from three exclamation marks',
  seeds: ['!', 'a'],
  words: ['!', 'a'],
  check: (input) => {
    if (input.includes('!!!')) for (;;) if (performance.now() < 0) return 'never'
    return 'back'
  },
}

const sound: FuzzTarget = {
  name: 'planted-nothing',
  about: 'has no bug',
  seeds: ['a'],
  words: ['b'],
  check: (input) => (input.length > 3 ? 'long' : 'short'),
}

export const targets: readonly FuzzTarget[] = [sum, crash, hang, sound]
