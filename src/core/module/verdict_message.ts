// A verdict in the words that a person reads: one message for kubectl, Argo CD and the review, and warnings that survive
// the API server's limits. Neither holds a control character.
import { cutToBytes, listed, printable, quoted } from './printable.ts'
import type { RuleId } from './rule_id.ts'
import type { JudgedFinding, Verdict } from './verdict.ts'

export type Denial = {
  /** 422 when every problem is malformation. Never 409, which controllers retry and kubectl explains wrongly. */
  readonly code: 403 | 422
  readonly reason: 'Forbidden' | 'Invalid'
  readonly message: string
}

/** kubectl and Argo CD show whole what is sent; a person reads no more. */
export const MAX_MESSAGE_BYTES = 2048
/** Above 4096 characters in all, kube-apiserver cuts each warning to 256 and drops the rest (1.36, measured). */
const MAX_WARNING_LENGTH = 256
/** Half of those: policies of the cluster warn of the same. Up to this a warning is whole, with a command that can be typed. */
const MAX_WHOLE_WARNINGS = 2048
const MAX_WARNINGS = 12
/** Versions told of in one problem. */
const MAX_TOLD = 3

export function isDenial({ kind, mode }: JudgedFinding): boolean {
  return kind !== 'notice' && mode === 'enforce'
}

/** `undefined` when the change is allowed. */
export function denialOf(verdict: Verdict): Denial | undefined {
  const denials = verdict.findings.filter(isDenial)
  if (denials.length === 0) return undefined
  const message = joined(problemsOf(denials))
  const isMalformed = denials.every(({ kind }) => kind === 'invalid')
  return isMalformed ? { code: 422, reason: 'Invalid', message } : { code: 403, reason: 'Forbidden', message }
}

/** What has one rule and one way out is one problem, with the way out said once. */
function problemsOf(findings: readonly JudgedFinding[]): readonly (readonly JudgedFinding[])[] {
  const groups = new Map<RuleId, Map<string, JudgedFinding[]>>()
  const inOrder: JudgedFinding[][] = []
  for (const finding of findings) {
    const byWayOut = groups.get(finding.rule) ?? new Map<string, JudgedFinding[]>()
    groups.set(finding.rule, byWayOut)
    const group = byWayOut.get(finding.wayOut)
    if (group === undefined) {
      const fresh = [finding]
      byWayOut.set(finding.wayOut, fresh)
      inOrder.push(fresh)
    } else group.push(finding)
  }
  return inOrder
}

function problemText(group: readonly JudgedFinding[]): string {
  const [first] = group
  if (first === undefined) return ''
  const told = group.slice(0, MAX_TOLD).map(({ message }) => message)
  const untold = group.slice(MAX_TOLD).map(({ version, path }) => version ?? path)
  const more = untold.length === 0 ? '' : `; the same of ${listed(untold, MAX_TOLD, short)}`
  return `${first.rule}: ${told.join('; ')}${more}. Instead: ${first.wayOut}`
}

function short(text: string): string {
  return printable(cutToBytes(text, 64))
}

/** As many whole problems as fit; a command is never cut in the middle. Those that do not fit are never written. */
function joined(problems: readonly (readonly JudgedFinding[])[]): string {
  const texts: string[] = []
  let bytes = 0
  for (const [index, problem] of problems.entries()) {
    const text = problemText(problem)
    const numbered = problems.length === 1 ? text : `(${index + 1}) ${text}`
    const size = Buffer.byteLength(numbered) + 1
    if (bytes + size > MAX_MESSAGE_BYTES - ROOM_FOR_REST)
      return [...texts, rest(problems.slice(index))].join(' ')
    texts.push(numbered)
    bytes += size
  }
  return texts.join(' ')
}

const ROOM_FOR_REST = 48

function rest(problems: readonly (readonly JudgedFinding[])[]): string {
  const count = problems.reduce((sum, problem) => sum + problem.length, 0)
  return `And ${count} more ${count === 1 ? 'problem' : 'problems'}.`
}

/** Of everything that is told without refusing; what only goes to the audit log is not in here. */
export function warningsOf(findings: readonly JudgedFinding[]): readonly string[] {
  const told = findings.filter((finding) => finding.mode !== 'audit' && !isDenial(finding))
  const texts = new Set<string>()
  let untold = 0
  for (const [index, finding] of told.entries()) {
    texts.add(warningText(finding))
    if (texts.size < MAX_WARNINGS) untold = told.length - index - 1
    // Of thousands the rest is only counted.
    if (texts.size > MAX_WARNINGS)
      return fitting([...[...texts].slice(0, MAX_WARNINGS - 1), `and ${untold} more warnings`])
  }
  return fitting([...texts])
}

/** The server counts characters, so bytes are on the safe side. */
function fitting(texts: readonly string[]): readonly string[] {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return bytes <= MAX_WHOLE_WARNINGS ? texts : texts.map((text) => cutToBytes(text, MAX_WARNING_LENGTH))
}

function warningText({ rule, message, wayOut, exceptedBy }: JudgedFinding): string {
  const excepted = exceptedBy === undefined ? '' : ` (exception approved by ${quoted(exceptedBy)})`
  const instead = wayOut === '' ? '' : `. Instead: ${wayOut}`
  return `${rule}${excepted}: ${message}${instead}`
}
