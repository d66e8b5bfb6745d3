// Asking an issuer about somebody's token, in shares: what one caller shows, garbage above all, keeps so many requests to an
// issuer busy and no more, so that others' tokens, and the issuer's keys, have their turn.
import type { Claims } from '#core/claims.ts'
import type { Connector } from '#core/connector.ts'
import type { Identity } from '#core/identity.ts'
import { deny } from '#core/result.ts'
import type { Result } from '#core/result.ts'
import { createFairQueue } from './fair_queue.ts'
import type { FairQueue, Patience } from './fair_queue.ts'
import { readGitlabIdentity } from './gitlab_identity.ts'
import type { IssuerKeys } from './issuer_keys/issuer_keys.ts'
import type { IssuerKeysRegistry } from './issuer_keys/registry.ts'
import { readUserinfo } from './userinfo.ts'

export interface UpstreamLookups {
  /** What the issuer's userinfo says about a token. Denials: `issuer_busy` and those of `readUserinfo`. */
  userinfo(token: string, connector: Connector, caller: string): Promise<Result<Claims>>
  /** Whom GitLab's user API makes of a token. Denials: `issuer_busy` and those of `readGitlabIdentity`. */
  gitlabIdentity(token: string, connector: Connector, caller: string): Promise<Result<Identity>>
}

/** Of one issuer, a connector each. */
export type LookupLimits = {
  /** Fewer than the way out has sockets: the issuer's keys find one. */
  readonly maxConcurrent: number
  readonly maxOfCaller: number
  readonly maxWaiting: number
}

export const LOOKUP_LIMITS: LookupLimits = { maxConcurrent: 24, maxOfCaller: 6, maxWaiting: 96 }

/** An issuer that is well answers in a tenth of that; behind one that is not, waiting for long helps nobody. */
const PATIENCE_MS = 2000
const RETRY_SECONDS = 1

export type UpstreamLookupsOptions = {
  readonly limits?: LookupLimits
  readonly after?: Patience['after']
}

export function createUpstreamLookups(
  issuers: IssuerKeysRegistry,
  { limits = LOOKUP_LIMITS, after }: UpstreamLookupsOptions = {},
): UpstreamLookups {
  // With the issuer's keys, which outlive a reload, and gone with them.
  const queues = new WeakMap<IssuerKeys, FairQueue>()
  const queueOf = (connector: Connector): FairQueue => {
    const issuer = issuers.of(connector)
    const known = queues.get(issuer)
    if (known !== undefined) return known
    const queue = createFairQueue({
      maxConcurrent: limits.maxConcurrent,
      maxOfLane: limits.maxOfCaller,
      maxQueued: limits.maxWaiting,
      patience: { ms: PATIENCE_MS, ...(after === undefined ? {} : { after }) },
      refusal: () => new NoTurn(),
    })
    queues.set(issuer, queue)
    return queue
  }
  const inTurn = async <T>(
    connector: Connector,
    caller: string,
    ask: () => Promise<Result<T>>,
  ): Promise<Result<T>> => {
    try {
      return await queueOf(connector)(caller, ask)
    } catch (error) {
      if (!(error instanceof NoTurn)) throw error
      return deny({ reason: 'issuer_busy', connector: connector.id, retryAfterSeconds: RETRY_SECONDS })
    }
  }
  return {
    userinfo: (token, connector, caller) =>
      inTurn(connector, caller, () => readUserinfo(token, connector, issuers)),
    gitlabIdentity: (token, connector, caller) =>
      inTurn(connector, caller, () => readGitlabIdentity(token, connector, issuers)),
  }
}

class NoTurn extends Error {
  constructor() {
    super('too many look-ups wait for their turn at the issuer')
    this.name = 'NoTurn'
  }
}
