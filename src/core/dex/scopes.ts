// Dex's scopes: what each one switches on, and the `audience:server:client_id:<id>` form that names a relying party
// (dex server/oauth2 scopes). An empty id still counts as an audience scope.
import { rememberTexts } from '#core/known_texts.ts'

const AUDIENCE_PREFIX = 'audience:server:client_id:'
/** Go's unicode.IsSpace, which knows U+0085 and does not know U+FEFF. */
const GO_SPACE = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/

export type Scopes = {
  readonly openid: boolean
  readonly email: boolean
  readonly profile: boolean
  readonly groups: boolean
  readonly federatedId: boolean
  readonly offlineAccess: boolean
  /** In request order, duplicates kept. */
  readonly audiences: readonly string[]
  readonly unrecognized: readonly string[]
  /** As requested, split where Go's strings.Fields splits, empty items gone. */
  readonly all: readonly string[]
}

/** A pipeline asks for the same scopes each time. */
export const parseScopes: (scope: string) => Scopes = rememberTexts(parseFresh)

function parseFresh(scope: string): Scopes {
  const all = scope.split(GO_SPACE).filter((item) => item !== '')
  const audiences: string[] = []
  const unrecognized: string[] = []
  const known = new Set<string>()
  for (const item of all) {
    if (KNOWN_SCOPES.has(item)) known.add(item)
    else if (item.startsWith(AUDIENCE_PREFIX)) audiences.push(item.slice(AUDIENCE_PREFIX.length))
    else unrecognized.push(item)
  }
  return {
    openid: known.has('openid'),
    email: known.has('email'),
    profile: known.has('profile'),
    groups: known.has('groups'),
    federatedId: known.has('federated:id'),
    offlineAccess: known.has('offline_access'),
    audiences,
    unrecognized,
    all,
  }
}

export function audienceScope(id: string): string {
  return `${AUDIENCE_PREFIX}${id}`
}

/**
 * The `scope` of an RFC 9068 token: of what was asked for, in that order and once each, what the policy lists, and without
 * a list the scopes that mean something here. Whoever reads the claim takes it for granted, so nothing stands in it that a
 * caller made up; audiences have a claim of their own, and there are no refresh tokens.
 */
export function grantedScope({ all }: Scopes, allowed: readonly string[] | undefined): string | undefined {
  const granted = all.filter(
    (scope) =>
      (allowed === undefined ? CLAIM_SCOPES.has(scope) : allowed.includes(scope)) &&
      scope !== 'offline_access' &&
      !scope.startsWith(AUDIENCE_PREFIX),
  )
  return granted.length === 0 ? undefined : [...new Set(granted)].join(' ')
}

const CLAIM_SCOPES = new Set(['openid', 'email', 'profile', 'groups', 'federated:id'])
const KNOWN_SCOPES = new Set([...CLAIM_SCOPES, 'offline_access'])
