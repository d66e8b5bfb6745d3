// What a review of two states says of Modules: the rules of the webhook, each problem at its line; and what is odd about the
// files themselves.
import t from 'tap'
import { aProviderJson } from '../support/a_provider.ts'
import { aPolicy, alice, argo, pipeline } from '../support/module_changes.ts'
import { ledgerEntry, moduleYaml, reviewed, told, toldShortly } from '../support/reviewed.ts'
import type { ReviewedFiles } from '../support/reviewed.ts'

const FILE = 'modules/eks.yaml'
const PUBLISHED = ['21.10.1', '21.11.0', '21.12.0']
const before = { [FILE]: moduleYaml(PUBLISHED) }

function policy(modes: string): string {
  return `apiVersion: sallyport.dev/v1alpha1\nkind: ModulePolicy\nmetadata: {name: p}\nspec: {selector: {}${modes}}\n`
}

/** As an entry of `items:`. */
function inList(text: string): string {
  return text.replaceAll(/^/gm, '    ').replace('    apiVersion', '  - apiVersion').trimEnd()
}

/** The old file becomes this one. */
function becomes(text: string, given: Partial<ReviewedFiles> = {}): ReturnType<typeof reviewed> {
  return reviewed({ before, after: { [FILE]: text }, ...given })
}

t.test('a version that is added below the others passes without a word', async (t) => {
  const review = becomes(moduleYaml([...PUBLISHED, '21.13.0']))
  t.same(told(review), [])
  t.match(review, { judged: 1, unchanged: 0, isIncomplete: false })
})

t.test('a version that becomes another one is shown at its own line, and where it stood', async (t) => {
  const review = becomes(moduleYaml(['21.10.1', '21.11.1', '21.12.0']))
  t.same(told(review), [
    'modules/eks.yaml:15 deny WH-V3: version 21.11.0 was published and is taken off spec.versions',
  ])
  t.match(review.findings[0], {
    place: { file: FILE, line: 15, column: 7 },
    was: { file: FILE, line: 15, column: 7 },
    version: '21.11.0',
    object: 'Module opendepot-system/terraform-aws-eks',
    wayOut: /^keep - version: "21\.11\.0" and add new versions below it; to unpublish for good/,
  })
})

t.test('a version that is taken away is shown at the list that it is missing from', async (t) => {
  const review = becomes(moduleYaml(['21.10.1', '21.12.0']))
  t.same(toldShortly(review), ['modules/eks.yaml:13 deny WH-V1'])
  t.match(review.findings[0], { was: { line: 15, column: 7 } })
})

t.test('another repository, another storage, no longer immutable: each at its line', async (t) => {
  const edit = { 'my-org/terraform-aws-eks': 'evil/terraform-aws-eks', 'immutable: true': 'immutable: false' }
  t.same(toldShortly(becomes(moduleYaml(PUBLISHED, edit))), [
    'modules/eks.yaml:10 deny WH-M2',
    'modules/eks.yaml:12 deny WH-M4',
  ])
})

t.test('who writes the same in another way changes nothing', async (t) => {
  const json = JSON.stringify({
    spec: {
      versions: PUBLISHED.map((version) => ({ version })),
      moduleConfig: {
        immutable: true,
        fileFormat: 'zip',
        name: 'terraform-aws-eks',
        provider: 'aws',
        repoUrl: 'https://github.com/my-org/terraform-aws-eks',
      },
    },
    metadata: { name: 'terraform-aws-eks', namespace: 'opendepot-system' },
    kind: 'Module',
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    status: { synced: true },
  })
  t.match(becomes(json), { findings: [], judged: 0, unchanged: 1 })
})

t.test(
  'a Module is the same one in a list, in another namespace by default, and behind other documents',
  async (t) => {
    const item = inList(moduleYaml(['21.10.1']))
    const list = `kind: ConfigMap\n---\napiVersion: v1\nkind: List\nitems:\n${item}\n`
    const review = becomes(list)
    t.same(toldShortly(review), ['modules/eks.yaml:18 deny WH-V1', 'modules/eks.yaml:18 deny WH-V1'])
    const bare = moduleYaml(['21.10.1'], { '  namespace: opendepot-system\n': '' })
    t.same(toldShortly(becomes(bare, { namespace: 'opendepot-system' })), [
      'modules/eks.yaml:12 deny WH-V1',
      'modules/eks.yaml:12 deny WH-V1',
    ])
    t.same(
      becomes(bare).findings.map(({ rule }) => rule),
      ['WH-M10', 'GIT-4'],
      'in the namespace default it is another Module, of the same name',
    )
  },
)

