import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import { quoted } from '../../src/core/module/printable.ts'
import { denialOf, MAX_MESSAGE_BYTES } from '../../src/core/module/verdict_message.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  judged,
  MUTABLE,
  pipeline,
  published,
} from '../support/module_changes.ts'

function messageOf(verdict: Verdict): string {
  return denialOf(verdict)?.message ?? 'allowed'
}

const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const OTHER = '0123456789abcdef0123456789abcdef01234567'

t.test('who replaced the list is given the command that appends', async (t) => {
  const ledger = { published: new Map([['1.0.0', published({ commit: COMMIT })]]) }
  const verdict = judged(aModule({ versions: ['1.0.0'] }), aModule({ versions: ['1.1.0', '1.2.0'] }), {
    ledger,
    user: alice,
    policy: undefined,
  })
  t.same(denialOf(verdict), {
    code: 403,
    reason: 'Forbidden',
    message:
      `WH-V1: version 1.0.0 was published from commit ${COMMIT} and is taken off spec.versions. Instead: append instead of ` +
      `replacing the list: kubectl patch module terraform-aws-vpc -n infra --type json -p ` +
      `'[{"op":"add","path":"/spec/versions/-","value":{"version":"1.1.0"}},{"op":"add","path":"/spec/versions/-","value":{"version":"1.2.0"}}]'; ` +
      `to unpublish for good: annotation sallyport.dev/unpublish="<version>: <reason>" and the verb unpublish on this Module`,
  })
})

