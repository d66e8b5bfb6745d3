// Names that an authenticator gives and somebody regrets: without a prefix, open to what belongs to Kubernetes, the same
// for everybody, or free to be registered again.
import { isHeldTo, valueKeys } from './authenticator_facts.ts'
import type { AuthenticatorFacts, NameFacts } from './authenticator_facts.ts'
import { ending } from './expression_facts.ts'
import { isHeldToBeginning } from './held_beginnings.ts'
import type { KubeProblem } from './kube_problem.ts'
import { doubtful, wrong } from './lint_codes.ts'

/** Claims whose values are no texts, and so no names. */
const NOT_TEXT: ReadonlySet<string> = new Set([
  'exp',
  'iat',
  'nbf',
  'auth_time',
  'updated_at',
  'email_verified',
  'address',
  'act',
  'cnf',
  'realm_access',
  'resource_access',
  'federated_claims',
  'kubernetes.io',
])
/** OpenID Connect Core 5.7: not unique, and not stable. */
const NOT_UNIQUE: ReadonlySet<string> = new Set([
  'preferred_username',
  'name',
  'nickname',
  'given_name',
  'family_name',
  'user_login',
  'login',
])

export function nameRegrets(facts: AuthenticatorFacts): readonly KubeProblem[] {
  const { username, groups } = facts
  return [
    ...claimRegrets(facts),
    ...(username.isMapped ? usernameRegrets(facts) : []),
    ...(groups.isMapped ? groupRegrets(facts) : []),
    ...uidRegrets(facts),
  ]
}

function claimRegrets({ config, username, groups, keys }: AuthenticatorFacts): readonly KubeProblem[] {
  const { claimMappings, claimValidationRules } = config
  const named = [
    { claim: claimMappings.username.claim, at: [...username.keys, 'claim'] },
    { claim: claimMappings.groups.claim, at: [...groups.keys, 'claim'] },
    { claim: claimMappings.uid.claim, at: [...keys, 'claimMappings', 'uid', 'claim'] },
    ...claimValidationRules.map(({ claim }, index) => ({
      claim,
      at: [...keys, 'claimValidationRules', index, 'claim'],
    })),
  ]
  return [
    ...named.flatMap(({ claim, at }) => claimNameRegrets(claim, at)),
    ...claimValidationRules.flatMap(({ claim, requiredValue }, index) => {
      if (claim === '' || requiredValue !== '') return []
      const message = `without requiredValue the claim ${claim} must be there and be empty`
      const wayOut = `add requiredValue:, or write expression: has(claims.${claim})`
      return [
        wrong('required_value_empty', { keys: [...keys, 'claimValidationRules', index] }, message, wayOut),
      ]
    }),
  ]
}

function claimNameRegrets(claim: string, keys: KubeProblem['keys']): readonly KubeProblem[] {
  if (NOT_TEXT.has(claim)) {
    const message = `${claim} is no text, so every token is refused`
    const wayOut = `make one of it: expression: string(int(claims.exp)), claims.realm_access.roles, ...`
    return [wrong('claim_not_text', { keys }, message, wayOut)]
  }
  if (!claim.includes('.') || claim.includes('/')) return []
  const message = `claim is one name, not a path: no token has a claim called ${JSON.stringify(claim)}`
  return [wrong('claim_is_path', { keys }, message, `write expression: claims.${claim}`)]
}

function usernameRegrets(facts: AuthenticatorFacts): readonly KubeProblem[] {
  const { username, issuer } = facts
  if (username.facts !== undefined && username.claims.length === 0) {
    const message = 'the user name reads no claim: everybody is the same user'
    const wayOut = 'write expression: \'"ci:" + claims.sub\''
    return [wrong('username_constant', { keys: valueKeys(username, 'claim') }, message, wayOut)]
  }
  return [
    ...prefixRegrets(facts),
    ...reservedPrefix(username),
    ...mutableRegrets(facts),
    ...emailRegrets(facts),
    ...(issuer === undefined ? emptyRegrets(facts) : []),
  ]
}

function reservedPrefix(name: NameFacts): readonly KubeProblem[] {
  const reserved = name.beginnings?.find((text) => text.startsWith('system:'))
  if (reserved === undefined) return []
  const message = `${JSON.stringify(reserved)} begins what belongs to Kubernetes: nodes, controllers, system:masters`
  const wayOut = 'take a prefix of your own: "ci:"'
  return [wrong('prefix_is_system', { keys: valueKeys(name, 'prefix') }, message, wayOut)]
}

function prefixRegrets(facts: AuthenticatorFacts): readonly KubeProblem[] {
  const { username, issuer } = facts
  if (username.beginnings !== undefined || username.claims.includes('email')) return []
  const isGuarded =
    isHeldTo(facts, 'user_validation', ['username']) ||
    isHeldTo(facts, 'claim_validation', username.claims) ||
    (issuer?.isCi === true && username.claims.includes('sub'))
  const where = { keys: valueKeys(username, 'prefix') }
  if (!isGuarded) {
    const message = `whoever gets system:kube-controller-manager into ${list(username.claims)} is that component`
    const wayOut =
      'set a prefix ("ci:"), or add to userValidationRules: - expression: "!user.username.startsWith(\'system:\')"'
    return [wrong('username_system_possible', where, message, wayOut)]
  }
  const hasEnding = username.facts !== undefined && (ending(username.facts.tree) ?? '') !== ''
  if (hasEnding || isHeldToBeginning(facts, 'username')) return []
  const message = 'without a prefix these names can be those of another issuer, or of a client certificate'
  return [doubtful('username_without_prefix', where, message, 'set a prefix that nobody else has: "ci:"')]
}

