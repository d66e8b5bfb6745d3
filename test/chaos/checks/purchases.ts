// What must never be sold: one token twice, what has expired, what was forged.
import type { AuditLine, History, TokenQuestion, Violation } from '../history.ts'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { where } from './issued.ts'
import type { Timeline } from './timeline.ts'

/** Tolerance that the connectors are configured with, and one for rounding to whole seconds. */
const CLOCK_SKEW_MS = 30_000
const ROUNDING_MS = 1000
/** Half a minute is allowed; how far it is off a replica knows as exactly as its store answers fast. */
const CLOCK_OFF_MS = 30_000 + 5000

export function checkPurchases(history: History, time: Timeline): readonly Violation[] {
  return [
    ...checkSingleUse(history),
    ...checkExpired(history, time),
    ...checkForged(history),
    ...checkClocks(history, time),
    ...checkLevers(history, time),
    ...history.questions.flatMap((question) => checkQuestion(question, history, time)),
  ]
}

/** By what the client got, and by what the brokers wrote down: an answer may have been lost on its way. */
function checkSingleUse(history: History): readonly Violation[] {
  const limited = history.requests.filter(({ subject }) => subject?.isSingleUse === true)
  const sold = limited.filter(({ status }) => status === 200)
  const names = new Set(limited.map(({ domain, subject }) => `${domain} ${subject?.jti}`))
  const violations: Violation[] = []
  for (const [jti, buyers] of Map.groupBy(sold, ({ domain, subject }) => `${domain} ${subject?.jti}`)) {
    if (buyers.length < 2) continue
    const evidence = `the subject token ${jti} bought ${buyers.length}: ${buyers.map(where).join('; ')}`
    violations.push({ kind: 'bought_twice', at: buyers.at(-1)?.answeredAt ?? 0, evidence })
  }
  const domains = new Map(history.requests.map(({ broker, domain }) => [broker, domain]))
  const written = new Map<string, AuditLine[]>()
  for (const [broker, lines] of history.audit) {
    for (const line of lines) {
      const name = `${domains.get(broker)} ${line.subjectJti}`
      if (line.decision !== 'allow' || line.event !== 'token' || !names.has(name)) continue
      written.set(name, [...(written.get(name) ?? []), line])
    }
  }
  for (const [jti, lines] of written) {
    if (lines.length < 2) continue
    const ids = lines.map(({ requestId }) => requestId).join(', ')
    const evidence = `the audit trail allows the subject token ${jti} ${lines.length} times: ${ids}`
    const asked = limited.filter(({ domain, subject }) => `${domain} ${subject?.jti}` === jti)
    const at = Math.max(...asked.map(({ sentAt }) => sentAt))
    violations.push({ kind: 'bought_twice', at, evidence })
  }
  return violations
}

function checkExpired(history: History, time: Timeline): readonly Violation[] {
  return history.requests.flatMap((request): readonly Violation[] => {
    const { subject, status, answeredAt, broker, sentAt } = request
    if (subject === undefined || status !== 200 || answeredAt === undefined) return []
    const { least } = time.offsets(broker, sentAt, answeredAt)
    const overdue = sentAt + least - (subject.exp * 1000 + CLOCK_SKEW_MS + ROUNDING_MS)
    if (overdue <= 0) return []
    const evidence = `${where(request)}: took a subject token ${(overdue / 1000).toFixed(1)} s after its end by the broker's own clock`
    return [{ kind: 'expired_accepted', at: answeredAt, evidence }]
  })
}

/** A replica whose clock is off its store's issues nothing: others would not take it, or for too long. */
function checkClocks(history: History, time: Timeline): readonly Violation[] {
  return history.requests.flatMap((request): readonly Violation[] => {
    const { status, answeredAt, broker, sentAt } = request
    if (status !== 200 || answeredAt === undefined) return []
    const { least, greatest } = time.offsets(broker, sentAt, answeredAt)
    if (least <= CLOCK_OFF_MS && greatest >= -CLOCK_OFF_MS) return []
    const evidence = `${where(request)}: issued a token while its clock was ${Math.round(least / 1000)} s off`
    return [{ kind: 'clock_ignored', at: answeredAt, evidence }]
  })
}

function checkForged(history: History): readonly Violation[] {
  return history.requests
    .filter(({ subject, status }) => subject?.isForged === true && status === 200)
    .map((request) => ({
      kind: 'forged_accepted',
      at: request.answeredAt ?? 0,
      evidence: `${where(request)}: took a subject token that its issuer did not sign`,
    }))
}

/** A connector that is switched off buys nothing. */
function checkLevers({ requests, levers }: History, time: Timeline): readonly Violation[] {
  const connectors = levers.filter(({ kind }) => kind === 'connector')
  return requests.flatMap((request): readonly Violation[] => {
    const { domain, broker, subject, status, sentAt, answeredAt } = request
    if (subject === undefined || status !== 200 || answeredAt === undefined) return []
    const ignored = connectors.find(
      (lever) =>
        lever.domain === domain &&
        lever.id === subject.connector &&
        sentAt > time.effectiveAt(lever, broker) &&
        answeredAt < lever.liftedFrom,
    )
    if (ignored === undefined) return []
    const seconds = ((sentAt - ignored.until) / 1000).toFixed(1)
    const evidence = `${where(request)}: sold through connector ${ignored.id}, ${seconds} s after it was switched off`
    return [{ kind: 'lever_ignored', at: answeredAt, evidence }]
  })
}

/** What introspection says of a token of the broker's own. */
function checkQuestion(question: TokenQuestion, { levers }: History, time: Timeline): readonly Violation[] {
  const { domain, broker, askedAt, answeredAt, token, isActive } = question
  const { kid = '' } = decodeProtectedHeader(token)
  const { exp = 0, jti = '' } = decodeJwt(token)
  const denial = levers.find((lever) => lever.kind === 'token' && lever.domain === domain && lever.id === jti)
  const { least, greatest } = time.offsets(broker, askedAt, answeredAt)
  const revocation = time.revocation(domain, kid)
  const overdue = askedAt + least - (exp * 1000 + ROUNDING_MS)
  if (isActive && overdue > 0) {
    const evidence = `broker ${broker}: calls a token active ${(overdue / 1000).toFixed(1)} s after its end`
    return [{ kind: 'expired_accepted', at: answeredAt, evidence }]
  }
  if (isActive && revocation !== undefined && askedAt > time.effectiveAt(revocation, broker)) {
    const evidence = `broker ${broker}: calls a token of the revoked key ${kid} active`
    return [{ kind: 'revoked_key', at: answeredAt, evidence }]
  }
  if (isActive && denial !== undefined && askedAt > time.effectiveAt(denial, broker)) {
    const evidence = `broker ${broker}: calls the denied token ${jti} active`
    return [{ kind: 'lever_ignored', at: answeredAt, evidence }]
  }
  if (denial !== undefined) return []
  const lives = exp * 1000 - ROUNDING_MS > answeredAt + greatest
  if (!isActive && lives && revocation === undefined && !time.isEmergency(domain, askedAt)) {
    const evidence = `broker ${broker}: calls a token of key ${kid} inactive that lives on`
    return [{ kind: 'misjudged', at: answeredAt, evidence }]
  }
  return []
}