t.test('the README shows what really comes out', async (t) => {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
  const [, shown = ''] = /denied the request: (WH-V1: [^`]*?)\n```/.exec(readme) ?? []
  const commit = '8fe1b32c5a0d4e6f7081929394a5b6c7d8e9f0a1'
  const ledger = { published: new Map([['21.13.0', published({ commit, by: 'ci:github:739500857' })]]) }
  const older = judged(aModule({ versions: ['21.12.0', '21.13.0'] }), aModule({ versions: ['21.12.0'] }), {
    ledger,
    user: alice,
    policy: undefined,
  })
  t.equal(shown.replaceAll(/\s+/g, ' ').replace('8fe1b32...', commit), messageOf(older))
  t.match(readme, /\n\n[^`]*the message has the `kubectl patch` that appends it/)
})

t.test('who merged it is told what to write in git, and gets no command', async (t) => {
  const verdict = judged(aModule(), aModule({ versions: ['1.0.0', '1.2.0'] }), {
    user: argo,
    policy: aPolicy(),
  })
  t.match(
    messageOf(verdict),
    'Instead: put what was published back in git and add to it; to unpublish for good: ',
  )
  t.notMatch(messageOf(verdict), 'kubectl')
})

t.test('the command appends nothing that the order of versions refuses', async (t) => {
  const before = aModule({ versions: ['1.0.0', '2.0.0'] })
  const after = aModule({ versions: ['1.0.0', '1.5.0', '2.1.0'] })
  const world = { user: alice, policy: aPolicy({ ordering: 'monotonic' }) }
  t.match(
    messageOf(judged(before, after, world)),
    `-p '[{"op":"add","path":"/spec/versions/-","value":{"version":"2.1.0"}}]'`,
  )
  const free = messageOf(judged(before, after, { user: alice, policy: undefined }))
  t.match(free, '"version":"1.5.0"')
})

t.test('who has written the annotation and lacks the verb is told which half is missing', async (t) => {
  const annotations = { 'sallyport.dev/unpublish': '1.0.0: leaked a key' }
  const after = aModule({ versions: ['1.1.0'], annotations })
  const missing = 'Instead: the annotation is there, and "alice" lacks the verb unpublish; '
  t.match(messageOf(judged(aModule(), after, { user: alice })), missing)
  t.equal(
    messageOf(judged(aModule(), after, { user: alice, mayDo: ['unpublish'], policy: undefined })),
    'allowed',
  )
  t.notMatch(messageOf(judged(aModule(), aModule({ versions: ['1.1.0'] }), { user: alice })), 'lacks')
  const all = aModule({ annotations: { 'sallyport.dev/unpublish': '*: the team is gone' } })
  t.match(messageOf(judged(all, undefined, { user: alice })), missing)
})

function gone(...versions: (readonly [string, string?])[]): ReadonlyMap<string, PublishedFacts> {
  return new Map(
    versions.map(([plain, commit]) => [
      plain,
      published({ state: 'unpublished', ...(commit === undefined ? {} : { commit }) }),
    ]),
  )
}

t.test('a Module that was deleted while its rules only warned is told how it comes back', async (t) => {
  const world = { user: argo, policy: aPolicy() }
  const after = aModule()
  const known = { published: gone(['1.0.0', COMMIT], ['1.1.0', OTHER]) }
  const pins = `1.0.0=${COMMIT},1.1.0=${OTHER}`
  t.match(
    messageOf(judged(undefined, after, { ...world, ledger: known })),
    `or bring it back as what it was: annotation sallyport.dev/pins="${pins}"`,
  )
  const pinned = aModule({ annotations: { 'sallyport.dev/pins': pins } })
  t.equal(messageOf(judged(undefined, pinned, { ...world, ledger: known })), 'allowed', 'as it says')

  const unknown = { published: gone(['1.0.0'], ['1.1.0']) }
  t.match(
    messageOf(judged(undefined, after, { ...world, ledger: unknown })),
    /whoever writes policies lets it back .*: exceptions of the ModulePolicy with WH-M13, infra\/terraform-aws-vpc and a day$/,
  )
  const exceptions: ModulePolicySpec['exceptions'] = [
    {
      rules: ['WH-M13'],
      modules: ['infra/terraform-aws-vpc'],
      versions: [],
      untilSeconds: Number.MAX_SAFE_INTEGER,
      approver: 'jo',
      reason: 'deleted in the first week',
    },
  ]
  const excepted = { ...world, policy: aPolicy({ exceptions }), ledger: unknown }
  t.equal(messageOf(judged(undefined, after, excepted)), 'allowed', 'as it says')

  const versions = Array.from({ length: 500 }, (_, index) => `1.${index}.0`)
  const many = { published: gone(...versions.map((version) => [version, COMMIT] as const)) }
  const message = messageOf(judged(undefined, aModule({ versions }), { ...world, ledger: many }))
  t.match(message, /with <version>=<commit> of each: sallyport ledger show infra\/terraform-aws-vpc$/)
  t.ok(Buffer.byteLength(message) <= MAX_MESSAGE_BYTES)
})

t.test('a name that a shell would read otherwise gets no command', async (t) => {
  const name = "x';rm -rf ~;'"
  const verdict = judged(aModule({ name }), aModule({ name, versions: ['1.2.0'] }))
  t.notMatch(messageOf(verdict), /kubectl|rm -rf/)
  t.notMatch(messageOf(judged(aModule({ name }), undefined)), /kubectl|rm -rf/)
})

t.test('all problems stand in one message, and one way out is said once', async (t) => {
  const verdict = judged(aModule(), aModule({ versions: [], config: { immutable: false } }))
  t.equal(
    messageOf(verdict),
    '(1) WH-V1: version 1.0.0 was published and is taken off spec.versions; version 1.1.0 was published and is taken off ' +
      'spec.versions. Instead: put what was published back in git and add to it; to unpublish for good: ' +
      'annotation sallyport.dev/unpublish="<version>: <reason>" and the verb unpublish on this Module ' +
      '(2) WH-M4: this Module is immutable and would stop being so. Instead: leave immutable: true',
  )
})

t.test('the answer is 422 when every problem is malformation, and 403 as soon as one is not', async (t) => {
  const malformed = judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', 'main'] }))
  t.equal(denialOf(malformed)?.code, 422)
  t.equal(denialOf(malformed)?.reason, 'Invalid')
  t.equal(denialOf(judged(aModule(), aModule({ versions: ['1.0.0', 'main'] })))?.code, 403)
  t.equal(denialOf(judged(aModule(), aModule())), undefined)
})

t.test('a message is at most 2 kB, whatever is asked', async (t) => {
  const many = Array.from({ length: 10_000 }, (_, index) => `x${index}`)
  const long = '\u00fc'.repeat(100_000)
  const asked = [
    judged(aModule(), aModule({ versions: many })),
    judged(aModule({ versions: many.map((_, index) => `1.${index}.0`) }), aModule({ versions: [] })),
    judged(
      aModule(),
      aModule({ config: { name: long, provider: long, repoOwner: long, repoUrl: long, fileFormat: long } }),
    ),
    judged(aModule({ versions: [] }), aModule({ versions: many.map((_, index) => `1.${index}.0`) }), {
      user: { ...pipeline({ source: long, ref: long }), username: long },
    }),
    judged(aModule({ versions: [] }), aModule(), {
      user: pipeline(),
      policy: aPolicy({
        publishers: Array.from({ length: 9 }, () => ({ source: long, ids: [long], refs: [long] })),
      }),
    }),
  ]
  for (const verdict of asked) {
    t.notOk(verdict.allowed)
    const message = messageOf(verdict)
    t.ok(Buffer.byteLength(message) <= MAX_MESSAGE_BYTES, `${Buffer.byteLength(message)} bytes`)
    t.match(message, /^(\(1\) )?WH-/)
    t.ok(message.isWellFormed())
  }
  t.match(
    messageOf(judged(aModule(), aModule({ versions: many }))),
    /; the same of .* and 9994 more\. Instead: /,
  )
})

/** As long as a version may be: 64 characters. */
function longVersion(patch: number): string {
  return `1.0.${patch}-${'x'.repeat(64 - `1.0.${patch}-`.length)}`
}

function removalOfLong(
  name: string,
  edit: { readonly annotations?: Record<string, string>; readonly also?: object } = {},
): Verdict {
  const facts = { commit: COMMIT, digest: `sha256:${'ab'.repeat(32)}`, by: '版'.repeat(80) }
  const removed = [1, 2, 3].map(longVersion)
  const ledger = { published: new Map(removed.map((version) => [version, published(facts)])) }
  const added = [11, 12, 13, 14, 15, 16].map(longVersion)
  const after = aModule({ name, versions: added, config: { immutable: true, ...edit.also }, ...edit })
  const user = { ...alice, username: '版'.repeat(80) }
  return judged(aModule({ name, versions: removed }), after, { ledger, user, policy: undefined })
}

t.test('a first problem that is too long says less of what was found, and the command whole', async (t) => {
  const message = messageOf(removalOfLong('m'.repeat(63)))
  t.ok(Buffer.byteLength(message) <= MAX_MESSAGE_BYTES)
  t.ok(
    message.startsWith(`WH-V1: version ${longVersion(1)} was published from commit ${COMMIT} as sha256:abab`),
  )
  const others = [2, 3].map(longVersion).join(', ')
  t.match(message, `; the same of ${others}. Instead: append instead of replacing the list: kubectl`)
  const [, patch = ''] = / -p '(\[.*\])'; to unpublish for good: .* on this Module$/.exec(message) ?? []
  t.equal(JSON.parse(patch).length, 6, 'what is typed does what it says')
})

t.test('what is asked besides is counted after it', async (t) => {
  const message = messageOf(removalOfLong('m'.repeat(63), { also: { fileFormat: 'rar', immutable: false } }))
  t.match(message, /^\(1\) WH-V1: version 1\.0\.1-x+ was published .* And \d+ more problems?\.$/)
  t.ok(Buffer.byteLength(message) <= MAX_MESSAGE_BYTES)
})

t.test('a command that does not fit is left out, and never cut in the middle', async (t) => {
  const named = [1, 2, 3].map(longVersion).join(', ')
  const annotations = { 'sallyport.dev/unpublish': `${named}: leaked a key` }
  const message = messageOf(removalOfLong('m'.repeat(253), { annotations }))
  t.ok(Buffer.byteLength(message) <= MAX_MESSAGE_BYTES)
  t.match(message, /^(\(1\) )?WH-V1: version 1\.0\.1-x{58} was published from commit /)
  t.notMatch(message, /kubectl|"op"/)
  t.match(
    message,
    'append instead of replacing the list: (too long for this message; docs/webhook-authors.md ',
  )
  t.match(message, / on this Module( And \d+ more problems?\.)?$/)
})

t.test('what did not fit is counted', async (t) => {
  const long = '\u00fc'.repeat(100_000)
  const storageConfig = { s3: { bucket: long }, gcs: { bucket: long }, fileSystem: {} }
  const config = {
    name: long,
    provider: long,
    repoUrl: long,
    fileFormat: long,
    immutable: false,
    storageConfig,
  }
  const versions = ['1.0.0', '1.1.0', long, { version: '1.2.0', [long]: '' }]
  t.match(messageOf(judged(aModule(), aModule({ config, versions }))), / And [0-9] more problems?\.$/)
})

t.test('no text of others reaches a terminal as a command', async (t) => {
  const hostile = '\u001b[31m\r\n\u0000\u202e\u2028\ud800x\u200b'
  const verdicts = [
    judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', hostile] })),
    judged(
      aModule({ versions: [1, 2, 3, 4, 5].map((count) => hostile.repeat(count)) }),
      aModule({ versions: [] }),
    ),
    judged(aModule(), aModule({ config: { provider: hostile, repoUrl: hostile } })),
    judged(aModule(), aModule({ config: { storageConfig: { s3: { [hostile]: `${hostile}/..` } } } })),
    judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', { version: '1.2.0', [hostile]: '' }] })),
    judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', '1.2.0'] }), {
      user: { ...alice, username: hostile },
    }),
    judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', '1.2.0'] }), {
      user: pipeline({ source: hostile }),
    }),
    judged(aModule({ annotations: { 'sallyport.dev/unpublish': `*: ${hostile}` } }), undefined, {
      mayDo: ['unpublish'],
    }),
    judged(aModule(), aModule({ annotations: { 'sallyport.dev/pins': `1.0.0${hostile}=${hostile}` } })),
  ]
  for (const verdict of verdicts) {
    const texts = [messageOf(verdict), ...verdict.warnings, ...verdict.annotations.values()]
    for (const text of texts) t.notMatch(text, /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u)
    t.ok(verdict.findings.length > 0)
  }
})

t.test('what is quoted is cut between characters, not within one', async (t) => {
  for (const before of ['', 'x']) {
    const shown = quoted(`${before}${'😀'.repeat(100)}`)
    t.ok(shown.isWellFormed())
    t.match(shown, /^"x?(?:😀){39,40}\.\.\."$/u)
  }
  t.match(quoted(`${'a'.repeat(77)}\u001b[31m`), /^"a{77}\.\.\."$/, 'nor within an escape')
  t.equal(quoted('a'.repeat(80)), `"${'a'.repeat(80)}"`)
})

t.test('warnings survive the limits of the API server', async (t) => {
  const versions = Array.from({ length: 400 }, (_, index) => `1.${index}.0`)
  const verdict = judged(aModule({ ...MUTABLE, versions }), aModule({ ...MUTABLE, versions: ['1.0.0'] }), {
    user: argo,
  })
  t.ok(verdict.allowed)
  t.equal(verdict.warnings.length, 12)
  t.equal(verdict.warnings.at(-1), 'and 388 more warnings')
  const long = judged(aModule(), aModule({ versions: ['1.0.0', '1.1.0', '1.2.0'] }), {
    policy: undefined,
    user: pipeline({ source: `evil.example/${'\u00e9'.repeat(500)}` }),
  })
  t.match(
    long.warnings,
    [/Instead: run the pipeline of "github\.com\/acme\/terraform-aws-vpc"$/],
    'a few are whole',
  )
  const many = judged(aModule(), aModule({ versions: ['1.0.0', ...versions.slice(0, 40)] }), {
    policy: undefined,
    user: pipeline({ source: `evil.example/${'\u00e9'.repeat(500)}` }),
  })
  t.equal(many.warnings.length, 12)
  t.ok(many.warnings.every((warning) => Buffer.byteLength(warning) <= 256))
  t.match(many.warnings, [/^WH-P1: .*\.\.\.$/], 'many are cut, each')
})
