// Files of AuthenticationConfiguration that differ from a good one in a single thing, for comparing the linter with the
// apiserver's own loader: every field removed, renamed, of another type, empty, twice; URLs, PEM, keys and CEL of every
// kind; YAML and JSON that two readers could read differently.
import { stringify } from 'yaml'
import { EXPRESSIONS } from './kube_mutation_expressions.ts'
import { textMutations } from './kube_mutation_texts.ts'
import { EXTRA_KEYS, flippedCertificates, pemVariants, URLS } from './kube_mutation_values.ts'

export type Mutation = { readonly rule: string; readonly says: string; readonly text: string }

type Data = Record<string, unknown>

/** A good file that uses every field. */
export function goodConfiguration(pem: string): Data {
  return {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: {
          url: 'https://sallyport.example.com',
          discoveryURL: 'https://sallyport.internal:8443/.well-known/openid-configuration',
          certificateAuthority: pem,
          audiences: ['kube:prod-1'],
          audienceMatchPolicy: 'MatchAny',
          egressSelectorType: 'cluster',
        },
        claimValidationRules: [
          { claim: 'token_use', requiredValue: 'kube' },
          { expression: 'claims.exp - claims.iat <= 900.0', message: 'too long' },
          { expression: "claims.sub != ''", message: 'empty' },
        ],
        claimMappings: {
          username: { claim: 'sub', prefix: 'ci:' },
          groups: { expression: "dyn(claims.?groups.orValue([])).map(g, 'ci:' + g)" },
          uid: { claim: 'uid' },
          extra: [
            { key: 'sallyport.dev/repository', valueExpression: "claims.?repository.orValue('')" },
            { key: 'sallyport.dev/ref', valueExpression: "claims.?ref.orValue('')" },
          ],
        },
        userValidationRules: [
          { expression: "!user.username.startsWith('system:')", message: 'reserved' },
          { expression: "user.groups.all(g, !g.startsWith('system:'))", message: 'reserved' },
        ],
      },
      {
        issuer: {
          url: 'https://people.example.com/realms/acme',
          audiences: ['kube:prod-1-people', 'second'],
          audienceMatchPolicy: 'MatchAny',
        },
        claimValidationRules: [{ expression: 'claims.?email_verified.orValue(false) == true' }],
        claimMappings: {
          username: { expression: "'people:' + claims.email" },
          groups: { claim: 'groups', prefix: 'people:' },
          uid: { expression: 'claims.sub' },
        },
      },
    ],
    anonymous: { enabled: true, conditions: [{ path: '/livez' }, { path: '/readyz' }] },
  }
}

/** Every mutation of the good file; the first is the file itself. */
export function mutations(pem: string): readonly Mutation[] {
  const good = goodConfiguration(pem)
  return [
    { rule: 'good', says: 'the good file', text: stringify(good) },
    ...pathsOf(good).flatMap((path) => fieldMutations(good, path)),
    ...valueMutations(good, pem),
    ...expressionMutations(good),
    ...textMutations(good),
  ]
}

type Path = readonly (string | number)[]

function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  const own = path.length === 0 ? [] : [path]
  if (Array.isArray(value))
    return [...own, ...value.flatMap((item: unknown, index) => pathsOf(item, [...path, index]))]
  if (!isData(value)) return own
  return [...own, ...Object.entries(value).flatMap(([key, item]) => pathsOf(item, [...path, key]))]
}

const OTHER_TYPES: readonly (readonly [string, unknown])[] = [
  ['null', null],
  ['a number', 7],
  ['true', true],
  ['a text', 'text'],
  ['an empty text', ''],
  ['a list', ['text']],
  ['an empty list', []],
  ['a mapping', { text: 'text' }],
  ['an empty mapping', {}],
  ['a list of null', [null]],
]

function fieldMutations(good: Data, path: Path): readonly Mutation[] {
  const name = path.join('.')
  const types = OTHER_TYPES.map(([says, value]) =>
    changed(good, path, 'type', `${name} is ${says}`, () => value),
  )
  const key = path.at(-1)
  if (typeof key === 'number') return [...types, removed(good, path), repeated(good, path)]
  const renamed = [
    `${key}x`,
    String(key).toUpperCase(),
    `${String(key).slice(0, 1).toUpperCase()}${String(key).slice(1)}`,
    ` ${key}`,
  ]
  return [...types, removed(good, path), ...renamed.map((other) => renamedTo(good, path, other))]
}