t.test('a number in the place of a version is refused as the API server would', async (t) => {
  const review = becomes(moduleYaml(PUBLISHED, { '"21.12.0"': '21.12' }))
  t.same(told(review), [
    'modules/eks.yaml:16 deny GIT-1: the API server would refuse it: spec.versions[2].version is not a string',
  ])
  t.same(
    toldShortly(becomes(moduleYaml(PUBLISHED, { '"21.12.0"': '21.12.0' }))),
    [],
    'as a word it is a text',
  )
})

t.test('what broke the rules before is no reason to refuse another change', async (t) => {
  const old = { [FILE]: moduleYaml(['21.10.1', 'main']) }
  const review = reviewed({ before: old, after: { [FILE]: moduleYaml(['21.10.1', 'main', '21.11.0']) } })
  t.same(told(review), [])
  const again = reviewed({ before: old, after: { [FILE]: moduleYaml(['21.10.1', 'main', 'master']) } })
  t.same(toldShortly(again), ['modules/eks.yaml:16 deny WH-V7'])
})

t.test('nobody is asked for who publishes where nobody knows who will', async (t) => {
  const policies = [{ name: 'p', spec: aPolicy() }]
  const after = moduleYaml([...PUBLISHED, '21.13.0'])
  t.same(told(becomes(after, { policies })), [])
  t.same(told(becomes(after, { policies, user: argo })), [], 'the policy lists Argo CD')
  t.match(told(becomes(after, { policies, user: alice })), [/:17 deny WH-P1: version 21\.13\.0 may not be/])
  const source = 'github.com/my-org/terraform-aws-eks'
  const ci = pipeline({ source, ref: 'refs/tags/v21.13.0' })
  t.same(told(becomes(after, { policies, user: ci })), [], 'the pipeline of the repository, for that tag')
})

t.test('a rule that only warns warns, and one that writes down is a notice', async (t) => {
  const after = moduleYaml(['21.10.1', '21.12.0'])
  const under = (mode: 'warn' | 'audit'): readonly string[] =>
    toldShortly(becomes(after, { policies: [{ name: 'p', spec: aPolicy({ modes: { 'WH-V1': mode } }) }] }))
  t.same(under('warn'), ['modules/eks.yaml:13 warn WH-V1'])
  t.same(under('audit'), ['modules/eks.yaml:13 notice WH-V1'])
})

t.test('an exception of the policy lets through until it ends, and names who approved it', async (t) => {
  const exception = {
    rules: ['WH-V1'],
    modules: ['opendepot-system/terraform-aws-eks'],
    versions: ['21.11.0'],
    untilSeconds: 1_800_000_001,
    approver: 'jo@acme.example',
    reason: 'leaked a key',
  } as const
  const policies = [{ name: 'p', spec: aPolicy({ exceptions: [exception] }) }]
  const after = moduleYaml(['21.10.1', '21.12.0'])
  t.match(told(becomes(after, { policies })), [
    /warn WH-V1: .* \(exception approved by "jo@acme\.example"\)$/,
  ])
  t.match(toldShortly(becomes(after, { policies, atSeconds: 1_800_000_001 })), [
    'modules/eks.yaml:13 deny WH-V1',
  ])
})

t.test('breaking the glass takes the annotation and somebody who may', async (t) => {
  const annotated = moduleYaml(['21.10.1', '21.12.0'], {
    '  namespace: opendepot-system\n':
      '  namespace: opendepot-system\n  annotations: {sallyport.dev/unpublish: "21.11.0: leaked a key"}\n',
  })
  t.same(toldShortly(becomes(annotated)), ['modules/eks.yaml:14 deny WH-V1'])
  t.same(toldShortly(becomes(annotated, { mayDo: new Set(['unpublish']) })), [
    'modules/eks.yaml:14 notice WH-V1',
  ])
  t.same(
    toldShortly(becomes(moduleYaml(['21.10.1', '21.12.0']), { mayDo: new Set(['unpublish']) })),
    ['modules/eks.yaml:13 deny WH-V1'],
    'the verb alone is not enough',
  )
})

