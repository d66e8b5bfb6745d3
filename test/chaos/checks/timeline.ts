// What the checks need to know of time: what a broker's clock may have shown, and until when a revocation may take.
import type { BrokerName, DomainName, History, KeySetLook, Revocation } from '../history.ts'

/** How old a key set may be in a verifier's cache: `Cache-Control: max-age` of the key set, in milliseconds. */
export const KEY_SET_AGE_MS = 90_000
/** How often a process looks for new keys in the store, in milliseconds. */
export const RING_LOOK_MS = 10_000
/**
 * Two seconds are promised, and measured where nothing else goes wrong. Here every process has others beside it that
 * start and recover, on as many cores as there are.
 */
const OBEYED_WITHIN_MS = 5000

export type Timeline = {
  /** Least and greatest offset in milliseconds that the broker's clock may have had from `from` to `until`. */
  offsets(
    broker: BrokerName,
    from: number,
    until: number,
  ): { readonly least: number; readonly greatest: number }
  /** The key's revocation, if there was one. */
  revocation(domain: DomainName, kid: string): Revocation | undefined
  /** From when on that broker must obey: know the revoked key no more, or refuse. */
  effectiveAt(order: Order, broker: BrokerName): number
  /** Whether a revocation has come that this broker need not have obeyed yet. */
  isCatchingUp(domain: DomainName, broker: BrokerName, at: number): boolean
  /** Whether verifiers may lag behind: a revocation makes a key sign without the wait. */
  isEmergency(domain: DomainName, at: number): boolean
}

/** What was told to all brokers of a domain, from the beginning of the command to its end. */
type Order = { readonly from: number; readonly until: number }

export function timelineOf(history: History): Timeline {
  const { clocks, revocations, hindrances } = history
  const brokersOf = brokersByDomain(history.looks)

  const known = new Map<Order, Map<BrokerName, number>>()
  function effectiveAt(order: Order, broker: BrokerName): number {
    const own = known.get(order) ?? new Map<BrokerName, number>()
    known.set(order, own)
    const at = own.get(broker) ?? latest(order, broker)
    own.set(broker, at)
    return at
  }

  function latest(order: Order, broker: BrokerName): number {
    let until = order.until + OBEYED_WITHIN_MS
    // Whatever kept the broker from its store in the meantime starts the wait anew.
    for (;;) {
      const later = hindrances
        .filter((one) => one.broker === broker && one.from < until && one.until > order.from)
        .map((one) => one.until + OBEYED_WITHIN_MS)
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
    isCatchingUp: (domain, broker, at) =>
      revocations.some((one) => one.domain === domain && at >= one.from && at < effectiveAt(one, broker)),
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
