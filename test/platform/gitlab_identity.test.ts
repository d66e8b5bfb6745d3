// Dex's connector type `gitlab` against a fake of GitLab's user API. The fake is a fake: it answers the five paths that
// Dex asks with the bodies of Dex's own test (connector/gitlab/gitlab_test.go), and says so in each answer.
import { once } from 'node:events'
import { createServer } from 'node:http'
import t from 'tap'
import type { GitlabApi } from '../../src/core/connector.ts'
import { readGitlabIdentity } from '../../src/platform/gitlab_identity.ts'
import { createIssuerKeysRegistry } from '../../src/platform/issuer_keys/registry.ts'
import { portOf } from '../support/child_server.ts'
import { testConnector } from '../support/connectors.ts'

const TOKEN = 'glpat-0123456789'
const USER = { id: 12_345_678, username: 'joebloggs', name: 'Joe Bloggs', email: 'some@email.com' }
const claim = (word: string): string => `https://gitlab.org/claims/groups/${word}`

type Answers = Record<string, unknown>
const WELL: Answers = { '/api/v4/user': USER, '/oauth/userinfo': { groups: ['team-1', 'team-2'] } }

let answers: Answers = WELL
const asked: string[] = []
const server = createServer((request, response) => {
  asked.push(request.url ?? '')
  const isKnown = request.headers.authorization === `Bearer ${TOKEN}`
  const answer = answers[request.url ?? '']
  const status = typeof answer === 'number' ? answer : !isKnown ? 401 : answer === undefined ? 404 : 200
  response.writeHead(status, { 'content-type': 'application/json', 'x-fake': 'GitLab of a test' })
  response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? {}))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const baseUrl = `http://127.0.0.1:${portOf(server)}`
const issuers = createIssuerKeysRegistry({ clock: Date.now })
t.teardown(() => {
  issuers.close()
  server.closeAllConnections()
  server.close()
})
t.beforeEach(() => {
  answers = WELL
  asked.length = 0
})

const OPTIONS: GitlabApi = {
  baseUrl,
  useLoginAsId: false,
  groups: [],
  getGroupsPermission: false,
  inheritedGroups: false,
}

function identity(over: Partial<GitlabApi> = {}, token = TOKEN) {
  const connector = testConnector('oidc', {
    id: 'gitlab',
    issuer: baseUrl,
    gitlabApi: { ...OPTIONS, ...over },
  })
  return readGitlabIdentity(token, connector, issuers)
}

t.test('Dex’s row without options: id, names, a verified address, the groups of userinfo', async (t) => {
  t.same(await identity(), {
    ok: true,
    value: {
      userId: '12345678',
      username: 'Joe Bloggs',
      preferredUsername: 'joebloggs',
      email: 'some@email.com',
      emailVerified: true,
      groups: ['team-1', 'team-2'],
    },
  })
})

t.test('without groups in userinfo there are none', async (t) => {
  answers = { ...WELL, '/oauth/userinfo': {} }
  t.match(await identity(), { ok: true, value: { groups: [] } })
})

t.test('Dex’s row with a filter keeps the named groups, and denies who is in none', async (t) => {
  t.match(await identity({ groups: ['team-1'] }), { ok: true, value: { groups: ['team-1'] } })
  t.match(await identity({ groups: ['team-9'] }), {
    ok: false,
    denial: { reason: 'identity_groups_not_allowed', allowed: ['team-9'] },
  })
})

t.test('Dex’s row with permissions: group:permission behind the groups', async (t) => {
  answers = {
    ...WELL,
    '/oauth/userinfo': {
      groups: ['ops', 'dev'],
      [claim('owner')]: ['ops'],
      [claim('developer')]: ['dev'],
      [claim('maintainer')]: [],
    },
  }
  t.match(await identity({ getGroupsPermission: true }), {
    ok: true,
    value: { groups: ['ops', 'dev', 'ops:owner', 'dev:developer'] },
  })
})

const reserved = (group: string): object => ({
  ok: false,
  denial: { reason: 'identity_group_reserved', group },
})

