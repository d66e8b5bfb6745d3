// What the linter says of expressions that the apiserver loads: each trap in the forms that people write it in, and what
// looks like it and is none. The verdicts on tokens behind them were taken from the apiserver's own authenticator (1.36.4).
import t from 'tap'
import type { ExpressionUse } from '../../src/core/kube/cel/check_expression.ts'
import type { KubeProblem } from '../../src/core/kube/kube_problem.ts'
import { kubeVersion } from '../../src/core/kube/kube_version.ts'
import { lintAuthenticationConfiguration } from '../../src/core/kube/lint.ts'

type Entry = Readonly<Record<string, unknown>>

function problemsOf(jwt: readonly Entry[], release = '1.36'): readonly KubeProblem[] {
  const version = kubeVersion(release)
  if (version === undefined) throw new Error(`no release ${release}`)
  const data = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', jwt }
  return lintAuthenticationConfiguration(data, { version, serviceAccountIssuers: [] }).problems
}

function entryWith(use: ExpressionUse, expression: string): Entry {
  const username = { claim: 'sub', prefix: 'ci:' }
  const uid = { claim: 'uid' }
  const mappings: Readonly<Record<ExpressionUse, Entry>> = {
    claim_validation: { username, uid },
    user_validation: { username, uid },
    username: { username: { expression }, uid },
    groups: { username, uid, groups: { expression } },
    uid: { username, uid: { expression } },
    extra: { username, uid, extra: [{ key: 'example.com/x', valueExpression: expression }] },
  }
  return {
    issuer: { url: 'https://issuer.example.com', audiences: ['kube:prod'] },
    claimValidationRules: use === 'claim_validation' ? [{ expression }] : [],
    claimMappings: mappings[use],
    userValidationRules: use === 'user_validation' ? [{ expression }] : [],
  }
}

const VALUES: ReadonlySet<string> = new Set([
  'value_not_text',
  'list_not_accepted',
  'range_unbounded',
  'keys_not_values',
])

function codesOf(use: ExpressionUse, expression: string, release?: string): readonly string[] {
  const problems = problemsOf([entryWith(use, expression)], release)
  const refusal = problems.find(({ severity }) => severity === 'refused')
  if (refusal !== undefined) return [refusal.message]
  return problems.map(({ code }) => code).filter((code) => VALUES.has(code))
}

const NATIVE: readonly string[] = [
  "claims.csv.split(',')",
  "claims.?csv.orValue('').split(',')",
  "dyn(claims.csv).split(',')",
  "dyn(claims.csv.split(','))",
  "claims.csv.findAll('[a-z]')",
  "has(claims.csv) ? claims.csv.split(',') : []",
  "claims.?csv.optMap(c, c.split(',')).orValue([])",
  "claims.csv.split(',') + []",
  "optional.of(claims.csv.split(',')).orValue([])",
]
const COPIED: readonly string[] = [
  "claims.csv.split(',').map(g, g)",
  "claims.csv.split(',').filter(g, g != '')",
  "claims.csv.split(',').sort()",
  "claims.csv.split(',').slice(0, 2)",
  "claims.csv.split(',') + ['d']",
  "claims.?csv.optMap(c, c.split(',').map(g, g)).orValue([])",
  "claims.csv.split(',').last().orValue('')",
]

t.test('a list that the mappings do not take is told in groups and in extra', async (t) => {
  for (const use of ['groups', 'extra'] as const) {
    for (const text of NATIVE) t.strictSame(codesOf(use, text), ['list_not_accepted'], `${use}: ${text}`)
    for (const text of COPIED) t.strictSame(codesOf(use, text), [], `${use}: ${text}`)
  }
})

