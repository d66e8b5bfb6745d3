// A planned AuthenticationConfiguration as text: the same plan gives the same bytes, each line with the reason why it stands.
import type { AuthConfigPlan, PlannedAuthenticator } from './auth_config_plan.ts'
import { AUTHENTICATION_API_GROUP, AUTHENTICATION_KIND } from './authentication_configuration.ts'
import type {
  AnonymousAuth,
  ClaimMappings,
  ClaimOrExpression,
  JwtIssuer,
  PrefixedClaimOrExpression,
} from './authentication_configuration.ts'
import { printYaml, yamlMap } from './yaml_text.ts'
import type { YamlEntry, YamlList, YamlMap, YamlValue } from './yaml_text.ts'

export function printAuthConfig(plan: AuthConfigPlan): string {
  const { anonymous } = plan
  return printYaml(
    plan.heading,
    yamlMap([
      { key: 'apiVersion', value: `${AUTHENTICATION_API_GROUP}/${plan.version.apiVersion}` },
      { key: 'kind', value: AUTHENTICATION_KIND },
      anonymous && { key: 'anonymous', why: anonymous.why, value: anonymousMap(anonymous.auth) },
      { key: 'jwt', value: { kind: 'list', items: plan.jwt.map(authenticatorItem) } },
    ]),
  )
}

function anonymousMap({ enabled, conditions }: AnonymousAuth): YamlMap {
  const paths = conditions.map(({ path }) => ({ value: yamlMap([{ key: 'path', value: path }]) }))
  return yamlMap([{ key: 'enabled', value: enabled }, listEntry('conditions', paths)])
}

function authenticatorItem({ heading, authenticator, why }: PlannedAuthenticator): YamlList['items'][number] {
  const { issuer, claimValidationRules, claimMappings, userValidationRules } = authenticator
  const rules = claimValidationRules.map((rule, index) => ({
    why: why[`claimValidationRules[${index}]`],
    value: yamlMap([
      text('claim', rule.claim),
      text('requiredValue', rule.requiredValue),
      text('expression', rule.expression),
      text('message', rule.message),
    ]),
  }))
  const userRules = userValidationRules.map((rule) => ({
    value: yamlMap([text('expression', rule.expression), text('message', rule.message)]),
  }))
  return {
    why: heading,
    value: yamlMap([
      { key: 'issuer', value: issuerMap(issuer, why) },
      listEntry('claimValidationRules', rules),
      { key: 'claimMappings', value: mappingsMap(claimMappings, why) },
      listEntry('userValidationRules', userRules, why['userValidationRules']),
    ]),
  }
}

function issuerMap(issuer: JwtIssuer, why: PlannedAuthenticator['why']): YamlMap {
  const ca = issuer.certificateAuthority
  const whyCa = why['issuer.certificateAuthority']
  // Without one, its comment says so above the next key.
  const whyAudiences = [ca === '' ? whyCa : undefined, why['issuer.audiences']].filter(
    (part) => part !== undefined,
  )
  const { discoveryURL } = issuer
  return yamlMap([
    { key: 'url', why: why['issuer.url'], value: issuer.url },
    discoveryURL === undefined
      ? undefined
      : { key: 'discoveryURL', why: why['issuer.discoveryURL'], value: discoveryURL },
    ca === '' ? undefined : { key: 'certificateAuthority', why: whyCa, value: { kind: 'block', text: ca } },
    {
      key: 'audiences',
      why: whyAudiences.length === 0 ? undefined : whyAudiences.join('\n'),
      value: { kind: 'list', items: issuer.audiences.map((audience) => ({ value: audience })) },
    },
    text('audienceMatchPolicy', issuer.audienceMatchPolicy),
    text('egressSelectorType', issuer.egressSelectorType),
  ])
}

function mappingsMap(mappings: ClaimMappings, why: PlannedAuthenticator['why']): YamlMap {
  const extra = mappings.extra.map(({ key, valueExpression }) => ({
    value: yamlMap([
      { key: 'key', value: key },
      { key: 'valueExpression', value: valueExpression },
    ]),
  }))
  return yamlMap([
    { key: 'username', why: why['claimMappings.username'], value: prefixed(mappings.username) },
    mapping('groups', mappings.groups, prefixed(mappings.groups), why),
    mapping('uid', mappings.uid, claimOrExpression(mappings.uid), why),
    listEntry('extra', extra, why['claimMappings.extra']),
  ])
}

function mapping(
  key: string,
  source: ClaimOrExpression,
  value: YamlMap,
  why: PlannedAuthenticator['why'],
): YamlEntry | undefined {
  if (source.claim === '' && source.expression === '') return undefined
  return { key, why: why[`claimMappings.${key}`], value }
}

function prefixed(source: PrefixedClaimOrExpression): YamlMap {
  const { prefix } = source
  const entries = claimOrExpression(source).entries
  return yamlMap([...entries, prefix === undefined ? undefined : { key: 'prefix', value: prefix }])
}

function claimOrExpression({ claim, expression }: ClaimOrExpression): YamlMap {
  return yamlMap([text('claim', claim), text('expression', expression)])
}

/** Left out where it is empty, which the apiserver reads the same. */
function text(key: string, value: string): YamlEntry | undefined {
  return value === '' ? undefined : { key, value: value satisfies YamlValue }
}

function listEntry(key: string, items: YamlList['items'], why?: string): YamlEntry | undefined {
  return items.length === 0 ? undefined : { key, why, value: { kind: 'list', items } }
}
