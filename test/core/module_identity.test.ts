import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  identitiesOf,
  isSameFacts,
  ledgerWrites,
  mergedFacts,
  publishedVersionName,
} from '../../src/core/module/ledger.ts'
import type { Observation, PublishedFacts } from '../../src/core/module/ledger.ts'
import { doSelectorsOverlap, isSelected } from '../../src/core/module/module_policy.ts'
import { sourceOf } from '../../src/core/module/source_of.ts'
import {
  compareVersions,
  readVersionIdentity,
  versionObjectName,
} from '../../src/core/module/version_identity.ts'
import type { VersionIdentity } from '../../src/core/module/version_identity.ts'
import { aModule, MUTABLE, NOON, published } from '../support/module_changes.ts'

function identity(text: string): VersionIdentity {
  const read = readVersionIdentity(text)
  if (!read.ok) throw new Error(`${text}: ${read.denial}`)
  return read.value
}

t.test('v1.2.0 and 1.2.0 are one version, and case makes two pre-releases', async (t) => {
  t.equal(identity('v1.2.0').plain, '1.2.0')
  t.equal(identity('1.2.0').plain, '1.2.0')
  t.not(identity('1.2.0-RC.1').plain, identity('1.2.0-rc.1').plain)
  t.same([...identitiesOf(aModule({ versions: ['v1.0.0', '1.0.0', 'main', ''] })).keys()], ['1.0.0'])
})

t.test("versions stand in SemVer's order (SemVer 2.0.0, section 11)", async (t) => {
  const rising = [
    '0.9.9',
    '1.0.0-0',
    '1.0.0-2',
    '1.0.0-11',
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    '1.0.9',
    '1.0.10',
    '1.9.0',
    '1.10.0',
    '9.0.0',
    '10.0.0',
    '999999999999999999.0.0',
  ]
  for (const [index, text] of rising.entries())
    for (const [other, against] of rising.entries())
      t.equal(
        Math.sign(compareVersions(identity(text), identity(against))),
        Math.sign(index - other),
        `${text} against ${against}`,
      )
})

t.test('a number that no 64 bits hold is no version', async (t) => {
  t.ok(readVersionIdentity('999999999999999999.0.0').ok)
  t.notOk(readVersionIdentity('1000000000000000000.0.0').ok)
})

t.test("the name of a Version object is OpenDepot's", async (t) => {
  t.equal(versionObjectName('vpc', 'v1.2.0-RC.1'), 'vpc-1-2-0-rc-1')
  t.equal(versionObjectName('vpc', '1.0.0-a_b'), 'vpc-1-0-0-a-b')
  t.equal(versionObjectName('foo', '1.0.0-2'), versionObjectName('foo-1', '0.0.2'))
})

t.test('the source of a Module is host and path, as the broker names it', async (t) => {
  const sources: readonly (readonly [string, string | undefined])[] = [
    ['https://github.com/acme/terraform-aws-vpc', 'github.com/acme/terraform-aws-vpc'],
    ['https://GitHub.com/Acme/VPC.git/', 'github.com/acme/vpc'],
    ['http://gitea.example.com:3000/acme/vpc', 'gitea.example.com:3000/acme/vpc'],
    ['https://user:secret@gitlab.com/a/b/c/vpc', 'gitlab.com/a/b/c/vpc'],
    ['ssh://git@gitlab.com:2222/acme/vpc.git', 'gitlab.com/acme/vpc'],
    ['git@github.com:acme/vpc.git', 'github.com/acme/vpc'],
    ['https://github.com/a\u212Ame/vpc', 'github.com/a%e2%84%aame/vpc'],
    ['https://github.com/acme', undefined],
    ['https://github.com/acme//vpc', undefined],
    ['https://github.com/acme/../evil/vpc', 'github.com/evil/vpc'],
    ['https://github.com/acme/vpc?x=1', undefined],
    ['https://github.com/acme/vpc#x', undefined],
    ['file:///etc/passwd', undefined],
    ['javascript:alert(1)', undefined],
    ['acme/vpc', undefined],
    ['https://', undefined],
  ]
  for (const [repoUrl, source] of sources)
    t.equal(sourceOf(aModule({ config: { repoUrl } })), source, repoUrl)
})

