// One configuration at work: tables, compiled policies, documents. Built whole from a BrokerConfig and swapped whole on
// reload, so that no request ever sees half of a new one.
import { hash } from 'node:crypto'
import type { Audience } from '#core/audience.ts'
import type { Clock, RandomBytes } from '#core/clock.ts'
import type { Fault } from '#core/denial.ts'
import { presetOf } from '#core/issuer/presets.ts'
import { parseCompact } from '#core/jwt/compact.ts'
import { deny } from '#core/result.ts'
import type { Levers } from '#core/levers.ts'
import { compilePolicy } from '#core/policy/compile_policy.ts'
import { indexPolicies } from '#core/policy/decide.ts'
import type { PolicyIndex } from '#core/policy/decide.ts'
import type { AuditSink } from '#platform/audit_sink.ts'
import type { ClockWatch } from '#platform/clock_watch.ts'
import type { CryptoPool } from '#platform/crypto_pool.ts'
import type { KeyRing } from '#platform/keys/key_ring.ts'
import type { LeverBook } from '#platform/levers/lever_book.ts'
import { createSigningQueue } from '#platform/keys/signing_queue.ts'
import type { SigningQueue } from '#platform/keys/signing_queue.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import { createGuessLimit } from '#platform/guess_limit.ts'
import { createRateLimit } from '#platform/rate_limit.ts'
import { createSecretCheck } from '#platform/secret_check.ts'
import type { SecretCheck } from '#platform/secret_check.ts'
import { createSpareClaims } from '#platform/store/spare_claims.ts'
import type { SpareClaims } from '#platform/store/spare_claims.ts'
import type { Store } from '#platform/store/store.ts'
import type { SubjectVerifier } from '#platform/subject_verifier.ts'
import { NO_TRACES } from '#platform/tracing/traces.ts'
import type { Traces } from '#platform/tracing/traces.ts'
import { checkClientAssertion } from './clients/client_assertion.ts'
import type { BrokerConfig } from './config/broker_config.ts'
import type { SubjectDeps } from './connectors/subject.ts'
import { decideNamed } from './grants/decide.ts'
import type { GrantDeps } from './grants/grant_deps.ts'
import { issueToken } from './tokens/issue.ts'
import { signerDenial } from './tokens/signer_denial.ts'
import { discoveryDocument, metadataDocument } from './wire/documents.ts'
import type { IntrospectionDeps } from './wire/introspection_endpoint.ts'
import type { RevocationDeps } from './wire/revocation_endpoint.ts'
import type { TokenEndpointDeps } from './wire/token_endpoint.ts'
import type { TokenReviewDeps } from './wire/token_review_endpoint.ts'
import type { UserinfoDeps } from './wire/userinfo_endpoint.ts'

/** What outlives a configuration. */
export type BrokerParts = {
  readonly store: Store
  readonly keyRing: KeyRing
  readonly verifier: SubjectVerifier
  readonly userinfo: SubjectDeps['userinfo']
  readonly gitlabIdentity: SubjectDeps['gitlabIdentity']
  readonly audit: AuditSink
  /** What was switched off in an emergency. */
  readonly levers: LeverBook
  /** Whether this machine's time is the others', too. */
  readonly clockWatch: ClockWatch
  readonly metrics: Metrics
  readonly log: Log
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Where signatures are made and checked. */
  readonly pool: CryptoPool
  /** Absent: nobody collects. */
  readonly traces?: Traces
}

export type LiveBroker = {
  readonly config: BrokerConfig
  readonly secrets: SecretCheck
  readonly signing: SigningQueue
  readonly token: TokenEndpointDeps
  readonly introspection: IntrospectionDeps
  readonly revocation: RevocationDeps
  readonly userinfo: UserinfoDeps
  readonly tokenReview: TokenReviewDeps
  readonly discovery: string
  readonly metadata: string
}

/** Callers that are remembered at once; 100 bytes each. */
const MAX_LIMITED_KEYS = 50_000

