// What a run of chaos leaves behind, as its client saw it. Nothing in here comes from the broker's own code: answers as
// they came over the wire, audit lines as they stand in the files, and what the harness did to whom and when.
// Times are milliseconds since the epoch by the clock of the harness, which nobody shifts.
import type { JWK } from 'jose'

/** Brokers that share a store and an issuer are one domain. */
export type BrokerName = string
export type DomainName = string

/** What the client knows of the token that it offers. `exp` in seconds since the epoch. */
export type OfferedSubject = {
  readonly jti: string
  readonly exp: number
  /** Whose tokens these are, as the broker is configured. */
  readonly connector: string
  readonly isSingleUse: boolean
  /** Signed with a key that its issuer never published. */
  readonly isForged: boolean
}

/** One question to the token endpoint. */
export type TokenRequest = {
  readonly domain: DomainName
  readonly broker: BrokerName
  readonly sentAt: number
  /** `undefined`, like all that follows from it, when no answer came. */
  readonly answeredAt: number | undefined
  readonly status: number | undefined
  readonly requestId: string | undefined
  /** As issued, compact. */
  readonly token: string | undefined
  /** `undefined`: the client asked for itself. */
  readonly subject: OfferedSubject | undefined
}

/** One answered look at a broker's published keys. */
export type KeySetLook = {
  readonly domain: DomainName
  readonly broker: BrokerName
  readonly askedAt: number
  readonly answeredAt: number
  readonly keys: readonly JWK[]
}

/** One answered question whether an issued token is worth something. */
export type TokenQuestion = {
  readonly domain: DomainName
  readonly broker: BrokerName
  readonly askedAt: number
  readonly answeredAt: number
  readonly token: string
  readonly isActive: boolean
}

/** A broker's clock was set apart from everybody's by `offsetMs`: some time between `from` and `until`. */
export type ClockChange = {
  readonly broker: BrokerName
  readonly from: number
  readonly until: number
  readonly offsetMs: number
}

/** A key was revoked: said to be at `until`. */
export type Revocation = {
  readonly domain: DomainName
  readonly kid: string
  readonly from: number
  readonly until: number
}

/** A connector was switched off, or an issued token denied: said to be at `until`, and lifted from `liftedFrom` on. */
export type Lever = {
  readonly domain: DomainName
  readonly kind: 'connector' | 'token'
  /** Of the connector, or the token's `jti`. */
  readonly id: string
  readonly from: number
  readonly until: number
  readonly liftedFrom: number
}

/** Why a broker could not do something: it stood still, its store was away, or its disk was full. */
export type Hindrance = {
  readonly broker: BrokerName
  readonly kind: 'broker' | 'store' | 'disk'
  readonly from: number
  readonly until: number
}

/** What the harness itself found wrong with a process. */
export type Mishap = {
  readonly broker: BrokerName
  readonly at: number
  readonly kind: 'died' | 'not_back' | 'token_in_log'
  readonly detail: string
}

/** The facts of an audit line that the checker compares. */
export type AuditLine = {
  readonly requestId: string
  readonly event: string
  readonly decision: string
  readonly subjectJti: string | undefined
  readonly issuedJti: string | undefined
  readonly issuedKid: string | undefined
}

export type History = {
  readonly requests: readonly TokenRequest[]
  readonly looks: readonly KeySetLook[]
  readonly questions: readonly TokenQuestion[]
  readonly clocks: readonly ClockChange[]
  readonly revocations: readonly Revocation[]
  readonly levers: readonly Lever[]
  readonly hindrances: readonly Hindrance[]
  readonly mishaps: readonly Mishap[]
  /** Brokers of several processes, any of which may answer, and each of which finds a new key in the store for itself. */
  readonly withWorkers: ReadonlySet<BrokerName>
  /** Of each broker, in any order. */
  readonly audit: ReadonlyMap<BrokerName, readonly AuditLine[]>
  /** What every issued token must say. */
  readonly issuers: ReadonlyMap<DomainName, string>
  readonly audience: string
}

export const VIOLATION_KINDS = [
  'unverifiable',
  'unpublished_key',
  'barrier_broken',
  'key_lost',
  'revoked_key',
  'lever_ignored',
  'bought_twice',
  'expired_accepted',
  'forged_accepted',
  'clock_ignored',
  'unaudited',
  'audit_contradicts',
  'misjudged',
  'died',
  'not_back',
  'token_in_log',
] as const
export type ViolationKind = (typeof VIOLATION_KINDS)[number]

export type Violation = {
  readonly kind: ViolationKind
  /** When, by the harness's clock. */
  readonly at: number
  /** What was promised, and what was seen instead; no token. */
  readonly evidence: string
}
