import { CONDITION_TARGETS } from './targets/conditions.ts'
import { DOCUMENT_TARGETS } from './targets/documents.ts'
import { FORM_TARGETS } from './targets/forms.ts'
import { MATCHER_TARGETS } from './targets/matchers.ts'
import { NAME_TARGETS } from './targets/names.ts'
import { TOKEN_TARGETS } from './targets/tokens.ts'
import type { FuzzTarget } from './target.ts'

/** Every door that the fuzz command knows. */
export const targets: readonly FuzzTarget[] = [
  ...TOKEN_TARGETS,
  ...FORM_TARGETS,
  ...MATCHER_TARGETS,
  ...NAME_TARGETS,
  ...CONDITION_TARGETS,
  ...DOCUMENT_TARGETS,
]

/** Throws for a name that none has. */
export function targetNamed(name: string): FuzzTarget {
  const target = targets.find((one) => one.name === name)
  if (target === undefined) throw new Error(`no target is called "${name}"`)
  return target
}
