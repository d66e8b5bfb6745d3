// The part of the apiserver's validation that is about rules and mappings; see validate.ts. The expressions themselves
// are checked there.
import type {
  ClaimMappings,
  ClaimValidationRule,
  PrefixedClaimOrExpression,
  UserValidationRule,
} from './authentication_configuration.ts'
import type { PlacedExpression } from './expressions.ts'
import type { KubeProblem } from './kube_problem.ts'
import { refused } from './lint_codes.ts'

type Keys = KubeProblem['keys']

export function validateClaimRules(
  rules: readonly ClaimValidationRule[],
  keys: Keys,
): readonly KubeProblem[] {
  return rules.flatMap((rule, index): readonly KubeProblem[] => {
    const at: Keys = [...keys, index]
    if (rule.claim !== '' && rule.expression !== '') return [bothSet(at)]
    if (rule.claim === '' && rule.expression === '') return [noneSet(at)]
    return rule.claim === '' ? expressionRuleProblems(rules, index, at) : claimRuleProblems(rules, index, at)
  })
}

function claimRuleProblems(
  rules: readonly ClaimValidationRule[],
  index: number,
  keys: Keys,
): readonly KubeProblem[] {
  const { claim = '', message = '' } = rules[index] ?? {}
  const problems: KubeProblem[] = []
  if (message !== '') {
    const wayOut = 'take the message out, or write the rule as an expression'
    problems.push(
      refused(
        'message_with_claim',
        { keys: [...keys, 'message'] },
        'a rule with claim has no message',
        wayOut,
      ),
    )
  }
  if (rules.findIndex((rule) => rule.claim === claim && rule.expression === '') < index) {
    const text = `the claim ${JSON.stringify(claim)} is required twice`
    const wayOut = `allow several values with one expression: claims.${claim} in ["a", "b"]`
    problems.push(refused('required_claim_duplicate', { keys: [...keys, 'claim'] }, text, wayOut))
  }
  return problems
}

function expressionRuleProblems(
  rules: readonly ClaimValidationRule[],
  index: number,
  keys: Keys,
): readonly KubeProblem[] {
  const { expression = '', requiredValue = '' } = rules[index] ?? {}
  const problems: KubeProblem[] = []
  if (requiredValue !== '') {
    const wayOut = 'compare in the expression, or write claim and requiredValue alone'
    const text = 'requiredValue does not go with an expression'
    problems.push(
      refused('required_value_with_expression', { keys: [...keys, 'requiredValue'] }, text, wayOut),
    )
  }
  if (rules.findIndex((rule) => rule.expression === expression && rule.claim === '') < index) {
    problems.push(twice([...keys, 'expression']))
  }
  return problems
}

export function validateUserRules(rules: readonly UserValidationRule[], keys: Keys): readonly KubeProblem[] {
  return rules.flatMap(({ expression }, index) => {
    const at: Keys = [...keys, index, 'expression']
    if (expression === '') {
      return [
        refused(
          'expression_missing',
          { keys: at },
          'the rule has no expression',
          'write one, or take the rule out',
        ),
      ]
    }
    return rules.findIndex((rule) => rule.expression === expression) < index ? [twice(at)] : []
  })
}

export function validateMappings(
  mappings: ClaimMappings,
  keys: Keys,
  expressions: readonly PlacedExpression[],
): readonly KubeProblem[] {
  const { username, groups, uid } = mappings
  return [
    ...prefixedProblems(username, [...keys, 'username'], true),
    ...prefixedProblems(groups, [...keys, 'groups'], false),
    ...(uid.claim !== '' && uid.expression !== '' ? [bothSet([...keys, 'uid'])] : []),
    ...mappings.extra.flatMap((_, index) => extraProblems(mappings.extra, index, [...keys, 'extra', index])),
    ...emailProblems(keys, expressions),
  ]
}

function prefixedProblems(
  mapping: PrefixedClaimOrExpression,
  keys: Keys,
  isRequired: boolean,
): readonly KubeProblem[] {
  const { claim, expression, prefix } = mapping
  if (claim !== '' && expression !== '') return [bothSet(keys)]
  if (claim === '' && expression === '') return isRequired ? [noneSet(keys)] : []
  const at = { keys: [...keys, 'prefix'] }
  if (expression !== '' && prefix !== undefined) {
    const wayOut = "put it into the expression: 'ci:' + claims.sub"
    return [refused('prefix_with_expression', at, 'a prefix does not go with an expression', wayOut)]
  }
  if (claim !== '' && prefix === undefined) {
    const wayOut = 'add prefix: "NAME:", so that these names meet no others'
    return [refused('prefix_missing', at, 'prefix must be written with claim, if only as ""', wayOut)]
  }
  return []
}

