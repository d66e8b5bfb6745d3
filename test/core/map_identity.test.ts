import t from 'tap'
import type { IdentityMapping } from '../../src/core/connector.ts'
import { compileGroupsFilter, MAX_GROUPS } from '../../src/core/dex/map_groups.ts'
import { mapIdentity } from '../../src/core/dex/map_identity.ts'
import type { Identity } from '../../src/core/identity.ts'
import type { PresetName } from '../../src/core/issuer/preset.ts'
import { testConnector } from '../support/connectors.ts'
import { changed, issuerClaims, issuerOf } from '../support/issuer_fixtures.ts'
import { mapDex, newGroups, person } from '../support/mapped_person.ts'

const identity: Identity = {
  userId: 'subvalue',
  username: 'namevalue',
  preferredUsername: '',
  email: 'emailvalue',
  emailVerified: true,
  groups: [],
}
const withoutEmailScope: Partial<IdentityMapping> = { emailRequired: false, insecureSkipEmailVerified: true }

type Row = {
  readonly title: string
  readonly claims: Parameters<typeof changed>[1]
  readonly mapping?: Partial<IdentityMapping>
  readonly expected: Partial<Identity>
}

const fourGroups = ['group1', 'group2', 'groupA', 'groupB']

/** Every mapping row of Dex's TestHandleCallback and TestTokenIdentity (connector/oidc/oidc_test.go). */
const DEX_ROWS: readonly Row[] = [
  { title: 'simple', claims: { groups: ['group1', 'group2'] }, expected: { groups: ['group1', 'group2'] } },
  {
    title: 'own e-mail claim',
    claims: { email: undefined, mail: 'mailvalue' },
    mapping: { emailKey: 'mail' },
    expected: { email: 'mailvalue' },
  },
  {
    title: 'own e-mail claim beside the standard one',
    claims: { mail: 'mailvalue' },
    mapping: { emailKey: 'mail' },
    expected: { email: 'emailvalue' },
  },
  {
    title: 'own e-mail claim that overrides the standard one',
    claims: { mail: 'mailvalue' },
    mapping: { emailKey: 'mail', overrideClaimMapping: true },
    expected: { email: 'mailvalue' },
  },
  {
    title: 'no email_verified, skipped by configuration',
    claims: { email_verified: undefined },
    mapping: { insecureSkipEmailVerified: true },
    expected: { emailVerified: true },
  },
  {
    title: 'own user id claim',
    claims: {},
    mapping: { userIdKey: 'name' },
    expected: { userId: 'namevalue' },
  },
  {
    title: 'own user name claim',
    claims: { name: undefined, user_name: 'username' },
    mapping: { userNameKey: 'user_name' },
    expected: { username: 'username' },
  },
  {
    title: 'own preferred user name claim',
    claims: { username_key: 'username_value' },
    mapping: { preferredUsernameKey: 'username_key' },
    expected: { preferredUsername: 'username_value' },
  },
  {
    title: 'the standard preferred user name',
    claims: { preferred_username: 'preferredvalue' },
    expected: { preferredUsername: 'preferredvalue' },
  },
  { title: 'no preferred user name', claims: {}, expected: { preferredUsername: '' } },
  {
    title: 'no email scope and no e-mail',
    claims: { email: undefined, email_verified: undefined },
    mapping: withoutEmailScope,
    expected: { email: '', emailVerified: true },
  },
  {
    title: 'no email scope, e-mail all the same',
    claims: { email_verified: undefined },
    mapping: withoutEmailScope,
    expected: { email: 'emailvalue', emailVerified: true },
  },
  {
    title: 'own groups claim',
    claims: { 'cognito:groups': ['group3', 'group4'] },
    mapping: { groupsKey: 'cognito:groups' },
    expected: { groups: ['group3', 'group4'] },
  },
  {
    title: 'own groups claim beside the standard one',
    claims: { groups: ['group1', 'group2'], 'cognito:groups': ['group3', 'group4'] },
    mapping: { groupsKey: 'cognito:groups' },
    expected: { groups: ['group1', 'group2'] },
  },
  {
    title: 'own groups claim that overrides the standard one',
    claims: { groups: ['group1', 'group2'], 'cognito:groups': ['group3', 'group4'] },
    mapping: { groupsKey: 'cognito:groups', overrideClaimMapping: true },
    expected: { groups: ['group3', 'group4'] },
  },
  { title: 'a single group as a string', claims: { groups: 'group1' }, expected: { groups: ['group1'] } },
  {
    title: 'a single group as an object',
    claims: { groups: [{ name: 'group1' }] },
    expected: { groups: ['group1'] },
  },
  {
    title: 'groups as objects',
    claims: { groups: [{ name: 'group1' }, { name: 'group2' }] },
    expected: { groups: ['group1', 'group2'] },
  },
  {
    title: 'new groups from claims',
    claims: {
      groups: 'group1',
      organization: 'acme',
      pipeline: 'pipeline-one',
      'claim-with-delimiter': 'foo-bar',
      'non-string-claim': ['element1', 'element2'],
      'non-string-claim2': 666,
    },
    mapping: { newGroups },
    expected: {
      groups: [
        'group1',
        'gh::acme::pipeline-one',
        'clr_delim-acme-foobar',
        'keep_delim-acme-foo-bar',
        'bk-emailvalue',
      ],
    },
  },
  {
    title: 'a prefix',
    claims: { groups: fourGroups },
    mapping: { groupPrefix: 'prefix-' },
    expected: { groups: fourGroups.map((group) => `prefix-${group}`) },
  },
  {
    title: 'a suffix',
    claims: { groups: fourGroups },
    mapping: { groupSuffix: '-suffix' },
    expected: { groups: fourGroups.map((group) => `${group}-suffix`) },
  },
  {
    title: 'a prefix and a suffix',
    claims: { groups: fourGroups },
    mapping: { groupPrefix: 'prefix-', groupSuffix: '-suffix' },
    expected: { groups: fourGroups.map((group) => `prefix-${group}-suffix`) },
  },
  {
    title: 'a filter',
    claims: { groups: fourGroups },
    mapping: { groupsFilter: String.raw`^.*\d$` },
    expected: { groups: ['group1', 'group2'] },
  },
  {
    title: 'a filter over objects',
    claims: { groups: fourGroups.map((name) => ({ name })) },
    mapping: { groupsFilter: String.raw`^.*\d$` },
    expected: { groups: ['group1', 'group2'] },
  },
  {
    title: 'a token with sub and name, without the email scope (TestTokenIdentity)',
    claims: { email: undefined, email_verified: undefined },
    mapping: { emailRequired: false },
    expected: { email: '', emailVerified: false },
  },
]

