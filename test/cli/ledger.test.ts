// `sallyport ledger` on a cluster in shape only: what it prints, and what it says when there is nothing to print. The real one is asked
// in test/e2e/webhook_ledger.test.ts.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { LedgerEntry } from '../../src/core/module/ledger.ts'
import { MOST_MUTABLE } from '../../src/core/module/ledger_bound.ts'
import { ledgerLine } from '../../src/core/module/ledger_lines.ts'
import { publishedVersionOf } from '../../src/core/module/published_version.ts'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import type { ApiAnswer, ApiCall } from '../support/fake_apiserver.ts'
import { moduleJson, MUTABLE, NOON, published } from '../support/module_changes.ts'

const VPC = { kind: 'Module', namespace: 'infra', name: 'terraform-aws-vpc' } as const

function entry(
  version: string,
  facts: LedgerEntry['facts'],
  module: LedgerEntry['module'] = VPC,
): LedgerEntry {
  return { module, version, facts }
}

const ENTRIES = [
  entry('1.9.0', published({ by: 'ci:repo:acme/vpc', atSeconds: NOON, commit: 'c'.repeat(40) })),
  entry('1.10.0', published()),
  entry(
    '1.0.0',
    published({
      state: 'unpublished',
      immutable: false,
      removedBy: 'alice',
      removedAtSeconds: NOON,
      reason: 'leaked\u001b[31m',
    }),
  ),
  entry('5.0.0', published(), { ...VPC, kind: 'Provider' }),
]

const listed = (...items: readonly unknown[]): ApiAnswer => ({
  body: { metadata: { resourceVersion: '7' }, items },
})

const WATCHING: ApiAnswer = {
  stream: (response) => {
    response.writeHead(200).flushHeaders()
  },
}

async function house(
  t: Test,
  answer: (call: ApiCall) => ApiAnswer | undefined,
): Promise<(...argv: string[]) => Promise<CliRun>> {
  const api = await fakeApiserver(t, folder(t), (call) => {
    const own = answer(call)
    if (own !== undefined) return own
    if (call.path.includes('watch=1')) return WATCHING
    return call.path.includes('publishedversions') ? listed(...ENTRIES.map(publishedVersionOf)) : listed()
  })
  return (...argv) => runCli(['ledger', ...argv, '--kubeconfig', api.kubeconfig])
}

t.test('show has the newest version first, and nothing in it steers a terminal', async (t) => {
  const run = await house(t, () => undefined)
  t.same(await run('show', 'infra/terraform-aws-vpc'), {
    code: 0,
    stderr: '',
    stdout: `1.10.0  present  immutable
1.9.0  present  immutable  2027-01-15T08:00:00Z  by ci:repo:acme/vpc  commit ${'c'.repeat(40)}
1.0.0  unpublished  mutable  taken away by alice  at 2027-01-15T08:00:00Z  because: leaked\\u001b[31m
`,
  })
  t.match(await run('show', 'infra/terraform-aws-vpc', '--provider'), {
    code: 0,
    stdout: '5.0.0  present  immutable\n',
  })
})

t.test('show asks for one Module alone, and says when it never published', async (t) => {
  const paths: string[] = []
  const run = await house(t, ({ path }) => {
    paths.push(decodeURIComponent(path))
    return listed()
  })
  t.match(await run('show', 'infra/eks'), {
    code: 1,
    stderr:
      /^sallyport ledger: nothing was ever published by the Module infra\/eks\n {4}-> .*for a Provider give --provider\n$/,
  })
  t.match(paths, [/fieldSelector=spec\.module\.namespace=infra,spec\.module\.name=eks$/])
  for (const wrong of ['eks', 'a/b/c', '/eks', 'infra/'])
    t.match(await run('show', wrong), { code: 1, stderr: 'is no NAMESPACE/NAME' })
})

t.test('export is sorted, a line each, and passes over what nobody can read', async (t) => {
  const run = await house(t, ({ path }) =>
    path.includes('publishedversions')
      ? listed({ metadata: { name: 'pv-1' }, spec: {} }, ...ENTRIES.toReversed().map(publishedVersionOf))
      : undefined,
  )
  const exported = await run('export')
  t.equal(exported.code, 0)
  t.match(exported.stderr, /^sallyport ledger: an entry is passed over: /)
  const [one, ten, nine, provider] = [ENTRIES[2], ENTRIES[1], ENTRIES[0], ENTRIES[3]]
  t.equal(
    exported.stdout,
    [one, ten, nine, provider].flatMap((line) => (line === undefined ? [] : [ledgerLine(line)])).join(''),
  )
})

t.test('a cluster without the ledger, or one that does not let in, is told with a way out', async (t) => {
  const unknown = await house(t, () => ({ status: 404, body: '404 page not found' }))
  t.match(await unknown('export'), {
    code: 1,
    stderr: /answers 404\n {4}-> .*kubectl apply -k deploy\/crds\/sallyport\n$/,
  })
  const closed = await house(t, () => ({ status: 403, body: { message: 'publishedversions is forbidden' } }))
  t.match(await closed('export'), {
    code: 1,
    stderr: /is forbidden\n {4}-> use a kubeconfig whose user may list publishedversions\.sallyport\.dev\n$/,
  })
  const nowhere = await runCli(['ledger', 'export', '--kubeconfig', '/nonexistent/kubeconfig'])
  t.match(nowhere, { code: 1, stderr: /cannot be read.*\n {4}-> name a kubeconfig/ })
})

