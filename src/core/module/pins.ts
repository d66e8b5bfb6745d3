// The annotation `sallyport.dev/pins`: what each version is made of. One annotation of the Module, since any field beside
// `version` in an entry makes OpenDepot's controller delete the Version.
import type { ModuleObject } from './module_object.ts'
import { deny, ok } from './reading.ts'
import type { Reading } from './reading.ts'
import { readVersionIdentity } from './version_identity.ts'
import type { PublishedFacts } from './ledger.ts'

export const PINS_ANNOTATION = 'sallyport.dev/pins'

/** Plain version -> commit (40 or 64 hex digits) or `sha256:<64 hex digits>`, lower case. */
export type Pins = ReadonlyMap<string, string>

const PIN = /^(?:[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64})$/

/** `1.0.0=<commit>` for each, with commas or blanks between. The denial says what is wrong, without the text. */
export function readPins(module: Pick<ModuleObject, 'meta'> | undefined): Reading<Pins> {
  const pins = new Map<string, string>()
  const words = (module?.meta.annotations.get(PINS_ANNOTATION) ?? '')
    .split(/[\s,]+/)
    .filter((word) => word !== '')
  for (const [index, word] of words.entries()) {
    const [version = '', value = '', ...rest] = parts(word)
    const identity = readVersionIdentity(version)
    if (!identity.ok)
      return deny(`entry ${index + 1} does not begin with a version and =: ${identity.denial}`)
    if (rest.length > 0 || !PIN.test(value)) {
      return deny(
        `the value of ${identity.value.plain} is neither a whole commit id nor sha256:<64 hex digits>`,
      )
    }
    if (pins.has(identity.value.plain)) return deny(`${identity.value.plain} is pinned twice`)
    pins.set(identity.value.plain, value)
  }
  return ok(pins)
}

/** A pre-release keeps its case; hex digits do not matter. */
function parts(word: string): readonly string[] {
  // No more of them than tell that there are too many.
  const [version = '', ...values] = word.split('=', 3)
  return [version, ...values.map((value) => value.toLowerCase())]
}

/** Whether the pin names what the ledger remembers. Nothing remembered is no agreement. */
export function doesPinAgree(pin: string | undefined, facts: PublishedFacts): boolean {
  return pin !== undefined && (pin === facts.commit || pin === facts.digest)
}
