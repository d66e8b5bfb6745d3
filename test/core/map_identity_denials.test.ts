// Claims that name nobody: what is no text where a text belongs, too much of it, or a name that is reserved.
import t from 'tap'
import type { IdentityMapping } from '../../src/core/connector.ts'
import { MAX_GROUPS } from '../../src/core/dex/map_groups.ts'
import { changed } from '../support/issuer_fixtures.ts'
import { mapDex, newGroups, person } from '../support/mapped_person.ts'

type Denied = {
  readonly title: string
  readonly claims: Parameters<typeof changed>[1]
  readonly mapping?: Partial<IdentityMapping>
  readonly denial: Readonly<Record<string, unknown>>
}

const manyGroups = Array.from({ length: MAX_GROUPS + 1 }, (_, index) => `g${index}`)

const DENIED: readonly Denied[] = [
  { title: 'no sub', claims: { sub: undefined }, denial: { reason: 'identity_claim_missing', claim: 'sub' } },
  { title: 'an empty sub', claims: { sub: '' }, denial: { reason: 'identity_claim_missing', claim: 'sub' } },
  { title: 'a numeric sub', claims: { sub: 1 }, denial: { reason: 'identity_claim_missing', claim: 'sub' } },
  {
    title: 'no sub though another claim is the user id',
    claims: { sub: undefined },
    mapping: { userIdKey: 'name' },
    denial: { reason: 'identity_claim_missing', claim: 'sub' },
  },
  {
    title: 'no user id claim',
    claims: {},
    mapping: { userIdKey: 'uid' },
    denial: { reason: 'identity_claim_missing', claim: 'uid' },
  },
  {
    title: 'a numeric user id',
    claims: { uid: 7 },
    mapping: { userIdKey: 'uid' },
    denial: { reason: 'identity_claim_missing', claim: 'uid' },
  },
  {
    title: 'a user id that is half a character',
    claims: { uid: 'a\ud800' },
    mapping: { userIdKey: 'uid' },
    denial: { reason: 'subject_claim_invalid', claim: 'uid' },
  },
  {
    title: 'no name',
    claims: { name: undefined },
    denial: { reason: 'identity_claim_missing', claim: 'name' },
  },
  {
    title: 'a name that is a list',
    claims: { name: ['n'] },
    denial: { reason: 'identity_claim_missing', claim: 'name' },
  },
  {
    title: 'no own user name claim, a standard one all the same',
    claims: {},
    mapping: { userNameKey: 'user_name' },
    denial: { reason: 'identity_claim_missing', claim: 'user_name' },
  },
  {
    title: 'no e-mail',
    claims: { email: undefined },
    denial: { reason: 'identity_claim_missing', claim: 'email' },
  },
  {
    title: 'an overriding e-mail claim that is absent',
    claims: {},
    mapping: { emailKey: 'mail', overrideClaimMapping: true },
    denial: { reason: 'identity_claim_missing', claim: 'mail' },
  },
  {
    title: 'no email_verified',
    claims: { email_verified: undefined },
    denial: { reason: 'identity_claim_missing', claim: 'email_verified' },
  },
  {
    title: 'email_verified as a string',
    claims: { email_verified: 'true' },
    denial: { reason: 'identity_claim_missing', claim: 'email_verified' },
  },
  {
    title: 'a number among the groups',
    claims: { groups: ['a', 7] },
    denial: { reason: 'subject_claim_invalid', claim: 'groups' },
  },
  {
    title: 'null among the groups',
    claims: { groups: [null] },
    denial: { reason: 'subject_claim_invalid', claim: 'groups' },
  },
  {
    title: 'a list among the groups',
    claims: { groups: [['a']] },
    denial: { reason: 'subject_claim_invalid', claim: 'groups' },
  },
  {
    title: 'too many groups',
    claims: { groups: manyGroups },
    denial: { reason: 'subject_claim_invalid', claim: 'groups' },
  },
  {
    title: 'one group too many because of a new one',
    claims: { groups: manyGroups.slice(1), organization: 'acme' },
    mapping: { newGroups: newGroups.slice(0, 1) },
    denial: { reason: 'subject_claim_invalid', claim: 'groups' },
  },
  {
    title: 'none of the allowed groups',
    claims: { groups: ['a'] },
    mapping: { allowedGroups: ['b', 'A'] },
    denial: { reason: 'identity_groups_not_allowed', allowed: ['b', 'A'] },
  },
  {
    title: 'no groups where some are demanded',
    claims: {},
    mapping: { allowedGroups: ['b'] },
    denial: { reason: 'identity_groups_not_allowed' },
  },
  {
    title: 'all groups filtered away where some are demanded',
    claims: { groups: ['b'] },
    mapping: { allowedGroups: ['b'], groupsFilter: '^a' },
    denial: { reason: 'identity_groups_not_allowed' },
  },
  {
    title: 'the masters of a cluster',
    claims: { groups: ['team', 'system:masters'] },
    denial: { reason: 'identity_group_reserved', group: 'system:masters' },
  },
  {
    title: "another client's virtual group",
    claims: { groups: 'client:ci-pipeline' },
    denial: { reason: 'identity_group_reserved', group: 'client:ci-pipeline' },
  },
  {
    title: 'a reserved group as an object',
    claims: { groups: [{ name: 'system:nodes' }] },
    denial: { reason: 'identity_group_reserved', group: 'system:nodes' },
  },
  {
    title: 'a reserved group behind a prefix',
    claims: { groups: ['system:masters'] },
    mapping: { groupPrefix: 'oidc:' },
    denial: { reason: 'identity_group_reserved', group: 'system:masters' },
  },
  {
    title: 'a reserved group that is allowed',
    claims: { groups: ['system:masters'] },
    mapping: { allowedGroups: ['system:masters'] },
    denial: { reason: 'identity_group_reserved', group: 'system:masters' },
  },
  {
    title: 'a group that a prefix makes reserved',
    claims: { groups: ['masters'] },
    mapping: { groupPrefix: 'system:' },
    denial: { reason: 'identity_group_reserved', group: 'system:masters' },
  },
  {
    title: 'a reserved group composed of claims',
    claims: { organization: 'system', pipeline: 'masters' },
    mapping: {
      newGroups: [
        { claims: ['organization', 'pipeline'], delimiter: ':', clearDelimiter: false, prefix: 'system' },
      ],
    },
    denial: { reason: 'identity_group_reserved', group: 'system:system:masters' },
  },
  {
    title: 'a name that Kubernetes keeps for itself',
    claims: { name: 'system:admin' },
    denial: { reason: 'identity_name_reserved', claim: 'name', name: 'system:admin' },
  },
  {
    title: "a ServiceAccount's own name, which Dex passes on",
    claims: { sub: 'system:serviceaccount:ci:deployer' },
    mapping: { userNameKey: 'sub' },
    denial: {
      reason: 'identity_name_reserved',
      claim: 'name',
      name: 'system:serviceaccount:ci:deployer',
    },
  },
  {
    title: "a preferred name that is another client's virtual group",
    claims: { preferred_username: 'client:ci-pipeline' },
    denial: { reason: 'identity_name_reserved', claim: 'preferred_username' },
  },
  {
    title: 'a reserved name under a key of its own',
    claims: { login: 'system:admin' },
    mapping: { preferredUsernameKey: 'login' },
    denial: { reason: 'identity_name_reserved', claim: 'preferred_username' },
  },
  {
    title: 'an address that is no address but a reserved name',
    claims: { email: 'system:admin' },
    denial: { reason: 'identity_name_reserved', claim: 'email' },
  },
]

for (const { title, claims, mapping, denial } of DENIED) {
  t.test(`${title} is denied`, async (t) => {
    t.match(mapDex(changed(person, claims), mapping), { ok: false, denial })
    t.match(mapDex(person), { ok: true }, 'the unchanged token is not')
  })
}