/** `previous`: the configuration that this one follows; what it remembers of callers is kept where its settings are. */
export function buildLiveBroker(config: BrokerConfig, parts: BrokerParts, previous?: LiveBroker): LiveBroker {
  const signing = signingQueueFor(config, parts, previous)
  const issuing = {
    issuer: config.issuer,
    defaultTtlSeconds: config.tokens.ttlSeconds,
    clock: parts.clock,
    randomBytes: parts.randomBytes,
    signingKey: () => signing.watched(parts.keyRing.current()),
  }
  const secrets = secretsFor(config, parts, previous)
  // What was taken without the store is remembered over a reload.
  const spare = previous?.token.grantDeps.spare ?? createSpareClaims(parts)
  // Asked again: the claim before it may have waited for the store, and the clock may have been set meanwhile.
  const issue: GrantDeps['issue'] = (order, facts) => {
    const clockOff = clockFault(parts)
    return clockOff === undefined ? issueToken(order, facts, issuing) : Promise.resolve(deny(clockOff))
  }
  const grantDeps = {
    ...buildGrantDeps(config, { ...parts, spare }, issue),
    secrets,
    atSigner: placeAt(signing, parts),
  }
  const ownToken = {
    issuer: config.issuer,
    clock: parts.clock,
    publicKey: (kid: string) => parts.keyRing.publicKey(kid),
    levers: () => parts.levers.current(),
    refusal: () => judgingRefusal(parts),
    pool: parts.pool,
  }
  const limiting = limitsFor(config, parts, previous)
  const { audit, metrics, log, clock } = parts
  const concluding = { audit, metrics, log, clock }
  const algorithms = parts.keyRing.algorithms()
  return {
    config,
    secrets,
    signing,
    token: {
      grants: new Set(config.grants),
      grantDeps,
      signerBusy: signing.refusal,
      traces: parts.traces ?? NO_TRACES,
      ...limiting,
      ...concluding,
    },
    introspection: { clientDeps: grantDeps, ownToken, ...limiting, ...concluding },
    revocation: { clientDeps: grantDeps, ownToken, levers: parts.levers, ...limiting, ...concluding },
    userinfo: { ownToken, addressLimit: limiting.addressLimit, ...concluding },
    tokenReview: {
      clientDeps: grantDeps,
      ownToken,
      clusters: new Map(config.kube.reviewClients.map((cluster) => [cluster.id, cluster])),
      ...limiting,
      ...concluding,
    },
    discovery: discoveryDocument(config, algorithms),
    metadata: metadataDocument(config, algorithms),
  }
}

/** A reload must not give every guess a fresh start, nor let every client pay its slow secret again. */
function secretsFor(
  config: BrokerConfig,
  { clock, randomBytes }: BrokerParts,
  previous: LiveBroker | undefined,
): SecretCheck {
  const clients = secretHashes(config)
  return previous?.secrets.withClients(clients) ?? createSecretCheck({ clock, randomBytes, clients })
}

/** Who waits for a signature goes on waiting over a reload, and counts. */
function signingQueueFor(
  { limits: { maxWaitingSignatures } }: BrokerConfig,
  { metrics }: BrokerParts,
  previous: LiveBroker | undefined,
): SigningQueue {
  if (previous !== undefined) return previous.signing.withLimit(maxWaitingSignatures)
  const queue = createSigningQueue({ maxWaiting: maxWaitingSignatures })
  metrics.waitingSignatures(() => queue.length())
  return queue
}

function placeAt(
  signing: SigningQueue,
  { keyRing, clockWatch }: Pick<BrokerParts, 'keyRing' | 'clockWatch'>,
): GrantDeps['atSigner'] {
  return async (work) => {
    const clockOff = clockFault({ clockWatch })
    if (clockOff !== undefined) return deny(clockOff)
    const busy = signing.refusal()
    if (busy !== undefined) return deny(busy)
    const refused = keyRing.refusal()
    if (refused !== undefined) return deny(signerDenial(refused))
    const leave = signing.join()
    try {
      return await work()
    } finally {
      leave()
    }
  }
}

function clockFault({ clockWatch }: Pick<BrokerParts, 'clockWatch'>): Fault | undefined {
  const aheadSeconds = clockWatch.offBySeconds()
  return aheadSeconds === undefined ? undefined : { reason: 'clock_off', aheadSeconds }
}

