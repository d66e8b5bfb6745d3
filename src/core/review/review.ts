// The whole offline review: two states of files in, every problem of going from one to the other out. Pure; the same rules as the
// webhook's, then what the files themselves and Argo CD's objects mean for what is published.
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { BreakGlassVerb } from '#core/module/change.ts'
import type { LedgerEntry } from '#core/module/ledger.ts'
import type { Asker, NamedPolicy } from '#core/module/policy_choice.ts'
import { argoFindings } from './argo_review.ts'
import { applicationOf } from './argo/coverage.ts'
import type { KnownApplication } from './argo/coverage.ts'
import { formerApplications, knownApplications } from './known_applications.ts'
import { fileFindings } from './file_findings.ts'
import type { UnreadFile } from './file_findings.ts'
import { pairFindings } from './judge_pairing.ts'
import type { ReviewCase } from './object_change.ts'
import { isUnchanged, pairObjects } from './pairing.ts'
import type { Pairing } from './pairing.ts'
import { policiesOf } from './reviewed_policies.ts'
import { reviewFacts } from './review_facts.ts'
import type { ReviewFinding, Severity } from './review_finding.ts'
import { objectsIn } from './reviewed_object.ts'
import type { ObjectsRead, ReviewedDocument, ReviewedObject } from './reviewed_object.ts'

export type ReviewedTree = {
  readonly documents: readonly ReviewedDocument[]
  readonly unread: readonly UnreadFile[]
}

export type ReviewInput = {
  readonly before: ReviewedTree
  readonly after: ReviewedTree
  /** Argo CD objects and definitions that are not part of the change. */
  readonly around: readonly ReviewedDocument[]
  readonly policies: readonly NamedPolicy[]
  readonly ledger: readonly LedgerEntry[]
  /** Who will ask the API server; `undefined`: nobody knows, and rules about who asks say nothing. */
  readonly user: KubeUser | undefined
  readonly mayDo: ReadonlySet<BreakGlassVerb>
  /** Seconds since the epoch. */
  readonly atSeconds: number
  /** Of objects that name no namespace; `undefined`: that of the Application which applies them, else `default`. */
  readonly namespace: string | undefined
  /** Whoever applies the files deletes what is gone from them. */
  readonly isPruned: boolean
}

export type Review = {
  /** Denials first, then in the order of the files. */
  readonly findings: readonly ReviewFinding[]
  /** Objects that were created, changed or gone. */
  readonly judged: number
  readonly unchanged: number
  /** Something could not be read that this change brings or changes. */
  readonly isIncomplete: boolean
}

export function review(input: ReviewInput): Review {
  const around = input.around.flatMap((document) => objectsIn(document, DEFAULT_NAMESPACE).objects)
  const namespaceOf = namespaces(input, around)
  const before = readTree(input.before, namespaceOf.before)
  const after = readTree(input.after, namespaceOf.after)
  const pairings = pairObjects(before.objects, after.objects)
  const files = fileFindings(
    { before: input.before.unread, after: input.after.unread },
    before.unknown,
    after.unknown,
  )
  const subject = { ...reviewCase(input, pairings, around), unreadable: files.unreadable }
  const findings = [
    ...files.findings,
    ...pairings.flatMap((pairing) => pairFindings(pairing, subject)),
    ...argoFindings(pairings, subject),
  ]
  const unchanged = pairings.filter(isUnchanged).length
  return {
    findings: withoutDoubles(findings).toSorted(byPlace),
    judged: pairings.length - unchanged,
    unchanged,
    isIncomplete: files.isIncomplete,
  }
}

const DEFAULT_NAMESPACE = 'default'

type NamespaceOf = (document: ReviewedDocument) => string

/**
 * The Applications come first: they say where objects go that do not say it themselves. What an Application applies in one state
 * alone is taken for the same object in the other one.
 */
function namespaces(
  { namespace, before, after }: ReviewInput,
  around: readonly ReviewedObject[],
): { readonly before: NamespaceOf; readonly after: NamespaceOf } {
  if (namespace !== undefined) return { before: () => namespace, after: () => namespace }
  const pairings = pairObjects(readTree(before, inDefault).objects, readTree(after, inDefault).objects)
  const [former, present] = [formerApplications(pairings, around), knownApplications(pairings, around)]
  return { before: namespaceBy(former, present), after: namespaceBy(present, former) }
}

function namespaceBy(
  known: readonly KnownApplication[],
  otherwise: readonly KnownApplication[],
): NamespaceOf {
  return (document) => {
    const named = (applicationOf(document, known) ?? applicationOf(document, otherwise))?.namespace ?? ''
    // A template is no name yet.
    return /^[a-z0-9-]+$/.test(named) ? named : DEFAULT_NAMESPACE
  }
}

function inDefault(): string {
  return DEFAULT_NAMESPACE
}

function readTree(tree: ReviewedTree, namespaceOf: NamespaceOf): ObjectsRead {
  const read = tree.documents.map((document) => objectsIn(document, namespaceOf(document)))
  return {
    objects: read.flatMap(({ objects }) => objects),
    unknown: read.flatMap(({ unknown }) => unknown),
  }
}

function reviewCase(
  input: ReviewInput,
  pairings: readonly Pairing[],
  around: readonly ReviewedObject[],
): Omit<ReviewCase, 'unreadable'> {
  const { user, mayDo, atSeconds, isPruned } = input
  const asker: Asker = { user, mayDo, atSeconds }
  return {
    asker,
    isPruned,
    policies: [...input.policies, ...policiesOf(pairings)],
    facts: reviewFacts(pairings.flatMap(asTheyWillBe), input.ledger),
    applications: knownApplications(pairings, around),
    formerApplications: formerApplications(pairings, around),
    around,
  }
}

/** What is gone from the files is still in the cluster, as far as files say. */
function asTheyWillBe({ before, after }: Pairing): readonly ReviewedObject[] {
  return after.length > 0 ? after : before
}

const ORDER: Readonly<Record<Severity, number>> = { deny: 0, warn: 1, notice: 2 }

function byPlace(left: ReviewFinding, right: ReviewFinding): number {
  const order = ORDER[left.severity] - ORDER[right.severity]
  if (order !== 0) return order
  const [one, other] = [left.place ?? left.was, right.place ?? right.was]
  const file = compareText(one?.file ?? '', other?.file ?? '')
  if (file !== 0) return file
  return (one?.line ?? 0) - (other?.line ?? 0) || (one?.column ?? 0) - (other?.column ?? 0)
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}

/** An object that stood twice in the old files is judged against both. */
function withoutDoubles(findings: readonly ReviewFinding[]): readonly ReviewFinding[] {
  const kept = new Map<string, ReviewFinding>()
  for (const finding of findings) {
    const { rule, object, path, message, place } = finding
    const key = JSON.stringify([rule, object, path, message, place])
    const known = kept.get(key)
    if (known === undefined || ORDER[finding.severity] < ORDER[known.severity]) kept.set(key, finding)
  }
  return [...kept.values()]
}