t.test('a version that the ledger knows does not come back as something else', async (t) => {
  const after = moduleYaml([...PUBLISHED, '21.9.0'])
  t.same(told(becomes(after)), [])
  const ledger = [ledgerEntry('21.9.0', { state: 'unpublished', commit: '9'.repeat(40) })]
  t.match(told(becomes(after, { ledger })), [
    /^modules\/eks\.yaml:17 deny WH-V2: version 21\.9\.0 was published before/,
  ])
  const pinned = after.replace(
    'metadata:\n',
    `metadata:\n  annotations: {sallyport.dev/pins: 21.9.0=${'9'.repeat(40)}}\n`,
  )
  t.same(told(becomes(pinned, { ledger })), [])
})

t.test('what a pipeline published beside the file is told before the file takes it away', async (t) => {
  const ledger = [...PUBLISHED, '21.99.0'].map((version) => ledgerEntry(version))
  const review = becomes(moduleYaml([...PUBLISHED, '22.0.0']), { ledger })
  t.match(told(review), [
    /^modules\/eks\.yaml:13 warn GIT-7: published by the ledger and not in this file: 21\.99\.0/,
  ])
  t.same(
    told(becomes(moduleYaml([...PUBLISHED, '21.99.0', '22.0.0']), { ledger })).length,
    1,
    'only the re-added one',
  )
  t.same(told(becomes(moduleYaml(PUBLISHED), { ledger })), [], 'a file that does not change applies nothing')
})

t.test('two Modules of one name in one change are both refused', async (t) => {
  const other = moduleYaml(['1.0.0'], { 'namespace: opendepot-system': 'namespace: team-b' })
  const review = reviewed({ after: { 'a.yaml': moduleYaml(['1.0.0']), 'b.yaml': other } })
  t.same(toldShortly(review), ['a.yaml:4 deny WH-M10', 'b.yaml:4 deny WH-M10'])
  const apart = other.replaceAll('terraform-aws-eks', 'terraform-aws-vpc')
  t.same(told(reviewed({ after: { 'a.yaml': moduleYaml(['1.0.0']), 'b.yaml': apart } })), [])
})

function provider(namespace: string, name = 'aws'): string {
  return JSON.stringify(aProviderJson({ namespace, name, versions: ['5.0.0'] }))
}

t.test(
  'two Providers of one name are both refused, and so is a version with the name of another',
  async (t) => {
    const twice = reviewed({ after: { 'a.yaml': provider('infra'), 'b.yaml': provider('other') } })
    t.same(toldShortly(twice), ['a.yaml:1 deny WH-M10', 'b.yaml:1 deny WH-M10'])
    const apart = { 'a.yaml': provider('infra'), 'b.yaml': provider('other', 'azurerm') }
    t.same(told(reviewed({ after: apart })), [])
    const version = JSON.stringify({
      apiVersion: 'opendepot.defdev.io/v1alpha1',
      kind: 'Version',
      metadata: { namespace: 'infra', name: 'aws-5-0-0-linux-amd64' },
      spec: { type: 'Module', version: '5.0.0', moduleConfigRef: { name: 'aws-5-0-0-linux' } },
    })
    const taken = reviewed({
      before: { 'v.yaml': version },
      after: { 'v.yaml': version, 'a.yaml': provider('infra') },
    })
    t.match(told(taken), [/deny WH-M10: version 5\.0\.0 would be the object "aws-5-0-0-linux-amd64"/])
  },
)

t.test('one object in two files is refused where they differ, and judged in both', async (t) => {
  const copy = { [FILE]: moduleYaml(PUBLISHED), 'copy.yaml': moduleYaml(['21.10.1', '21.12.0']) }
  const review = reviewed({ before, after: copy })
  t.same(toldShortly(review), ['copy.yaml:1 deny GIT-2', 'copy.yaml:13 deny WH-V1'])
  const alike = reviewed({
    before,
    after: { [FILE]: moduleYaml(PUBLISHED), 'copy.yaml': moduleYaml(PUBLISHED) },
  })
  t.same(toldShortly(alike), ['copy.yaml:1 warn GIT-2'])
  t.same(
    toldShortly(reviewed({ before: copy, after: copy })),
    ['copy.yaml:1 warn GIT-2'],
    'it stood so before',
  )
})