/** A clock that went back would call tokens alive that have expired, and of which a denial is long forgotten. */
function judgingRefusal({
  clockWatch,
  levers,
}: Pick<BrokerParts, 'clockWatch' | 'levers'>): Fault | undefined {
  const off = clockFault({ clockWatch })
  if (off !== undefined || levers.isWhole()) return off
  return {
    reason: 'store_unavailable',
    detail: 'which tokens are denied was last read while the clock was off',
  }
}

/** Buckets stay as full as they are for as long as their rates do, also when only the key set changed. */
function limitsFor(
  { limits }: BrokerConfig,
  { clock, randomBytes }: BrokerParts,
  previous: LiveBroker | undefined,
): Pick<TokenEndpointDeps, 'addressLimit' | 'clientLimit' | 'guessLimit'> {
  const create = (rate: number, burst: number) =>
    createRateLimit({ rate, burst, maxKeys: MAX_LIMITED_KEYS, clock })
  const { addressRate, addressBurst, clientRate, clientBurst } = limits
  const old = previous?.config.limits
  const isSameAddress = old?.addressRate === addressRate && old.addressBurst === addressBurst
  const isSameClient = old?.clientRate === clientRate && old.clientBurst === clientBurst
  const keptAddress = isSameAddress ? previous?.token.addressLimit : undefined
  const keptClient = isSameClient ? previous?.token.clientLimit : undefined
  return {
    addressLimit: keptAddress ?? create(addressRate, addressBurst),
    clientLimit: keptClient ?? create(clientRate, clientBurst),
    guessLimit: previous?.token.guessLimit ?? createGuessLimit({ clock, randomBytes }),
  }
}

export type GrantParts = Pick<
  BrokerParts,
  'verifier' | 'userinfo' | 'gitlabIdentity' | 'clock' | 'randomBytes' | 'pool'
> & {
  readonly store: Pick<Store, 'claimOnce' | 'claimAllOnce'>
  readonly levers: Pick<LeverBook, 'current'>
  readonly spare: SpareClaims
}

/** The grants' world; explain puts a store that writes nothing and an `issue` that signs nothing in. */
export function buildGrantDeps(
  config: BrokerConfig,
  parts: GrantParts,
  issue: GrantDeps['issue'],
): Omit<GrantDeps, 'secrets' | 'atSigner'> {
  const { clock, store } = parts
  const levers = (): Levers => parts.levers.current()
  const policies = compilePolicies(config)
  const connectors = new Map(config.connectors.map((connector) => [connector.id, connector]))
  const assertions = { issuer: config.issuer, clock, store, pool: parts.pool }
  return {
    clients: new Map(config.clients.map((client) => [client.id, client])),
    connectors,
    audiences: new Map(config.audiences.map((audience): [string, Audience] => [audience.id, audience])),
    policies,
    parse: parseCompact,
    subject: {
      verify: (token, connector) => parts.verifier.verify(token, connector),
      userinfo: parts.userinfo,
      gitlabIdentity: parts.gitlabIdentity,
      hashOpaque: (token) => hash('sha256', token, 'base64url'),
    },
    decide: (subject, client, connector, named) =>
      decideNamed(subject, client, connector, named, { policies, clock, levers }),
    levers,
    checkAssertion: (token, client) => checkClientAssertion(token, client, assertions),
    store,
    spare: parts.spare,
    clock,
    issue,
  }
}

/** The loaders compiled every policy once to check it; one that does not compile now is a broken invariant. */
function compilePolicies(config: BrokerConfig): PolicyIndex {
  const presets = new Map(config.connectors.map((connector) => [connector.id, presetOf(connector.preset)]))
  const compiled = config.policies.map((source) => {
    const preset = presets.get(source.connector)
    const policy = preset === undefined ? undefined : compilePolicy(source, preset)
    if (policy?.ok !== true) throw new Error(`policy ${source.name} passed the loader and does not compile`)
    return policy.value
  })
  return indexPolicies(compiled)
}

export function secretHashes(config: BrokerConfig): readonly (readonly string[])[] {
  return config.clients.flatMap(({ auth }) => (auth.method === 'client_secret' ? [auth.hashes] : []))
}
