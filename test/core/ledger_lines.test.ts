import t from 'tap'
import { compareEntries, ledgerLine, readLedgerLines } from '../../src/core/module/ledger_lines.ts'
import type { LedgerEntry } from '../../src/core/module/ledger.ts'
import { publishedVersionOf, readPublishedEntry } from '../../src/core/module/published_version.ts'
import { NOON } from '../support/module_changes.ts'

const ENTRY: LedgerEntry = {
  module: { kind: 'Module', namespace: 'infra', name: 'vpc' },
  version: '1.0.0',
  facts: {
    state: 'unpublished',
    immutable: true,
    source: 'github.com/acme/terraform-aws-vpc',
    publisher: 'github.com/acme/release',
    sourceId: '4711',
    commit: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39',
    digest: `sha256:${'ab'.repeat(32)}`,
    by: 'ci:repo:acme/release',
    atSeconds: NOON,
    removedBy: 'alice',
    removedAtSeconds: NOON + 60,
    reason: 'leaked a key',
    moved: [
      {
        revision: '4711',
        atSeconds: NOON + 30,
        settings: ['repoUrl', 'storageConfig'],
        by: 'jo',
        reason: 'the bucket moves',
        source: 'github.com/acme/vpc',
        storage: 's3 bucket=modules-eu',
      },
      { revision: '4712', atSeconds: NOON + 40, settings: ['name'] },
    ],
  },
}
const BARE: LedgerEntry = {
  module: { kind: 'Provider', namespace: 'infra', name: 'aws' },
  version: '5.0.0-rc.1',
  facts: { state: 'present', immutable: false },
}

t.test('an entry is one line of JSON, and is read back as it was', async (t) => {
  t.equal(
    ledgerLine(ENTRY),
    `{"kind":"Module","namespace":"infra","name":"vpc","version":"1.0.0","state":"unpublished","immutable":true,"source":"github.com/acme/terraform-aws-vpc","publisher":"github.com/acme/release","sourceId":"4711","commit":"9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39","digest":"sha256:${'ab'.repeat(32)}","by":"ci:repo:acme/release","at":"2027-01-15T08:00:00Z","removedBy":"alice","removedAt":"2027-01-15T08:01:00Z","reason":"leaked a key","moved":[{"revision":"4711","at":"2027-01-15T08:00:30Z","settings":["repoUrl","storageConfig"],"by":"jo","reason":"the bucket moves","source":"github.com/acme/vpc","storage":"s3 bucket=modules-eu"},{"revision":"4712","at":"2027-01-15T08:00:40Z","settings":["name"]}]}\n`,
  )
  t.equal(
    ledgerLine(BARE),
    '{"kind":"Provider","namespace":"infra","name":"aws","version":"5.0.0-rc.1","state":"present","immutable":false}\n',
  )
  t.same(readLedgerLines(`${ledgerLine(ENTRY)}\n  \n${ledgerLine(BARE)}`), { ok: true, value: [ENTRY, BARE] })
  t.same([BARE, ENTRY].sort(compareEntries), [ENTRY, BARE])
})

t.test('an entry is a PublishedVersion under its own name, and is read back as it was', async (t) => {
  for (const entry of [ENTRY, BARE]) {
    const object = publishedVersionOf(entry)
    t.same(readPublishedEntry(object), { ok: true, value: entry })
    t.match(readPublishedEntry({ ...object, metadata: { name: 'pv-0' } }), {
      denial: /^it is called pv-0 and must be called pv-[0-9a-f]{48}$/,
    })
  }
})

const LINE: Readonly<Record<string, unknown>> = JSON.parse(ledgerLine(ENTRY))

t.test('an entry of before Providers were remembered is of a Module', async (t) => {
  t.same(readLedgerLines(JSON.stringify({ ...LINE, kind: undefined })), { ok: true, value: [ENTRY] })
})

t.test('a line that cannot be meant is named with its number', async (t) => {
  const wrong: readonly (readonly [unknown, string])[] = [
    [{ ...LINE, kind: 'Depot' }, 'kind is neither Module nor Provider'],
    [{ ...LINE, name: '' }, 'namespace or name is missing'],
    [{ ...LINE, name: 'a/b' }, 'namespace or name has a slash'],
    [
      { ...LINE, version: 'main' },
      'version: it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them',
    ],
    [{ ...LINE, state: 'gone' }, 'state is none of present, pruned and unpublished'],
    [{ ...LINE, commit: 'abc' }, 'commit is no whole commit id'],
    [{ ...LINE, digest: 'abc' }, 'digest is no sha256:<64 hex digits>'],
    [{ ...LINE, at: 'yesterday' }, 'at is no time like 2027-01-31T00:00:00Z'],
    [{ ...LINE, by: 7 }, 'by is not a string'],
    [[], 'the object is not a mapping'],
  ]
  for (const [line, says] of wrong) {
    const read = readLedgerLines(`${ledgerLine(BARE)}${JSON.stringify(line)}\n`)
    t.same(read, { ok: false, denial: `line 2: ${says}` })
  }
  t.same(readLedgerLines('{'), { ok: false, denial: 'line 1: it is no JSON object' })
})
