// Lists of tens of thousands, and objects with tens of thousands of names: what is judged stays right, and costs what it may cost. Time is
// the processor's own on this thread, so that a busy machine fails nothing; the limits are some ten times what is measured.
import t from 'tap'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import type { ProviderChange } from '../../src/core/module/change.ts'
import { readProvider } from '../../src/core/module/module_object.ts'
import type { VersionEntry } from '../../src/core/module/module_object.ts'
import { denialOf } from '../../src/core/module/verdict_message.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import { versionChanges } from '../../src/core/module/version_changes.ts'
import {
  aLedger,
  aModule,
  aPolicy,
  alice,
  around,
  judged,
  MUTABLE,
  pipeline,
  published,
} from '../support/module_changes.ts'
import type { Circumstances } from '../support/module_changes.ts'

const MANY = 60_000

function texts(count: number, major = 1): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${major}.${index}.0`)
}

const stored = texts(MANY)
const whole = aModule({ versions: stored })

/** What of the processor's time it takes, in milliseconds; the first time V8 compiles it. */
function costOf(act: () => unknown): number {
  act()
  const before = process.threadCpuUsage()
  act()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

function messageOf(verdict: Verdict): string {
  return denialOf(verdict)?.message ?? 'allowed'
}

t.test('an append to 60,000 versions is judged by what it appends', async (t) => {
  const after = aModule({ versions: [...stored, '2.0.0'] })
  const act = (): Verdict =>
    judged(whole, after, { user: alice, policy: aPolicy({ modes: { 'WH-V11': 'warn' } }) })
  t.match(messageOf(act()), /^WH-P1: version 2\.0\.0 may not be published by "alice"/)
  t.ok(costOf(act) < 300)
  t.match(
    messageOf(judged(whole, after, { user: pipeline() })),
    /WH-V11: spec\.versions would have 60001 entries/,
  )
})

t.test('one that is taken off 60,000 is denied, wherever it stood and whatever else moves', async (t) => {
  const reordered = [...stored.slice(0, 30_000), ...stored.slice(30_001)].toReversed()
  for (const versions of [stored.slice(1), stored.slice(0, -1), reordered]) {
    const act = (): Verdict => judged(whole, aModule({ versions }), { user: alice, policy: undefined })
    t.match(messageOf(act()), /^WH-V1: version 1\.\d+\.0 was published and is taken off/)
    t.ok(costOf(act) < 1000)
  }
})

t.test('60,000 versions in another order are the same versions, and may be labelled', async (t) => {
  const world = { user: alice, policy: undefined }
  t.equal(messageOf(judged(whole, aModule({ versions: stored.toReversed() }), world)), 'allowed')
  t.equal(messageOf(judged(whole, aModule({ versions: stored, labels: { team: 'net' } }), world)), 'allowed')
})

t.test('a Module of 60,000 versions is deleted as one of two is', async (t) => {
  const world = { user: alice, policy: undefined }
  t.match(
    messageOf(judged(whole, undefined, world)),
    /^WH-M12: this Module published 1\.0\.0, .* and 59995 more/,
  )
  t.ok(costOf(() => judged(whole, undefined, world)) < 1500)
})

t.test('more than 10,000 entries at once are refused before any rule looks, in every mode', async (t) => {
  const lax = aPolicy({ modes: { 'WH-V11': 'audit', 'WH-V1': 'warn', 'WH-V4': 'warn', 'WH-P1': 'warn' } })
  const changes = {
    created: [undefined, texts(2 * MANY)],
    respelled: [stored, stored.map((text) => `v${text}`)],
    emptied: [stored, []],
    replaced: [stored, texts(MANY, 2)],
    doubled: [stored, [...stored.slice(0, MANY / 2), ...stored.slice(0, MANY / 2)]],
    'with more than a version': [stored, stored.map((version) => ({ version, sha: 'a' }))],
  } as const
  for (const [what, [before, after]] of Object.entries(changes)) {
    const old = before === undefined ? undefined : aModule({ versions: before })
    const next = aModule({ versions: after })
    const act = (): Verdict => judged(old, next, { user: alice, policy: lax })
    t.match(messageOf(act()), /^WH-V11: this request adds or takes away \d+ entries of spec\.versions/, what)
    t.equal(denialOf(act())?.code, 422)
    t.same(new Set(act().findings.map(({ rule }) => rule)), new Set(['WH-V11']))
    t.ok(costOf(act) < 500, what)
  }
  const excepted = aPolicy({
    exceptions: [
      {
        rules: ['WH-V11'],
        modules: ['infra/terraform-aws-vpc'],
        versions: [],
        untilSeconds: Infinity,
        approver: 'root',
        reason: 'x',
      },
    ],
  })
  t.equal(judged(undefined, aModule({ versions: texts(10_001) }), { policy: excepted }).allowed, false)
})

t.test('10,000 at once are judged one by one', async (t) => {
  const many = stored.slice(0, 10_000)
  const replaced = (): Verdict => judged(aModule({ versions: many }), aModule({ versions: texts(10_000, 2) }))
  t.match(
    messageOf(replaced()),
    /^WH-V3: version 1\.0\.0 .*; the same of 1\.3\.0, 1\.4\.0, 1\.5\.0 and 9994 more/,
  )
  t.ok(costOf(replaced) < 1500)
  const respelled = (): Verdict =>
    judged(aModule({ versions: many }), aModule({ versions: many.map((text) => `v${text}`) }), {
      user: alice,
    })
  t.match(messageOf(respelled()), /WH-V4: version 1\.0\.0 is stored as "1\.0\.0"/)
  t.ok(costOf(respelled) < 1500)
  const facts = new Map(many.map((plain) => [plain, published()]))
  const emptied = (): Verdict =>
    judged(aModule({ versions: many }), aModule({ versions: [] }), {
      user: pipeline(),
      ledger: { published: facts },
    })
  t.match(messageOf(emptied()), /^WH-V1: /)
  t.ok(costOf(emptied) < 1500)
})

t.test(
  'whatever an annotation of 250 kB names, each of 10,000 versions is looked up in it once',
  async (t) => {
    const names = texts(20_000, 3).join(',')
    const versions = stored.slice(0, 10_000)
    const broken = { annotations: { 'sallyport.dev/unpublish': `${names}: by mistake` } }
    const act = (): Verdict =>
      judged(aModule({ versions, ...broken }), aModule({ versions: [], ...broken }), {
        user: alice,
        policy: undefined,
        mayDo: ['unpublish'],
      })
    t.match(messageOf(act()), /^WH-V1: version 1\.0\.0/)
    t.ok(costOf(act) < 1500)
    const pins = texts(5000).map((text) => `${text}=${'a'.repeat(40)}`)
    const pinned = (value: readonly string[]) =>
      aModule({ versions: texts(5000), annotations: { 'sallyport.dev/pins': value.join(',') }, ...MUTABLE })
    const moved = (): Verdict =>
      judged(pinned(pins), pinned(pins.map((pin) => pin.replace('=a', '=b'))), { user: alice })
    t.match(messageOf(moved()), /^WH-P1: the pins of this Module may not be changed/)
    t.ok(costOf(moved) < 1500)
  },
)

t.test('the first publisher is looked for once, however many versions are added and known', async (t) => {
  const facts = new Map(
    texts(50_000, 7).map((plain) => [plain, published({ publisher: 'github.com/acme/old', sourceId: '1' })]),
  )
  const act = (): Verdict =>
    judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', ...texts(400, 9)] }), {
      user: pipeline(),
      ledger: { published: facts },
    })
  t.match(messageOf(act()), /^\(1\) WH-P1: version 9\.0\.0 may not be published/)
  t.ok(costOf(act) < 300)
})

function aProvider(versions: readonly string[], platforms: number, systems?: readonly string[]) {
  const read = readProvider({
    metadata: { name: 'aws', namespace: 'infra', uid: 'u-2' },
    spec: {
      providerConfig: {
        name: 'aws',
        operatingSystems: systems ?? Array.from({ length: platforms / 8 }, (_, index) => `os${index}`),
        architectures: systems === undefined ? Array.from({ length: 8 }, (_, index) => `arch${index}`) : [],
      },
      versions: versions.map((version) => ({ version })),
    },
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

type Provider = ReturnType<typeof aProvider>

function judgedProvider(before: Provider | undefined, after: Provider, world: Circumstances): Verdict {
  const about = { resource: 'providers', subResource: '', old: before, new: after } as const
  const change: ProviderChange = { ...about, ...around(before, after, world) }
  return judgeChange(change, world.policy, aLedger(world.ledger))
}

t.test('no name is made of what would have more than 32,000', async (t) => {
  const asked: string[] = []
  const ledger = aLedger({ versionNameOwner: (name) => void asked.push(name) })
  const lax = aPolicy({ modes: { 'WH-V11': 'warn' } })
  for (const [count, platforms] of [
    [501, 64],
    [5300, 64],
    [20_000, 64],
    [600, 4096],
  ] as const) {
    const after = aProvider(texts(count), platforms)
    const act = (): Verdict => judgedProvider(undefined, after, { policy: lax, ledger, user: alice })
    t.match(messageOf(act()), /^WH-V11: this request adds /, `${count} x ${platforms}`)
    t.ok(costOf(act) < 300)
  }
  t.same(asked, [])
  const most = aProvider(texts(500), 64)
  const act = (): Verdict => judgedProvider(undefined, most, { policy: undefined, ledger, user: alice })
  t.equal(messageOf(act()), 'allowed', 'what WH-V11 lets a Provider have')
  t.equal(asked.length, 32_000)
  t.ok(costOf(act) < 500)
})

t.test('60,000 systems that go are compared with 60,000 that come', async (t) => {
  const [before, after] = [1, 2].map((major) => aProvider(texts(3), 0, texts(MANY, major)))
  if (before === undefined || after === undefined) throw new Error('no Provider')
  const act = (): Verdict =>
    judgedProvider(before, after, { policy: aPolicy({ immutability: 'required' }), user: alice })
  t.match(
    messageOf(act()),
    /providerConfig\.operatingSystems would no longer have "1\.0\.0", "1\.1\.0", "1\.2\.0" and 59997 more/,
  )
  t.ok(costOf(act) < 300)
})

function entries(versions: readonly string[]) {
  return { versions: versions.map((version): VersionEntry => ({ version })) }
}

function plains(list: readonly { readonly plain: string }[]): readonly string[] {
  return list.map(({ plain }) => plain)
}

function changesOf(before: readonly string[], after: readonly string[]) {
  const { added, removed, rewritten, doubled, malformed } = versionChanges(entries(before), entries(after))
  return {
    added: plains(added),
    removed: plains(removed),
    rewritten: plains(rewritten),
    doubled: plains(doubled),
    malformed: malformed.map(({ text }) => text),
  }
}

t.test('what both lists begin or end with is passed over, and is still what counts', async (t) => {
  const none = { added: [], removed: [], rewritten: [], doubled: [], malformed: [] }
  const [a, b, c] = ['1.0.0', '1.1.0', '1.2.0']
  t.same(changesOf([a, b], [a, b, `v${a}`]), { ...none, doubled: [a] }, 'the beginning has it already')
  t.same(
    changesOf([a, b, c], [`v${c}`, a, b, c]),
    { ...none, rewritten: [c], doubled: [c] },
    'so has the end',
  )
  t.same(
    changesOf([a, `v${a}`, b], [`v${a}`, a, b]),
    { ...none, rewritten: [a] },
    'the first of two spellings counts',
  )
  t.same(changesOf([a, a, b], [a, a, a, b]), none, 'it was there twice')
  t.same(changesOf([a, b, b, c], [a, c]), { ...none, removed: [b] })
  t.same(changesOf(['bad', a], [a, 'worse']), { ...none, removed: ['bad'], malformed: ['worse'] })
  t.equal(versionChanges(entries([a, b, c]), entries([c, b, a])).count, 0)
  t.equal(versionChanges(entries([a, b, c]), entries([c, '9.0.0'])).count, 2)
})
