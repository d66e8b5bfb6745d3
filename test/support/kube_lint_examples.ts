// The examples of docs/kube-lint.md: for every code of the linter one file that has it and one that does not. The page is
// made of them, the tests hold the linter to them, and the agreement run asks the apiserver's own loader about each.
import { parse, stringify } from 'yaml'
import type { LintContext } from '../../src/core/kube/lint.ts'
import { kubeVersion } from '../../src/core/kube/kube_version.ts'

/** A CA of nobody; its key is gone. */
export const EXAMPLE_CA = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBbDCCAROgAwIBAgIUKh1B/WDzwX1KhIPUoAq7As3tXA0wCgYIKoZIzj0EAwIw',
  'DDEKMAgGA1UEAwwBeDAeFw0yNjExMjExNzIwMDZaFw0zNTAyMDcxNzIwMDZaMAwx',
  'CjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAReH+XHnb6ZnxLH',
  'UrF7jcLKbQ92imaJX5UYrMLSL5oa4DoaP+Cjw6udPhsHZm9I2rJHcoEFI/rhJYpd',
  'Q5tWZeSuo1MwUTAdBgNVHQ4EFgQUsicx2zsMuZKKhyXzACgPMrcLKcQwHwYDVR0j',
  'BBgwFoAUsicx2zsMuZKKhyXzACgPMrcLKcQwDwYDVR0TAQH/BAUwAwEB/zAKBggq',
  'hkjOPQQDAgNHADBEAiBU8dYGXrAcnKCapp9ZPcJXDMnEfBb+jX0hX13F3rFcoQIg',
  'HFcVED4rA9axB2Senserz/qo8LNTTZNMYYAokpReQ5M=',
  '-----END CERTIFICATE-----',
  '',
].join('\n')

export type LintExample = {
  readonly code: string
  /** Where the lines belong: into the first entry of `jwt` of the good file, at its top, or the whole text. */
  readonly into: 'entry' | 'file' | 'text'
  readonly bad: string
  readonly good: string
  /** `--kubernetes-version` of both. */
  readonly release?: string
  readonly serviceAccountIssuer?: string
}

/** The file that the examples are parts of, itself without any finding. */
export const GOOD_FILE = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
  - issuer:
      url: https://sallyport.example.com
      audiences: [kube:prod-1]
    claimValidationRules:
      - claim: token_use
        requiredValue: kube
      - expression: claims.exp - claims.iat <= 900.0
        message: the token must not live longer than 15 minutes
      - expression: claims.sub != ''
        message: the subject must not be empty
    claimMappings:
      username: { claim: sub, prefix: 'ci:' }
      groups: { claim: groups, prefix: 'ci:' }
      uid: { claim: uid }
      extra:
        - key: sallyport.dev/repository
          valueExpression: claims.?repository.orValue('')
    userValidationRules:
      - expression: "!user.username.startsWith('system:')"
      - expression: user.groups.all(g, !g.startsWith('system:'))