function changed(
  good: Data,
  path: Path,
  rule: string,
  says: string,
  make: (before: unknown) => unknown,
): Mutation {
  const data = structuredClone(good)
  const [holder, key] = holderOf(data, path)
  Reflect.set(holder, key, make(Reflect.get(holder, key)))
  return { rule, says, text: stringify(data) }
}

function removed(good: Data, path: Path): Mutation {
  const data = structuredClone(good)
  const [holder, key] = holderOf(data, path)
  if (Array.isArray(holder)) holder.splice(Number(key), 1)
  else Reflect.deleteProperty(holder, key)
  return { rule: 'removed', says: `${path.join('.')} is removed`, text: stringify(data) }
}

function repeated(good: Data, path: Path): Mutation {
  const data = structuredClone(good)
  const [holder, key] = holderOf(data, path)
  if (Array.isArray(holder)) holder.push(structuredClone(holder[Number(key)]))
  return {
    rule: 'twice',
    says: `${path.join('.')} stands twice`,
    text: stringify(data, { aliasDuplicateObjects: false }),
  }
}

function renamedTo(good: Data, path: Path, name: string): Mutation {
  const data = structuredClone(good)
  const [holder, key] = holderOf(data, path)
  Reflect.set(holder, name, Reflect.get(holder, key))
  Reflect.deleteProperty(holder, key)
  return {
    rule: 'unknown field',
    says: `${path.join('.')} is called ${JSON.stringify(name)}`,
    text: stringify(data),
  }
}

function holderOf(data: unknown, path: Path): [object, string | number] {
  let holder: unknown = data
  for (const step of path.slice(0, -1)) holder = isIndexable(holder) ? Reflect.get(holder, step) : undefined
  const key = path.at(-1)
  if (!isIndexable(holder) || key === undefined) throw new Error(`no ${path.join('.')}`)
  return [holder, key]
}

