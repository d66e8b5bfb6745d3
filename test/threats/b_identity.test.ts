// Group B: who a job is, by the claims of its issuer: kinds of tokens, names, groups, and what never goes along.
import t from 'tap'
import { encodeSubject } from '../../src/core/dex/subject.ts'
import type { TestBroker } from '../support/test_broker.ts'
import { BODY_TOO_LARGE, threatTable } from '../support/threat_case.ts'
import { badClaim, claiming, tokenRows } from '../support/threat_tokens.ts'
import type { Row } from '../support/threat_tokens.ts'
import { addForge, addPolicy, jobExchange, nowOf, startForgeBroker } from '../support/threat_world.ts'

const broker = await startForgeBroker(t, (config) => {
  const project = { project_id: '48291' }
  const named = { username: 'email', email: 'email' }
  addForge(config, { id: 'named', type: 'oidc', claims: project }, { claimMapping: named })
  const grouped = { groups: 'groups_direct' }
  addForge(config, { id: 'grouped', type: 'gitlab-ci', claims: project }, { claimMapping: grouped })
  addPolicy(config, { name: 'unlike', claims: project, condition: 'claims.deployment_tier != "test"' })
  addPolicy(config, { name: 'without', claims: project, condition: '!has(claims.frozen) && has(claims.ref)' })
  addPolicy(config, { name: 'unicode', claims: { ...project, environment: 'Köln' } })
  addPolicy(config, { name: 'kelvin', claims: { ...project, environment: { re2: 'kelvin' } } })
})
const table = threatTable(t, broker)
const { refuses, accepts } = table
const token = tokenRows(table)

const none: Row = { reason: 'policy_none_matched' }
const judgedBy =
  (policy: string, claims: Readonly<Record<string, unknown>> = {}) =>
  (world: TestBroker) =>
    world.exchange({ policy, subject_token: world.mint(claims) })
refuses({
  id: 'B18',
  says: 'a job that lacks the claim which must not be something',
  ...none,
  attack: judgedBy('unlike', { deployment_tier: undefined }),
  twin: judgedBy('unlike'),
})
refuses({
  id: 'B18',
  says: 'a job that has what it must not have',
  ...none,
  attack: judgedBy('without', { frozen: 'true' }),
  twin: judgedBy('without'),
})

for (const [says, environment] of [
  ['another normal form', 'Ko\u0308ln'],
  ['full-width letters', 'Ｋöln'],
  ['other letters', 'köln'],
] as const)
  refuses({
    id: 'B19',
    says: `the pinned name in ${says}`,
    ...none,
    attack: judgedBy('unicode', { environment }),
    twin: judgedBy('unicode', { environment: 'Köln' }),
  })
refuses({
  id: 'B19',
  says: 'the Kelvin sign for a k in a pattern',
  ...none,
  attack: judgedBy('kelvin', { environment: '\u212aelvin' }),
  twin: judgedBy('kelvin', { environment: 'kelvin' }),
})

for (const typ of ['Refresh', 'Logout', 'Offline'])
  refuses({
    id: 'B20',
    says: `a Keycloak token of typ ${typ}`,
    reason: 'subject_type_mismatch',
    attack: jobExchange('keycloak', { claims: { typ } }),
    twin: jobExchange('keycloak'),
  })
