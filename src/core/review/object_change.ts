// One object going from one state to another, judged by the rules of the webhook, each problem with its place.
import type { BreakGlassVerb, ChangeSubject } from '#core/module/change.ts'
import { judgeUnderPolicies } from '#core/module/policy_choice.ts'
import type { Asker, NamedPolicy } from '#core/module/policy_choice.ts'
import { quoted } from '#core/module/printable.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import type { JudgedFinding } from '#core/module/verdict.ts'
import type { KnownApplication } from './argo/coverage.ts'
import { objectPath } from './object_path.ts'
import { removedEntry } from './removed_entry.ts'
import { findingAt, unreadableFinding, severityOf } from './review_finding.ts'
import type { ReviewFinding } from './review_finding.ts'
import type { ReviewFacts } from './review_facts.ts'
import { shownObject } from './reviewed_object.ts'
import type { JudgedResource, ReviewedObject } from './reviewed_object.ts'
import { knownToLedger } from './adopted_module.ts'
import { subjectOf } from './subject.ts'

export type ReviewCase = {
  readonly asker: Asker
  readonly policies: readonly NamedPolicy[]
  readonly facts: ReviewFacts
  readonly applications: readonly KnownApplication[]
  /** As they were before the change. */
  readonly formerApplications: readonly KnownApplication[]
  /** Named beside the change: Argo CD's objects, definitions. */
  readonly around: readonly ReviewedObject[]
  readonly isPruned: boolean
  /** Files (`within`) that this change makes unreadable: what stood in them is not gone. */
  readonly unreadable: ReadonlySet<string>
}

export function isJudged(resource: ReviewedObject['resource']): resource is JudgedResource {
  return resource !== 'applications' && resource !== 'applicationsets' && resource !== 'appprojects'
}

export function changeFindings(
  before: ReviewedObject | undefined,
  after: ReviewedObject | undefined,
  subject: ReviewCase,
): readonly ReviewFinding[] {
  const object = after ?? before
  if (object === undefined || !isJudged(object.resource)) return []
  if (object.name === '') return [nameless(object)]
  const change = subjectOf(before, after, object.resource)
  if (!change.ok) return [unreadableFinding(object, 'the API server would refuse it', change.denial.sentence)]
  const known = knownToLedger(change.value, subject.facts.factsOf(change.value).published)
  if (known !== undefined) return adoptionFindings(known, object, subject)
  const verdict = judgeUnderPolicies(
    change.value,
    subject.asker,
    subject.policies,
    subject.facts.factsOf(change.value),
  )
  const isUncertain = before !== undefined && change.value.operation === 'CREATE'
  return [
    ...(isUncertain ? [unknownPast(before, object)] : []),
    ...verdict.findings.map((finding) => placed(finding, change.value, { before, after, subject })),
  ]
}

/** A file that is new, of a Module that is there by the ledger: what is known of it is what is published. */
function adoptionFindings(
  change: ChangeSubject,
  object: ReviewedObject,
  subject: ReviewCase,
): readonly ReviewFinding[] {
  const { asker, policies, facts } = subject
  const verdict = judgeUnderPolicies(change, asker, policies, facts.factsOf(change))
  const message = `this ${object.kind} is in the cluster by the ledger: its versions are compared with what is published, its other fields with nothing`
  const said = { severity: 'notice', path: '', message, wayOut: '' } as const
  return [
    findingAt('GIT-7', said, object, object.placeOf([])),
    ...verdict.findings.map((finding) =>
      placed(finding, change, { before: undefined, after: object, subject }),
    ),
  ]
}

type Reviewed = {
  readonly before: ReviewedObject | undefined
  readonly after: ReviewedObject | undefined
  readonly subject: ReviewCase
}

function placed(
  finding: JudgedFinding,
  change: ChangeSubject,
  { before, after, subject }: Reviewed,
): ReviewFinding {
  const { rule, path, message, version, exceptedBy } = finding
  const removed = removedEntry(finding, change, before, after)
  const at = objectPath(path)
  const excepted = exceptedBy === undefined ? '' : ` (exception approved by ${quoted(exceptedBy)})`
  return {
    rule,
    severity: severityOf(finding),
    object: shownObject(after ?? before ?? { kind: '', namespace: '', name: '' }),
    path,
    message: `${message}${excepted}`,
    wayOut: removed.wayOut ?? withVerb(finding, subject.asker),
    version,
    place: removed.place ?? after?.placeOf(at),
    was: removed.was ?? (after === undefined ? before?.placeOf(at) : undefined),
  }
}

/** The rules whose way out asks for a verb, which files cannot show. */
const VERBS: Readonly<Partial<Record<RuleId, BreakGlassVerb>>> = {
  'WH-V13': 'unpublish',
  'WH-M2': 'migrate',
  'WH-M6': 'migrate',
  'WH-M12': 'unpublish',
  'WH-M14': 'unpublish',
}

function withVerb({ rule, wayOut }: JudgedFinding, { mayDo }: Asker): string {
  const verb = VERBS[rule]
  if (wayOut === '' || verb === undefined || mayDo.has(verb)) return wayOut
  return `${wayOut} (where whoever applies the files has it: --may ${verb})`
}

function nameless(object: ReviewedObject): ReviewFinding {
  const message = `this ${object.kind} has no metadata.name, so nothing says which one it changes`
  const wayOut = 'write metadata.name'
  return findingAt(
    'GIT-1',
    { severity: 'deny', path: 'metadata.name', message, wayOut },
    object,
    object.placeOf(['metadata']),
  )
}

function unknownPast(before: ReviewedObject, object: ReviewedObject): ReviewFinding {
  const place = before.placeOf([])
  const where = place === undefined ? '' : ` (${place.file}:${place.line})`
  const message = `the old state cannot be read${where}, so this is judged as new: what the cluster holds is not known`
  const said = { severity: 'warn', path: '', message, wayOut: 'give the ledger: --ledger FILE' } as const
  return findingAt('GIT-1', said, object, object.placeOf([]))
}