function valueMutations(good: Data, pem: string): readonly Mutation[] {
  const issuer = ['jwt', 0, 'issuer'] as const
  const set = (rule: string, path: Path, values: readonly unknown[]): readonly Mutation[] =>
    values.map((value) =>
      changed(good, path, rule, `${path.join('.')} is ${JSON.stringify(value)?.slice(0, 60)}`, () => value),
    )
  return [
    ...set('url', [...issuer, 'url'], URLS),
    ...set(
      'discoveryURL',
      [...issuer, 'discoveryURL'],
      [...URLS, 'https://sallyport.example.com', 'https://sallyport.example.com//'],
    ),
    ...set(
      'audiences',
      [...issuer, 'audiences'],
      [['a', 'a'], ['a', ''], [''], ['a', 'b'], [null, 'a'], ['a', 1]],
    ),
    ...set(
      'audienceMatchPolicy',
      [...issuer, 'audienceMatchPolicy'],
      ['matchany', 'MatchAll', ' ', 'MatchAny '],
    ),
    ...set('audienceMatchPolicy', ['jwt', 1, 'issuer', 'audienceMatchPolicy'], ['', 'MatchAll']),
    ...set('egress', [...issuer, 'egressSelectorType'], ['controlplane', 'master', 'etcd', 'Cluster', '']),
    ...set('extra key', ['jwt', 0, 'claimMappings', 'extra', 0, 'key'], EXTRA_KEYS),
    ...set('certificate', [...issuer, 'certificateAuthority'], pemVariants(pem)),
    ...set('certificate bit', [...issuer, 'certificateAuthority'], flippedCertificates(pem)),
    ...set(
      'apiVersion',
      ['apiVersion'],
      [
        'apiserver.config.k8s.io/v1beta1',
        'apiserver.config.k8s.io/v1alpha1',
        'apiserver.config.k8s.io/v2',
        'apiserver.config.k8s.io',
        'v1',
        'apiserver.k8s.io/v1alpha1',
        'example.com/v1',
        'a/b/c',
        '/',
        '',
        'apiserver.config.k8s.io/v1 ',
      ],
    ),
    ...set(
      'kind',
      ['kind'],
      [
        'authenticationconfiguration',
        'AuthorizationConfiguration',
        'EncryptionConfiguration',
        'AuthenticationConfigurationList',
        'Status',
        '',
      ],
    ),
    ...set(
      'anonymous',
      ['anonymous'],
      [
        { enabled: false },
        { enabled: false, conditions: [{ path: '/x' }] },
        { enabled: true },
        { enabled: 'true' },
        { conditions: [{ path: '/x' }] },
        { conditions: [] },
        {},
        { enabled: true, conditions: [{ path: '' }] },
        { enabled: true, conditions: [{ path: '/a', x: 1 }] },
      ],
    ),
    ...set(
      'mapping',
      ['jwt', 0, 'claimMappings', 'username'],
      [
        { claim: 'sub' },
        { claim: 'sub', prefix: '' },
        { claim: 'sub', prefix: null },
        { expression: 'claims.sub' },
        { expression: 'claims.sub', prefix: '' },
        { expression: 'claims.sub', claim: 'sub' },
        { prefix: 'x' },
        {},
      ],
    ),
    ...set(
      'mapping',
      ['jwt', 0, 'claimMappings', 'groups'],
      [
        { claim: 'g' },
        { claim: 'g', prefix: '' },
        { expression: 'claims.g', prefix: '' },
        { expression: 'claims.g', claim: 'g', prefix: '' },
        { prefix: 'x' },
        {},
      ],
    ),
    ...set(
      'mapping',
      ['jwt', 0, 'claimMappings', 'uid'],
      [
        { claim: 'g' },
        { expression: 'claims.g' },
        { claim: 'g', expression: 'claims.g' },
        { claim: 'g', prefix: '' },
        {},
      ],
    ),
    ...set(
      'claim rule',
      ['jwt', 0, 'claimValidationRules', 0],
      [
        { claim: 'a' },
        { claim: 'a', message: 'm' },
        { claim: 'a', expression: 'true' },
        { requiredValue: 'a' },
        { message: 'm' },
        { expression: 'true', requiredValue: 'x' },
        { expression: 'true', message: 'm' },
        { expression: "claims.sub != ''" },
        {},
      ],
    ),
    ...set(
      'claim rule',
      ['jwt', 0, 'claimValidationRules', 1],
      [{ claim: 'token_use', requiredValue: 'other' }],
    ),
    ...set(
      'user rule',
      ['jwt', 0, 'userValidationRules', 0],
      [
        {},
        { message: 'm' },
        { expression: '' },
        { expression: "user.groups.all(g, !g.startsWith('system:'))" },
        { claim: 'x' },
      ],
    ),
    ...set(
      'email',
      ['jwt', 1, 'claimValidationRules'],
      [
        [],
        [{ claim: 'email_verified', requiredValue: 'true' }],
        [{ expression: "claims['email_verified'] == true" }],
        [{ expression: 'claims[?"email_verified"].orValue(false) == true' }],
        [{ expression: 'has(claims.email_verified)' }],
        [{ expression: 'claims.x.email_verified == true' }],
        [{ expression: '[claims.email_verified] == [true]' }],
        [{ expression: '{"a": claims.email_verified} == {"a": true}' }],
        [{ expression: 'dyn([1]).all(x, claims.email_verified == true)' }],
      ],
    ),
    ...set(
      'email',
      ['jwt', 1, 'claimMappings', 'username', 'expression'],
      [
        "claims['email']",
        'claims.?email.orValue("")',
        'claims.email + string(claims.email_verified)',
        'has(claims.email) ? claims.sub : claims.sub',
        'claims.x.email',
        'claims.email.x',
        '(claims).email',
        '.claims.email',
      ],
    ),
    ...set('too many', ['jwt'], [manyAuthenticators(64), manyAuthenticators(65)]),
  ]
}

function manyAuthenticators(count: number): readonly Data[] {
  return Array.from({ length: count }, (_, index) => ({
    issuer: { url: `https://i${index}.example.com`, audiences: ['a'] },
    claimMappings: { username: { claim: 'sub', prefix: '' } },
  }))
}

const PLACES: readonly (readonly [string, Path])[] = [
  ['claim rule', ['jwt', 0, 'claimValidationRules', 1, 'expression']],
  ['username', ['jwt', 1, 'claimMappings', 'username', 'expression']],
  ['groups', ['jwt', 0, 'claimMappings', 'groups', 'expression']],
  ['uid', ['jwt', 1, 'claimMappings', 'uid', 'expression']],
  ['extra', ['jwt', 0, 'claimMappings', 'extra', 0, 'valueExpression']],
  ['user rule', ['jwt', 0, 'userValidationRules', 0, 'expression']],
]

function expressionMutations(good: Data): readonly Mutation[] {
  return PLACES.flatMap(([place, path]) =>
    EXPRESSIONS.map((text) =>
      changed(good, path, `CEL ${place}`, `${place} ${JSON.stringify(text)}`, () => text),
    ),
  )
}

function isData(value: unknown): value is Data {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isIndexable(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