refuses({
  id: 'B20',
  says: 'a Keycloak ID token of a person',
  reason: 'subject_type_mismatch',
  attack: jobExchange('keycloak', { fixture: 'keycloak-id-token-typ' }),
  twin: jobExchange('keycloak'),
})
refuses({
  id: 'B20',
  says: 'a Keycloak ID token that is declared as one',
  reason: 'subject_shape_wrong',
  attack: jobExchange('keycloak', {
    fixture: 'keycloak-id-token-typ',
    form: { subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' },
  }),
  twin: jobExchange('keycloak'),
})

refuses({
  id: 'B21',
  says: 'the ID token of a person who logs in with GitLab',
  reason: 'subject_shape_wrong',
  attack: jobExchange('github', { fixture: 'gitlab-user-login-idtoken', form: { connector_id: 'gitlab' } }),
})

refuses({
  id: 'B22',
  says: 'a ServiceAccount token of a Secret',
  ...badClaim,
  evidence: { claim: 'exp' },
  attack: jobExchange('kubernetes', {
    fixture: 'k8s-legacy-secret',
    claims: { exp: undefined, iat: undefined },
  }),
  twin: jobExchange('kubernetes'),
})
refuses({
  id: 'B22',
  says: 'a ServiceAccount token of the old shape',
  reason: 'subject_shape_wrong',
  attack: jobExchange('kubernetes', { fixture: 'k8s-legacy-secret' }),
  twin: jobExchange('kubernetes'),
})
refuses({
  id: 'B22',
  says: 'a ServiceAccount token of a year',
  reason: 'subject_lifetime_too_long',
  attack: (world) => jobExchange('kubernetes', { claims: { exp: nowOf(world) + 31_536_000 } })(world),
  twin: jobExchange('kubernetes'),
})
const account = (namespace: string, uid: string): Readonly<Record<string, unknown>> => ({
  sub: `system:serviceaccount:${namespace}:tofu-plan`,
  'kubernetes.io': { namespace, serviceaccount: { name: 'tofu-plan', uid } },
})
for (const [says, claims] of [
  ['of another namespace', account('elsewhere', 'e6a8680e-0000-4cce-80ea-03acbbeacf7d')],
  ['made again under its name', account('ci-runners', 'e6a8680e-0000-4cce-80ea-03acbbeacf7d')],
] as const)
  refuses({
    id: 'B22',
    says: `a ServiceAccount ${says}`,
    ...none,
    attack: jobExchange('kubernetes', { claims }),
    twin: jobExchange('kubernetes'),
  })

const byMail = (verified: unknown) => (world: TestBroker) =>
  world.exchange({
    connector_id: 'named',
    subject_token: world.mint({ email: 'a@example.test', email_verified: verified }),
  })
for (const verified of [false, 'true', undefined])
  refuses({
    id: 'B23',
    says: `a user named by an e-mail that is ${verified === undefined ? 'not said to be verified' : `verified: ${JSON.stringify(verified)}`}`,
    ...badClaim,
    evidence: { claim: 'email_verified' },
    attack: byMail(verified),
    twin: byMail(true),
  })

const inGroups = (groups_direct: unknown) => (world: TestBroker) =>
  world.exchange({ connector_id: 'grouped', subject_token: world.mint({ groups_direct }) })
for (const [says, groups, row] of [
  ['system:masters', ['acme', 'system:masters'], { reason: 'identity_group_reserved' }],
  [
    'system:masters, written as Dex reads objects',
    [{ name: 'system:masters' }],
    { reason: 'identity_group_reserved' },
  ],
  ['a group of this broker’s clients', ['client:ci-pipeline'], { reason: 'identity_group_reserved' }],
] as const)
  refuses({
    id: 'B24',
    says: `a job in ${says}`,
    ...row,
    attack: inGroups(groups),
    twin: inGroups(['acme']),
  })
token('B24', 'a job whose name is a user of Kubernetes', claiming({ name: 'system:admin' }), {
  reason: 'identity_name_reserved',
})
for (const entry of [7, null, ['x']])
  refuses({
    id: 'B24',
    says: `a group that is ${JSON.stringify(entry)}`,
    ...badClaim,
    attack: inGroups(['acme', entry]),
    twin: inGroups(['acme']),
  })
accepts({
  id: 'B24',
  says: 'an object without a name is no group, as in Dex',
  twin: inGroups(['acme']),
  ask: (world) =>
    world.exchange({
      connector_id: 'grouped',
      scope: 'openid groups audience:server:client_id:app',
      subject_token: world.mint({ groups_direct: ['acme', { a: 1 }] }),
    }),
  also: (t, reply) => void t.same(reply.token?.claims['groups'], ['acme']),
})
refuses({
  id: 'B24',
  says: 'a job in 10,000 groups',
  reason: 'body_too_large',
  answer: BODY_TOO_LARGE,
  attack: inGroups(Array.from({ length: 10_000 }, (_, index) => `group-${index}`)),
  twin: inGroups(['acme']),
})
refuses({
  id: 'B24',
  says: 'a job in more groups than a token can carry',
  ...badClaim,
  attack: inGroups(Array.from({ length: 201 }, (_, index) => `g${index}`)),
  twin: inGroups(Array.from({ length: 200 }, (_, index) => `g${index}`)),
})

accepts({
  id: 'B25',
  says: 'claims of the token never stand for those that the broker computes',
  ask: (world) =>
    world.exchange({
      scope: 'openid profile groups federated:id audience:server:client_id:app',
      subject_token: world.mint({
        azp: 'admin',
        act: { sub: 'x' },
        aud_: 'x',
        preferred_username: 'root',
        groups: ['system:masters'],
        federated_claims: { connector_id: 'x', user_id: 'x' },
        cnf: { jkt: 'x' },
        token_use: 'kube',
        evil: 'leak',
      }),
    }),
  also: (t, reply) => {
    const claims = reply.token?.claims ?? {}
    t.match(claims, {
      azp: 'ci',
      sub: encodeSubject('48291', 'gitlab'),
      groups: ['deployers'],
      preferred_username: 'gitlab:acme-platform/terraform-aws-eks',
      federated_claims: { connector_id: 'gitlab', user_id: '48291' },
    })
    for (const name of ['act', 'evil', 'cnf', 'token_use']) t.notOk(name in claims, name)
  },
})
