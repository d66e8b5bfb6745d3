// What verifiers rely on: a key is published before it signs, stays until its last token has expired, and is gone when
// it was revoked.
import type { History, KeySetLook, Violation } from '../history.ts'
import type { Issued } from './issued.ts'
import { where } from './issued.ts'
import { KEY_SET_AGE_MS, RING_LOOK_MS } from './timeline.ts'
import type { Timeline } from './timeline.ts'

export function checkKeys(history: History, issued: readonly Issued[], time: Timeline): readonly Violation[] {
  const looks = history.looks.map((look) => ({ look, kids: new Set(look.keys.map(({ kid }) => kid ?? '')) }))
  return [
    ...checkBarrier(looks, issued, time),
    ...checkKept(looks, issued, time, history),
    ...checkRevoked(looks, issued, time),
  ]
}

type Seen = { readonly look: KeySetLook; readonly kids: ReadonlySet<string> }

/** A verifier that kept a key set for as long as it was told to must know the key of each token that it is shown. */
function checkBarrier(
  looks: readonly Seen[],
  issued: readonly Issued[],
  time: Timeline,
): readonly Violation[] {
  const violations: Violation[] = []
  for (const [key, tokens] of byKey(issued)) {
    const { domain } = key
    const without = looks
      .filter(({ look, kids }) => look.domain === domain && !kids.has(key.kid))
      .toSorted((a, b) => a.look.answeredAt - b.look.answeredAt)
    let next = 0
    for (const token of tokens) {
      while ((without[next]?.look.answeredAt ?? Infinity) <= token.answeredAt) next += 1
      // The youngest look that a verifier may still hold when the token comes, if it lacks the key.
      const late = without[next - 1]
      if (late !== undefined && late.look.answeredAt <= token.answeredAt - KEY_SET_AGE_MS) continue
      // Whoever revokes wants the next key at once, and a key that nobody may use any more proves nothing.
      if (time.isEmergency(domain, token.answeredAt)) continue
      if (time.revocation(domain, key.kid) !== undefined) continue
      if (late === undefined) continue
      const seconds = ((token.answeredAt - late.look.answeredAt) / 1000).toFixed(1)
      const evidence = `${where(token.request)}: signed with ${key.kid}, which the key set of ${late.look.broker} lacked ${seconds} s before`
      violations.push({ kind: 'barrier_broken', at: token.answeredAt, evidence })
      // One is enough: every later token of the key says the same.
      break
    }
  }
  return violations
}

/** While a token lives, no broker may have forgotten its key; and no key goes that never signed. */
function checkKept(
  looks: readonly Seen[],
  issued: readonly Issued[],
  time: Timeline,
  { withWorkers }: Pick<History, 'withWorkers'>,
): readonly Violation[] {
  const violations: Violation[] = []
  const tokens = byKey(issued)
  for (const key of keysSeen(looks)) {
    const own = tokens.find(([one]) => one.domain === key.domain && one.kid === key.kid)?.[1] ?? []
    if (time.revocation(key.domain, key.kid) !== undefined) continue
    const ends = Math.max(0, ...own.map(({ exp }) => exp * 1000))
    const firstUse = Math.min(Infinity, ...own.map(({ answeredAt }) => answeredAt))
    const sinceWhen = new Map(
      Array.from(key.brokers, ([broker, seenAt]) => {
        // A worker may have it when the one beside it has yet to look.
        const everyWorker = { from: seenAt, until: seenAt + RING_LOOK_MS }
        return [broker, withWorkers.has(broker) ? time.effectiveAt(everyWorker, broker) : seenAt]
      }),
    )
    for (const { look, kids } of looks) {
      if (look.domain !== key.domain || kids.has(key.kid)) continue
      const neverSigned = own.length === 0 && sinceWhen.has(look.broker)
      const isBefore = look.askedAt < (sinceWhen.get(look.broker) ?? Infinity)
      // The key that signs at once because another was revoked: it was not lost where it has yet to come.
      const isToCome = isBefore && time.isCatchingUp(key.domain, look.broker, look.askedAt)
      const isNeeded = !isToCome && look.askedAt >= firstUse && look.answeredAt < ends
      if (!(isNeeded || (neverSigned && !isBefore))) continue
      const evidence = neverSigned
        ? `broker ${look.broker}: published ${key.kid} and forgot it before it signed anything`
        : `broker ${look.broker}: its key set lacks ${key.kid}, whose tokens live for ${((ends - look.answeredAt) / 1000).toFixed(1)} s more`
      violations.push({ kind: 'key_lost', at: look.answeredAt, evidence })
      break
    }
  }
  return violations
}

function checkRevoked(
  looks: readonly Seen[],
  issued: readonly Issued[],
  time: Timeline,
): readonly Violation[] {
  const violations: Violation[] = []
  for (const { look, kids } of looks) {
    for (const kid of kids) {
      const revocation = time.revocation(look.domain, kid)
      if (revocation === undefined || look.askedAt < time.effectiveAt(revocation, look.broker)) continue
      const seconds = ((look.askedAt - revocation.until) / 1000).toFixed(1)
      const evidence = `broker ${look.broker}: publishes ${kid} ${seconds} s after its revocation`
      violations.push({ kind: 'revoked_key', at: look.answeredAt, evidence })
    }
  }
  for (const { request, kid, answeredAt } of issued) {
    const revocation = time.revocation(request.domain, kid)
    if (revocation === undefined || request.sentAt < time.effectiveAt(revocation, request.broker)) continue
    const seconds = ((request.sentAt - revocation.until) / 1000).toFixed(1)
    const evidence = `${where(request)}: signed with ${kid}, asked ${seconds} s after its revocation`
    violations.push({ kind: 'revoked_key', at: answeredAt, evidence })
  }
  return violations
}

type KeyName = { readonly domain: string; readonly kid: string }

function byKey(issued: readonly Issued[]): readonly (readonly [KeyName, readonly Issued[]])[] {
  const groups = Map.groupBy(issued, ({ request, kid }) => `${request.domain} ${kid}`)
  return Array.from(groups.values(), (tokens) => {
    const [first] = tokens
    const name = { domain: first?.request.domain ?? '', kid: first?.kid ?? '' }
    return [name, tokens.toSorted((a, b) => a.answeredAt - b.answeredAt)] as const
  })
}

/** Each key with the time at which each broker was first seen to publish it. */
function keysSeen(
  looks: readonly Seen[],
): readonly (KeyName & { readonly brokers: ReadonlyMap<string, number> })[] {
  const found = new Map<string, KeyName & { readonly brokers: Map<string, number> }>()
  for (const { look, kids } of looks) {
    for (const kid of kids) {
      const name = `${look.domain} ${kid}`
      const entry = found.get(name) ?? { domain: look.domain, kid, brokers: new Map<string, number>() }
      found.set(name, entry)
      const before = entry.brokers.get(look.broker) ?? Infinity
      entry.brokers.set(look.broker, Math.min(before, look.answeredAt))
    }
  }
  return [...found.values()]
}
