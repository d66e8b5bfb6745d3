// One attack for each rule that is generated, and its twin that is let through.
import type { Attack } from './attack.ts'
import { MODULE_ATTACKS } from './attacks_of_modules.ts'
import { OTHER_ATTACKS } from './attacks_of_others.ts'

export const ATTACKS: readonly Attack[] = [...MODULE_ATTACKS, ...OTHER_ATTACKS]
