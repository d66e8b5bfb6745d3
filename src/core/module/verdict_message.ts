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

function problemText(group: readonly JudgedFinding[], most = MAX_TOLD): string {
  const [first] = group
  if (first === undefined) return ''
  const told = group.slice(0, most).map(({ message }) => message)
  return `${first.rule}: ${told.join('; ')}${sameOf(group, most)}. Instead: ${first.wayOut}`
}

function sameOf(group: readonly JudgedFinding[], most: number): string {
  const untold = group.slice(most).map(({ version, path }) => version ?? path)
  return untold.length === 0 ? '' : `; the same of ${listed(untold, MAX_TOLD, short)}`
}

/** Of a problem that is too long: fewer versions told of, then the way out without its command, then less of each. */
function shortenedProblem(group: readonly JudgedFinding[], room: number): string {
  const [first] = group
  if (first === undefined) return ''
  for (let most = MAX_TOLD - 1; most > 0; most -= 1) {
    const text = problemText(group, most)
    if (Buffer.byteLength(text) <= room) return text
  }
  const wayOut = shortenedWay(first.wayOut, room - ROOM_FOR_FOUND)
  const around = `${first.rule}: ${sameOf(group, 1)}. Instead: ${wayOut}`
  const found = cutToBytes(first.message, room - Buffer.byteLength(around))
  return `${first.rule}: ${found}${sameOf(group, 1)}. Instead: ${wayOut}`
}

/** Of what was found, with the rule before it: what is stored of a version with commit, digest and author is some 300. */
const ROOM_FOR_FOUND = 768

/** Half a command would do something else. */
function shortenedWay(wayOut: string, room: number): string {
  if (Buffer.byteLength(wayOut) <= room) return wayOut
  return cutToBytes(
    wayOut.replace(COMMAND, '(too long for this message; docs/webhook-authors.md shows its form)'),
    room,
  )
}

/** To its last quote; what follows has none. */
const COMMAND = /kubectl [^']*'.*'/s

function short(text: string): string {
  return printable(cutToBytes(text, 64))
}

/** As many whole problems as fit, and of the first at least the most of it; a command is never cut in the middle. */
function joined(problems: readonly (readonly JudgedFinding[])[]): string {
  const texts: string[] = []
  let bytes = 0
  for (const [index, problem] of problems.entries()) {
    const text = problemText(problem)
    const numbered = problems.length === 1 ? text : `(${index + 1}) ${text}`
    const size = Buffer.byteLength(numbered) + 1
    if (bytes + size > MAX_MESSAGE_BYTES - ROOM_FOR_REST) {
      // Somebody who is told nothing but a number cannot help himself.
      return index === 0 ? shortenedFirst(problems) : [...texts, rest(problems.slice(index))].join(' ')
    }
    texts.push(numbered)
    bytes += size
  }
  return texts.join(' ')
}

const ROOM_FOR_REST = 48

function shortenedFirst([first = [], ...others]: readonly (readonly JudgedFinding[])[]): string {
  const number = others.length === 0 ? '' : '(1) '
  const text = shortenedProblem(first, MAX_MESSAGE_BYTES - ROOM_FOR_REST - number.length - 1)
  return others.length === 0 ? text : `${number}${text} ${rest(others)}`
}

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