t.test('rebuild says what is missing, what changed and what is gone, and writes nothing', async (t) => {
  const stored = {
    ...moduleJson({ versions: ['1.9.0', '1.11.0'] }),
    metadata: { name: VPC.name, namespace: 'infra', uid: 'u', resourceVersion: '5' },
  }
  const writes: string[] = []
  const run = await house(t, ({ path, method }) => {
    if (method !== 'GET') writes.push(path)
    return path.includes('/modules?limit') ? listed(stored) : undefined
  })
  t.same(await run('rebuild'), {
    code: 0,
    stderr: '',
    stdout: `Module infra/terraform-aws-vpc
  1.11.0  present  immutable
  1.10.0  unpublished  immutable
Provider infra/terraform-aws-vpc
  5.0.0  unpublished  immutable
not in the ledger: 1 of 1 objects; changed since: 0; gone without a trace: 2
not brought back: who published them and when, by which pipeline, who moved their Module or Provider, when and why, and what was unpublished or pruned before and has no Version any more: none of it stands in the objects, and nobody looks into the storage
nothing was written: --write does
`,
  })
  t.same(writes, [])
})

/** A Version of a Module, from before anybody looked. */
function archived(module: string, plain: string): unknown {
  return {
    metadata: {
      name: `${module}-${plain.replaceAll('.', '-')}`,
      namespace: 'infra',
      resourceVersion: '6',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: { type: 'Module', version: plain, moduleConfigRef: { name: module } },
    status: { checksum: Buffer.alloc(32).toString('base64') },
  }
}

t.test('rebuild finds what was published once in Versions that nobody lists any more', async (t) => {
  const metadata = { name: VPC.name, namespace: 'infra', uid: 'u', resourceVersion: '5' }
  const stored = { ...moduleJson({ versions: ['1.9.0', '1.10.0', '1.11.0'] }), metadata }
  const run = await house(t, ({ path }) => {
    if (path.includes('/modules?limit')) return listed(stored)
    if (!path.includes('/versions?limit')) return undefined
    return listed(archived(VPC.name, '1.11.0'), archived(VPC.name, '0.9.0'), archived('gone', '3.0.0'))
  })
  const digest = `sha256:${'00'.repeat(32)}`
  t.match(await run('rebuild'), {
    code: 0,
    stdout: `Module infra/terraform-aws-vpc
  1.11.0  present  immutable  ${digest}
  0.9.0  unpublished  immutable  ${digest}
Module infra/gone
  3.0.0  unpublished  mutable  ${digest}
Provider`,
  })
})

t.test('rebuild says what is more than the ledger remembers', async (t) => {
  const versions = Array.from({ length: MOST_MUTABLE + 3 }, (_, index) => `1.0.${index}`)
  const metadata = { name: 'snapshots', namespace: 'infra', uid: 'u', resourceVersion: '5' }
  const stored = { ...moduleJson({ ...MUTABLE, versions }), metadata }
  const run = await house(t, ({ path }) => (path.includes('/modules?limit') ? listed(stored) : undefined))
  const { stdout } = await run('rebuild')
  t.equal(stdout.match(/^ {2}1\.0\.\d+ {2}present/gm)?.length, MOST_MUTABLE)
  t.match(stdout, 'not immutable, and more than the ledger remembers: 3')
})

t.test('rebuild brings back from an export what no object says, and what became of it since', async (t) => {
  const commit = 'd'.repeat(40)
  const file = join(folder(t), 'ledger.jsonl')
  const was = published({ by: 'bob', atSeconds: NOON, commit })
  const saved = [
    entry('1.10.0', was),
    entry('1.9.0', { ...was, state: 'unpublished' }),
    entry('0.9.0', published({ state: 'unpublished', removedBy: 'alice', reason: 'leaked' })),
    entry('3.0.0', was, { ...VPC, name: 'gone' }),
  ]
  writeFileSync(file, saved.map(ledgerLine).join(''))
  const created: unknown[] = []
  const run = await house(t, ({ path, method, body }) => {
    if (method !== 'GET') created.push(body)
    if (method === 'POST') return { status: 201, body: { metadata: { resourceVersion: '8' } } }
    const metadata = { name: VPC.name, namespace: 'infra', uid: 'u', resourceVersion: '5' }
    const stored = { ...moduleJson({ versions: ['1.9.0', '1.10.0'] }), metadata }
    return path.includes('/modules?limit') ? listed(stored) : undefined
  })
  const { code, stdout, stderr } = await run('rebuild', '--from', file)
  t.equal(stderr, '')
  t.equal(code, 0)
  t.match(stdout, /^ {2}1\.10\.0 {2}present {2}.*by bob/m, 'what was absent is filled in')
  t.notMatch(stdout, /^ {2}1\.9\.0/m, 'what the ledger knows better stays')
  t.match(stdout, /^ {2}0\.9\.0 {2}unpublished/m)
  t.match(stdout, /^Module infra\/gone\n {2}3\.0\.0 {2}unpublished/m, 'its Module is not there any more')
  t.match(
    stdout,
    'from the file: 3\nnot in the ledger: 0 of 0 objects; changed since: 0; gone without a trace: 2',
  )
  t.same(created, [], 'nothing is written without --write')

  writeFileSync(file, '{"kind":"Module"}\n')
  t.match(await run('rebuild', '--from', file), {
    code: 1,
    stderr: /ledger\.jsonl: line 1: .*\n {4}-> name what/,
  })
})

t.test('rebuild that may not look says so', async (t) => {
  const run = await house(t, ({ path }) =>
    path.includes('/versions?') ? { status: 403, body: { message: 'versions is forbidden' } } : undefined,
  )
  t.match(await run('rebuild'), {
    code: 1,
    stderr: /versions: not listed yet: .*versions is forbidden\n {4}-> use a kubeconfig/,
  })
})
