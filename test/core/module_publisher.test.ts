import t from 'tap'
import { actorOf, claimOf } from '../../src/core/module/actor.ts'
import type { Publisher } from '../../src/core/module/module_policy.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  checkRows,
  controller,
  judged,
  pipeline,
  published,
  said,
} from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const OTHER = '0000000000000000000000000000000000000001'
const from: ModuleEdit = { versions: ['1.0.0', '1.1.0'] }
const to: ModuleEdit = { versions: ['1.0.0', '1.1.0', '1.2.0'] }
const own = pipeline()
const publishedBy = (publisher: Partial<Publisher>) =>
  aPolicy({ publishers: [{ ids: [], refs: [], ...publisher }] })
const refused = (why: string, who = 'ci:repo:acme/terraform-aws-vpc'): string =>
  `WH-P1 forbidden: version 1.2.0 may not be published by "${who}": ${why}`
const wrongSource = (source: string): string =>
  `its pipeline is of "${source}", this Module is published by "github.com/acme/terraform-aws-vpc"`
const first = { source: 'github.com/acme/terraform-aws-vpc', sourceId: '4711' }
const nobody = 'nothing in its credentials names a repository'

checkRows(t, [
  {
    title: 'WH-P1 a pipeline of another repository publishes',
    from,
    to,
    given: { user: pipeline({ source: 'github.com/acme/terraform-aws-vpc-fork' }) },
    says: [refused(wrongSource('github.com/acme/terraform-aws-vpc-fork'))],
    twin: { from, to, given: { user: own } },
  },
  {
    title: 'WH-P1 a repository of that path at another forge',
    from,
    to,
    given: { user: pipeline({ source: 'gitea.example.com/acme/terraform-aws-vpc' }) },
    says: [refused(wrongSource('gitea.example.com/acme/terraform-aws-vpc'))],
    twin: { from, to, given: { user: pipeline({ source: 'github.com/Acme/Terraform-AWS-VPC' }) } },
  },
  {
    title: 'WH-P1 the pipeline runs for the tag of another version',
    from,
    to,
    given: { user: pipeline({ ref: 'refs/tags/v1.1.0' }) },
    says: [
      refused(
        'its pipeline runs for "refs/tags/v1.1.0", this version is published from "refs/tags/v1.2.0", "refs/tags/1.2.0"',
      ),
    ],
    twin: { from, to, given: { user: pipeline({ ref: 'refs/tags/1.2.0' }) } },
  },
  {
    title: 'WH-P1 the pipeline runs for a branch that is named like the tag',
    from,
    to,
    given: { user: pipeline({ ref: 'refs/heads/v1.2.0' }) },
    says: [
      refused(
        'its pipeline runs for "refs/heads/v1.2.0", this version is published from "refs/tags/v1.2.0", "refs/tags/1.2.0"',
      ),
    ],
    twin: {
      from,
      to,
      given: {
        user: pipeline({ ref: 'refs/heads/v1.2.0' }),
        policy: publishedBy({ refs: ['refs/heads/v{version}'] }),
      },
    },
  },
  {
    title: 'WH-P1 the token says no ref',
    from,
    to,
    given: { user: pipeline({ ref: undefined }) },
    says: [
      refused(
        'its pipeline runs for no ref, this version is published from "refs/tags/v1.2.0", "refs/tags/1.2.0"',
      ),
    ],
    twin: { from, to, given: { user: own } },
  },
  {
    title: 'WH-P1 one tag publishes two versions',
    from,
    to: { versions: [...(to.versions ?? []), '1.3.0'] },
    given: { user: own },
    says: [
      'WH-P1 forbidden: version 1.3.0 may not be published by "ci:repo:acme/terraform-aws-vpc": its pipeline runs for "refs/tags/v1.2.0", this version is published from "refs/tags/v1.3.0", "refs/tags/1.3.0"',
    ],
    twin: { from, to, given: { user: own } },
  },
  {
    title: 'WH-P1 the path was registered again, by somebody else',
    from,
    to,
    given: { user: pipeline({ 'repository-id': '9999' }), ledger: { firstPublisher: first } },
    says: [
      refused(
        'the repository "github.com/acme/terraform-aws-vpc" has the id "9999", the first publisher was "4711"',
      ),
    ],
    twin: { from, to, given: { user: own, ledger: { firstPublisher: first } } },
  },
  {
    title: 'WH-P1 the policy lists the id of the repository',
    from,
    to,
    given: { user: own, policy: publishedBy({ ids: ['12'] }) },
    says: [refused('the repository "github.com/acme/terraform-aws-vpc" has the id "4711"')],
    twin: {
      from,
      to,
      given: {
        user: own,
        policy: publishedBy({ ids: ['4711'] }),
        ledger: { firstPublisher: { ...first, sourceId: '1' } },
      },
    },
  },
  {
    title: 'WH-P1 the policy names another publisher',
    from,
    to,
    given: { user: own, policy: publishedBy({ source: 'github.com/acme/release' }) },
    says: [
      refused(
        'its pipeline is of "github.com/acme/terraform-aws-vpc", this Module is published by "github.com/acme/release"',
      ),
    ],
    twin: {
      from,
      to,
      given: {
        user: pipeline({ source: 'github.com/acme/release' }),
        policy: publishedBy({ source: 'github.com/Acme/release' }),
      },
    },
  },
  {
    title: 'WH-P1 a person whom the policy does not list',
    from,
    to,
    given: { user: alice },
    says: [refused(nobody, 'alice')],
    twin: {
      from,
      to,
      given: {
        user: alice,
        policy: aPolicy({ identities: { ...aPolicy().identities, human: { users: ['alice'], groups: [] } } }),
      },
    },
  },
  {
    title: 'WH-P1 with a policy a GitOps agent is listed, or held',
    from,
    to,
    given: {
      user: argo,
      policy: aPolicy({ identities: { ...aPolicy().identities, gitops: { users: [], groups: [] } } }),
    },
    says: [refused(nobody, argo.username)],
    twin: { from, to, given: { user: argo } },
  },
  {
    title: 'WH-P1 an importer creates with many versions, and adds none later',
    from,
    to,
    given: { user: alice, policy: importing() },
    says: [refused(nobody, 'alice')],
    twin: { to, given: { user: alice, policy: importing() } },
  },
  {
    title: 'WH-P1 an impersonator writes the claims of a pipeline',
    from,
    to,
    given: { user: { ...own, extra: { ...own.extra, 'authentication.kubernetes.io/credential-id': [] } } },
    says: [refused('what is said of the repository does not come from a token')],
    twin: { from, to, given: { user: own } },
  },
  {
    title: 'WH-P1 two sources are none',
    from,
    to,
    given: {
      user: { ...own, extra: { ...own.extra, 'sallyport.dev/source': ['github.com/evil/x', first.source] } },
    },
    says: [refused(nobody)],
    twin: {
      from,
      to,
      given: { user: { ...own, extra: { ...own.extra, 'sallyport.dev/source': [first.source] } } },
    },
  },
  {
    title: 'WH-P1 a pipeline makes the Module its own before it publishes',
    from: { config: { immutable: false }, versions: [] },
    to: { config: { immutable: false, repoUrl: 'https://github.com/evil/vpc' }, versions: ['1.2.0'] },
    given: { user: pipeline({ source: 'github.com/evil/vpc' }) },
    says: [
      `WH-P1 forbidden: the repository of this Module may not be changed by "ci:repo:acme/terraform-aws-vpc": ${wrongSource('github.com/evil/vpc')}`,
      refused(wrongSource('github.com/evil/vpc')),
    ],
    twin: {
      from: { config: { immutable: false }, versions: [] },
      to: { config: { immutable: false, repoUrl: 'https://github.com/acme/vpc' }, versions: ['1.2.0'] },
      given: { user: own },
    },
  },
  {
    title: 'WH-P1 a Module that names no repository has no pipeline of its own',
    to: { versions: ['1.2.0'], config: { repoUrl: undefined, repoOwner: undefined } },
    given: { user: own },
    says: [
      refused(
        'its pipeline is of "github.com/acme/terraform-aws-vpc", this Module is published by "a repository that the Module names (it names none)"',
      ),
    ],
    twin: { to: { versions: ['1.2.0'], config: { repoUrl: undefined } }, given: { user: own } },
  },
  {
    title: 'WH-P2 a policy requires a commit for each new version',
    from,
    to,
    given: { user: own, policy: aPolicy({ pins: 'required' }) },
    says: ['WH-P2 forbidden: version 1.2.0 names no commit, and the policy requires one'],
    twin: {
      from,
      to: { ...to, annotations: { 'sallyport.dev/pins': `1.2.0=${COMMIT.toUpperCase()}` } },
      given: { user: own, policy: aPolicy({ pins: 'required' }) },
    },
  },
  {
    title: 'WH-P2 a pipeline pins another commit than its own',
    from,
    to: { ...to, annotations: { 'sallyport.dev/pins': `1.2.0=${OTHER}` } },
    given: { user: own },
    says: [
      `WH-P2 forbidden: version 1.2.0 is pinned to ${OTHER}, and the pipeline that publishes it runs for another commit`,
    ],
    twin: {
      from,
      to: { ...to, annotations: { 'sallyport.dev/pins': `v1.2.0=${COMMIT}` } },
      given: { user: own },
    },
  },
  {
    title: 'WH-P2 the pin of a published version moves',
    from: { annotations: { 'sallyport.dev/pins': `1.0.0=${COMMIT}` } },
    to: { annotations: { 'sallyport.dev/pins': `1.0.0=${OTHER}` } },
    says: [`WH-P2 forbidden: version 1.0.0 is pinned to ${COMMIT}, and its pin would say something else`],
    twin: {
      from: { annotations: { 'sallyport.dev/pins': `1.0.0=${COMMIT}` } },
      to: { annotations: { 'sallyport.dev/pins': `1.0.0=${COMMIT}, 1.1.0=${OTHER}` } },
    },
  },
  {
    title: 'WH-P2 the pin of a published version goes',
    from: { annotations: { 'sallyport.dev/pins': `1.0.0=${COMMIT}` } },
    to: {},
    says: [`WH-P2 forbidden: version 1.0.0 is pinned to ${COMMIT}, and its pin would say something else`],
    twin: { from: {}, to: { annotations: { 'sallyport.dev/pins': `1.0.0=${COMMIT}` } } },
  },
  ...(
    [
      ['1.0.0', 'the value of 1.0.0 is neither a whole commit id nor sha256:<64 hex digits>'],
      ['1.0.0=9f2c1d7', 'the value of 1.0.0 is neither a whole commit id nor sha256:<64 hex digits>'],
      [
        `1.0=${COMMIT}`,
        'entry 1 does not begin with a version and =: it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them',
      ],
      [`1.0.0=${COMMIT} v1.0.0=${COMMIT}`, '1.0.0 is pinned twice'],
    ] as const
  ).map(([pins, problem]) => ({
    title: `WH-P2 pins that cannot be read: ${pins.slice(0, 20)}`,
    from: {},
    to: { annotations: { 'sallyport.dev/pins': pins } },
    says: [`WH-P2 invalid: the pins cannot be read: ${problem}`],
    twin: {
      from: { annotations: { 'sallyport.dev/pins': pins } },
      to: { annotations: { 'sallyport.dev/pins': pins }, labels: { a: 'b' } },
    },
  })),
])