for (const { title, claims, mapping, expected } of DEX_ROWS) {
  t.test(`as in Dex: ${title}`, async (t) => {
    t.same(mapDex(changed(person, claims), mapping), { ok: true, value: { ...identity, ...expected } })
  })
}

/** What Dex's code does and its tests leave out. */
const UNTESTED_ROWS: readonly Row[] = [
  {
    title: 'groups are ignored unless enabled',
    claims: { groups: ['a'] },
    mapping: { groupsEnabled: false },
    expected: {},
  },
  {
    title: 'new groups need no enabled groups',
    claims: { groups: ['a'], organization: 'acme', pipeline: 'one' },
    mapping: { groupsEnabled: false, newGroups: newGroups.slice(0, 1) },
    expected: { groups: ['gh::acme::one'] },
  },
  {
    title: 'new groups are neither filtered nor renamed nor held to the allowed ones',
    claims: { groups: ['a', 'b'], organization: 'acme', pipeline: 'one' },
    mapping: {
      newGroups: newGroups.slice(0, 1),
      groupsFilter: '^[ab]$',
      groupPrefix: 'p-',
      allowedGroups: ['b'],
    },
    expected: { groups: ['p-b', 'gh::acme::one'] },
  },
  {
    title: 'allowed groups are compared before they are renamed, in the order of the token',
    claims: { groups: ['c', 'b', 'a'] },
    mapping: { allowedGroups: ['a', 'c', 'p-b'], groupPrefix: 'p-' },
    expected: { groups: ['p-c', 'p-a'] },
  },
  {
    title: 'a single group as a string is not filtered',
    claims: { groups: 'groupA' },
    mapping: { groupsFilter: String.raw`\d$` },
    expected: { groups: ['groupA'] },
  },
  {
    title: 'a filter matches anywhere and may have flags',
    claims: { groups: ['my-Team-1', 'other'] },
    mapping: { groupsFilter: '(?i)team' },
    expected: { groups: ['my-Team-1'] },
  },
  {
    title: 'an object without a name gives no group',
    claims: { groups: [{ id: '1' }, 'a'] },
    expected: { groups: ['a'] },
  },
  {
    title: 'a group that appears twice stays so',
    claims: { groups: ['a', 'a'] },
    expected: { groups: ['a', 'a'] },
  },
  { title: 'groups that are an object are none', claims: { groups: { name: 'a' } }, expected: {} },
  { title: 'groups that are null are none', claims: { groups: null }, expected: {} },
  {
    title: 'an own groups claim replaces a single standard group, which is no array',
    claims: { groups: 'group1', roles: ['r'] },
    mapping: { groupsKey: 'roles' },
    expected: { groups: ['r'] },
  },
  {
    title: 'an explicit false stays false',
    claims: { email_verified: false },
    expected: { emailVerified: false },
  },
  {
    title: 'an explicit false stays false even when skipped',
    claims: { email_verified: false },
    mapping: { insecureSkipEmailVerified: true },
    expected: { emailVerified: false },
  },
  {
    title: 'a string email_verified counts as missing and may be skipped',
    claims: { email_verified: 'false' },
    mapping: { insecureSkipEmailVerified: true },
    expected: { emailVerified: true },
  },
  {
    title: 'an override without the claim takes the preferred user name away',
    claims: { preferred_username: 'p' },
    mapping: { preferredUsernameKey: 'other', overrideClaimMapping: true },
    expected: { preferredUsername: '' },
  },
  { title: 'an empty name is a name', claims: { name: '' }, expected: { username: '' } },
  { title: 'an empty e-mail is an e-mail', claims: { email: '' }, expected: { email: '' } },
  {
    title: 'a claim called __proto__ is a claim like any other',
    claims: { groups: ['a'] },
    mapping: {
      newGroups: [
        { claims: ['__proto__', 'constructor'], delimiter: ':', clearDelimiter: false, prefix: 'x' },
      ],
    },
    expected: { groups: ['a'] },
  },
  {
    title: 'a nested claim is reached by its pointer',
    claims: { realm_access: { roles: ['deployer'] } },
    mapping: { groupsKey: '/realm_access/roles' },
    expected: { groups: ['deployer'] },
  },
  {
    title: 'a name that only holds a reserved prefix is a name',
    claims: { name: 'ecosystem:admin', preferred_username: 'System:admin' },
    expected: { username: 'ecosystem:admin', preferredUsername: 'System:admin' },
  },
  {
    title: 'a reserved name in `sub` is no name where another claim is it',
    claims: { sub: 'system:serviceaccount:ci:deployer' },
    expected: { userId: 'system:serviceaccount:ci:deployer', username: 'namevalue' },
  },
  {
    title: 'a job without a name is called by connector and `sub` where `sub` alone is reserved',
    claims: { sub: 'system:serviceaccount:ci:deployer', name: undefined },
    mapping: { userNameRequired: false },
    expected: {
      userId: 'system:serviceaccount:ci:deployer',
      username: 'test:system:serviceaccount:ci:deployer',
    },
  },
  {
    title: 'a reserved group that the filter drops never comes near',
    claims: { groups: ['system:masters', 'team'] },
    mapping: { groupsFilter: '^team' },
    expected: { groups: ['team'] },
  },
  {
    title: 'as many groups as a token may carry',
    claims: { groups: Array.from({ length: MAX_GROUPS }, (_, index) => `g${index}`) },
    expected: { groups: Array.from({ length: MAX_GROUPS }, (_, index) => `g${index}`) },
  },
]

