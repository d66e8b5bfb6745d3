// Dex's scopes: what each one switches on, and the `audience:server:client_id:<id>` form that names a relying party
// (dex server/oauth2 scopes). An empty id still counts as an audience scope.

const AUDIENCE_PREFIX = 'audience:server:client_id:'

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
  /** As requested, split on any white space, empty items gone. */
  readonly all: readonly string[]
}

export function parseScopes(scope: string): Scopes {
  const all = scope.split(/\s+/).filter((item) => item !== '')
  const audiences: string[] = []
  const unrecognized: string[] = []
  for (const item of all) {
    if (item.startsWith(AUDIENCE_PREFIX)) audiences.push(item.slice(AUDIENCE_PREFIX.length))
    else if (!KNOWN_SCOPES.has(item)) unrecognized.push(item)
  }
  return {
    openid: all.includes('openid'),
    email: all.includes('email'),
    profile: all.includes('profile'),
    groups: all.includes('groups'),
    federatedId: all.includes('federated:id'),
    offlineAccess: all.includes('offline_access'),
    audiences,
    unrecognized,
    all,
  }
}

export function audienceScope(id: string): string {
  return `${AUDIENCE_PREFIX}${id}`
}

const KNOWN_SCOPES = new Set(['openid', 'email', 'profile', 'groups', 'federated:id', 'offline_access'])
