// The AuthenticationConfiguration that auth-config makes: what stands in it, why, and what it is not made for.
import t from 'tap'
import { readAuthenticationConfiguration } from '../../src/core/kube/read.ts'
import { planAuthConfig } from '../../src/core/kube/auth_config_plan.ts'
import type { AuthConfigPlan, AuthConfigRequest, PlanNote } from '../../src/core/kube/auth_config_plan.ts'
import type {
  AuthenticationConfiguration,
  JwtAuthenticator,
  PrefixedClaimOrExpression,
} from '../../src/core/kube/authentication_configuration.ts'
import { FORGE_PREFIXES, planForgejo, planGitlab } from '../../src/core/kube/forge_issuers.ts'
import { kubeVersion } from '../../src/core/kube/kube_version.ts'
import type { KubeVersion } from '../../src/core/kube/kube_version.ts'
import { printAuthConfig } from '../../src/core/kube/print_auth_config.ts'
import { readYaml } from '../../src/platform/config/yaml_document.ts'

function versionOf(text: string): KubeVersion {
  const version = kubeVersion(text)
  if (version === undefined) throw new Error(`${text} is no version`)
  return version
}

const BROKER: AuthConfigRequest['broker'] = {
  issuer: 'https://broker.example.test/dex',
  audience: 'kubernetes',
  profile: 'kubernetes',
  maxLifetimeSeconds: 900,
  policyClaims: [],
  policyGroups: ['deployers'],
  connectors: 1,
  discoveryUrl: undefined,
  ca: undefined,
}

const REQUEST: AuthConfigRequest = {
  version: versionOf('1.36'),
  versionText: '1.36',
  broker: BROKER,
  naming: { usernameClaim: 'username', usernamePrefix: 'ci:', groupsPrefix: 'ci:' },
  further: [],
  furtherNotes: [],
  merged: [],
  anonymous: undefined,
}

const DEX: AuthConfigRequest = {
  ...REQUEST,
  broker: { ...BROKER, profile: 'dex', maxLifetimeSeconds: 3600 },
  naming: { ...REQUEST.naming, usernameClaim: 'email' },
}

function planned(request: AuthConfigRequest): AuthConfigPlan {
  const plan = planAuthConfig(request)
  if (!plan.ok) throw new Error(plan.denial.map(({ message }) => message).join('\n'))
  return plan.value
}

function refusals(request: AuthConfigRequest): readonly string[] {
  const plan = planAuthConfig(request)
  return plan.ok ? [] : plan.denial.map(({ code }) => code)
}

function codes(request: AuthConfigRequest): readonly string[] {
  return planned(request).notes.map(({ code }) => code)
}

/** The printed text as the strict reader of our own linter sees it. */
function printed(request: AuthConfigRequest): AuthenticationConfiguration {
  const text = printAuthConfig(planned(request))
  const { documents, findings } = readYaml('authentication.yaml', text)
  const { config, problems } = readAuthenticationConfiguration(documents[0]?.data)
  if (config === undefined || findings.length + problems.length > 0) {
    throw new Error(`${text}${JSON.stringify({ findings, problems })}`)
  }
  return config
}

t.test('what is printed is what was planned, whatever the plan says', async (t) => {
  for (const request of [REQUEST, DEX, { ...REQUEST, anonymous: 'kubeadm' as const }]) {
    const plan = planned(request)
    t.strictSame(
      printed(request),
      {
        version: plan.version.apiVersion,
        jwt: plan.jwt.map(({ authenticator }) => authenticator),
        anonymous: plan.anonymous?.auth,
      },
      request.broker.profile,
    )
    t.equal(printAuthConfig(planned(request)), printAuthConfig(plan), 'twice the same bytes')
  }
})

t.test('1.30 to 1.33 read v1beta1, later ones v1, and nothing else is a version', async (t) => {
  for (const text of ['1.30', '1.31', '1.32', '1.33', 'v1.33.4'])
    t.equal(printed({ ...REQUEST, version: versionOf(text) }).version, 'v1beta1', text)
  for (const text of ['1.34', '1.36.4', '1.37'])
    t.equal(printed({ ...REQUEST, version: versionOf(text) }).version, 'v1')
  for (const text of ['1.29', '1.38', '1.3', '2.36', '1.36.4-rc', '', '1.', '1.036'])
    t.equal(kubeVersion(text), undefined, text)
})

