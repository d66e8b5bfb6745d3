// What is refused because of two issuers that could give the same name: whoever may write in one of them would be somebody of
// the other. Two that stood beside each other in one file already are the linter's (`prefixes_collide`).
import type { PlannedAuthenticator, PlanNote } from './auth_config_plan.ts'
import { authenticatorFacts } from './authenticator_facts.ts'
import type { AuthenticatorFacts } from './authenticator_facts.ts'
import { checkExpressions } from './expressions.ts'
import { refusingRule, sharedBeginnings } from './name_collisions.ts'
import type { NameKind } from './name_collisions.ts'

/** `file`: where it stood before. */
export type MergedAuthenticator = PlannedAuthenticator & { readonly file: string }

type Issuer = {
  readonly planned: PlannedAuthenticator
  readonly file: string | undefined
  readonly facts: AuthenticatorFacts
}

/** One for each two issuers and kind of name that they share. */
export function collisionProblems(
  own: readonly PlannedAuthenticator[],
  merged: readonly MergedAuthenticator[],
): readonly PlanNote[] {
  const issuers = issuersOf(own, merged)
  return issuers.flatMap((later, index) =>
    issuers.slice(0, index).flatMap((before) => {
      if (before.file !== undefined && before.file === later.file) return []
      return (['username', 'groups'] as const).flatMap((kind) => {
        const [shared] = sharedBeginnings(kind, before.facts, later.facts)
        return shared === undefined ? [] : [collision(kind, before, later, shared)]
      })
    }),
  )
}

function issuersOf(
  own: readonly PlannedAuthenticator[],
  merged: readonly MergedAuthenticator[],
): readonly Issuer[] {
  const all = [...own.map((planned) => ({ planned, file: undefined })), ...merged.map(withFile)]
  const jwt = all.map(({ planned }) => planned.authenticator)
  const config = { version: 'v1', jwt, anonymous: undefined } as const
  const facts = authenticatorFacts(config, checkExpressions(config))
  return all.flatMap((issuer, index) => {
    const known = facts[index]
    return known === undefined ? [] : [{ ...issuer, facts: known }]
  })
}

function withFile(planned: MergedAuthenticator): Pick<Issuer, 'planned' | 'file'> {
  return { planned, file: planned.file }
}

function collision(kind: NameKind, before: Issuer, later: Issuer, shared: string): PlanNote {
  const names = kind === 'username' ? 'user names' : 'groups'
  const begin = shared === '' ? 'can be any text' : `can both begin with ${JSON.stringify(shared)}`
  return {
    code: later.file === undefined ? 'prefix_of_a_forge' : 'prefix_of_merged',
    message: `${names} of ${named(before)} and of ${named(later)} ${begin}: who writes them at one could be somebody of the other`,
    wayOut: wayOutOf(kind, before, later, shared),
  }
}

function named({ planned, file }: Issuer): string {
  const { url } = planned.authenticator.issuer
  return file === undefined ? url : `${url} (${file})`
}

function wayOutOf(kind: NameKind, before: Issuer, later: Issuer, shared: string): string {
  const open = [before, later].filter(({ facts }) => facts[kind].beginnings === undefined)
  const made = open.find(({ file }) => file === undefined)
  if (made !== undefined) return `leave ${flagOf(kind, made)} out, or give it a prefix of its own`
  const [only, second] = open
  if (only?.file !== undefined && second === undefined && !/['"\\]/.test(shared))
    return `add to its userValidationRules in ${only.file}: - expression: "${refusingRule(kind, shared)}"`
  const flags = [before, later].filter(({ file }) => file === undefined).map((one) => flagOf(kind, one))
  const files = [before, later].flatMap(({ file }) => file ?? [])
  const places = [...flags.map((flag) => `with ${flag}`), ...files.map((file) => `in ${file}`)]
  return `give one of them another prefix, ${places.join(' or ')}, and write the bindings of its names accordingly`
}

function flagOf(kind: NameKind, { planned }: Issuer): string {
  const flag = planned.prefixFlags?.[kind]
  if (flag === undefined) throw new Error(`nothing sets the ${kind} of ${planned.heading}`)
  return flag
}
