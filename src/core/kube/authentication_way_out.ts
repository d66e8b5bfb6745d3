// What to do about each refusal of kube-apiserver, from what the token and the configuration say. The apiserver tells
// the client nothing but 401.
import type { AuthenticationConfiguration } from './authentication_configuration.ts'
import type { BearerToken } from './bearer_token.ts'
import { claimOf } from './go_claims.ts'
import type { IdToken } from './go_claims.ts'
import type { GoJson } from './go_json.ts'

/** Which scope brings a claim into a token of the exchange (OpenID Connect Core §5.4; Dex's `groups`). */
const SCOPE_OF: ReadonlyMap<string, string> = new Map([
  ['name', 'profile'],
  ['preferred_username', 'profile'],
  ['email', 'email'],
  ['email_verified', 'email'],
  ['groups', 'groups'],
  ['federated_claims', 'federated:id'],
])

/** Claims of the broker's kubernetes profile that come from the forge, and are absent where it does not say. */
const FORGE_CLAIMS: ReadonlySet<string> = new Set([
  'ci',
  'source',
  'repository',
  'repository_id',
  'ref',
  'ref_type',
  'sha',
  'run_id',
  'environment',
])

export function issuerWayOut(config: AuthenticationConfiguration, token: BearerToken): string {
  const { issuer } = token
  if (issuer === '') return 'the token names no issuer (iss): it is not one of an OpenID Connect provider'
  const near = config.jwt.find(({ issuer: { url } }) => withoutSlash(url) === withoutSlash(issuer))
  if (near !== undefined)
    return `iss is "${issuer}" and the file has "${near.issuer.url}": only the slash at the end differs, and they are compared letter by letter. Write the one of the token into issuer.url`
  const folded = config.jwt.find(({ issuer: { url } }) => looksLike(url) === looksLike(issuer))
  if (folded !== undefined)
    return `iss is "${issuer}" and the file has "${folded.issuer.url}": they differ in case, scheme, port or slash, and are compared letter by letter`
  const discovery = config.jwt.find(({ issuer: { discoveryURL } }) =>
    discoveryURL?.startsWith(withoutSlash(issuer)),
  )
  if (discovery !== undefined)
    return `iss "${issuer}" stands in discoveryURL of the issuer "${discovery.issuer.url}": the broker must call itself by issuer.url`
  if (claimOf(token.payload, 'kubernetes.io') !== undefined)
    return `a ServiceAccount's token of "${issuer}": no authenticator of this file takes it, --service-account-issuer of the apiserver does`
  const known = config.jwt.map(({ issuer: { url } }) => url).join(', ')
  return `no authenticator of the file is for iss "${issuer}"; it has ${known === '' ? 'none at all' : known}. Exchange the token at the broker first (sallyport explain shows what it would answer), or add an entry for its issuer`
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '')
}