t.test('each line says why it stands', async (t) => {
  const text = printAuthConfig(planned({ ...REQUEST, anonymous: 'health' }))
  const lines = text.split('\n')
  for (const key of [
    '- issuer:',
    'url:',
    'audiences:',
    '- claim: token_use',
    'username:',
    'groups:',
    'uid:',
    'extra:',
  ]) {
    const at = lines.findIndex((line) => line.trim().startsWith(key))
    t.match(lines[at - 1], /^ *# /, key)
  }
  t.ok(
    lines.every((line) => line.length <= 120),
    'and no line is long',
  )
})

t.test('a token of the broker is held to use, lifetime and a name', async (t) => {
  const [authenticator] = printed(REQUEST).jwt
  t.match(authenticator?.claimValidationRules, [
    { claim: 'token_use', requiredValue: 'kube' },
    { expression: 'claims.exp - claims.iat <= 900.0' },
    { expression: "claims.sub != '' && claims.username != ''" },
  ])
  t.match(authenticator?.claimMappings, {
    username: { claim: 'username', prefix: 'ci:' },
    groups: { claim: 'groups', prefix: 'ci:' },
    uid: { claim: 'uid' },
  })
  t.strictSame(
    authenticator?.claimMappings.extra.map(({ key }) => key),
    ['source', 'repository', 'repository-id', 'ref', 'sha', 'environment', 'run-id', 'policy'].map(
      (name) => `sallyport.dev/${name}`,
    ),
  )
})

t.test(
  'a Dex audience names people by verified e-mail, and its lifetime is that of the configuration',
  async (t) => {
    const [authenticator] = printed(DEX).jwt
    t.match(authenticator?.claimMappings, { username: { claim: 'email' }, uid: { claim: 'sub' } })
    t.match(authenticator?.claimValidationRules, [
      { expression: 'claims.exp - claims.iat <= 3600.0' },
      { expression: "claims.sub != '' && claims.email != ''" },
      { expression: 'has(claims.email_verified) && claims.email_verified == true' },
    ])
    const bySub = printed({ ...DEX, naming: { ...DEX.naming, usernameClaim: 'sub' } }).jwt[0]
    t.equal(bySub?.claimValidationRules.length, 2, 'no address, no question whether it is verified')
    t.strictSame(
      printed({
        ...DEX,
        broker: { ...DEX.broker, policyClaims: ['sha', 'team', 'repository'] },
      }).jwt[0]?.claimMappings.extra.map(({ key }) => key),
      ['sallyport.dev/repository', 'sallyport.dev/sha', 'sallyport.dev/connector'],
      'what policies add is mapped',
    )
  },
)

t.test('what cannot be a file of an apiserver is refused with a way out', async (t) => {
  const naming = (change: Partial<AuthConfigRequest['naming']>) => ({
    ...REQUEST,
    naming: { ...REQUEST.naming, ...change },
  })
  t.strictSame(refusals(REQUEST), [])
  t.strictSame(refusals(naming({ usernamePrefix: 'system:ci:' })), ['prefix_unusable'])
  t.strictSame(refusals(naming({ groupsPrefix: 'c i:' })), ['prefix_unusable'])
  t.strictSame(refusals(naming({ groupsPrefix: '\u202eci:' })), ['prefix_unusable'])
  t.strictSame(refusals(naming({ usernamePrefix: 'x'.repeat(65) })), ['prefix_unusable'])
  t.strictSame(refusals(naming({ usernameClaim: 'email' })), ['username_claim_unknown'])
  t.strictSame(refusals({ ...REQUEST, broker: { ...BROKER, issuer: 'http://broker.example.test' } }), [
    'issuer_unusable',
  ])
})

t.test('what is dangerous without being wrong is said', async (t) => {
  t.strictSame(codes(REQUEST), [])
  t.strictSame(codes({ ...REQUEST, naming: { ...REQUEST.naming, groupsPrefix: '' } }), ['prefix_empty'])
  t.strictSame(codes({ ...REQUEST, broker: { ...BROKER, policyGroups: ['ci:deployers'] } }), [
    'prefix_doubled',
  ])
  t.strictSame(codes({ ...DEX, broker: { ...DEX.broker, maxLifetimeSeconds: 86400 } }), ['lifetime_long'])
  t.strictSame(codes({ ...DEX, broker: { ...DEX.broker, connectors: 2 } }), ['email_of_several_connectors'])
})

const OTHER = planned(DEX).jwt[0]?.authenticator

function named(
  { claimMappings }: JwtAuthenticator,
  username: Partial<PrefixedClaimOrExpression>,
  groups: Partial<PrefixedClaimOrExpression> = {},
): JwtAuthenticator['claimMappings'] {
  const nothing = { claim: '', expression: '', prefix: undefined }
  return { ...claimMappings, username: { ...nothing, ...username }, groups: { ...nothing, ...groups } }
}

t.test(
  'issuers of an existing file stay, ours takes the place of its own, and anonymous is kept',
  async (t) => {
    if (OTHER === undefined) throw new Error('no entry')
    const far = {
      ...OTHER,
      issuer: { ...OTHER.issuer, url: 'https://sso.example.test', egressSelectorType: 'cluster' },
      claimMappings: named(OTHER, { claim: 'email', prefix: 'sso:' }, { claim: 'groups', prefix: 'sso:' }),
    }
    const merged = [
      {
        file: 'old.yaml',
        config: { version: 'v1', jwt: [OTHER, far], anonymous: { enabled: false, conditions: [] } },
      },
    ] as const satisfies AuthConfigRequest['merged']
    const config = printed({ ...REQUEST, merged })
    t.strictSame(
      config.jwt.map(({ issuer }) => issuer.url),
      [BROKER.issuer, 'https://sso.example.test'],
    )
    t.equal(config.jwt[0]?.claimMappings.username.claim, 'username', 'ours, not theirs')
    t.strictSame(config.jwt[1], far)
    t.strictSame(config.anonymous, { enabled: false, conditions: [] })
    t.strictSame(codes({ ...REQUEST, merged }), ['issuer_replaced'])
    t.strictSame(refusals({ ...REQUEST, merged, anonymous: 'health' }), ['anonymous_merged_and_asked'])
  },
)

const FORGE = {
  url: 'https://git.example.test',
  audience: 'kubernetes',
  ca: undefined,
  prefix: FORGE_PREFIXES.forgejo,
}

t.test('a GitLab beside the broker is pinned by ids, takes jobs only, and no forks', async (t) => {
  const gitlab = planGitlab({ ...FORGE, projectIds: ['48291', '48292'], namespaceIds: ['7203'] })
  const [, entry] = printed({ ...REQUEST, further: [gitlab.planned] }).jwt
  t.match(entry?.claimValidationRules, [
    { expression: "claims.project_id in ['48291', '48292'] || claims.namespace_id in ['7203']" },
    { expression: "has(claims.pipeline_id) && has(claims.job_id) && claims.sub.startsWith('project_path:')" },
    { expression: '!has(claims.job_project_id) || claims.job_project_id == claims.project_id' },
    { expression: "claims.pipeline_source in ['push', 'web', 'schedule']" },
    { expression: 'claims.exp - claims.iat <= 86400.0' },
  ])
  t.match(entry?.claimMappings.uid, { claim: 'project_id' })
  t.strictSame(gitlab.notes, [])
})

t.test('a Forgejo is pinned by id, and one of release 15 by path with a warning', async (t) => {
  const byId = planForgejo({ ...FORGE, repositoryIds: ['456'], repositoryPaths: [] })
  t.match(byId.planned.authenticator, {
    issuer: { url: 'https://git.example.test/api/actions' },
    claimMappings: {
      username: { expression: "'forgejo:' + claims.repository_id + ':' + claims.ref" },
      uid: { claim: 'repository_id' },
    },
  })
  t.strictSame(byId.notes, [])
  const byPath = planForgejo({ ...FORGE, repositoryIds: [], repositoryPaths: ['adam/technowizardry.net'] })
  t.match(byPath.planned.authenticator.claimValidationRules[0], {
    expression: "claims.repository in ['adam/technowizardry.net']",
  })
  t.match(byPath.planned.authenticator.claimMappings, {
    username: { expression: "'forgejo:' + claims.sub" },
    uid: { claim: '' },
  })
  t.strictSame(
    byPath.notes.map(({ code }) => code),
    ['forge_by_path'],
  )
  t.match(printAuthConfig(planned({ ...REQUEST, further: [byPath.planned] })), /# Paths, because .*WARNING/)
})

t.test('no name of the broker can be one of a forge', async (t) => {
  const further = [planForgejo({ ...FORGE, repositoryIds: ['456'], repositoryPaths: [] }).planned]
  for (const usernamePrefix of ['', 'f', 'forgejo:', 'forgejo:456:'])
    t.strictSame(refusals({ ...REQUEST, further, naming: { ...REQUEST.naming, usernamePrefix } }), [
      'prefix_of_a_forge',
    ])
  t.strictSame(refusals({ ...REQUEST, further, naming: { ...REQUEST.naming, usernamePrefix: 'forge:' } }), [])
})

t.test('two forges keep apart by their prefixes, which can be set', async (t) => {
  const forgejo = planForgejo({ ...FORGE, repositoryIds: ['456'], repositoryPaths: [] }).planned
  const gitlab = (prefix: string) =>
    planGitlab({
      ...FORGE,
      url: 'https://gitlab.example.test',
      prefix,
      projectIds: ['48291'],
      namespaceIds: [],
    }).planned
  t.strictSame(refusals({ ...REQUEST, further: [gitlab('gitlab:'), forgejo] }), [])
  t.strictSame(refusals({ ...REQUEST, further: [gitlab('forgejo:'), forgejo] }), ['prefix_of_a_forge'])
  t.strictSame(refusals({ ...REQUEST, further: [gitlab('ci:gitlab:')] }), ['prefix_of_a_forge'])
  t.match(printed({ ...REQUEST, further: [gitlab("it's:")] }).jwt[1]?.claimMappings.username, {
    expression: "'it\\'s:' + claims.project_id + ':' + claims.ref_type + ':' + claims.ref",
  })
})

type Merged = Pick<JwtAuthenticator, 'claimMappings' | 'userValidationRules'>

/** What is said of a file with one issuer that gives such names. */
function mergedNote(merged: Partial<Merged>, change: Partial<AuthConfigRequest> = {}): readonly PlanNote[] {
  if (OTHER === undefined) throw new Error('no entry')
  const issuer = { ...OTHER.issuer, url: 'https://sso.example.test' }
  const config = { version: 'v1', jwt: [{ ...OTHER, issuer, ...merged }], anonymous: undefined } as const
  const plan = planAuthConfig({ ...REQUEST, merged: [{ file: 'old.yaml', config }], ...change })
  return plan.ok ? [] : plan.denial
}

t.test('a merged issuer that could give a name of the broker or a forge is refused', async (t) => {
  if (OTHER === undefined) throw new Error('no entry')
  const sub = (prefix: string) => ({ claimMappings: named(OTHER, { claim: 'sub', prefix }) })
  t.strictSame(mergedNote(sub('sso:')), [])
  for (const prefix of ['ci:', 'c', 'ci:gitlab:'])
    t.match(
      mergedNote(sub(prefix)),
      [
        {
          code: 'prefix_of_merged',
          message: /^user names of .*broker\.example\.test.* and of .*sso\.example\.test \(old\.yaml\)/,
          wayOut: /with --username-prefix or in old\.yaml/,
        },
      ],
      prefix,
    )
  const further = [planForgejo({ ...FORGE, repositoryIds: ['456'], repositoryPaths: [] }).planned]
  t.match(mergedNote(sub('forgejo:'), { further }), [{ wayOut: /with --forgejo-prefix or in old\.yaml/ }])
  const groups = (prefix: string) =>
    named(OTHER, { claim: 'sub', prefix: 'sso:' }, { claim: 'groups', prefix })
  t.strictSame(mergedNote({ claimMappings: groups('sso:') }), [])
  t.match(mergedNote({ claimMappings: groups('ci:dep') }), [
    { code: 'prefix_of_merged', message: /^groups of/, wayOut: /with --groups-prefix or in old\.yaml/ },
  ])
  const expression = "claims.admin ? 'ci:' + claims.sub : 'sso:' + claims.sub"
  t.match(mergedNote({ claimMappings: named(OTHER, { expression }) }), [{ code: 'prefix_of_merged' }])
})

t.test(
  'a merged issuer whose names have no prefix needs a rule, and the way out is one that works',
  async (t) => {
    if (OTHER === undefined) throw new Error('no entry')
    const bare = { claim: 'sub', prefix: '' }
    const claimMappings = named(OTHER, bare, { ...bare, claim: 'groups' })
    const notes = mergedNote({ claimMappings, userValidationRules: [] })
    t.strictSame(
      notes.map(({ code }) => code),
      ['prefix_of_merged', 'prefix_of_merged'],
    )
    const rules = notes.map(({ wayOut }) => /old\.yaml: - expression: "(.*)"$/.exec(wayOut)?.[1] ?? '')
    const withRules = (expressions: readonly string[]) =>
      mergedNote({
        claimMappings,
        userValidationRules: expressions.map((expression) => ({ expression, message: '' })),
      }).length
    t.equal(withRules(rules), 0)
    for (const less of [
      ["!user.username.startsWith('ci:x')", "user.groups.all(g, !g.startsWith('ci:'))"],
      ["user.username.startsWith('ci:')", "user.groups.all(g, !g.startsWith('ci:'))"],
      ["!user.username.startsWith('c') || true", 'user.groups.all(g, !g.startsWith("c"))'],
      ["!user.username.startsWith('ci:')", "user.groups.exists(g, !g.startsWith('ci:'))"],
    ])
      t.equal(withRules(less), 1, less.join())
    t.match(
      mergedNote({ claimMappings }, { naming: { ...REQUEST.naming, usernamePrefix: '' } })[0]?.wayOut,
      /leave --username-prefix out/,
    )
  },
)

t.test('two merged files are held apart, two issuers of one file are not touched', async (t) => {
  if (OTHER === undefined) throw new Error('no entry')
  const file = (name: string, hosts: readonly string[]) => ({
    file: name,
    config: {
      version: 'v1' as const,
      jwt: hosts.map((host) => ({
        ...OTHER,
        issuer: { ...OTHER.issuer, url: `https://${host}.example.test` },
        claimMappings: named(OTHER, { claim: 'sub', prefix: 'sso:' }),
      })),
      anonymous: undefined,
    },
  })
  t.strictSame(refusals({ ...REQUEST, merged: [file('a.yaml', ['a', 'b'])] }), [])
  t.strictSame(refusals({ ...REQUEST, merged: [file('a.yaml', ['a']), file('b.yaml', ['b'])] }), [
    'prefix_of_merged',
  ])
})

/** The text with its comments unwrapped. */
function words(request: AuthConfigRequest): string {
  return printAuthConfig(planned(request)).replaceAll(/\s+#? */g, ' ')
}

t.test('a file without anonymous says what that means, and what k3s and RKE2 make of it', (t) => {
  const absent = /anonymous requests: the flag --anonymous-auth decides.*k3s and RKE2.*leave it away/
  t.match(words(REQUEST), absent)
  t.match(words(REQUEST), 'there, --anonymous none keeps them off.')
  t.match(words({ ...REQUEST, version: versionOf('1.30') }), absent)
  t.notMatch(
    words({ ...REQUEST, version: versionOf('1.30') }),
    '--anonymous none',
    'which 1.30 does not know',
  )
  t.notMatch(words({ ...REQUEST, anonymous: 'none' }), absent)
  const config = { version: 'v1', jwt: [], anonymous: { enabled: false, conditions: [] } } as const
  t.notMatch(words({ ...REQUEST, merged: [{ file: 'old.yaml', config }] }), absent)
  t.end()
})

t.test('only where tokens have one audience the file says that no other is a token here', (t) => {
  t.match(words(REQUEST), 'a token for a registry, or for another cluster, is no token here')
  t.notMatch(words(DEX), 'a token for a registry')
  t.match(words(DEX), 'A token of Dex can name several')
  t.end()
})
