// What today's rules say of a Module that is there already, and what the ledger says of what it lost: for the report that
// nobody had to ask for. Nothing is refused here.
import type { ModuleSubject } from './change.ts'
import type { LedgerFacts, PublishedFacts } from './ledger.ts'
import { identitiesOf } from './ledger.ts'
import type { ModuleObject } from './module_object.ts'
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
  /** In the Module. */
  readonly path: string
  readonly message: string
  readonly wayOut: string
  readonly version?: string
}

export type ScannedModule = {
  readonly module: ModuleObject
  /** Names of the policies that select it; empty: the rules that hold without one. */
  readonly policies: readonly string[]
  /** Empty: it passes. */
  readonly findings: readonly ScanFinding[]
}

export type ScanKnowledge = {
  readonly policies: readonly NamedPolicy[]
  /** As for a change to the Module. */
  readonly factsOf: (subject: ModuleSubject) => LedgerFacts
  /** `sha256:<hex>` of the archive that is stored for a version now, by plain version; `undefined` where nobody says. */
  readonly digestOf: (plain: string) => string | undefined
  readonly atSeconds: number
}

export function scanModule(module: ModuleObject, known: ScanKnowledge): ScannedModule {
  const subject: ModuleSubject = {
    operation: 'CREATE',
    resource: 'modules',
    subResource: '',
    namespace: module.meta.namespace,
    name: module.meta.name,
    old: undefined,
    new: module,
    dryRun: true,
  }
  const facts = known.factsOf(subject)
  // As if it came new: nothing of this name was published before, and it is not there.
  const asNew: LedgerFacts = { ...facts, published: new Map(), firstPublisher: undefined, module: undefined }
  const asker = { user: undefined, mayDo: new Set<never>(), atSeconds: known.atSeconds }
  const verdict = judgeUnderPolicies(subject, asker, known.policies, asNew)
  return {
    module,
    policies: policiesCovering(subject, known.policies, facts).map(({ name }) => name),
    findings: [
      ...verdict.findings.map(scanned),
      ...lostVersions(module, facts.published),
      ...otherContent(module, facts.published, known.digestOf),
    ],
  }
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
  module: ModuleObject,
  published: ReadonlyMap<string, PublishedFacts>,
): readonly ScanFinding[] {
  const listed = identitiesOf(module)
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
  module: ModuleObject,
  published: ReadonlyMap<string, PublishedFacts>,
  digestOf: ScanKnowledge['digestOf'],
): readonly ScanFinding[] {
  return [...identitiesOf(module).keys()].flatMap((plain): ScanFinding[] => {
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