t.test('either copy that stood before may be what is stored', async (t) => {
  const copies = { 'a.yaml': moduleYaml(['1.0.0']), 'b.yaml': moduleYaml(['1.0.0', '2.0.0']) }
  t.same(toldShortly(reviewed({ before: copies, after: { 'a.yaml': moduleYaml(['1.0.0']) } })), [
    'a.yaml:13 deny WH-V1',
  ])
  t.same(toldShortly(reviewed({ before: copies, after: { 'b.yaml': moduleYaml(['1.0.0', '2.0.0']) } })), [])
})

t.test('an object that moves to another file is judged as the same', async (t) => {
  const moved = reviewed({ before, after: { 'new/place.yaml': moduleYaml(['21.10.1', '21.12.0']) } })
  t.same(told(moved), [
    'new/place.yaml:13 deny WH-V1: version 21.11.0 was published and is taken off spec.versions',
    'new/place.yaml:1 notice GIT-3: moved here from modules/eks.yaml:1, and judged as the same object',
  ])
})

t.test('a file that goes is deleted where somebody prunes, and told about elsewhere', async (t) => {
  const kept = reviewed({ before, after: {} })
  t.match(told(kept), [
    /^modules\/eks\.yaml:1 notice GIT-4: gone from the files; whether anybody deletes it depends .* the webhook refuses: WH-M12: this Module published 21\.10\.1, 21\.11\.0, 21\.12\.0 and would be deleted$/,
  ])
  t.same(toldShortly(reviewed({ before, after: {}, isPruned: true })), ['modules/eks.yaml:1 deny WH-M12'])
  const empty = { [FILE]: moduleYaml([]).replace('versions:', 'versions: []') }
  t.same(toldShortly(reviewed({ before: empty, after: {}, isPruned: true })), [], 'it published nothing')
})

t.test(
  'a policy that comes with a change excuses nothing of it, and one that goes holds to the end',
  async (t) => {
    const after = moduleYaml(['21.10.1', '21.12.0'])
    const warning = policy(', modes: {WH-V1: warn}')
    const loosened = reviewed({
      before: { ...before, 'p.yaml': policy('') },
      after: { [FILE]: after, 'p.yaml': warning },
    })
    t.ok(toldShortly(loosened).includes('modules/eks.yaml:13 deny WH-V1'))
    const loose = reviewed({
      before: { ...before, 'p.yaml': warning },
      after: { [FILE]: after, 'p.yaml': warning },
    })
    t.same(toldShortly(loose), ['modules/eks.yaml:13 warn WH-V1'], 'its twin: the policy was so before')
    const required = policy(', immutability: required')
    const mutable = { 'immutable: true': 'provider2: x' }
    const dropped = reviewed({
      before: { [FILE]: moduleYaml(PUBLISHED, mutable), 'p.yaml': required },
      after: { [FILE]: moduleYaml(['21.10.1', '21.12.0'], mutable) },
    })
    t.ok(toldShortly(dropped).includes('modules/eks.yaml:13 deny WH-V1'))
  },
)

t.test(
  'what cannot be read is refused where this change brings it, and told where it stood so',
  async (t) => {
    const broken = `${moduleYaml(PUBLISHED)}  oops: [\n`
    const review = becomes(broken)
    const notGone = /^modules\/eks\.yaml:1 notice GIT-4: stood in this file, which cannot be read any more: /
    t.match(told(review), [/^modules\/eks\.yaml:\d+ deny GIT-1: this cannot be read: /, notGone])
    t.ok(review.isIncomplete)
    const pruned = reviewed({ before, after: { [FILE]: broken }, isPruned: true })
    t.match(told(pruned), [/ deny GIT-1: /, notGone], 'nor would anybody delete it')
    t.ok(pruned.isIncomplete)
    const elsewhere = {
      ...before,
      'b.yaml': moduleYaml(['1.0.0']).replaceAll('name: terraform-aws-eks', 'name: b'),
    }
    const gone = reviewed({ before: elsewhere, after: { [FILE]: broken } })
    t.match(
      told(gone),
      [/ deny GIT-1: /, /^b\.yaml:1 notice GIT-4: gone from the files/, notGone],
      'others are gone',
    )
    const stood = reviewed({ before: { [FILE]: broken }, after: { [FILE]: broken } })
    t.match(told(stood), [/^modules\/eks\.yaml:\d+ notice GIT-1: /])
    t.notOk(stood.isIncomplete)
    const other = reviewed({
      before,
      after: { ...before, 'chart/templates/a.yaml': 'kind: Pod\nname: {{ .Values.name }}\n' },
    })
    t.same(told(other), [], 'a template of something else is none of our business')
  },
)