t.test('an address whose host is read in two ways, or is none, names no repository', async (t) => {
  for (const repoUrl of [
    'https://github.com./acme/vpc',
    'https://git..example.com/acme/vpc',
    'https://.example.com/acme/vpc',
    'https://-git.example.com/acme/vpc',
    'https://git-.example.com/acme/vpc',
    'https://git%68ub.com/acme/vpc',
    'ssh://git@git%68ub.com/acme/vpc',
    'https://git hub.com/acme/vpc',
    'https://git\thub.com/acme/vpc',
    ' https://github.com/acme/vpc',
    'https://github.com/acme/vpc ',
    'https://github.com/acme/vpc\n',
    'https:github.com/acme/vpc',
    'https:///github.com/acme/vpc',
    'https:\\\\github.com\\acme\\vpc',
    'https://evil.example\\@github.com/acme/vpc',
    'https://a@b@github.com/acme/vpc',
    'https://github.com:65536/acme/vpc',
    'https://127.1/acme/vpc',
    'https://0x7f.1/acme/vpc',
    'https://2130706433/acme/vpc',
    'ssh://git@127.1/acme/vpc',
    'https://256.0.0.1/acme/vpc',
    'https://01.2.3.4/acme/vpc',
    'https://\u212a8s.example/acme/vpc',
    'https://github\u3002com/acme/vpc',
    'https://git\u00adhub.com/acme/vpc',
    'ssh://git@b\u00fccher.example/acme/vpc',
    'https://a$b/acme/vpc',
    'git@github.com.:acme/vpc',
    'git@[::1]:acme/vpc',
    'git@git.example.com:acme/../../other/vpc',
    'git@git.example.com:./acme/%2E%2e/vpc',
  ])
    t.equal(sourceOf(aModule({ config: { repoUrl } })), undefined, repoUrl)
  const kept: readonly (readonly [string, string])[] = [
    ['https://10.1.2.3:3000/acme/vpc', '10.1.2.3:3000/acme/vpc'],
    ['https://[2001:DB8::1]:8443/acme/vpc', '[2001:db8::1]:8443/acme/vpc'],
    ['https://git_lab/acme/vpc', 'git_lab/acme/vpc'],
    ['https://x-access-token:a%2Fb!@github.com/acme/vpc', 'github.com/acme/vpc'],
    ['https://xn--bcher-kva.example/acme/vpc', 'xn--bcher-kva.example/acme/vpc'],
    ['https://dev.azure.com/acme/My Team/_git/vpc', 'dev.azure.com/acme/my%20team/_git/vpc'],
  ]
  for (const [repoUrl, source] of kept) t.equal(sourceOf(aModule({ config: { repoUrl } })), source, repoUrl)
})

t.test('the guide says what each way to write an address names', async (t) => {
  const page = readFileSync(new URL('../../docs/webhook-authors.md', import.meta.url), 'utf8')
  const rows = page.matchAll(/^\| `((?:\w+:\/\/|git@)[^`]*)` \| (?:`([^`]+)`|nothing) \|/gm)
  const told = Array.from(rows, ([, repoUrl = '', source]) => [repoUrl, source] as const)
  t.ok(told.length > 10)
  for (const [repoUrl, source] of told) t.equal(sourceOf(aModule({ config: { repoUrl } })), source, repoUrl)
})

t.test('an address of a hundred thousand slashes is read as fast as any other', async (t) => {
  const repoUrl = `https://github.com/acme${'/'.repeat(100_000)}vpc`
  const began = performance.now()
  t.equal(sourceOf(aModule({ config: { repoUrl } })), undefined)
  t.ok(performance.now() - began < 1000)
  t.equal(sourceOf(aModule({ config: { repoUrl: 'https://github.com//acme/vpc//' } })), 'github.com/acme/vpc')
})

t.test('without an address the source is where OpenDepot fetches from', async (t) => {
  t.equal(sourceOf(aModule({ config: { repoUrl: undefined } })), 'github.com/acme/terraform-aws-vpc')
  t.equal(
    sourceOf(aModule({ config: { repoUrl: undefined, name: undefined, repoOwner: 'ACME' } })),
    'github.com/acme/terraform-aws-vpc',
  )
  t.equal(sourceOf(aModule({ config: { repoUrl: undefined, repoOwner: undefined } })), undefined)
  t.equal(sourceOf(aModule({ config: { repoUrl: undefined, repoOwner: 'a/b' } })), undefined)
  t.equal(sourceOf(aModule({ config: { repoUrl: undefined, repoOwner: '..' } })), undefined)
})

const BY = { by: 'ci:repo:acme/x', commit: 'c'.repeat(40), sourceId: '4711' }

function observed(edit: Partial<Observation>): Observation {
  return { before: undefined, after: undefined, immutable: true, atSeconds: NOON, attribution: BY, ...edit }
}

