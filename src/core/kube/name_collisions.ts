// Whether two issuers of one file could give the same user name or the same group: by the constants with which their names
// begin, and by rules that refuse names with such a beginning.
import type { AuthenticatorFacts } from './authenticator_facts.ts'

export type NameKind = 'username' | 'groups'

/** Whether a name that begins with one of `left` can begin with one of `right`, too. */
export function beginningsMeet(left: readonly string[], right: readonly string[]): boolean {
  return meetings(left, right).length > 0
}

/** What a name begins with that both can give; '' for any name, empty when there is none. Names without a prefix are any. */
export function sharedBeginnings(
  kind: NameKind,
  one: AuthenticatorFacts,
  other: AuthenticatorFacts,
): readonly string[] {
  if (!one[kind].isMapped || !other[kind].isMapped) return []
  const refused = [...refusedBeginnings(kind, one), ...refusedBeginnings(kind, other)]
  return meetings(one[kind].beginnings ?? [''], other[kind].beginnings ?? ['']).filter(
    (shared) => !refused.some((beginning) => shared.startsWith(beginning)),
  )
}

/** The rule that keeps an issuer from names that begin so; `sharedBeginnings` knows it in this form. */
export function refusingRule(kind: NameKind, beginning: string): string {
  return kind === 'username'
    ? `!user.username.startsWith('${beginning}')`
    : `user.groups.all(group, !group.startsWith('${beginning}'))`
}

/** A name with both beginnings begins with the longer one. */
function meetings(left: readonly string[], right: readonly string[]): readonly string[] {
  return left.flatMap((one) =>
    right.flatMap((other) => (one.startsWith(other) ? one : other.startsWith(one) ? other : [])),
  )
}

/** The whole rule, with one text without escapes: whatever else it could say is not taken for a refusal. */
const REFUSALS = {
  username: /^\s*!user\.username\.startsWith\((?:'(?<a>[^'"\\]*)'|"(?<b>[^'"\\]*)")\)\s*$/,
  groups:
    /^\s*user\.groups\.all\(\s*(?<item>[a-z]\w*)\s*,\s*!\k<item>\.startsWith\((?:'(?<a>[^'"\\]*)'|"(?<b>[^'"\\]*)")\)\s*\)\s*$/,
} as const satisfies Record<NameKind, RegExp>

function refusedBeginnings(kind: NameKind, { config }: AuthenticatorFacts): readonly string[] {
  return config.userValidationRules.flatMap(({ expression }) => {
    const { a, b } = REFUSALS[kind].exec(expression)?.groups ?? {}
    return a ?? b ?? []
  })
}