`

/** The whole file of an example's lines: mappings are merged into the good file, anything else takes its place. */
export function exampleFile({ into }: LintExample, lines: string): string {
  const text = lines
    .replaceAll('$CA', JSON.stringify(EXAMPLE_CA))
    .replaceAll('$PEM', JSON.stringify(EXAMPLE_CA).slice(1, -1))
  if (into === 'text') return text
  const good: unknown = parse(GOOD_FILE)
  const part: unknown = parse(text, { uniqueKeys: false })
  return stringify(
    into === 'file' ? merged(good, part) : merged(good, { jwt: [merged(firstEntry(good), part)] }),
  )
}

export function exampleContext({ release = '1.36', serviceAccountIssuer }: LintExample): LintContext {
  const version = kubeVersion(release)
  if (version === undefined) throw new Error(`no release ${release}`)
  return { version, serviceAccountIssuers: serviceAccountIssuer === undefined ? [] : [serviceAccountIssuer] }
}

function firstEntry(good: unknown): unknown {
  const jwt = isMapping(good) ? good['jwt'] : undefined
  return Array.isArray(jwt) ? jwt[0] : undefined
}

function merged(base: unknown, part: unknown): unknown {
  if (!isMapping(base) || !isMapping(part)) return part
  const all = new Set([...Object.keys(base), ...Object.keys(part)])
  return Object.fromEntries(
    [...all].map((key) => [key, key in part ? merged(base[key], part[key]) : base[key]] as const),
  )
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export const LINT_EXAMPLES: readonly LintExample[] = [
  {
    code: 'document_empty',
    into: 'text',
    bad: `# nothing here yet
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'document_not_first',
    into: 'text',
    bad: `apiVersion: v1
kind: Namespace
metadata: { name: x }
---
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'document_not_a_mapping',
    into: 'text',
    bad: `- apiVersion: apiserver.config.k8s.io/v1
  kind: AuthenticationConfiguration
  jwt: []
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'yaml_not_readable',
    into: 'text',
    bad: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: [
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'json_not_readable',
    into: 'text',
    bad: `{apiVersion: apiserver.config.k8s.io/v1, kind: AuthenticationConfiguration}
`,
    good: `{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"}
`,
  },
  {
    code: 'key_duplicate',
    into: 'text',
    bad: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
jwt: []
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'api_version_missing',
    into: 'text',
    bad: `kind: AuthenticationConfiguration
jwt: []
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'api_version_unknown',
    into: 'file',
    bad: `apiVersion: apiserver.config.k8s.io/v2`,
    good: `apiVersion: apiserver.config.k8s.io/v1`,
  },
  {
    code: 'kind_missing',
    into: 'text',
    bad: `apiVersion: apiserver.config.k8s.io/v1
jwt: []
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'kind_unknown',
    into: 'file',
    bad: `kind: AuthorizationConfiguration`,
    good: `kind: AuthenticationConfiguration`,
  },
  {
    code: 'field_unknown',
    into: 'entry',
    bad: `issuer: { audience: kube:prod-1 }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'field_type',
    into: 'entry',
    bad: `issuer: { audiences: kube:prod-1 }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'too_many_authenticators',
    into: 'file',
    bad: `jwt: [${Array.from({ length: 65 }, () => '{}').join(', ')}]`,
    good: `jwt: []`,
  },
  {
    code: 'issuer_url_missing',
    into: 'entry',
    bad: `issuer: { url: '' }`,
    good: `issuer: { url: https://sallyport.example.com }`,
  },
  {
    code: 'url_unreadable',
    into: 'entry',
    bad: `issuer: { url: "https://sallyport.example.com:port" }`,
    good: `issuer: { url: "https://sallyport.example.com:8443" }`,
  },
  {
    code: 'url_not_https',
    into: 'entry',
    bad: `issuer: { url: http://sallyport.example.com }`,
    good: `issuer: { url: https://sallyport.example.com }`,
  },
  {
    code: 'url_with_user',
    into: 'entry',
    bad: `issuer: { url: https://me@sallyport.example.com }`,
    good: `issuer: { url: https://sallyport.example.com }`,
  },
  {
    code: 'url_with_query',
    into: 'entry',
    bad: `issuer: { url: "https://sallyport.example.com?realm=a" }`,
    good: `issuer: { url: https://sallyport.example.com/realms/a }`,
  },
  {
    code: 'url_with_fragment',
    into: 'entry',
    bad: `issuer: { url: "https://sallyport.example.com#a" }`,
    good: `issuer: { url: https://sallyport.example.com }`,
  },
  {
    code: 'issuer_url_duplicate',
    into: 'file',
    bad: `jwt:
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
    good: `jwt:
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://b.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
  },
  {
    code: 'issuer_of_service_accounts',
    into: 'entry',
    bad: `issuer: { url: https://kubernetes.default.svc.cluster.local }`,
    good: `issuer: { url: https://sallyport.example.com }`,
    serviceAccountIssuer: 'https://kubernetes.default.svc.cluster.local',
  },
  {
    code: 'discovery_url_equals_issuer',
    into: 'entry',
    bad: `issuer: { discoveryURL: https://sallyport.example.com/ }`,
    good: `issuer: { discoveryURL: https://sallyport.internal/.well-known/openid-configuration }`,
  },
  {
    code: 'discovery_url_duplicate',
    into: 'file',
    bad: `jwt:
  - issuer: { url: https://a.example.com, discoveryURL: https://a.internal/.well-known/openid-configuration, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://b.example.com, discoveryURL: https://a.internal/.well-known/openid-configuration, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
    good: `jwt:
  - issuer: { url: https://a.example.com, discoveryURL: https://a.internal/.well-known/openid-configuration, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://b.example.com, discoveryURL: https://b.internal/.well-known/openid-configuration, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
  },
  {
    code: 'audiences_missing',
    into: 'entry',
    bad: `issuer: { audiences: [] }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'audience_empty',
    into: 'entry',
    bad: `issuer: { audiences: [''] }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'audience_duplicate',
    into: 'entry',
    bad: `issuer: { audiences: [kube:prod-1, kube:prod-1], audienceMatchPolicy: MatchAny }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'audience_match_policy',
    into: 'entry',
    bad: `issuer: { audiences: [kube:prod-1, kube:prod-2] }`,
    good: `issuer: { audiences: [kube:prod-1, kube:prod-2], audienceMatchPolicy: MatchAny }`,
  },
  {
    code: 'certificate_authority_unreadable',
    into: 'entry',
    bad: `issuer: { certificateAuthority: CERTIFICATE }`,
    good: `issuer: { certificateAuthority: $CA }`,
  },
  {
    code: 'egress_selector_unknown',
    into: 'entry',
    bad: `issuer: { egressSelectorType: master }`,
    good: `issuer: { egressSelectorType: controlplane }`,
  },
  {
    code: 'claim_and_expression',
    into: 'entry',
    bad: `claimMappings: { uid: { claim: uid, expression: claims.uid } }`,
    good: `claimMappings: { uid: { claim: uid } }`,
  },
  {
    code: 'claim_or_expression_missing',
    into: 'entry',
    bad: `claimMappings: { username: { prefix: 'ci:', claim: '' } }`,
    good: `claimMappings: { username: { prefix: 'ci:', claim: sub } }`,
  },
  {
    code: 'message_with_claim',
    into: 'entry',
    bad: `claimValidationRules:
  - { claim: token_use, requiredValue: kube, message: 'not ours' }
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - { claim: token_use, requiredValue: kube }
  - expression: claims.sub != ''`,
  },
  {
    code: 'required_value_with_expression',
    into: 'entry',
    bad: `claimValidationRules:
  - { expression: claims.sub != '', requiredValue: x }`,
    good: `claimValidationRules:
  - { expression: claims.sub != '' }`,
  },
  {
    code: 'required_claim_duplicate',
    into: 'entry',
    bad: `claimValidationRules:
  - { claim: env, requiredValue: prod }
  - { claim: env, requiredValue: stage }
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - expression: claims.env in ['prod', 'stage']
  - expression: claims.sub != ''`,
  },
  {
    code: 'expression_duplicate',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: claims.sub != ''
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - expression: claims.sub != ''`,
  },
  {
    code: 'expression_missing',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: example.com/ref`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')`,
  },
  {
    code: 'expression_invalid',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: claims.roles.exists(r, r == 'admin') && claims.sub != ''`,
    good: `claimValidationRules:
  - expression: dyn(claims.roles).exists(r, r == 'admin') && claims.sub != ''`,
  },
  {
    code: 'prefix_missing',
    into: 'entry',
    bad: `claimMappings: { username: { claim: sub, prefix: ~ } }`,
    good: `claimMappings: { username: { claim: sub, prefix: 'ci:' } }`,
  },
  {
    code: 'prefix_with_expression',
    into: 'entry',
    bad: `claimMappings: { username: { claim: ~, expression: claims.sub, prefix: 'ci:' } }`,
    good: `claimMappings: { username: { claim: ~, prefix: ~, expression: "'ci:' + claims.sub" } }`,
  },
  {
    code: 'extra_key_missing',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: ''
      valueExpression: claims.?ref.orValue('')`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')`,
  },
  {
    code: 'extra_key_invalid',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: ref
      valueExpression: claims.?ref.orValue('')`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')`,
  },
  {
    code: 'extra_key_not_lowercase',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: example.com/Ref
      valueExpression: claims.?ref.orValue('')`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')`,
  },
  {
    code: 'extra_key_reserved',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: authentication.kubernetes.io/ref
      valueExpression: claims.?ref.orValue('')`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')`,
  },
  {
    code: 'extra_key_duplicate',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')
    - key: example.com/ref
      valueExpression: claims.?sha.orValue('')`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')
    - key: example.com/sha
      valueExpression: claims.?sha.orValue('')`,
  },
  {
    code: 'email_verified_unused',
    into: 'entry',
    bad: `claimMappings: { username: { claim: ~, prefix: ~, expression: "'people:' + claims.email" } }`,
    good: `claimMappings: { username: { claim: ~, prefix: ~, expression: "'people:' + claims.email" } }
claimValidationRules:
  - expression: claims.?email_verified.orValue(false) == true`,
  },
  {
    code: 'anonymous_conditions_while_disabled',
    into: 'file',
    bad: `anonymous: { enabled: false, conditions: [{ path: /livez }] }`,
    good: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
  },
  {
    code: 'version_unknown_to_release',
    into: 'file',
    bad: `apiVersion: apiserver.config.k8s.io/v1`,
    good: `apiVersion: apiserver.config.k8s.io/v1beta1`,
    release: '1.33',
  },
  {
    code: 'field_unknown_to_release',
    into: 'file',
    bad: `apiVersion: apiserver.config.k8s.io/v1beta1
anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
    good: `apiVersion: apiserver.config.k8s.io/v1beta1`,
    release: '1.30',
  },
  {
    code: 'expression_unknown_to_release',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: claims.roles.includes('deployer') && claims.sub != ''`,
    good: `claimValidationRules:
  - expression: "'deployer' in claims.roles && claims.sub != ''"`,
  },
  {
    code: 'in_on_claims',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: "'env' in claims"
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - expression: has(claims.env)
  - expression: claims.sub != ''`,
  },
  {
    code: 'claim_number_is_double',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: claims.exp < claims.iat + 900
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - expression: claims.exp < claims.iat + 900.0
  - expression: claims.sub != ''`,
  },
  {
    code: 'text_plus_list',
    into: 'entry',
    bad: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: "has(claims.groups) ? 'ci:' + claims.groups : ''"`,
    good: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: dyn(claims.?groups.orValue([])).map(g, 'ci:' + g)`,
  },
  {
    code: 'list_not_accepted',
    into: 'entry',
    bad: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: claims.?roles.orValue('').split(',')`,
    good: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: claims.?roles.orValue('').split(',').map(r, 'ci:' + r)`,
  },
  {
    code: 'value_not_text',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: example.com/team
      valueExpression: claims.?team`,
    good: `claimMappings:
  extra:
    - key: example.com/team
      valueExpression: claims.?team.orValue('')`,
  },
  {
    code: 'range_unbounded',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: lists.range(int(claims.depth)).all(i, claims.path.split('/')[i] != '..') && claims.sub != ''`,
    good: `claimValidationRules:
  - expression: claims.path.split('/').all(part, part != '..') && claims.sub != ''`,
  },
  {
    code: 'claim_is_path',
    into: 'entry',
    bad: `claimMappings: { groups: { claim: realm_access.roles, prefix: 'ci:' } }`,
    good: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: dyn(claims.?realm_access.?roles.orValue([])).map(r, 'ci:' + r)`,
  },
  {
    code: 'claim_not_text',
    into: 'entry',
    bad: `claimMappings: { uid: { claim: iat } }`,
    good: `claimMappings: { uid: { claim: uid } }`,
  },
  {
    code: 'required_value_empty',
    into: 'entry',
    bad: `claimValidationRules:
  - claim: env
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - { claim: env, requiredValue: prod }
  - expression: claims.sub != ''`,
  },
  {
    code: 'username_constant',
    into: 'entry',
    bad: `claimMappings: { username: { claim: ~, prefix: ~, expression: "'ci'" } }`,
    good: `claimMappings: { username: { claim: ~, prefix: ~, expression: "'ci:' + claims.sub" } }`,
  },
  {
    code: 'username_system_possible',
    into: 'entry',
    bad: `claimMappings: { username: { claim: login, prefix: '' } }
userValidationRules:
  - expression: user.groups.all(g, !g.startsWith('system:'))`,
    good: `claimMappings: { username: { claim: sub, prefix: 'ci:' } }
userValidationRules:
  - expression: user.groups.all(g, !g.startsWith('system:'))`,
  },
  {
    code: 'groups_system_possible',
    into: 'entry',
    bad: `claimMappings: { groups: { claim: groups, prefix: '' } }
userValidationRules:
  - expression: "!user.username.startsWith('system:')"`,
    good: `claimMappings: { groups: { claim: groups, prefix: 'ci:' } }
userValidationRules:
  - expression: "!user.username.startsWith('system:')"`,
  },
  {
    code: 'prefix_is_system',
    into: 'entry',
    bad: `claimMappings: { username: { claim: sub, prefix: 'system:ci:' } }`,
    good: `claimMappings: { username: { claim: sub, prefix: 'ci:' } }`,
  },
  {
    code: 'shared_issuer_unpinned',
    into: 'entry',
    bad: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.repository_id + ':' + claims.ref" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.event_name in ['push', 'workflow_dispatch']`,
    good: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.repository_id + ':' + claims.ref" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.event_name in ['push', 'workflow_dispatch']
  - expression: claims.repository_owner_id == '123456'`,
  },
  {
    code: 'placeholder_left',
    into: 'entry',
    bad: `issuer: { audiences: ['<CLIENT_ID>'] }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'private_key_in_ca',
    into: 'entry',
    bad: `issuer:
  certificateAuthority: "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----\\n$PEM"`,
    good: `issuer: { certificateAuthority: $CA }`,
  },
  {
    code: 'anonymous_path_never_matches',
    into: 'file',
    bad: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }, { path: '/healthz*' }] }`,
    good: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }, { path: /healthz }] }`,
  },
  {
    code: 'document_ignored',
    into: 'text',
    bad: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
---
anonymous: { enabled: false }
`,
    good: `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt: []
`,
  },
  {
    code: 'version_old',
    into: 'file',
    bad: `apiVersion: apiserver.config.k8s.io/v1beta1`,
    good: `apiVersion: apiserver.config.k8s.io/v1`,
  },
  {
    code: 'issuers_several',
    into: 'file',
    bad: `jwt:
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://b.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
    good: `jwt:
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
  },
  {
    code: 'prefixes_collide',
    into: 'file',
    bad: `jwt:
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://b.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
    good: `jwt:
  - issuer: { url: https://a.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'a:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]
  - issuer: { url: https://b.example.com, audiences: [kube:prod-1] }
    claimMappings: { username: { claim: sub, prefix: 'b:' }, uid: { claim: sub } }
    claimValidationRules: [{ expression: claims.sub != '' }]`,
  },
  {
    code: 'username_mutable',
    into: 'entry',
    bad: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.sub" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.event_name in ['push', 'workflow_dispatch']
  - expression: claims.repository_owner == 'acme'`,
    good: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.sub" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.event_name in ['push', 'workflow_dispatch']
  - expression: claims.repository_owner_id == '123456'`,
  },
  {
    code: 'username_not_unique',
    into: 'entry',
    bad: `claimMappings: { username: { claim: preferred_username, prefix: 'people:' } }
claimValidationRules:
  - expression: claims.preferred_username != ''`,
    good: `claimMappings: { username: { claim: sub, prefix: 'people:' } }
claimValidationRules:
  - expression: claims.sub != ''`,
  },
  {
    code: 'username_without_prefix',
    into: 'entry',
    bad: `claimMappings: { username: { claim: sub, prefix: '' } }`,
    good: `claimMappings: { username: { claim: sub, prefix: 'ci:' } }`,
  },
  {
    code: 'username_may_be_empty',
    into: 'entry',
    bad: `claimValidationRules:
  - { claim: token_use, requiredValue: kube }`,
    good: `claimValidationRules:
  - { claim: token_use, requiredValue: kube }
  - expression: claims.sub != ''`,
  },
  {
    code: 'groups_without_prefix',
    into: 'entry',
    bad: `claimMappings: { groups: { claim: groups, prefix: '' } }`,
    good: `claimMappings: { groups: { claim: groups, prefix: 'ci:' } }`,
  },
  {
    code: 'groups_constant',
    into: 'entry',
    bad: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: "['ci:deployers']"
claimValidationRules: []
userValidationRules:
  - expression: user.username.startsWith('ci:') && user.username != 'ci:'`,
    good: `claimMappings:
  groups:
    claim: ~
    prefix: ~
    expression: "['ci:deployers']"
claimValidationRules:
  - expression: claims.sub == 'github:4711'`,
  },
  {
    code: 'uid_missing',
    into: 'entry',
    bad: `claimMappings: { uid: { claim: ~ } }`,
    good: `claimMappings: { uid: { claim: uid } }`,
  },
  {
    code: 'email_not_verified',
    into: 'entry',
    bad: `claimMappings: { username: { claim: email, prefix: 'people:' } }`,
    good: `claimMappings: { username: { claim: email, prefix: 'people:' } }
claimValidationRules:
  - expression: claims.?email_verified.orValue(false) == true`,
  },
  {
    code: 'audiences_several',
    into: 'entry',
    bad: `issuer: { audiences: [kube:prod-1, registry], audienceMatchPolicy: MatchAny }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'audience_is_issuer',
    into: 'entry',
    bad: `issuer: { audiences: [https://sallyport.example.com/] }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'audience_foreign',
    into: 'entry',
    bad: `issuer: { audiences: [sts.amazonaws.com] }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'audience_generic',
    into: 'entry',
    bad: `issuer: { audiences: [kubernetes] }`,
    good: `issuer: { audiences: [kube:prod-1] }`,
  },
  {
    code: 'lifetime_unbounded',
    into: 'entry',
    bad: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.repository_id + ':' + claims.ref" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.event_name in ['push', 'workflow_dispatch']
  - expression: claims.repository_owner_id == '123456'`,
    good: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.repository_id + ':' + claims.ref" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.event_name in ['push', 'workflow_dispatch']
  - expression: claims.repository_owner_id == '123456'`,
  },
  {
    code: 'pull_requests_possible',
    into: 'entry',
    bad: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.repository_id + ':' + claims.ref" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.repository_owner_id == '123456'`,
    good: `issuer: { url: https://token.actions.githubusercontent.com }
claimMappings:
  username: { claim: ~, prefix: ~, expression: "'github:' + claims.repository_id + ':' + claims.ref" }
  uid: { claim: repository_id }
  groups: { claim: ~, prefix: ~ }
claimValidationRules:
  - expression: claims.exp - claims.iat <= 3600.0
  - expression: claims.event_name in ['push', 'workflow_dispatch']
  - expression: claims.repository_owner_id == '123456'`,
  },
  {
    code: 'discovery_url_not_well_known',
    into: 'entry',
    bad: `issuer: { discoveryURL: https://sallyport.internal }`,
    good: `issuer: { discoveryURL: https://sallyport.internal/.well-known/openid-configuration }`,
  },
  {
    code: 'egress_selector_needs_flag',
    into: 'entry',
    bad: `issuer: { egressSelectorType: cluster }`,
    good: `issuer: {}`,
  },
  {
    code: 'number_as_text',
    into: 'entry',
    bad: `claimMappings: { uid: { claim: ~, expression: string(claims.sub_id) } }
claimValidationRules:
  - expression: claims.sub != '' && has(claims.sub_id)`,
    good: `claimMappings: { uid: { claim: ~, expression: string(int(claims.sub_id)) } }
claimValidationRules:
  - expression: claims.sub != '' && has(claims.sub_id)`,
  },
  {
    code: 'optional_claim_unguarded',
    into: 'entry',
    bad: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.ref`,
    good: `claimMappings:
  extra:
    - key: example.com/ref
      valueExpression: claims.?ref.orValue('')`,
  },
  {
    code: 'user_extra_unguarded',
    into: 'entry',
    bad: `userValidationRules:
  - expression: user.extra['example.com/ref'][0] != 'x'`,
    good: `userValidationRules:
  - expression: "!('example.com/ref' in user.extra) || user.extra['example.com/ref'][0] != 'x'"`,
  },
  {
    code: 'pattern_not_anchored',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: claims.sub.matches('repo:acme/.*')`,
    good: `claimValidationRules:
  - expression: claims.sub.matches('^repo:acme/.*$')`,
  },
  {
    code: 'pattern_open_ended',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: claims.sub.startsWith('repo:acme')`,
    good: `claimValidationRules:
  - expression: claims.sub.startsWith('repo:acme/')`,
  },
  {
    code: 'rule_reads_nothing',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: 'true'
  - expression: claims.sub != ''`,
    good: `claimValidationRules:
  - expression: claims.hd == 'example.com'
  - expression: claims.sub != ''`,
  },
  {
    code: 'keys_not_values',
    into: 'entry',
    bad: `claimValidationRules:
  - expression: dyn(claims.realm_access).exists(role, role == 'deployer') && claims.sub != ''`,
    good: `claimValidationRules:
  - expression: dyn(claims.realm_access.roles).exists(role, role == 'deployer') && claims.sub != ''`,
  },
  {
    code: 'anonymous_needs_restart',
    into: 'file',
    bad: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
    good: `jwt: []`,
  },
  {
    code: 'anonymous_everywhere',
    into: 'file',
    bad: `anonymous: { enabled: true }`,
    good: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
  },
  {
    code: 'anonymous_probes_refused',
    into: 'file',
    bad: `anonymous: { enabled: false }`,
    good: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
  },
  {
    code: 'anonymous_path_exposed',
    into: 'file',
    bad: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }, { path: /metrics }] }`,
    good: `anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
  },
  {
    code: 'anonymous_gated',
    into: 'file',
    bad: `apiVersion: apiserver.config.k8s.io/v1beta1
anonymous: { enabled: true, conditions: [{ path: /livez }, { path: /readyz }] }`,
    good: `apiVersion: apiserver.config.k8s.io/v1beta1`,
    release: '1.31',
  },
]
