// What the webhook knows of its cluster: watches, the indexes over them, and the ledger that they feed. Reviews read all of it from
// memory; until it is in memory, and again when nothing was heard for too long, `missing` says so and nothing is judged.
import type { Registry } from 'prom-client'
import { epochSeconds } from '#core/clock.ts'
import type { Clock } from '#core/clock.ts'
import type { ChangeSubject } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import type { PublishingObject } from '#core/module/ledger_feed.ts'
import type { IdentityList } from '#core/module/module_policy.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import type { WatchDeps } from '#platform/kube/watch_cache.ts'
import { KubeLedger } from '#platform/ledger/kube_ledger.ts'
import type { Ledger } from '#platform/ledger/ledger.ts'
import type { Log } from '#platform/log.ts'
import type { ClusterPort, JudgedRequest, LedgerTrouble } from '../judge/cluster_port.ts'
import { Feeder } from '../ledger/feeder.ts'
import { JudgedRequests } from '../ledger/judged_requests.ts'
import { askAccess } from './access_review.ts'
import { factsOf } from './facts.ts'
import { Holdings } from './holdings.ts'
import { clusterMetrics } from './metrics.ts'
import { findOwnName } from './own_name.ts'
import type { StoredModule, StoredProvider } from './stored.ts'

export type ClusterOptions = {
  readonly connection: KubeConnection
  readonly log: Log
  readonly clock: Clock
  readonly registry?: Registry
  /** Whoever reaches the port can send a review: what it says of who asks is not kept. Closed unless said. */
  readonly isPortOpen?: boolean
  /** Silence that is borne until nothing is judged any more; half a minute unless said. */
  readonly staleAfterMs?: number
  /** Monotonic milliseconds, and from 0 up to 1. */
  readonly now?: () => number
  readonly random?: () => number
}

export type Cluster = ClusterPort & {
  readonly ledger: Ledger
  readonly modules: () => Iterable<StoredModule>
  readonly providers: () => Iterable<StoredProvider>
  /** `sha256:<hex>` of the archive that is stored for a plain version; `undefined` where nobody says. */
  readonly digestOf: (object: PublishingObject, plain: string) => string | undefined
  /** Resolves when `missing` is empty for the first time. */
  readonly synced: Promise<void>
  close(): Promise<void>
}

const STALE_AFTER_MS = 30_000
/** What a lost write or another writer left behind is found so often. */
const RECONCILE_MS = 300_000
/** A Version that nobody lists was left behind, and is not ahead of what the watch has told of its Module. */
const SETTLED_SECONDS = 60

/** Begins to watch; `missing` says what is not there yet. The connection stays the caller's. */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { connection, log, clock, registry, staleAfterMs = STALE_AFTER_MS } = options
  const { isPortOpen = false, now = () => performance.now(), random = Math.random } = options
  const deps: WatchDeps = { connection, log, now, random, staleAfterMs }
  const metrics = clusterMetrics(registry)
  const judged = new JudgedRequests()
  const closing = new AbortController()
  const synced = Promise.withResolvers<void>()
  const ledger = new KubeLedger({
    ...deps,
    onWrite: metrics.written,
    onUnremembered: metrics.unremembered,
    onListed: () => begin(),
  })
  const holdings = new Holdings(deps, {
    onPublishing: (change) => feeder.changed(change),
    onArchived: (module, plain, digest) => feeder.archived(module, plain, digest),
    onListed: () => begin(),
  })
  const feeder = new Feeder({
    ledger,
    judged,
    clock,
    log,
    onTwoAuthors: metrics.twoAuthors,
    isRequiredImmutable: (body) => holdings.isRequiredImmutable(body),
    digestOf: (body, plain) => holdings.digestOf(body, plain),
    unlisted: () => holdings.unlisted(epochSeconds(clock) - SETTLED_SECONDS),
    room: (module) => ledger.room(module),
    stored: () => holdings.publishing(),
    isStored: (module) => holdings.isStored(module),
  })
  let own: IdentityList | undefined
  let isBegun = false
  let isStartFailed = false
  function begin(): void {
    if (isBegun || !holdings.isListed || !ledger.isListed) return
    isBegun = true
    // Never fed is never in sync: what was published would be unknown.
    feeder.start().then(
      () => synced.resolve(),
      (error: unknown) => {
        isStartFailed = true
        log.error({ err: error }, 'ledger not fed at the start')
      },
    )
  }
  const unsynced = (): readonly string[] => {
    const why = [...holdings.missing(), ...[ledger.watch.missing()].filter((text) => text !== undefined)]
    if (own === undefined) why.push('own name: not known yet')
    return why
  }
  const ledgerTrouble = (): LedgerTrouble | undefined => {
    const unwritten = ledger.unwritten()
    const isUnfed = !feeder.isFed && unsynced().length === 0
    if (isStartFailed)
      return {
        why: 'it could not be fed at the start: see the log, and start this Pod anew',
        isMissing: true,
      }
    if (unwritten !== undefined) return { why: unwritten.why, isMissing: unwritten.isOld || isUnfed }
    if (isUnfed)
      return { why: `${ledger.backlog} entries of what is stored are not written yet`, isMissing: true }
    if (feeder.trouble !== undefined) return { why: feeder.trouble, isMissing: false }
    if (ledger.refused === 0) return undefined
    return {
      why: `${ledger.refused} entries are refused by their definition, and in memory alone: see the log, and apply deploy/crds/sallyport of this release`,
      isMissing: false,
    }
  }
  const missing = (): readonly string[] => {
    const trouble = ledgerTrouble()
    return trouble?.isMissing === true ? [...unsynced(), `ledger: ${trouble.why}`] : unsynced()
  }
  const publishedOf = ({ subject }: JudgedRequest) =>
    ledger.published({
      kind: subject.resource === 'providers' ? 'Provider' : 'Module',
      namespace: subject.namespace,
      name: subject.name,
    })
  metrics.watch({ caches: [...holdings.caches, ledger.watch], ledger })
  holdings.start()
  ledger.start()
  const learnName = async (): Promise<void> => {
    const name = await findOwnName(connection, log, closing.signal)
    if (name !== undefined) own = { users: [name], groups: [] }
  }
  const naming = learnName()
  // Whoever was cut off would call gone what he has not heard of.
  const reconcile = (): void => {
    if (missing().length > 0) return
    void feeder.reconcile()
    void ledger.tryRefusedAgain()
  }
  const timer = setInterval(reconcile, RECONCILE_MS * (0.9 + random() / 5)).unref()
  return {
    ledger,
    missing,
    unsynced,
    troubles: () => holdings.troubles(),
    ledgerTrouble,
    policies: () => holdings.policies(),
    factsOf: (subject: ChangeSubject): LedgerFacts =>
      factsOf(subject, { holdings, ledger, ownIdentities: own ?? NOBODY }),
    remember: (request) => {
      if (!isPortOpen) judged.add(request, publishedOf(request))
    },
    mayDo: (user, verb, object) => askAccess(connection, user, { verb, ...object }),
    modules: () => holdings.modules.values(),
    providers: () => holdings.providers.values(),
    digestOf: (object, plain) => holdings.digestOf(object, plain),
    synced: Promise.all([synced.promise, naming]).then(() => undefined),
    async close() {
      clearInterval(timer)
      closing.abort()
      await Promise.all([holdings.close(), ledger.close(), naming])
    },
  }
}

const NOBODY: IdentityList = { users: [], groups: [] }