t.test('a group or a name that means something to others is denied, whatever made it', async (t) => {
  const groupsOf = (userinfo: unknown): Answers => ({ ...WELL, '/oauth/userinfo': userinfo })
  answers = groupsOf({ groups: ['team-1', 'system:masters'] })
  t.match(await identity(), reserved('system:masters'))
  t.match(await identity({ groups: ['team-1'] }), { ok: true }, 'a filter may drop it')
  answers = groupsOf({ groups: ['system'], [claim('owner')]: ['system'] })
  t.match(await identity({ getGroupsPermission: true }), reserved('system:owner'))
  t.match(await identity(), { ok: true, value: { groups: ['system'] } })
  answers = { ...WELL, '/api/v4/user': { ...USER, name: 'system:admin' } }
  t.match(await identity(), { ok: false, denial: { reason: 'identity_name_reserved', claim: 'name' } })
  answers = WELL
  t.match(await identity(), { ok: true })
})

t.test('Dex’s row with the login as id', async (t) => {
  t.match(await identity({ useLoginAsId: true }), { ok: true, value: { userId: 'joebloggs' } })
})

t.test('who has no name is called by the address', async (t) => {
  answers = { ...WELL, '/api/v4/user': { ...USER, name: '' } }
  t.match(await identity(), { ok: true, value: { username: 'some@email.com' } })
})

const page = (number: number): string => `/api/v4/groups?all_available=false&per_page=100&page=${number}`

t.test('inherited groups come page by page, with their effective permission', async (t) => {
  const first = Array.from({ length: 100 }, (_, index) => ({
    id: index + 1,
    full_path: `acme/team-${index + 1}`,
  }))
  answers = { ...WELL, [page(1)]: first, [page(2)]: [{ id: 500, full_path: 'acme/last' }] }
  const plain = await identity({ inheritedGroups: true })
  t.ok(plain.ok && plain.value.groups.length === 101)
  t.same(
    asked.filter((path) => path.startsWith('/api/v4/groups')),
    [page(1), page(2)],
  )
  answers = {
    ...WELL,
    [page(1)]: [
      { id: 1, full_path: 'acme' },
      { id: 2, full_path: 'acme/infra' },
      { id: 3, full_path: 'other' },
    ],
    '/oauth/userinfo': { [claim('owner')]: ['acme'] },
    [`/api/v4/groups/2/members/all/${USER.id}`]: { access_level: 40 },
    [`/api/v4/groups/3/members/all/${USER.id}`]: 403,
  }
  t.match(await identity({ inheritedGroups: true, getGroupsPermission: true }), {
    ok: true,
    value: { groups: ['acme', 'acme/infra', 'other', 'acme:owner', 'acme/infra:maintainer'] },
  })
})

t.test('more groups than one exchange may ask for is a denial, not half of them', async (t) => {
  const full = Array.from({ length: 100 }, (_, index) => ({ id: index + 1, full_path: `g-${index}` }))
  answers = {
    ...WELL,
    ...Object.fromEntries(Array.from({ length: 12 }, (_, index) => [page(index + 1), full])),
  }
  t.match(await identity({ inheritedGroups: true }), {
    ok: false,
    denial: { reason: 'subject_userinfo_failed' },
  })
  t.ok(asked.length <= 12)
})

t.test('a token that GitLab does not know, or that is none, is denied', async (t) => {
  t.match(await identity({}, 'glpat-other'), {
    ok: false,
    denial: { reason: 'subject_userinfo_failed', detail: '/api/v4/user: status 401' },
  })
  asked.length = 0
  t.match(await identity({}, 'a\r\nX-Evil: 1'), { ok: false, denial: { reason: 'subject_malformed' } })
  t.same(asked, [], 'it is never sent')
  t.match(await identity(), { ok: true })
})

t.test('an answer that is no user is denied; a GitLab that is down is our 503', async (t) => {
  for (const user of ['<html>', { id: 'x', username: 'y' }, { id: 1 }, []]) {
    answers = { ...WELL, '/api/v4/user': user }
    t.match(await identity(), { ok: false, denial: { reason: 'subject_userinfo_failed' } })
  }
  answers = { ...WELL, '/api/v4/user': 502 }
  t.match(await identity(), { ok: false, denial: { reason: 'issuer_keys_unavailable', connector: 'gitlab' } })
  answers = WELL
  t.match(await identity(), { ok: true })
})