function bindingYaml(name: string, expression: string, namespace = 'opendepot-system'): string {
  return `apiVersion: opendepot.defdev.io/v1alpha1
kind: GroupBinding
metadata: {name: ${name}, namespace: ${namespace}}
spec: {expression: '${expression}', moduleResources: ["*"]}
`
}

t.test(
  'a GroupBinding that does not compile is refused, with those of the files that it would shadow',
  async (t) => {
    const others = {
      'a.yaml': bindingYaml('a', '"a" in groups'),
      'c.yaml': bindingYaml('c', '"c" in groups'),
      'd.yaml': bindingYaml('d', '"d" in groups', 'elsewhere'),
    }
    const after = { ...others, 'b.yaml': bindingYaml('b', '"b" in') }
    const [finding, ...rest] = reviewed({ before: others, after }).findings
    t.same(rest, [])
    t.match(finding, { rule: 'WH-G1', severity: 'deny', place: { file: 'b.yaml', line: 4 } })
    t.match(finding?.message, /does not compile at column 6: .*; it would shadow c: nobody/)
    t.same(
      told(reviewed({ before: others, after: { ...others, 'b.yaml': bindingYaml('b', '"b" in groups') } })),
      [],
    )
  },
)

t.test('an object cannot hide from the review', async (t) => {
  const plain = moduleYaml(['21.10.1', '21.12.0'])
  const hidden = {
    'escapes in its group': plain.replace(
      'opendepot.defdev.io/v1alpha1',
      '"opendepot.def\\x64ev.io/v1alpha1"',
    ),
    'an escaped slash': plain.replace('opendepot.defdev.io/v1alpha1', '"opendepot.defdev.io\\/v1alpha1"'),
    'base64 in its kind': plain.replace('kind: Module', 'kind: !!binary TW9kdWxl'),
    'an alias': plain.replace('kind: Module', 'x: &k Module\nkind: *k'),
    'behind three dashes in a text': `a: |\n  x\n---\n${plain}`,
  }
  for (const [how, text] of Object.entries(hidden)) {
    const found = toldShortly(becomes(text)).filter((line) => line.includes('deny WH-V1'))
    t.equal(found.length, 1, how)
  }
  const twice = `${plain}kind: ConfigMap\n`
  t.match(
    told(becomes(twice)),
    [/deny GIT-1: this cannot be read: the key stands twice/, /GIT-4/],
    'two kinds',
  )
  const escaped = `${hidden['escapes in its group']}kind: ConfigMap\n`
  t.match(told(becomes(escaped)), [/deny GIT-1: this cannot be read/, /GIT-4/], 'both')
})

t.test('texts that grow and nest without end are refused, not followed', async (t) => {
  const bomb = `x: &a [1,1,1,1,1,1,1,1,1,1]\n${'bcdefg'
    .split('')
    .map(
      (name, index) =>
        `y${name}: &${name} [${Array.from({ length: 10 }, () => `*${'abcdefg'[index]}`).join(',')}]\n`,
    )
    .join('')}`
  t.match(told(becomes(`${moduleYaml(PUBLISHED)}${bomb}`)), [
    /deny GIT-1: this cannot be read: .*(aliases|values)/,
    /GIT-4/,
  ])
  const deep = `${moduleYaml(PUBLISHED)}x: ${'['.repeat(200)}${']'.repeat(200)}\n`
  t.match(told(becomes(deep)), [/deny GIT-1: this cannot be read: values nest deeper/, /GIT-4/])
  const long = moduleYaml(Array.from({ length: 60_000 }, (_, index) => `1.0.${index}`))
  t.match(told(becomes(long)), [/deny GIT-1: this cannot be read: .*bytes/, /GIT-4/])
})