t.test('a value that can be no name is told; the compiler lets every type pass', async (t) => {
  const never = ['claims.?sub', '1', 'int(claims.n)', "claims.sub == 'x'", "{'a': 1}", '[1]', 'claims']
  for (const text of never) {
    for (const use of ['username', 'uid', 'groups', 'extra'] as const) {
      t.strictSame(codesOf(use, text), ['value_not_text'], `${use}: ${text}`)
    }
  }
  const lists = ["['a']", '[]', 'dyn(claims.groups).map(g, g)', '[claims.?team]']
  for (const text of lists) {
    for (const use of ['groups', 'extra'] as const) t.strictSame(codesOf(use, text), [], `${use}: ${text}`)
    for (const use of ['username', 'uid'] as const) {
      t.strictSame(codesOf(use, text), ['value_not_text'], `${use}: ${text}`)
    }
  }
  const texts = [
    'claims.sub',
    "'a' + claims.sub",
    "claims.?sub.orValue('')",
    'dyn(claims.sub)',
    'string(claims.n)',
  ]
  for (const text of texts) {
    for (const use of ['username', 'uid', 'groups', 'extra'] as const) {
      t.strictSame(codesOf(use, text), [], `${use}: ${text}`)
    }
  }
})

t.test('a list as long as a token says is told, one as long as a list of the token is fine', async (t) => {
  const endless = [
    'lists.range(int(claims.n)).size() > 0',
    'lists.range(2000000000).size() > 0',
    'lists.range(1000 * 1000 * 1000).size() > 0',
    'lists.range(size(claims.sub) * size(claims.sub)).size() > 0',
    'lists.range(10 - int(claims.n)).size() > 0',
    'lists.range(has(claims.n) ? int(claims.n) : 3).size() > 0',
  ]
  for (const text of endless) t.strictSame(codesOf('claim_validation', text), ['range_unbounded'], text)
  const bounded = [
    'lists.range(3).size() > 0',
    'lists.range(size(claims.sub)).size() > 0',
    'lists.range(size(claims.sub) - 1).size() > 0',
    'lists.range(claims.sub.indexOf("/")).size() > 0',
    'lists.range(int(claims.n) % 100).size() > 0',
    'lists.range(has(claims.n) ? 5 : 3).size() > 0',
  ]
  for (const text of bounded) t.strictSame(codesOf('claim_validation', text), [], text)
  // Kubernetes 1.37 makes no list above a million
  t.strictSame(codesOf('claim_validation', 'lists.range(int(claims.n)).size() > 0', '1.37'), [])
  t.strictSame(codesOf('claim_validation', 'lists.range(2000000000).size() > 0', '1.37'), ['range_unbounded'])
})

t.test('a loop over a map goes over its keys, which is told unless it is meant', async (t) => {
  const mistaken: readonly (readonly [ExpressionUse, string])[] = [
    ['claim_validation', "claims.exists(c, c == 'acme/app')"],
    ['claim_validation', "dyn(claims).all(c, c != '')"],
    ['claim_validation', "dyn(claims.realm_access).exists(r, r == 'admin')"],
    ['user_validation', "user.extra.all(v, v.startsWith('acme'))"],
  ]
  for (const [use, text] of mistaken) t.strictSame(codesOf(use, text), ['keys_not_values'], text)
  const meant: readonly (readonly [ExpressionUse, string])[] = [
    ['claim_validation', "claims.exists(k, claims[k] == 'acme/app')"],
    ['claim_validation', "claims.all(k, k in ['iss', 'sub', 'aud', 'exp'])"],
    ['claim_validation', "claims.exists(k, v, v == 'acme/app')"],
    ['claim_validation', "dyn(claims.groups).exists(g, g == 'admin')"],
    ['claim_validation', "dyn(claims.realm_access.roles).exists(r, r == 'admin')"],
    ['claim_validation', "dyn(claims.resource_access).exists(c, c == 'kube')"],
    ['user_validation', "user.extra.all(k, k.startsWith('acme.example/'))"],
    ['user_validation', 'user.extra.all(k, user.extra[k].size() == 1)'],
    ['user_validation', "user.groups.all(g, !g.startsWith('system:'))"],
  ]
  for (const [use, text] of meant) t.strictSame(codesOf(use, text), [], text)
})

