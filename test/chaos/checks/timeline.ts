// What the checks need to know of time: what a broker's clock may have shown, and until when a revocation may take.
import type { BrokerName, DomainName, History, KeySetLook, Revocation } from '../history.ts'

/** How old a key set may be in a verifier's cache: `Cache-Control: max-age` of the key set, in milliseconds. */
export const KEY_SET_AGE_MS = 90_000
/** A replica looks at the stored keys this often, and needs a moment to do it. */
const REVOKED_WITHIN_MS = 10_000 + 2000

export type Timeline = {
  /** Least and greatest offset in milliseconds that the broker's clock may have had from `from` to `until`. */
  offsets(
    broker: BrokerName,
    from: number,
    until: number,
  ): { readonly least: number; readonly greatest: number }
  /** The key's revocation, if there was one. */
  revocation(domain: DomainName, kid: string): Revocation | undefined
  /** From when on that broker must not know the revoked key any more. */
  effectiveAt(revocation: Revocation, broker: BrokerName): number
  /** Whether verifiers may lag behind: a revocation makes a key sign without the wait. */
  isEmergency(domain: DomainName, at: number): boolean
}

export function timelineOf(history: History): Timeline {
  const { clocks, revocations, hindrances } = history
  const brokersOf = brokersByDomain(history.looks)

  const known = new Map<string, number>()
  function effectiveAt(revocation: Revocation, broker: BrokerName): number {
    const name = `${broker} ${revocation.kid}`
    const found = known.get(name) ?? latest(revocation, broker)
    known.set(name, found)
    return found
  }

  function latest(revocation: Revocation, broker: BrokerName): number {
    let until = revocation.until + REVOKED_WITHIN_MS
    // Whatever kept the broker from its store in the meantime starts the wait anew.
    for (;;) {
      const later = hindrances
        .filter((one) => one.broker === broker && one.from < until && one.until > revocation.from)
        .map((one) => one.until + REVOKED_WITHIN_MS)
      const next = Math.max(until, ...later)
      if (next === until) return until
      until = next
    }
  }

  return {
    offsets(broker, from, until) {
      const own = clocks.filter((change) => change.broker === broker)
      const settled = own.findLast((change) => change.until <= from)
      const during = own.filter((change) => change.until > from && change.from < until)
      const possible = [settled?.offsetMs ?? 0, ...during.map(({ offsetMs }) => offsetMs)]
      return { least: Math.min(...possible), greatest: Math.max(...possible) }
    },
    revocation: (domain, kid) => revocations.find((one) => one.domain === domain && one.kid === kid),
    effectiveAt,
    isEmergency: (domain, at) =>
      revocations.some((one) => {
        if (one.domain !== domain || at < one.from) return false
        const everywhere = Math.max(
          ...(brokersOf.get(domain) ?? []).map((broker) => effectiveAt(one, broker)),
        )
        return at < everywhere + KEY_SET_AGE_MS
      }),
  }
}

function brokersByDomain(looks: readonly KeySetLook[]): ReadonlyMap<DomainName, readonly BrokerName[]> {
  const found = new Map<DomainName, Set<BrokerName>>()
  for (const { domain, broker } of looks) found.set(domain, (found.get(domain) ?? new Set()).add(broker))
  return new Map(Array.from(found, ([domain, brokers]) => [domain, [...brokers]]))
}
