// Whole histories of one Module: whatever anybody tries, in whatever order, what was once published as immutable is there at the end,
// and is what it was. A seed names each run.
import t from 'tap'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import type { BreakGlassVerb } from '../../src/core/module/change.ts'
import { identitiesOf, ledgerWrites, NO_FACTS } from '../../src/core/module/ledger.ts'
import type { PublishedFacts } from '../../src/core/module/ledger.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import { readPins } from '../../src/core/module/pins.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import { storageText } from '../../src/core/module/rules/m6_storage_moved.ts'
import { sourceOf } from '../../src/core/module/source_of.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  controller,
  moduleChange,
  pipeline,
} from '../support/module_changes.ts'

const SEED = 20_261_121
const HISTORIES = 80
const STEPS = 40

const USERS: readonly { readonly user: KubeUser | undefined }[] = [
  { user: alice },
  { user: argo },
  { user: controller },
  { user: pipeline() },
  { user: pipeline({ source: 'github.com/evil/x', ref: 'refs/tags/v1.0.0' }) },
  { user: undefined },
]
const TEXTS = [
  '1.0.0',
  'v1.0.0',
  '1.1.0',
  '1.1.0-rc.1',
  '1.1.0-RC-1',
  '1.2.0',
  '2.0.0',
  'v2.0.0',
  '1.0',
  'main',
]
const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'

type Random = (below: number) => number

