// From plain data to an AuthenticationConfiguration, as strictly as kube-apiserver decodes it: names are case-sensitive,
// an unknown one is refused, null is the same as absent, and no value is turned into another type. All three versions
// have the same fields since Kubernetes 1.34. Follows k8s.io/apimachinery's strict JSON serializer (v0.36.4).
import { nearest } from '#core/nearest.ts'
import { AUTHENTICATION_API_GROUP, AUTHENTICATION_KIND } from './authentication_configuration.ts'
import type {
  AnonymousAuth,
  AuthenticationApiVersion,
  AuthenticationConfiguration,
  ClaimMappings,
  ClaimOrExpression,
  ClaimValidationRule,
  ExtraMapping,
  JwtAuthenticator,
  JwtIssuer,
  PrefixedClaimOrExpression,
  UserValidationRule,
} from './authentication_configuration.ts'
import type { KubeProblem } from './kube_problem.ts'
import { refused } from './lint_codes.ts'

export type AuthenticationRead = {
  /** What could be read, defaults in place of what could not; `undefined` when it is no such document at all. */
  readonly config: AuthenticationConfiguration | undefined
  readonly problems: readonly KubeProblem[]
}

const VERSIONS: readonly AuthenticationApiVersion[] = ['v1', 'v1beta1', 'v1alpha1']
/** A list of a million entries is told about once, not a million times. */
const MAX_PROBLEMS = 200

/** Reads the data of one document (YAML 1.1 or JSON, duplicate keys already told). */
export function readAuthenticationConfiguration(data: unknown): AuthenticationRead {
  const problems: KubeProblem[] = []
  if (data === null || data === undefined) {
    const wayOut = `write apiVersion: ${AUTHENTICATION_API_GROUP}/v1 and kind: ${AUTHENTICATION_KIND}`
    problems.push(refused('document_empty', { keys: [] }, 'there is nothing in this document', wayOut))
    return { config: undefined, problems }
  }
  if (!isMapping(data)) {
    const message = `the document is ${inWords(data)}, not a mapping`
    problems.push(
      refused('document_not_a_mapping', { keys: [] }, message, 'start with apiVersion: and kind:'),
    )
    return { config: undefined, problems }
  }
  const version = readVersion(data, problems)
  if (version === undefined) return { config: undefined, problems }
  const field = fieldsOf({ value: data, keys: [], problems }, ['apiVersion', 'kind', 'jwt', 'anonymous'])
  const config = {
    version,
    jwt: listOf(field('jwt'), readAuthenticator),
    anonymous: readAnonymous(field('anonymous')),
  }
  return { config, problems: problems.slice(0, MAX_PROBLEMS) }
}

function readVersion(data: Mapping, problems: KubeProblem[]): AuthenticationApiVersion | undefined {
  const apiVersion = text({ value: data['apiVersion'], keys: ['apiVersion'], problems })
  const kind = text({ value: data['kind'], keys: ['kind'], problems })
  if (problems.length > 0) return undefined
  const wayOut = `write apiVersion: ${AUTHENTICATION_API_GROUP}/v1 (Kubernetes 1.30 to 1.33: v1beta1)`
  if (kind === '') {
    const message = 'the document does not say what it is: kind is missing'
    problems.push(refused('kind_missing', { keys: ['kind'] }, message, `add kind: ${AUTHENTICATION_KIND}`))
  } else if (kind !== AUTHENTICATION_KIND) {
    const message = `kind is ${JSON.stringify(kind)}; --authentication-config takes nothing but ${AUTHENTICATION_KIND}`
    problems.push(refused('kind_unknown', { keys: ['kind'] }, message, `write kind: ${AUTHENTICATION_KIND}`))
  }
  if (apiVersion === '') {
    problems.push(refused('api_version_missing', { keys: ['apiVersion'] }, 'apiVersion is missing', wayOut))
    return undefined
  }
  const version = VERSIONS.find((candidate) => apiVersion === `${AUTHENTICATION_API_GROUP}/${candidate}`)
  if (version === undefined) {
    const message = `kube-apiserver does not know apiVersion ${JSON.stringify(apiVersion)} of this kind`
    problems.push(refused('api_version_unknown', { keys: ['apiVersion'] }, message, wayOut))
  }
  return problems.length > 0 ? undefined : version
}

function readAuthenticator(spot: Spot): JwtAuthenticator {
  const field = fieldsOf(spot, ['issuer', 'claimValidationRules', 'claimMappings', 'userValidationRules'])
  return {
    issuer: readIssuer(field('issuer')),
    claimValidationRules: listOf(field('claimValidationRules'), readClaimRule),
    claimMappings: readMappings(field('claimMappings')),
    userValidationRules: listOf(field('userValidationRules'), readUserRule),
  }
}

function readIssuer(spot: Spot): JwtIssuer {
  const field = fieldsOf(spot, [
    'url',
    'discoveryURL',
    'certificateAuthority',
    'audiences',
    'audienceMatchPolicy',
    'egressSelectorType',
  ])
  return {
    url: text(field('url')),
    discoveryURL: optionalText(field('discoveryURL')),
    certificateAuthority: text(field('certificateAuthority')),
    audiences: listOf(field('audiences'), text),
    audienceMatchPolicy: text(field('audienceMatchPolicy')),
    egressSelectorType: text(field('egressSelectorType')),
  }
}