/** For people the same address: without scheme, default port, case and slashes. */
function looksLike(url: string): string {
  return withoutSlash(url)
    .toLowerCase()
    .replace(/^https?:\/\//, '')
    .replace(/:(?:443|80)(?=\/|$)/, '')
}

export function audienceWayOut(accepted: readonly string[], payload: GoJson): string {
  const [wanted = ''] = accepted
  if (claimOf(payload, 'aud') === undefined)
    return `the token has no audience at all: exchange it for one with audience ${wanted}`
  return `ask the exchange for audience ${wanted}: sallyport exchange --audience ${wanted}, or in Dex's words add audience:server:client_id:${wanted} to scope; the client must be allowed to ask for it (in Deckhouse by the DexClient's annotation allow-access-to-kubernetes)`
}

export function expiryWayOut({ expiry, issuedAt }: IdToken, now: number): string {
  if (expiry === undefined) return 'the token has no exp, which counts as the year 1: let the issuer set one'
  const nowSeconds = Math.trunc(now / 1000)
  const ago = nowSeconds - Number(expiry)
  const skew = issuedAt === undefined ? 0 : Number(issuedAt) - nowSeconds
  if (skew > 0)
    return `expired ${seconds(ago)} ago although it was issued ${seconds(skew)} in the future: the clocks of issuer and apiserver disagree, set them by NTP`
  return `expired ${seconds(ago)} ago, and exp has no leeway: take a fresh token right before the call. If it was fresh, the apiserver's clock runs ahead of the issuer's: set both by NTP`
}

export function notBeforeWayOut(notBefore: bigint, now: number): string {
  const ahead = Number(notBefore) - Math.trunc(now / 1000)
  return `it begins to hold in ${seconds(ahead)}, and more than 60 s are not forgiven: the issuer's clock runs ahead of the apiserver's, set both by NTP`
}

function seconds(count: number): string {
  const size = Math.abs(count)
  if (size < 120) return `${count} s`
  if (size < 2 * 3600) return `${Math.round(count / 60)} min`
  return size < 2 * 86_400 ? `${Math.round(count / 3600)} h` : `${Math.round(count / 86_400)} days`
}

/** `detail`: Go's text about a type, or the expression whose value has the wrong one. */
export function typeWayOut(detail: string): string {
  if (detail.includes('cannot unmarshal number'))
    return 'kube-apiserver takes no number for a text: let the issuer send it as a string, or map it by an expression: string(int(claims.x))'
  if (detail.includes('cannot unmarshal'))
    return 'let the issuer send a text (for groups a list of texts), or map the claim by an expression'
  return `let the expression give a text${detail.includes('extra') ? '' : ' (or, for groups and extra, a list of texts)'}: string(…) makes one of a number`
}

export function claimWayOut(claim: string, payload: GoJson): string {
  const scope = SCOPE_OF.get(claim)
  if (scope !== undefined) return `the token has no ${claim}: add ${scope} to the scope of the exchange`
  if (claimOf(payload, 'token_use') === undefined && claim === 'token_use')
    return 'only tokens of the broker for an audience of profile kubernetes say token_use: exchange the token first'
  if (FORGE_CLAIMS.has(claim))
    return `the token has no ${claim}: the forge did not say it, or the token is not one for an audience of profile kubernetes`
  return `the token has no ${claim}; it has ${namesOf(payload)}. Let the issuer send it, or map another claim`
}

/** Of an expression that ends in an error, `no such key` above all. */
export function expressionWayOut(expression: string, message: string, payload: GoJson): string {
  const missing = /no such key: (.+)$/.exec(message)?.[1]
  if (missing !== undefined) {
    const why = claimWayOut(missing, payload)
    return `${why}; or let the expression do without: claims.?${missing}.orValue("")`
  }
  if (message.includes('no such overload') && / in claims\b/.test(expression))
    return '"x" in claims never works at run time and refuses every token: write has(claims.x)'
  return 'the expression does not fit what the token says: compare the types of the claims'
}

/** Of a rule that looked at the token and said no. */
export function ruleWayOut(rule: string, payload: GoJson): string {
  if (/\btoken_use\b/.test(rule)) {
    const use = claimOf(payload, 'token_use')
    return `this is ${use?.kind === 'string' ? `a token for "${use.text}"` : 'no token of the broker for a cluster'}: ask the exchange for the cluster's audience, whose profile is kubernetes`
  }
  if (/\bclaims\.exp\b/.test(rule))
    return "the token lives longer than the rule allows: shorten the audience's lifetime at the broker"
  if (/system:/.test(rule))
    return "names and groups of the system are nobody's to claim: put a prefix before them, or correct what the issuer sends"
  return 'the token is none that this rule is meant for: compare the value above with the rule'
}

const MAX_NAMES = 30

function namesOf(payload: GoJson): string {
  const names = payload.kind === 'object' ? payload.members.map(([name]) => name) : []
  const more = names.length > MAX_NAMES ? ', …' : ''
  return `${names.slice(0, MAX_NAMES).join(', ')}${more}`
}

/** For a token whose kid no key of the issuer has, or whose signature does not hold. */
export function signatureWayOut(kid: string, kids: readonly string[]): string {
  if (kid !== '' && !kids.includes(kid))
    return `no key of the issuer has kid "${kid}" (it publishes ${kids.length === 0 ? 'none' : kids.join(', ')}): the token was signed before a rotation, or by somebody else. Take a fresh one`
  return 'the key is there and the signature does not hold: the token was changed on its way, or the issuer uses one kid for two keys'
}
