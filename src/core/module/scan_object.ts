// What today's rules say of a Module or a Provider that is there already, and what the ledger says of what it lost: for the report
// that nobody had to ask for. Nothing is refused here.
import type { ModuleSubject, ProviderSubject } from './change.ts'
import type { LedgerFacts, PublishedFacts } from './ledger.ts'
import { identitiesOf } from './ledger.ts'
import type { PublishingObject } from './ledger_feed.ts'
import { judgeUnderPolicies, policiesCovering } from './policy_choice.ts'
import type { NamedPolicy } from './policy_choice.ts'
import { quoted } from './printable.ts'
import type { RuleId } from './rule_id.ts'
import { storedAs } from './rules/v1_removed.ts'
import type { JudgedFinding } from './verdict.ts'

/** `fail`: a request that makes it so would be denied. `warn`: let in and told. `skip`: an exception lets it in. */
export type ScanResult = 'fail' | 'warn' | 'skip'

export type ScanFinding = {
  readonly rule: RuleId
  readonly result: ScanResult
  /** In the object. */
  readonly path: string
  readonly message: string
  readonly wayOut: string
  readonly version?: string
}

export type ScannedObject = {
  readonly object: PublishingObject
  /** Names of the policies that select it; empty: the rules that hold without one. */
  readonly policies: readonly string[]
  /** Empty: it passes. */
  readonly findings: readonly ScanFinding[]
}

export type ScanKnowledge = {
  readonly policies: readonly NamedPolicy[]
  /** As for a change to the object. */
  readonly factsOf: (subject: ModuleSubject | ProviderSubject) => LedgerFacts
  /** `sha256:<hex>` of the archive that is stored for a version now, by plain version; `undefined` where nobody says. */
  readonly digestOf: (plain: string) => string | undefined
  readonly atSeconds: number
}

export function scanObject(object: PublishingObject, known: ScanKnowledge): ScannedObject {
  const subject = asCreated(object)
  const facts = known.factsOf(subject)
  // As if it came new: nothing of this name was published before, and it is not there.
  const asNew: LedgerFacts = {
    ...facts,
    published: new Map(),
    firstPublisher: undefined,
    module: undefined,
    provider: undefined,
  }
  const asker = { user: undefined, mayDo: new Set<never>(), atSeconds: known.atSeconds }
  const verdict = judgeUnderPolicies(subject, asker, known.policies, asNew)
  return {
    object,
    policies: policiesCovering(subject, known.policies, facts).map(({ name }) => name),
    findings: [
      ...verdict.findings.map(scanned),
      ...lostVersions(object, facts.published),
      ...otherContent(object, facts.published, known.digestOf),
    ],
  }
}

function asCreated(object: PublishingObject): ModuleSubject | ProviderSubject {
  const { namespace, name } = object.meta
  const about = {
    operation: 'CREATE',
    subResource: '',
    namespace,
    name,
    old: undefined,
    dryRun: true,
  } as const
  return object.kind === 'Module'
    ? { ...about, resource: 'modules', new: object }
    : { ...about, resource: 'providers', new: object }
}

function scanned({
  rule,
  path,
  message,
  wayOut,
  version,
  kind,
  mode,
  exceptedBy,
}: JudgedFinding): ScanFinding {
  const isDenied = kind !== 'notice' && mode === 'enforce'
  const result = exceptedBy !== undefined ? 'skip' : isDenied ? 'fail' : 'warn'
  return { rule, result, path, message, wayOut, ...(version === undefined ? {} : { version }) }
}

/** Gone without anybody's reason: what an outage with `failurePolicy: Ignore` let through. */
function lostVersions(
  object: PublishingObject,
  published: ReadonlyMap<string, PublishedFacts>,
): readonly ScanFinding[] {
  const listed = identitiesOf(object)
  return [...published].flatMap(([plain, facts]): ScanFinding[] => {
    const isLost = facts.immutable && facts.state !== 'present' && facts.reason === undefined
    if (!isLost || listed.has(plain)) return []
    return [
      {
        rule: 'WH-V1',
        result: 'fail',
        path: 'spec.versions',
        message: `version ${plain} was published${storedAs(facts)} as immutable and is not listed any more`,
        wayOut: 'restore the archive from the storage, and list the version again with its pin',
        version: plain,
      },
    ]
  })
}

function otherContent(
  object: PublishingObject,
  published: ReadonlyMap<string, PublishedFacts>,
  digestOf: ScanKnowledge['digestOf'],
): readonly ScanFinding[] {
  return [...identitiesOf(object).keys()].flatMap((plain): ScanFinding[] => {
    const facts = published.get(plain)
    const stored = digestOf(plain)
    if (facts?.digest === undefined || stored === undefined || stored === facts.digest) return []
    if (!facts.immutable) return []
    return [
      {
        rule: 'WH-S2',
        result: 'fail',
        path: 'spec.versions',
        message: `version ${plain} was published as ${facts.digest} and what is stored is ${quoted(stored)}`,
        wayOut: 'find out who wrote the storage, and restore the archive that was published',
        version: plain,
      },
    ]
  })
}