function mutableRegrets({ username, issuer, ruleClaims }: AuthenticatorFacts): readonly KubeProblem[] {
  const where = { keys: valueKeys(username, 'claim') }
  const notUnique = username.claims.find((claim) => NOT_UNIQUE.has(claim))
  if (notUnique !== undefined && !username.claims.includes('sub')) {
    const message = `${notUnique} can change hands: the next account of that name gets this one's permissions`
    const wayOut = 'take sub, which stays (OpenID Connect Core 5.7), and show the name in extra'
    return [doubtful('username_not_unique', where, message, wayOut)]
  }
  if (issuer === undefined || !issuer.isCi) return []
  const name = username.claims.find((claim) => issuer.nameClaims.includes(claim))
  const isPinned = issuer.idClaims.some((claim) => ruleClaims.has(claim) || username.claims.includes(claim))
  if (name === undefined || isPinned) return []
  const message = `${name} of ${issuer.name} is made of names: whoever registers them again gets the permissions`
  const wayOut = `add to claimValidationRules: - expression: "${idRule(issuer.pinRule, issuer.idClaims)}"`
  return [doubtful('username_mutable', where, message, wayOut)]
}

function idRule(pinRule: string, idClaims: readonly string[]): string {
  return idClaims.some((claim) => pinRule.includes(claim))
    ? pinRule
    : `claims.${idClaims[0] ?? 'sub'} == '...'`
}

function emailRegrets({
  username,
  ruleClaims,
  issuer,
  expressions,
}: AuthenticatorFacts): readonly KubeProblem[] {
  if (!username.claims.includes('email') || username.claims.includes('email_verified')) return []
  if (ruleClaims.has('email_verified') || issuer?.name === 'Google') return []
  // an expression that nothing else goes with is refused by the apiserver itself
  const isRead = expressions.some(({ facts }) => facts.claims.some(({ name }) => name === 'email_verified'))
  if (username.facts !== undefined && !isRead) return []
  const message = 'a token without email_verified is taken: anybody can write any address into an account'
  const wayOut = "add to claimValidationRules: - expression: 'claims.?email_verified.orValue(false) == true'"
  return [doubtful('email_not_verified', { keys: valueKeys(username, 'claim') }, message, wayOut)]
}

/** Behind a prefix an empty claim makes one user for everybody who has none. */
function emptyRegrets(facts: AuthenticatorFacts): readonly KubeProblem[] {
  const { username, ruleClaims } = facts
  const isComputedWhole =
    username.facts !== undefined &&
    username.beginnings === undefined &&
    ending(username.facts.tree) === undefined
  if (isComputedWhole || username.claims.some((claim) => ruleClaims.has(claim) || claim === 'email'))
    return []
  const [claim = 'sub'] = username.claims
  const message = `a token whose ${claim} is "" is a user too: everybody who has none is the same`
  const wayOut = `add to claimValidationRules: - expression: "claims.${claim} != ''"`
  return [doubtful('username_may_be_empty', { keys: valueKeys(username, 'claim') }, message, wayOut)]
}

function groupRegrets(facts: AuthenticatorFacts): readonly KubeProblem[] {
  const { groups, config } = facts
  const where = { keys: valueKeys(groups, 'prefix') }
  if (groups.facts !== undefined && groups.claims.length === 0) {
    if (config.claimValidationRules.length > 0) return reservedPrefix(groups)
    const message = 'every token of this issuer gets these groups, and no rule says whose tokens are meant'
    const wayOut = 'add a claim rule that lets in those who are meant'
    return [
      ...reservedPrefix(groups),
      doubtful('groups_constant', { keys: valueKeys(groups, 'claim') }, message, wayOut),
    ]
  }
  if (groups.beginnings !== undefined) return reservedPrefix(groups)
  if (
    !isHeldTo(facts, 'user_validation', ['groups']) &&
    !isHeldTo(facts, 'claim_validation', groups.claims)
  ) {
    const message = `whoever gets system:masters into ${list(groups.claims)} is above RBAC`
    const wayOut =
      'set a prefix ("ci:"), or add to userValidationRules: - expression: "user.groups.all(g, !g.startsWith(\'system:\'))"'
    return [wrong('groups_system_possible', where, message, wayOut)]
  }
  if (isHeldToBeginning(facts, 'groups')) return []
  const message =
    'without a prefix these groups can be those of client certificates, kubeadm:cluster-admins among them'
  return [doubtful('groups_without_prefix', where, message, 'set a prefix that nobody else has: "ci:"')]
}

function uidRegrets({ config, keys, username, issuer }: AuthenticatorFacts): readonly KubeProblem[] {
  const { claim, expression } = config.claimMappings.uid
  if (claim !== '' || expression !== '' || !username.isMapped) return []
  const message = 'no uid: audit logs cannot tell a name from the same name registered again'
  const id = issuer?.isCi === true ? (issuer.idClaims[0] ?? 'sub') : 'sub'
  const wayOut = `add uid: {claim: ${id}}, or another id that the issuer gives for good`
  return [doubtful('uid_missing', { keys: [...keys, 'claimMappings'] }, message, wayOut)]
}

function list(claims: readonly string[]): string {
  return claims.length === 0 ? 'the claim' : claims.join(' or ')
}