t.test('an object of a version that the rules do not know is told', async (t) => {
  const next = moduleYaml(PUBLISHED, { 'defdev.io/v1alpha1': 'defdev.io/v1beta1' })
  const review = reviewed({ before, after: { ...before, 'b.yaml': next } })
  t.same(told(review), [
    'b.yaml:1 warn GIT-6: "Module" of "opendepot.defdev.io/v1beta1" is nothing that the rules know, and is not judged',
  ])
})

t.test('a Module without a name is refused', async (t) => {
  const nameless = moduleYaml(PUBLISHED, {
    '  name: terraform-aws-eks\n  namespace': '  generateName: x-\n  namespace',
  })
  t.match(told(reviewed({ after: { 'a.yaml': nameless } })), [
    /^a\.yaml:3 deny GIT-1: this Module has no metadata\.name/,
  ])
})

t.test('an old state that nobody could have stored makes the new one new, with a word', async (t) => {
  const review = reviewed({
    before: { [FILE]: moduleYaml(PUBLISHED, { '"21.12.0"': '21.12' }) },
    after: { [FILE]: moduleYaml(['21.10.1']) },
  })
  t.match(told(review), [
    /^modules\/eks\.yaml:1 warn GIT-1: the old state cannot be read \(modules\/eks\.yaml:1\)/,
  ])
})

t.test('whatever has items is a list, as kubectl and Argo CD take it', async (t) => {
  const plain = moduleYaml(['21.10.1', '21.12.0'])
  const inPod = `apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nitems:\n${inList(plain)}\n`
  t.same(toldShortly(becomes(inPod)), ['modules/eks.yaml:17 deny WH-V1'])
  const deep = `apiVersion: v1\nkind: List\nitems:\n${inList(inPod)}\n`
  t.same(
    toldShortly(becomes(deep)).map((line) => line.slice(-5)),
    ['WH-V1'],
    'lists of lists',
  )
  const typed = plain.replace('apiVersion: opendepot.defdev.io/v1alpha1\nkind: Module\n', '')
  const bare = `apiVersion: opendepot.defdev.io/v1alpha1\nkind: ModuleList\nitems:\n${typed.replaceAll(/^/gm, '    ').replace('    metadata', '  - metadata').trimEnd()}\n`
  t.same(
    toldShortly(becomes(bare)).map((line) => line.slice(-5)),
    ['WH-V1'],
    'items take the kind of their list',
  )
  const hidden = `${plain}items: []\n`
  t.match(
    told(becomes(hidden)),
    [/ notice GIT-4: gone from the files/],
    'a Module with items is an empty list',
  )
})

t.test('a file that is mended is judged as new, and that is said', async (t) => {
  const review = reviewed({
    before: { [FILE]: `${moduleYaml(PUBLISHED)}  x: [\n` },
    after: { [FILE]: moduleYaml(['21.10.1']) },
  })
  t.match(told(review), [/^modules\/eks\.yaml:\d+ warn GIT-1: the old state of this file could not be read/])
  t.notOk(review.isIncomplete)
})

t.test('a Module that moves into git is compared with what the ledger says is there', async (t) => {
  const ledger = PUBLISHED.map((version) =>
    ledgerEntry(version, { source: 'github.com/my-org/terraform-aws-eks' }),
  )
  const whole = reviewed({ after: { [FILE]: moduleYaml([...PUBLISHED, '21.13.0']) }, ledger })
  t.match(told(whole), [/^modules\/eks\.yaml:1 notice GIT-7: this Module is in the cluster by the ledger/])
  const partly = reviewed({ after: { [FILE]: moduleYaml(['21.10.1', '21.12.0']) }, ledger })
  t.match(toldShortly(partly)[0], 'modules/eks.yaml:13 deny WH-V1')
  const other = reviewed({
    after: { [FILE]: moduleYaml(PUBLISHED, { 'my-org/terraform': 'evil/terraform' }) },
    ledger,
  })
  t.match(
    toldShortly(other)[0],
    'modules/eks.yaml:10 deny WH-M13',
    'from another repository it is another one',
  )
})