function readClaimRule(spot: Spot): ClaimValidationRule {
  const field = fieldsOf(spot, ['claim', 'requiredValue', 'expression', 'message'])
  return {
    claim: text(field('claim')),
    requiredValue: text(field('requiredValue')),
    expression: text(field('expression')),
    message: text(field('message')),
  }
}

function readUserRule(spot: Spot): UserValidationRule {
  const field = fieldsOf(spot, ['expression', 'message'])
  return { expression: text(field('expression')), message: text(field('message')) }
}

function readMappings(spot: Spot): ClaimMappings {
  const field = fieldsOf(spot, ['username', 'groups', 'uid', 'extra'])
  return {
    username: readPrefixed(field('username')),
    groups: readPrefixed(field('groups')),
    uid: readUid(field('uid')),
    extra: listOf(field('extra'), readExtra),
  }
}

function readPrefixed(spot: Spot): PrefixedClaimOrExpression {
  const field = fieldsOf(spot, ['claim', 'prefix', 'expression'])
  return {
    claim: text(field('claim')),
    prefix: optionalText(field('prefix')),
    expression: text(field('expression')),
  }
}

function readUid(spot: Spot): ClaimOrExpression {
  const field = fieldsOf(spot, ['claim', 'expression'])
  return { claim: text(field('claim')), expression: text(field('expression')) }
}

function readExtra(spot: Spot): ExtraMapping {
  const field = fieldsOf(spot, ['key', 'valueExpression'])
  return { key: text(field('key')), valueExpression: text(field('valueExpression')) }
}

function readAnonymous(spot: Spot): AnonymousAuth | undefined {
  if (isAbsent(spot.value)) return undefined
  const field = fieldsOf(spot, ['enabled', 'conditions'])
  return {
    enabled: flag(field('enabled')),
    conditions: listOf(field('conditions'), (condition) => ({
      path: text(fieldsOf(condition, ['path'])('path')),
    })),
  }
}

/** A value of the document, and where it stands. */
type Spot = {
  readonly value: unknown
  readonly keys: KubeProblem['keys']
  readonly problems: KubeProblem[]
}
type Mapping = Readonly<Record<string, unknown>>

/** The named members of a mapping; tells every other member. */
function fieldsOf(spot: Spot, known: readonly string[]): (name: string) => Spot {
  const { value, keys, problems } = spot
  const members = isMapping(value) ? value : {}
  if (!isAbsent(value) && !isMapping(value)) wrongType(spot, 'a mapping')
  for (const name of Object.keys(members)) {
    if (known.includes(name)) continue
    const free = known.filter((candidate) => isAbsent(members[candidate]))
    const guess = nearest(name, free)
    const message = `there is no field ${JSON.stringify(name)} here`
    const wayOut = guess === undefined ? `known here: ${known.join(', ')}` : `did you mean ${guess}?`
    problems.push(refused('field_unknown', { keys: [...keys, name] }, message, wayOut))
  }
  return (name) => ({ value: members[name], keys: [...keys, name], problems })
}

function listOf<T>(spot: Spot, read: (item: Spot) => T): readonly T[] {
  const { value, keys, problems } = spot
  if (isAbsent(value)) return []
  if (!Array.isArray(value)) {
    wrongType(spot, 'a list')
    return []
  }
  const items: readonly unknown[] = value
  return items.map((item, index) => read({ value: item, keys: [...keys, index], problems }))
}

function text(spot: Spot): string {
  return optionalText(spot) ?? ''
}

function optionalText(spot: Spot): string | undefined {
  const { value } = spot
  if (isAbsent(value)) return undefined
  if (typeof value === 'string') return value
  wrongType(spot, 'a text')
  return undefined
}

function flag(spot: Spot): boolean {
  const { value } = spot
  if (isAbsent(value)) return false
  if (typeof value === 'boolean') return value
  wrongType(spot, 'true or false')
  return false
}

function wrongType({ value, keys, problems }: Spot, expected: string): void {
  const message = `must be ${expected}, not ${inWords(value)}`
  problems.push(refused('field_type', { keys }, message, wayOutOf(value, expected)))
}

function wayOutOf(value: unknown, expected: string): string {
  if (expected === 'a text' && typeof value === 'number') return `put it in quotes: "${value}"`
  if (expected === 'a text' && typeof value === 'boolean') {
    return 'put it in quotes; yes, no, on, off, y and n without quotes are true and false to Kubernetes'
  }
  if (expected === 'a list' && !isMapping(value)) return 'write a list: [value]'
  if (expected === 'a list') return 'start each entry with "- "'
  if (expected === 'true or false') return 'write true or false, without quotes'
  return `write ${expected}`
}

/** A value in words; a text is not quoted, since somebody may have put a secret where it does not belong. */
function inWords(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' || typeof value === 'boolean') return `the ${typeof value} ${value}`
  return typeof value === 'string' ? 'a text' : 'a mapping'
}

function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
