// Which grants a Dex configuration enables, by dex.md 1.3: oauth2.grantTypes, or what `dex serve` fills in for an
// empty list, cut down to what is served here.
import { CLIENT_CREDENTIALS, KNOWN_GRANTS, SERVED_GRANTS, TOKEN_EXCHANGE } from '#core/oauth/names.ts'
import type { GrantType } from '#core/oauth/names.ts'
import { pathOf, sectionOf, textsOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'

export function readGrants(
  root: DexObject,
  clientCredentialsByDefault: boolean,
  report: Reporter,
): readonly GrantType[] {
  const oauth2 = sectionOf(root, 'oauth2')
  const listed = textsOf(oauth2, 'grantTypes')
  const path = pathOf(oauth2, 'grantTypes')
  if (listed.length === 0) {
    if (clientCredentialsByDefault) return SERVED_GRANTS
    const message = 'client_credentials is off, as in Dex, unless oauth2.grantTypes lists it'
    report.note(path, 'grants_default', message, 'list every grant that clients use in oauth2.grantTypes')
    return [TOKEN_EXCHANGE]
  }
  for (const name of listed.filter((grant) => !isKnown(grant))) {
    const message = `${JSON.stringify(name)} is no grant that Dex knows; it drops the name silently`
    report.warn(path, 'grant_unknown', message, `known are ${KNOWN_GRANTS.join(', ')}`)
  }
  const served = SERVED_GRANTS.filter((grant) => listed.includes(grant))
  if (served.length === 0) {
    const message =
      'no grant of this list is served yet: the token endpoint refuses every request, as it would in Dex'
    report.warn(path, 'grants_none_served', message, `add ${TOKEN_EXCHANGE} or ${CLIENT_CREDENTIALS}`)
  } else if (!served.includes(TOKEN_EXCHANGE)) {
    const message = 'token exchange is not in the list and therefore off, as in Dex'
    report.note(path, 'grant_exchange_off', message, `add ${TOKEN_EXCHANGE}`)
  }
  return served
}

/** Why a grant that Dex knows has no effect here; `undefined` for one that is served or that Dex does not know. */
export function unservedGrant(name: string): string | undefined {
  if (!isKnown(name) || SERVED_GRANTS.some((grant) => grant === name)) return undefined
  return `the grant ${name} is not served yet`
}

export function isKnown(name: string): name is GrantType {
  return KNOWN_GRANTS.some((grant) => grant === name)
}