/** `IsDomainPrefixedPath` of k8s.io/apimachinery. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const MAX_SUBDOMAIN = 253
const HTTP_PATH = /^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/

function extraProblems(extra: ClaimMappings['extra'], index: number, keys: Keys): readonly KubeProblem[] {
  const { key = '', valueExpression = '' } = extra[index] ?? {}
  const problems = [...extraKeyProblems(key, [...keys, 'key'])]
  if (extra.findIndex((mapping) => mapping.key === key) < index) {
    const wayOut = 'give each value a key of its own, or make a list of both in one expression'
    problems.push(refused('extra_key_duplicate', { keys: [...keys, 'key'] }, 'the key stands twice', wayOut))
  } else if (valueExpression === '') {
    const at = { keys: [...keys, 'valueExpression'] }
    const wayOut = "write one: claims.?repository.orValue('')"
    problems.push(refused('expression_missing', at, 'the key has no valueExpression', wayOut))
  }
  return problems
}

function extraKeyProblems(key: string, keys: Keys): readonly KubeProblem[] {
  const wayOut = 'write DOMAIN/NAME with a domain that is yours: example.com/repository'
  if (key === '') return [refused('extra_key_missing', { keys }, 'the key is missing', wayOut)]
  const slash = key.indexOf('/')
  const [domain, path] = [key.slice(0, Math.max(slash, 0)), key.slice(slash + 1)]
  const problems: KubeProblem[] = []
  if (slash <= 0 || path === '') {
    problems.push(refused('extra_key_invalid', { keys }, 'the key is not DOMAIN/NAME', wayOut))
  } else if (domain.length > MAX_SUBDOMAIN || !SUBDOMAIN.test(domain)) {
    problems.push(
      refused('extra_key_invalid', { keys }, `${JSON.stringify(domain)} is no domain name`, wayOut),
    )
  } else if (!HTTP_PATH.test(path)) {
    const text = 'after the slash stands what a URL path may not have'
    problems.push(refused('extra_key_invalid', { keys }, text, wayOut))
  }
  if (key !== key.toLowerCase()) {
    const fix = `write ${key.toLowerCase()}`
    problems.push(refused('extra_key_not_lowercase', { keys }, 'the key has capital letters', fix))
  }
  if (/(?:^|\.)(?:kubernetes|k8s)\.io$/.test(domain)) {
    const text = 'kubernetes.io and k8s.io, and what is below them, are kept for Kubernetes'
    problems.push(refused('extra_key_reserved', { keys }, text, wayOut))
  }
  return problems
}

/** Syntactic, as in the apiserver: `claims.email` in the user name asks for `claims.email_verified` somewhere. */
function emailProblems(keys: Keys, expressions: readonly PlacedExpression[]): readonly KubeProblem[] {
  const reads = (uses: readonly PlacedExpression['use'][], claim: string): boolean =>
    expressions.some(
      ({ use, checked }) => uses.includes(use) && checked.ok && checked.value.claimsRead.has(claim),
    )
  if (!reads(['username'], 'email')) return []
  if (reads(['username', 'extra', 'claim_validation'], 'email_verified')) return []
  const message = 'the user name is made of claims.email, and nothing reads claims.email_verified'
  const wayOut = "add to claimValidationRules: - expression: 'claims.?email_verified.orValue(false) == true'"
  return [refused('email_verified_unused', { keys: [...keys, 'username', 'expression'] }, message, wayOut)]
}

function bothSet(keys: Keys): KubeProblem {
  const wayOut = 'keep one of them: claim takes the value as it is, expression computes it'
  return refused('claim_and_expression', { keys }, 'claim and expression are both set', wayOut)
}

function noneSet(keys: Keys): KubeProblem {
  const wayOut = 'write claim: NAME (with prefix: where a name is made), or expression: CEL'
  return refused('claim_or_expression_missing', { keys }, 'neither claim nor expression is set', wayOut)
}

function twice(keys: Keys): KubeProblem {
  return refused('expression_duplicate', { keys }, 'the same expression stands twice', 'keep one of them')
}