for (const { title, claims, mapping, expected } of UNTESTED_ROWS) {
  t.test(title, async (t) => {
    t.same(mapDex(changed(person, claims), mapping), { ok: true, value: { ...identity, ...expected } })
  })
}

t.test('a claim that would compute our output changes nothing', async (t) => {
  const claims = changed(person, {
    azp: 'x',
    act: { sub: 'x' },
    federated_claims: { user_id: 'x' },
    userId: 'x',
    username: 'x',
    emailVerified: false,
  })
  t.same(mapDex(claims), { ok: true, value: identity })
})

t.test('a filter that does not compile is reported, and never taken for no filter', async (t) => {
  t.match(compileGroupsFilter('(?=a)'), { ok: false, detail: /.+/ })
  t.match(compileGroupsFilter('a('), { ok: false, detail: /.+/ })
  t.match(compileGroupsFilter('(?i)^team'), { ok: true })
  t.throws(() => mapDex(changed(person, { groups: ['a'] }), { groupsFilter: '(' }), /does not compile/)
})

t.test('a filter takes linear time over a hostile group', async (t) => {
  const started = performance.now()
  mapDex(changed(person, { groups: [`${'a'.repeat(20_000)}!`] }), { groupsFilter: '^(a+)+$' })
  t.ok(performance.now() - started < 1000)
})

