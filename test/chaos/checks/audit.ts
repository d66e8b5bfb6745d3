// Each decision is in the audit trail: whoever got an answer finds its line, and it says the same.
import { decodeJwt, decodeProtectedHeader } from 'jose'
import type { AuditLine, Hindrance, History, TokenRequest, Violation } from '../history.ts'
import { where } from './issued.ts'

const UNAVAILABLE = 503
/** A write that failed is told to whoever asked in the meantime, too. */
const DISK_LATE_MS = 5000

export function checkAudit(history: History): readonly Violation[] {
  const disks = history.hindrances.filter(({ kind }) => kind === 'disk')
  const ends = history.hindrances.filter(({ kind }) => kind === 'broker')
  const trails = new Map(Array.from(history.audit, ([broker, lines]) => [broker, byRequest(lines)]))
  return history.requests.flatMap((request): readonly Violation[] => {
    const { answeredAt: at, status, requestId, broker } = request
    if (at === undefined || status === undefined) return []
    if (requestId === undefined) {
      // On a connection that a broker on its way out closes, nothing is decided any more.
      if (status === UNAVAILABLE && ends.some((end) => overlaps(end, request))) return []
      return [
        { kind: 'unaudited', at, evidence: `${where(request)}: answered ${status} without a request id` },
      ]
    }
    const lines = trails.get(broker)?.get(requestId) ?? []
    const [line, second] = lines
    if (line === undefined) {
      if (status === UNAVAILABLE && disks.some((disk) => wasFull(disk, request))) return []
      return [
        { kind: 'unaudited', at, evidence: `${where(request)}: answered ${status}, and no line says so` },
      ]
    }
    if (second !== undefined) {
      const evidence = `${where(request)}: ${lines.length} lines for one answer`
      return [{ kind: 'audit_contradicts', at, evidence }]
    }
    // On a full disk a line may be whole where the write of several was not: the answer then says less than the line.
    if (status === UNAVAILABLE && disks.some((disk) => wasFull(disk, request))) return []
    const problem = contradiction(request, line)
    return problem === undefined
      ? []
      : [{ kind: 'audit_contradicts', at, evidence: `${where(request)}: ${problem}` }]
  })
}

/** The decisions about requests in an audit file, and how many of its lines are none: what was in them is missing. */
export function readAuditTrail(texts: readonly string[]): {
  readonly lines: readonly AuditLine[]
  readonly tornLines: number
} {
  const read = texts.map(parsed)
  return {
    lines: read.map(decisionIn).filter((line) => line !== undefined),
    tornLines: read.filter((fields) => fields === undefined).length,
  }
}

/** `undefined`: an event that answers nobody, of which an emergency is one. */
function decisionIn(fields: Readonly<Record<string, unknown>> = {}): AuditLine | undefined {
  const { requestId, event, decision, subject, issued } = fields
  if (typeof requestId !== 'string' || typeof event !== 'string' || typeof decision !== 'string')
    return undefined
  return {
    requestId,
    event,
    decision,
    subjectJti: textOf(Object(subject).jti),
    issuedJti: textOf(Object(issued).jti),
    issuedKid: textOf(Object(issued).kid),
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return Object(JSON.parse(text))
  } catch {
    // Cut short by a full disk: whatever stood in it was not answered, or the checker misses it.
    return undefined
  }
}

function byRequest(lines: readonly AuditLine[]): ReadonlyMap<string, readonly AuditLine[]> {
  return Map.groupBy(lines, ({ requestId }) => requestId)
}

function wasFull(disk: Hindrance, request: TokenRequest): boolean {
  return overlaps({ ...disk, until: disk.until + DISK_LATE_MS }, request)
}

function overlaps(one: Hindrance, { broker, sentAt, answeredAt = 0 }: TokenRequest): boolean {
  return one.broker === broker && one.from <= answeredAt && one.until >= sentAt
}

function contradiction({ status, token, subject }: TokenRequest, line: AuditLine): string | undefined {
  if (line.event !== 'token') return `the line is of a ${line.event}`
  if ((status === 200) !== (line.decision === 'allow')) return `answered ${status}, recorded ${line.decision}`
  if (line.subjectJti !== undefined && line.subjectJti !== subject?.jti)
    return `recorded another subject: ${line.subjectJti}`
  if (token === undefined) return undefined
  const { jti } = decodeJwt(token)
  const { kid } = decodeProtectedHeader(token)
  if (line.issuedJti !== jti) return `recorded that ${line.issuedJti} was issued, and it was ${jti}`
  if (line.issuedKid !== kid) return `recorded key ${line.issuedKid}, signed with ${kid}`
  if (subject !== undefined && line.subjectJti === undefined) return 'does not say for which subject'
  return undefined
}
