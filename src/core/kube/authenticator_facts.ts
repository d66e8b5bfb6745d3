// What the checks for regrets ask of one authenticator: who its issuer is, which claims its rules hold to, what its names
// are made of.
import type {
  AuthenticationConfiguration,
  JwtAuthenticator,
  PrefixedClaimOrExpression,
} from './authentication_configuration.ts'
import type { ExpressionUse } from './cel/check_expression.ts'
import { beginnings, conjuncts, factsOf } from './expression_facts.ts'
import type { ExpressionFacts } from './expression_facts.ts'
import type { PlacedExpression } from './expressions.ts'
import { knownIssuer } from './known_issuers.ts'
import type { KnownIssuer } from './known_issuers.ts'
import type { KubeProblem } from './kube_problem.ts'

export type KnownExpression = {
  readonly keys: KubeProblem['keys']
  readonly use: ExpressionUse
  /** As cel-go spells it. */
  readonly resultType: string
  readonly facts: ExpressionFacts
}

export type AuthenticatorFacts = {
  readonly keys: KubeProblem['keys']
  readonly config: JwtAuthenticator
  readonly issuer: KnownIssuer | undefined
  /** Those that compile. */
  readonly expressions: readonly KnownExpression[]
  /** Claims that a claim rule reads or requires. */
  readonly ruleClaims: ReadonlySet<string>
  readonly username: NameFacts
  readonly groups: NameFacts
}

export type NameFacts = {
  readonly keys: KubeProblem['keys']
  readonly isMapped: boolean
  /** Claims that it is made of. */
  readonly claims: readonly string[]
  /** The constants with which it begins; `undefined` when it may begin with anything. */
  readonly beginnings: readonly string[] | undefined
  /** Of an expression. */
  readonly facts: ExpressionFacts | undefined
}

export function authenticatorFacts(
  config: AuthenticationConfiguration,
  expressions: readonly PlacedExpression[],
): readonly AuthenticatorFacts[] {
  const compiled = expressions.flatMap(({ checked, ...placed }) => {
    if (!checked.ok) return []
    const { resultType, typed } = checked.value
    return [{ ...placed, resultType, facts: factsOf(typed.tree) }]
  })
  return config.jwt.map((authenticator, index) => {
    const keys: KubeProblem['keys'] = ['jwt', index]
    const own = compiled.filter((expression) => expression.authenticator === index)
    const { username, groups } = authenticator.claimMappings
    const facts = (use: ExpressionUse): ExpressionFacts | undefined =>
      own.find((one) => one.use === use)?.facts
    return {
      keys,
      config: authenticator,
      issuer: knownIssuer(authenticator.issuer.url),
      expressions: own,
      ruleClaims: claimsOfRules(authenticator, own),
      username: nameFacts(username, [...keys, 'claimMappings', 'username'], facts('username')),
      groups: nameFacts(groups, [...keys, 'claimMappings', 'groups'], facts('groups')),
    }
  })
}

function claimsOfRules(config: JwtAuthenticator, own: readonly KnownExpression[]): ReadonlySet<string> {
  const required = config.claimValidationRules.filter(({ requiredValue }) => requiredValue !== '')
  const read = own.filter(({ use }) => use === 'claim_validation').flatMap(({ facts }) => facts.claims)
  return new Set([...required.map(({ claim }) => claim), ...read.map(({ name }) => name)])
}

function nameFacts(
  mapping: PrefixedClaimOrExpression,
  keys: KubeProblem['keys'],
  facts: ExpressionFacts | undefined,
): NameFacts {
  const { claim, prefix = '' } = mapping
  if (claim !== '') {
    const lead = prefix === '' ? undefined : [prefix]
    return { keys, isMapped: true, claims: [claim], beginnings: lead, facts: undefined }
  }
  if (facts === undefined) return { keys, isMapped: false, claims: [], beginnings: [], facts }
  const claims = [...new Set(facts.claims.map(({ name }) => name))]
  const lead = beginnings(facts.tree)
  const isLed = lead !== undefined && lead.every((text) => text !== '')
  return { keys, isMapped: true, claims, beginnings: isLed ? lead : undefined, facts }
}

/** Whether a rule that always applies (no `||` and no `?:` at its top) reads one of `members`. */
export function isHeldTo(
  facts: AuthenticatorFacts,
  use: 'claim_validation' | 'user_validation',
  members: readonly string[],
): boolean {
  const variable = use === 'claim_validation' ? 'claims' : 'user'
  return facts.expressions
    .filter((expression) => expression.use === use)
    .some((expression) => {
      const reads = expression.facts[variable].some(({ name }) => members.includes(name))
      const always = conjuncts(expression.facts.tree).every(
        (part) => part.kind !== 'call' || !['_||_', '_?_:_'].includes(part.name),
      )
      return reads && always
    })
}

/** Where the mapping's own value stands: `claim`, `prefix` or `expression`. */
export function valueKeys(name: NameFacts, member: 'claim' | 'prefix'): KubeProblem['keys'] {
  return [...name.keys, name.facts === undefined ? member : 'expression']
}
