// What kube-apiserver refuses in an AuthenticationConfiguration that it could decode: the rules of
// ValidateAuthenticationConfiguration in k8s.io/apiserver v0.36.4. v0.37.1 has the same rules; it only lost the feature
// gates around them.
import type {
  AuthenticationConfiguration,
  JwtAuthenticator,
  JwtIssuer,
} from './authentication_configuration.ts'
import { readCaBundle } from './ca_bundle.ts'
import { checkExpressions } from './expressions.ts'
import type { PlacedExpression } from './expressions.ts'
import { parseGoUrl } from './go_url.ts'
import type { KubeProblem } from './kube_problem.ts'
import { refused } from './lint_codes.ts'
import { validateClaimRules, validateMappings, validateUserRules } from './validate_mappings.ts'

/** One more than that and the apiserver looks no further. */
const MAX_AUTHENTICATORS = 64

type Keys = KubeProblem['keys']

/**
 * @param expressions the same configuration's, when the caller has them already
 * @param serviceAccountIssuers what `--service-account-issuer` names, as far as known
 */
export function validateAuthenticationConfiguration(
  config: AuthenticationConfiguration,
  expressions: readonly PlacedExpression[] = checkExpressions(config),
  serviceAccountIssuers: readonly string[] = [],
): readonly KubeProblem[] {
  if (config.jwt.length > MAX_AUTHENTICATORS) {
    const message = `there are ${config.jwt.length} authenticators; at most ${MAX_AUTHENTICATORS} are allowed`
    return [refused('too_many_authenticators', { keys: ['jwt'] }, message, 'one issuer each, none twice')]
  }
  return [
    ...config.jwt.flatMap((authenticator, index) =>
      validateAuthenticator(authenticator, index, expressions, serviceAccountIssuers),
    ),
    ...duplicateUrls(config),
    ...anonymousProblems(config),
  ]
}

function validateAuthenticator(
  authenticator: JwtAuthenticator,
  index: number,
  expressions: readonly PlacedExpression[],
  serviceAccountIssuers: readonly string[],
): readonly KubeProblem[] {
  const keys: Keys = ['jwt', index]
  const own = expressions.filter((expression) => expression.authenticator === index)
  return [
    ...validateIssuer(authenticator.issuer, [...keys, 'issuer'], serviceAccountIssuers),
    ...validateClaimRules(authenticator.claimValidationRules, [...keys, 'claimValidationRules']),
    ...validateMappings(authenticator.claimMappings, [...keys, 'claimMappings'], own),
    ...validateUserRules(authenticator.userValidationRules, [...keys, 'userValidationRules']),
    ...own.flatMap(expressionProblem),
  ]
}

function expressionProblem({ keys, checked, otherRelease }: PlacedExpression): readonly KubeProblem[] {
  if (checked.ok) return []
  const { message, wayOut, line, column } = checked.denial
  const where = { keys, inExpression: { line, column } }
  if (otherRelease === undefined) return [refused('expression_invalid', where, message, wayOut)]
  const { minor, and } = otherRelease
  const fix = `only Kubernetes 1.${minor} and ${and} take it: write it with what this release has`
  return [refused('expression_unknown_to_release', where, message, fix)]
}

function validateIssuer(
  issuer: JwtIssuer,
  keys: Keys,
  serviceAccountIssuers: readonly string[],
): readonly KubeProblem[] {
  return [
    ...issuerUrlProblems(issuer.url, [...keys, 'url'], serviceAccountIssuers),
    ...discoveryUrlProblems(issuer, [...keys, 'discoveryURL']),
    ...audienceProblems(issuer, keys),
    ...caProblems(issuer.certificateAuthority, [...keys, 'certificateAuthority']),
    ...egressProblems(issuer.egressSelectorType, [...keys, 'egressSelectorType']),
  ]
}

function issuerUrlProblems(
  url: string,
  keys: Keys,
  serviceAccountIssuers: readonly string[],
): readonly KubeProblem[] {
  if (url === '') {
    const wayOut = "write the issuer exactly as the token's iss claim has it"
    return [refused('issuer_url_missing', { keys }, 'the issuer has no url', wayOut)]
  }
  const problems = [...urlProblems(url, keys)]
  if (serviceAccountIssuers.includes(url)) {
    const message = 'this is the --service-account-issuer of the apiserver itself'
    const wayOut = 'take the entry out: service account tokens are accepted without it'
    problems.push(refused('issuer_of_service_accounts', { keys }, message, wayOut))
  }
  return problems
}

function discoveryUrlProblems(issuer: JwtIssuer, keys: Keys): readonly KubeProblem[] {
  const { discoveryURL = '', url } = issuer
  if (discoveryURL === '') return []
  const problems = [...urlProblems(discoveryURL, keys)]
  if (url !== '' && withoutSlashes(url) === withoutSlashes(discoveryURL)) {
    const message = 'discoveryURL is the issuer itself'
    const wayOut = `leave it out, or write the whole address: ${withoutSlashes(url)}/.well-known/openid-configuration`
    problems.push(refused('discovery_url_equals_issuer', { keys }, message, wayOut))
  }
  return problems
}

function withoutSlashes(url: string): string {
  return url.replace(/\/+$/, '')
}