const PREFIXES: ReadonlySet<string> = new Set([
  'username_without_prefix',
  'groups_without_prefix',
  'username_system_possible',
  'groups_system_possible',
  'prefixes_collide',
])
const NO_SYSTEM = [
  { expression: "!user.username.startsWith('system:')" },
  { expression: "user.groups.all(g, !g.startsWith('system:'))" },
]

type Bare = {
  readonly issuer?: string
  readonly username?: Entry
  readonly groups?: Entry
  readonly claims?: string
  readonly user?: string
}

function bare({ issuer = 'https://issuer.example.com', username, groups, claims, user }: Bare): Entry {
  return {
    issuer: { url: issuer, audiences: ['kube:prod'] },
    claimValidationRules: claims === undefined ? [] : [{ expression: claims }],
    claimMappings: { username: username ?? { claim: 'sub', prefix: '' }, groups, uid: { claim: 'sub' } },
    userValidationRules: user === undefined ? NO_SYSTEM : [...NO_SYSTEM, { expression: user }],
  }
}

function prefixCodes(...entries: readonly Entry[]): readonly string[] {
  return problemsOf(entries)
    .map(({ code }) => code)
    .filter((code) => PREFIXES.has(code))
}

t.test('an empty prefix is told even where a rule keeps system: away', async (t) => {
  t.strictSame(prefixCodes(bare({})), ['username_without_prefix'])
  t.strictSame(prefixCodes(bare({ username: { claim: 'sub', prefix: 'ci:' } })), [])
  const groups = { claim: 'groups', prefix: '' }
  t.strictSame(prefixCodes(bare({ username: { claim: 'sub', prefix: 'ci:' }, groups })), [
    'groups_without_prefix',
  ])
})

t.test('a rule that holds names to a beginning is as good as a prefix, another one is not', async (t) => {
  const held: readonly Bare[] = [
    { claims: "claims.sub.startsWith('repo:acme/')" },
    { claims: "claims.iss != '' && claims.sub.matches('^repo:acme/.*$')" },
    { user: "user.username.startsWith('repo:')" },
    { user: "user.username.startsWith('a:') || user.username.startsWith('b:')" },
  ]
  for (const one of held) t.strictSame(prefixCodes(bare(one)), [], JSON.stringify(one))
  const open: readonly Bare[] = [
    { claims: "claims.ref.startsWith('refs/tags/')" },
    { claims: "claims.sub.matches('repo:acme/.*')" },
    { user: "!user.username.startsWith('kubeadm:')" },
    { user: "user.username.startsWith('a:') || user.groups.size() == 0" },
  ]
  for (const one of open) {
    t.strictSame(prefixCodes(bare(one)), ['username_without_prefix'], JSON.stringify(one))
  }
  const username = { claim: 'sub', prefix: 'ci:' }
  const groups = { claim: 'groups', prefix: '' }
  const begun = { username, groups, user: "user.groups.all(g, g.startsWith('team-'))" }
  t.strictSame(prefixCodes(bare(begun)), [])
  const some = { username, groups, user: "user.groups.exists(g, g.startsWith('team-'))" }
  t.strictSame(prefixCodes(bare(some)), ['groups_without_prefix'])
  t.strictSame(prefixCodes(bare({ ...some, user: "user.username.startsWith('ci:')" })), [
    'groups_without_prefix',
  ])
})

t.test('an address needs no prefix behind one issuer, and does beside another bare one', async (t) => {
  const people = bare({ username: { claim: 'email', prefix: '' } })
  t.strictSame(prefixCodes(people), [])
  const prefixed = bare({ issuer: 'https://ci.example.com', username: { claim: 'sub', prefix: 'ci:' } })
  t.strictSame(prefixCodes(people, prefixed), [])
  const other = bare({ issuer: 'https://b.example.com', username: { claim: 'email', prefix: '' } })
  t.strictSame(prefixCodes(people, other), ['prefixes_collide'])
})