t.test(
  'the first commit that lists a version makes its entry, and seeing it again changes nothing',
  async (t) => {
    const seen = observed({ after: aModule({ versions: ['v1.0.0', 'main'] }) })
    const writes = ledgerWrites(new Map(), seen)
    t.same([...writes], [['1.0.0', { ...BY, state: 'present', immutable: true, atSeconds: NOON }]])
    t.equal(ledgerWrites(writes, seen).size, 0)
    const later = observed({
      before: seen.after,
      after: seen.after,
      atSeconds: NOON + 60,
      attribution: { by: 'mallory' },
    })
    t.equal(ledgerWrites(writes, later).size, 0)
  },
)

t.test('a version that leaves is unpublished, and keeps who published it', async (t) => {
  const facts = published({ ...BY, atSeconds: NOON })
  const known = new Map([
    ['1.0.0', facts],
    ['1.1.0', facts],
  ])
  const before = aModule()
  const removed = ledgerWrites(
    known,
    observed({ before, after: aModule({ versions: ['1.1.0'] }), attribution: {} }),
  )
  t.same([...removed], [['1.0.0', { ...facts, state: 'unpublished', removedAtSeconds: NOON }]])
  const deleted = ledgerWrites(known, observed({ before, after: undefined }))
  t.same(
    [...deleted.values()].map(({ state }) => state),
    ['unpublished', 'unpublished'],
  )
})

t.test('a version that left between two looks is remembered all the same', async (t) => {
  const writes = ledgerWrites(
    new Map(),
    observed({ before: aModule(), after: aModule({ versions: ['1.1.0'] }) }),
  )
  t.same(
    [...writes].map(([plain, { state }]) => [plain, state]),
    [
      ['1.0.0', 'unpublished'],
      ['1.1.0', 'present'],
    ],
  )
})

function trimmed(
  versions: readonly string[],
  limit: number,
  facts: Partial<PublishedFacts> = {},
): readonly string[] {
  const plains = ['1.0.0', '1.1.0', '1.2.0']
  const known = new Map(plains.map((plain) => [plain, published({ immutable: false, ...facts })]))
  const after = aModule({ versions, config: { immutable: false, versionHistoryLimit: limit } })
  const writes = ledgerWrites(
    known,
    observed({ before: aModule({ ...MUTABLE, versions: plains }), after, immutable: false }),
  )
  return [...writes].map(([plain, { state }]) => `${plain} ${state}`)
}

t.test('what the limit explains is pruned, and nothing else', async (t) => {
  t.same(trimmed(['v1.1.0', 'v1.2.0'], 2), ['1.0.0 pruned'])
  t.same(trimmed(['1.2.0'], 2), ['1.0.0 unpublished', '1.1.0 unpublished'], 'more than the limit takes')
  t.same(trimmed(['1.0.0', '1.2.0'], 2), ['1.1.0 unpublished'], 'not the oldest')
  t.same(trimmed(['1.1.0', '1.2.0'], 2, { immutable: true }), ['1.0.0 unpublished'])
})

t.test('what was pruned stays pruned, and what comes back is present', async (t) => {
  const known = new Map([['1.0.0', published({ state: 'pruned', immutable: false })]])
  t.equal(ledgerWrites(known, observed({ after: undefined })).size, 0)
  const back = ledgerWrites(known, observed({ after: aModule({ versions: ['1.0.0'] }), immutable: false }))
  t.same([...back], [['1.0.0', { state: 'present', immutable: false }]])
})

t.test('once immutable, always: a Module that becomes immutable takes what it lists with it', async (t) => {
  const known = new Map([
    ['1.0.0', published({ immutable: false })],
    ['0.9.0', published({ immutable: false, state: 'unpublished' })],
  ])
  const writes = ledgerWrites(
    known,
    observed({ before: aModule({ versions: ['1.0.0'] }), after: aModule({ versions: ['1.0.0'] }) }),
  )
  t.same([...writes], [['1.0.0', { state: 'present', immutable: true }]])
  t.equal(
    ledgerWrites(writes, observed({ after: aModule({ versions: ['1.0.0'] }), immutable: false })).size,
    0,
  )
})

t.test('the name of a remembered version is one DNS label, and no two keys share it', async (t) => {
  const key = { kind: 'Module', namespace: 'infra', name: 'terraform-aws-vpc' } as const
  const name = publishedVersionName(key, '1.2.0-RC.1')
  t.match(name, /^pv-[0-9a-f]{48}$/)
  t.equal(name, publishedVersionName(key, '1.2.0-RC.1'))
  t.not(name, publishedVersionName(key, '1.2.0-rc.1'))
  t.not(name, publishedVersionName({ ...key, kind: 'Provider' }, '1.2.0-RC.1'))
  t.not(
    publishedVersionName({ ...key, namespace: 'a', name: 'b' }, '1.0.0'),
    publishedVersionName({ ...key, namespace: 'b', name: 'a' }, '1.0.0'),
  )
})