type PresetRow = readonly [fixture: string, preset: PresetName, userId: string, username: string]

const PRESET_ROWS: readonly PresetRow[] = [
  ['gitlab-push-main', 'gitlab-ci', '48291', 'gitlab.example.test/acme-platform/terraform-aws-eks'],
  ['github-legacy-main', 'github-actions', '739500857', 'github.com/acme-labs/terraform-aws-eks'],
  ['github-immutable-environment', 'github-actions', '901234567', 'github.com/acme-labs/terraform-aws-vpc'],
  [
    'forgejo15-main',
    'forgejo-actions',
    'acme/terraform-module-net',
    'git.example.test/acme/terraform-module-net',
  ],
  ['forgejo16-immutable-main', 'forgejo-actions', '456', 'git.example.test/acme/terraform-module-dns'],
  ['gitea-main', 'gitea-actions', '345', 'gitea.example.test/acme/infra'],
  [
    'keycloak-service-account',
    'keycloak',
    'd952cf23-bf92-4c8f-a3ff-4972b4f2bc5b',
    'service-account-ci-deployer',
  ],
  ['k8s-projected', 'kubernetes', 'e6a8680e-d103-4cce-80ea-03acbbeacf7d', 'ci-runners/tofu-plan'],
  ['circleci', 'circleci', '0a1b2c3d-0000-4000-8000-000000000002', 'github.com/acme/infra'],
  [
    'azure-devops',
    'azure-devops',
    '66666666-7777-8888-9999-000000000000/17',
    'dev.azure.com/acme/platform/_git/infra',
  ],
]

t.test('a job needs neither name nor e-mail: its immutable id is the user', async (t) => {
  for (const [fixture, preset, userId, username] of PRESET_ROWS) {
    const claims = issuerClaims(fixture)
    t.match(mapIdentity(claims, testConnector(preset, { issuer: issuerOf(claims) })), {
      ok: true,
      value: { userId, username, email: '', groups: [] },
    })
  }
})

t.test('a configured user id or user name counts more than what the preset knows', async (t) => {
  const mapping = {
    ...testConnector('gitlab-ci').mapping,
    userIdKey: 'namespace_id',
    userNameKey: 'user_login',
  }
  t.match(mapIdentity(issuerClaims('gitlab-push-main'), testConnector('gitlab-ci', { mapping })), {
    value: { userId: '7203', username: 'release-bot' },
  })
})

t.test('a token without source or immutable id is known by its sub', async (t) => {
  const claims = changed(issuerClaims('circleci'), {
    'oidc.circleci.com/vcs-origin': undefined,
    'oidc.circleci.com/project-id': undefined,
  })
  t.match(mapIdentity(claims, testConnector('circleci')), {
    value: { userId: claims['sub'], username: claims['sub'] },
  })
})

t.test('an address that nobody verified names no user, except where Dex lets it', async (t) => {
  const claims = changed(person, { email_verified: false })
  for (const key of ['userIdKey', 'userNameKey', 'preferredUsernameKey'] as const) {
    const strict = { [key]: 'email', emailNamesVerified: true }
    t.match(mapDex(claims, strict), {
      ok: false,
      denial: { reason: 'subject_claim_invalid', claim: 'email_verified' },
    })
    t.match(mapDex(person, strict), { ok: true })
    t.match(mapDex(claims, { [key]: 'email' }), { ok: true })
  }
})