function urlProblems(text: string, keys: Keys): readonly KubeProblem[] {
  const read = parseGoUrl(text)
  if (!read.ok) {
    const message = `this is no URL: ${read.reason}`
    return [refused('url_unreadable', { keys }, message, 'write https://HOST or https://HOST/PATH')]
  }
  const { scheme, hasUser, query, fragment } = read.url
  const problems: KubeProblem[] = []
  if (scheme !== 'https') {
    const message =
      scheme === '' ? 'the URL has no scheme' : `the scheme is ${scheme}; nothing but https is allowed`
    problems.push(
      refused('url_not_https', { keys }, message, 'write https://; the issuer needs a certificate'),
    )
  }
  if (hasUser) {
    const wayOut = 'take out what stands before the @'
    problems.push(refused('url_with_user', { keys }, 'a user name or password stands in the URL', wayOut))
  }
  if (query !== '')
    problems.push(refused('url_with_query', { keys }, 'the URL has a query', 'end it before the ?'))
  if (fragment !== '') {
    problems.push(refused('url_with_fragment', { keys }, 'the URL has a fragment', 'end it before the #'))
  }
  return problems
}

function audienceProblems(issuer: JwtIssuer, keys: Keys): readonly KubeProblem[] {
  const { audiences, audienceMatchPolicy } = issuer
  if (audiences.length === 0) {
    const wayOut = 'name the one audience of this cluster: audiences: [kube:prod-1]'
    return [refused('audiences_missing', { keys: [...keys, 'audiences'] }, 'no audience is named', wayOut)]
  }
  const problems = audiences.flatMap((audience, index): KubeProblem[] => {
    const at = { keys: [...keys, 'audiences', index] }
    if (audiences.indexOf(audience) < index) {
      return [
        refused(
          'audience_duplicate',
          at,
          `the audience ${JSON.stringify(audience)} stands twice`,
          'keep one',
        ),
      ]
    }
    return audience === ''
      ? [refused('audience_empty', at, 'the audience is empty', 'name it or take it out')]
      : []
  })
  const isAny = audienceMatchPolicy === 'MatchAny'
  if (isAny || (audiences.length === 1 && audienceMatchPolicy === '')) return problems
  const message =
    audiences.length > 1
      ? 'several audiences need audienceMatchPolicy: MatchAny'
      : `audienceMatchPolicy ${JSON.stringify(audienceMatchPolicy)} is not known`
  const wayOut =
    audiences.length > 1 ? 'keep one audience, or write MatchAny' : 'leave it out, or write MatchAny'
  return [
    ...problems,
    refused('audience_match_policy', { keys: [...keys, 'audienceMatchPolicy'] }, message, wayOut),
  ]
}

function caProblems(pem: string, keys: Keys): readonly KubeProblem[] {
  if (pem === '') return []
  const bundle = readCaBundle(pem)
  if (bundle.ok) return []
  const message = `the PEM cannot be used: ${bundle.reason}`
  const wayOut =
    "paste the whole certificate of the CA with its BEGIN and END lines, or leave the field out to use the system's"
  return [refused('certificate_authority_unreadable', { keys }, message, wayOut)]
}

function egressProblems(type: string, keys: Keys): readonly KubeProblem[] {
  if (type === '' || type === 'controlplane' || type === 'cluster') return []
  const message = `egressSelectorType ${JSON.stringify(type)} is not known`
  return [
    refused('egress_selector_unknown', { keys }, message, 'write controlplane or cluster, or leave it out'),
  ]
}

function duplicateUrls(config: AuthenticationConfiguration): readonly KubeProblem[] {
  const urls = config.jwt.map(({ issuer }) => issuer.url)
  const discoveryUrls = config.jwt.map(({ issuer }) => issuer.discoveryURL ?? '')
  return [
    ...repeated(urls).map((index) => {
      const message = `jwt[${urls.indexOf(urls[index] ?? '')}] has the same issuer`
      const wayOut = 'make one entry of both: its rules and mappings decide by the claims'
      return refused('issuer_url_duplicate', { keys: ['jwt', index, 'issuer', 'url'] }, message, wayOut)
    }),
    ...repeated(discoveryUrls)
      .filter((index) => discoveryUrls[index] !== '')
      .map((index) => {
        const message = `jwt[${discoveryUrls.indexOf(discoveryUrls[index] ?? '')}] has the same discoveryURL`
        const wayOut = "each issuer has a discovery document of its own: write this one's"
        return refused(
          'discovery_url_duplicate',
          { keys: ['jwt', index, 'issuer', 'discoveryURL'] },
          message,
          wayOut,
        )
      }),
  ]
}

function repeated(list: readonly string[]): readonly number[] {
  return list.flatMap((text, index) => (list.indexOf(text) < index ? [index] : []))
}

function anonymousProblems({ anonymous }: AuthenticationConfiguration): readonly KubeProblem[] {
  if (anonymous === undefined || anonymous.enabled || anonymous.conditions.length === 0) return []
  const message = 'conditions are given, but anonymous requests are not enabled'
  const wayOut = 'write enabled: true to allow these paths and nothing else, or take the conditions out'
  return [
    refused('anonymous_conditions_while_disabled', { keys: ['anonymous', 'conditions'] }, message, wayOut),
  ]
}