t.test('entries of Modules keep the names that they always had', async (t) => {
  const key = { kind: 'Module', namespace: 'opendepot-system', name: 'vpc' } as const
  t.equal(publishedVersionName(key, '1.0.0'), 'pv-3d71e64adf1c490b13e6fda49a147fef805aa00969f57446')
})

t.test('who published is not whoever changed the list next', async (t) => {
  const writes = ledgerWrites(
    new Map(),
    observed({ before: aModule({ versions: ['1.0.0'] }), after: aModule({ versions: ['1.0.0', '1.1.0'] }) }),
  )
  t.same(writes.get('1.0.0'), { state: 'present', immutable: true })
  t.same(writes.get('1.1.0'), { ...BY, state: 'present', immutable: true, atSeconds: NOON })
})

t.test('a first look says what is there, and neither who nor when', async (t) => {
  const after = aModule({ versions: ['1.0.0'] })
  const look = observed({ before: after, after, atSeconds: undefined, attribution: { source: 's.test/a/b' } })
  const commits = new Map([['1.0.0', 'd'.repeat(40)]])
  const digests = new Map([['1.0.0', `sha256:${'e'.repeat(64)}`]])
  t.same(ledgerWrites(new Map(), { ...look, commits, digests }).get('1.0.0'), {
    source: 's.test/a/b',
    commit: 'd'.repeat(40),
    digest: `sha256:${'e'.repeat(64)}`,
    state: 'present',
    immutable: true,
  })
})

t.test('whoever takes a version away is remembered with the reason, until it is back', async (t) => {
  const facts = published({ ...BY, atSeconds: NOON })
  const gone = ledgerWrites(new Map([['1.0.0', facts]]), {
    ...observed({
      before: aModule({ versions: ['1.0.0'] }),
      attribution: { by: 'alice' },
      atSeconds: NOON + 9,
    }),
    reasonOf: (plain) => `${plain} leaked a key`,
  })
  const removed = { removedBy: 'alice', removedAtSeconds: NOON + 9, reason: '1.0.0 leaked a key' }
  t.same(gone.get('1.0.0'), { ...facts, state: 'unpublished', ...removed })
  const back = ledgerWrites(gone, observed({ after: aModule({ versions: ['1.0.0'] }) }))
  t.same(back.get('1.0.0'), facts)
})

t.test('two that write one entry keep what the first one said, and fill in what it did not', async (t) => {
  const bare = published({ immutable: false })
  const full = published({ ...BY, atSeconds: NOON })
  t.same(mergedFacts(bare, full), full)
  t.same(mergedFacts(full, bare), full)
  t.same(mergedFacts(full, { ...full, by: 'mallory', commit: 'f'.repeat(40) }), full)
  const gone = { ...full, state: 'unpublished', removedBy: 'alice' } as const
  t.same(mergedFacts(full, gone), gone)
  t.same(mergedFacts(gone, { ...gone, removedBy: 'bob', reason: 'why' }), { ...gone, reason: 'why' })
  t.same(mergedFacts({ ...bare, state: 'pruned' }, gone), { ...gone, state: 'pruned' })
  t.same(mergedFacts(gone, full), full)
  t.ok(isSameFacts(full, { ...full }))
  t.notOk(isSameFacts(full, { ...full, reason: 'x' }))
})

t.test('a policy selects by namespace and labels, and two that can meet overlap', async (t) => {
  const all = { namespaces: [], labels: new Map<string, string>() }
  const infra = { namespaces: ['infra'], labels: new Map<string, string>() }
  const gold = { namespaces: [], labels: new Map([['tier', 'gold']]) }
  const silver = { namespaces: [], labels: new Map([['tier', 'silver']]) }
  const teamA = { namespaces: ['infra', 'b'], labels: new Map([['team', 'a']]) }
  const other = { namespaces: ['other'], labels: new Map<string, string>() }
  t.ok(isSelected(all, 'x', new Map()))
  t.ok(isSelected(infra, 'infra', new Map()))
  t.notOk(isSelected(infra, 'infra2', new Map()))
  t.ok(
    isSelected(
      gold,
      'x',
      new Map([
        ['tier', 'gold'],
        ['a', 'b'],
      ]),
    ),
  )
  t.notOk(isSelected(gold, 'x', new Map([['tier', 'silver']])))
  for (const [left, right, overlap] of [
    [all, infra, true],
    [infra, other, false],
    [gold, silver, false],
    [gold, infra, true],
    [gold, teamA, true],
    [teamA, other, false],
  ] as const) {
    t.equal(doSelectorsOverlap(left, right), overlap)
    t.equal(doSelectorsOverlap(right, left), overlap)
  }
})