/** Marsaglia's xorshift. */
function numbers(seed: number): Random {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

function pick(random: Random, texts: readonly string[]): string {
  return texts[random(texts.length)] ?? ''
}

/** What somebody writes into the Module, in the words of the fixture. */
type Draft = {
  readonly versions: readonly string[]
  readonly config: Readonly<Record<string, unknown>>
  readonly annotations: Readonly<Record<string, string>>
}

const FRESH: Draft = { versions: [], config: { immutable: undefined }, annotations: {} }

function redrafted(draft: Draft, random: Random): Draft {
  const configured = (config: Draft['config']): Draft => ({
    ...draft,
    config: { ...draft.config, ...config },
  })
  const annotated = (annotations: Draft['annotations']): Draft => ({
    ...draft,
    annotations: { ...draft.annotations, ...annotations },
  })
  switch (random(14)) {
    case 0:
    case 1:
    case 2:
      return { ...draft, versions: [...draft.versions, pick(random, TEXTS)] }
    case 3:
      return { ...draft, versions: draft.versions.toSpliced(random(draft.versions.length + 1), 1) }
    case 4:
      return { ...draft, versions: [pick(random, TEXTS), ...draft.versions.slice(1)] }
    case 5:
      return { ...draft, versions: draft.versions.toReversed() }
    case 6:
      return configured({ immutable: random(2) === 0 })
    case 7:
      return configured({
        repoUrl: `https://github.com/${pick(random, ['acme/terraform-aws-vpc', 'evil/x'])}`,
      })
    case 8:
      return configured({ storageConfig: { s3: { bucket: pick(random, ['acme-modules', 'evil']) } } })
    case 9:
      return configured({ versionHistoryLimit: random(3) })
    case 10:
      return configured({ fileFormat: pick(random, ['zip', 'tar', '']) })
    case 11:
      return configured({ name: pick(random, ['terraform-aws-vpc', 'other', '']) })
    case 12:
      return annotated({
        'sallyport.dev/pins': `${pick(random, TEXTS)}=${pick(random, [COMMIT, '0'.repeat(40)])}`,
      })
    default:
      return annotated({
        'sallyport.dev/unpublish': `${pick(random, ['*', '1.0.0', '1.1.0, 2.0.0'])}: it leaks`,
        'sallyport.dev/migrate': `reason ${random(100)}`,
      })
  }
}

function moduleOf(draft: Draft | undefined): ModuleObject | undefined {
  return draft === undefined ? undefined : aModule(draft)
}

type Known = {
  readonly source: string | undefined
  readonly storage: string
  readonly format: string
  readonly text: string
  readonly pin: string | undefined
}

class History {
  readonly #policies: readonly NamedPolicy[]
  readonly #isRequired: boolean
  readonly #mayDo: ReadonlySet<BreakGlassVerb>
  #draft: Draft | undefined
  #ledger: ReadonlyMap<string, PublishedFacts> = new Map()
  /** Of what never changes, as it was when it became that. */
  readonly #held = new Map<string, Known>()

  constructor(immutability: 'optional' | 'required' | undefined, mayDo: readonly BreakGlassVerb[]) {
    this.#policies =
      immutability === undefined
        ? []
        : [{ name: 'all', spec: aPolicy({ immutability, modes: { 'WH-P1': 'warn' } }) }]
    this.#isRequired = immutability === 'required'
    this.#mayDo = new Set(mayDo)
  }

  /** Whether it was let through; what is then lost or other than it was. */
  step(random: Random): { readonly allowed: boolean; readonly lost: readonly string[] } {
    const before = this.#draft
    const isDeleted = before !== undefined && random(12) === 0
    let after: Draft | undefined
    if (!isDeleted) {
      after = before ?? FRESH
      for (let edits = 1 + random(3); edits > 0; edits--) after = redrafted(after, random)
    }
    const change = moduleChange(moduleOf(before), moduleOf(after))
    const { user } = USERS[random(USERS.length)] ?? { user: alice }
    const asker = { user, mayDo: this.#mayDo, atSeconds: 1 }
    const facts = { ...NO_FACTS, published: this.#ledger }
    if (!judgeUnderPolicies(change, asker, this.#policies, facts).allowed) return { allowed: false, lost: [] }
    this.#commit(change.old, change.new)
    this.#draft = after
    return { allowed: true, lost: this.#lost(change.new) }
  }

  #commit(before: ModuleObject | undefined, after: ModuleObject | undefined): void {
    const immutable = this.#isRequired || after?.config.immutable === true
    const attribution = {
      ...(after === undefined ? {} : { source: sourceOf(after) ?? 'nowhere' }),
      by: 'somebody',
    }
    const commits = readPins(after)
    const writes = ledgerWrites(this.#ledger, {
      before,
      after,
      immutable,
      atSeconds: 1,
      attribution,
      ...(commits.ok ? { commits: commits.value } : {}),
    })
    this.#ledger = new Map([...this.#ledger, ...writes])
    for (const [plain, facts] of this.#ledger) {
      if (after === undefined || !facts.immutable || facts.state !== 'present') continue
      const known = this.#held.get(plain)
      const now = knownOf(after, plain)
      // A pin may come later; then it stays.
      this.#held.set(plain, known === undefined ? now : { ...known, pin: known.pin ?? now.pin })
    }
  }

  #lost(after: ModuleObject | undefined): readonly string[] {
    const listed = identitiesOf(after)
    return [...this.#held].flatMap(([plain, known]) => {
      if (after === undefined || !listed.has(plain)) return [`${plain} is gone`]
      if (this.#ledger.get(plain)?.state !== 'present')
        return [`${plain} is ${this.#ledger.get(plain)?.state}`]
      const now = knownOf(after, plain)
      return JSON.stringify(now) === JSON.stringify(known)
        ? []
        : [`${plain} was ${JSON.stringify(known)} and is ${JSON.stringify(now)}`]
    })
  }
}

function knownOf(module: ModuleObject, plain: string): Known {
  const pins = readPins(module)
  // Controllers write v before a number or take it away, which is the same version.
  const entry = module.versions.find(({ version }) => version === plain || version === `v${plain}`)
  return {
    source: sourceOf(module),
    storage: storageText(module.config.storage),
    format: module.config.fileFormat,
    text: entry?.version.replace(/^v/, '') ?? '',
    pin: pins.ok ? pins.value.get(plain) : undefined,
  }
}

for (const [title, immutability] of [
  ['without a policy', undefined],
  ['under a policy', 'optional'],
  ['under a policy that requires it', 'required'],
] as const) {
  t.test(`what is immutable stays, whatever is tried, ${title} (seed ${SEED})`, async (t) => {
    const random = numbers(SEED)
    let allowed = 0
    for (let index = 0; index < HISTORIES; index++) {
      const history = new History(immutability, [])
      for (let step = 0; step < STEPS; step++) {
        const done = history.step(random)
        if (done.allowed) allowed += 1
        if (done.lost.length > 0) {
          t.fail(`history ${index}, step ${step}: ${done.lost.join('; ')}`)
          return
        }
      }
    }
    t.ok(allowed > HISTORIES, `${allowed} changes were let through`)
  })
}

t.test(`with the verbs for it, what is immutable goes (seed ${SEED})`, async (t) => {
  const random = numbers(SEED)
  let lost = 0
  for (let index = 0; index < HISTORIES; index++) {
    const history = new History('required', ['unpublish', 'migrate'])
    for (let step = 0; step < STEPS; step++) if (history.step(random).lost.length > 0) lost += 1
  }
  t.ok(lost > 10, `${lost} times`)
})