t.test('WH-P1 without a policy only warns, and says nothing to the pipeline of the repository', async (t) => {
  const given = { policy: undefined }
  const byArgo = judged(aModule(from), aModule(to), { ...given, user: argo })
  t.ok(byArgo.allowed)
  t.match(byArgo.warnings, [/^WH-P1: version 1\.2\.0 may not be published by "system:serviceaccount:argocd:/])
  t.equal(byArgo.annotations.get('mode'), 'warn')
  const byOwn = judged(aModule(from), aModule(to), { ...given, user: own })
  t.same(byOwn.warnings, [])
  t.equal(byOwn.annotations.get('publisher'), 'github.com/acme/terraform-aws-vpc')
  t.ok(
    judged(aModule(from), aModule(to), { ...given, user: pipeline({ source: 'github.com/evil/x' }) }).allowed,
  )
})

t.test('the audit event names the repository only where a token did', async (t) => {
  const forged = { ...own, extra: { ...own.extra, 'authentication.kubernetes.io/credential-id': [] } }
  t.equal(judged(aModule(from), aModule(to), { user: forged }).annotations.get('publisher'), own.username)
  t.equal(judged(aModule(from), aModule(to), { user: own }).annotations.get('publisher'), first.source)
})

t.test('WH-P1 judges publishing, not writing: labels and order are anybody who may patch', async (t) => {
  t.same(said(judged(aModule(from), aModule({ ...from, labels: { a: 'b' } }), { user: alice })), [])
})

t.test('a ref of a publisher may hold a wildcard, which stays within its segment', async (t) => {
  const policy = publishedBy({ refs: ['refs/tags/*-v{version}'] })
  t.ok(
    judged(aModule(from), aModule(to), { user: pipeline({ ref: 'refs/tags/vpc-v1.2.0' }), policy }).allowed,
  )
  t.notOk(
    judged(aModule(from), aModule(to), { user: pipeline({ ref: 'refs/tags/a/vpc-v1.2.0' }), policy }).allowed,
  )
  t.notOk(
    judged(aModule(from), aModule(to), { user: pipeline({ ref: 'refs/tags/vpc-v1.2.00' }), policy }).allowed,
  )
})

t.test('who is who: lists come before claims, and the controllers of the chart are known', async (t) => {
  t.equal(actorOf(controller, undefined).kind, 'controller')
  t.equal(actorOf(own, undefined).kind, 'ci')
  t.same([actorOf(alice, undefined).kind, actorOf(alice, undefined).isListed], ['human', false])
  const { identities } = aPolicy({
    identities: {
      ...aPolicy().identities,
      controller: { users: ['bot'], groups: [] },
      human: { users: [], groups: ['ci:publishers'] },
    },
  })
  t.equal(
    actorOf(controller, identities).kind,
    'human',
    'a policy that lists controllers replaces the default',
  )
  t.equal(actorOf({ ...alice, username: 'bot' }, identities).kind, 'controller')
  t.same([actorOf(own, identities).kind, actorOf(own, identities).isListed], ['human', true])
  const odd = Object.create({ 'sallyport.dev/source': ['github.com/evil/x'] })
  t.equal(claimOf({ ...alice, extra: odd }, 'source'), undefined)
})

function importing() {
  return aPolicy({ identities: { ...aPolicy().identities, importer: { users: ['alice'], groups: [] } } })
}

t.test('of a repository whose versions have two ids, the first counts whose time is known', async (t) => {
  const source = 'github.com/acme/terraform-aws-vpc'
  const known = new Map([
    ['0.1.0', published({ source, sourceId: '9999' })],
    ['0.2.0', published({ source, sourceId: '4711', atSeconds: 200 })],
    ['0.3.0', published({ source, sourceId: '8888', atSeconds: 300 })],
  ])
  const before = aModule({ versions: ['0.1.0', '0.2.0', '0.3.0'] })
  const after = aModule({ versions: ['0.1.0', '0.2.0', '0.3.0', '1.2.0'] })
  const allowedFor = (id: string): boolean =>
    judged(before, after, {
      user: pipeline({ 'repository-id': id }),
      policy: aPolicy(),
      ledger: { published: known },
    }).allowed
  t.ok(allowedFor('4711'))
  t.notOk(allowedFor('9999'))
  t.notOk(allowedFor('8888'))
})
