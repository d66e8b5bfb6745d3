// When a self-managed certificate is announced, trusted, served and forgotten. Pure arithmetic over what is stored;
// webhook/certificate/self_managed.ts carries it out. All replicas compute the switch from the same stored times, so there is no
// leader. A generation is a CA and the one certificate it signed. Times are seconds since the epoch.

export type Generation = {
  readonly startsAt: number
  readonly endsAt: number
}

export type Announced<G extends Generation> = {
  readonly generation: G
  /** Since when those who call are known to have its CA; `undefined`: not yet. */
  readonly trustedSince: number | undefined
  /** Until when the CA that it replaces stays trusted, at the least. */
  readonly dropCurrentAt: number
}

export type KeptCertificates<G extends Generation> = {
  /** `undefined`: none is stored, or none that can be used. */
  readonly current: G | undefined
  readonly next: Announced<G> | undefined
  /** End of the CA that was replaced last. */
  readonly previousUntil: number | undefined
}

export type CertificateFacts = {
  /** Somebody removed or broke what was stored; `current` is what is still served. */
  readonly isLost: boolean
  /** The CA of `next` is in the bundle that those who call go by. */
  readonly isNextTrusted: boolean
}

export type CertificateStep =
  | { readonly do: 'nothing' }
  /** Make a generation and serve it at once: there is nothing to serve. */
  | { readonly do: 'create' }
  /** Make a generation that will replace `current`. */
  | { readonly do: 'announce'; readonly dropCurrentAt: number }
  /** Write down that the CA of `next` is trusted from now on. */
  | { readonly do: 'trust'; readonly trustedSince: number }
  /** `next` becomes `current`. */
  | { readonly do: 'switch'; readonly previousUntil: number }
  /** The CA before this one is trusted no more. */
  | { readonly do: 'forget' }

/** A watch brings a changed bundle to an apiserver in milliseconds, one that was cut off in minutes. Costs nothing: weeks are left. */
const longestDelaySeconds = 600
/** Replicas look at what is stored this often, or earlier when something falls due. */
const longestLookSeconds = 30
/** A generation is replaced when this part of its life is left. */
const renewalPart = 3
/** Of short lives (tests) the delay is this part. */
const delayPart = 24

/** From the moment a CA is in the bundle to the first connection that has to rely on it. */
export function switchDelaySeconds({ startsAt, endsAt }: Generation): number {
  return Math.min(longestDelaySeconds, Math.ceil((endsAt - startsAt) / delayPart))
}

/** What to do now. Doing it and asking again leads to `nothing`, until time or facts change. */
export function planCertificate<G extends Generation>(
  { current, next, previousUntil }: KeptCertificates<G>,
  facts: CertificateFacts,
  now: number,
): CertificateStep {
  const usableNext = next !== undefined && next.generation.endsAt > now ? next : undefined
  if (current === undefined || current.endsAt <= now)
    return usableNext === undefined ? { do: 'create' } : switchTo(usableNext, now)
  // One that was announced so long ago that its own renewal is due: nobody ran in between.
  if (usableNext !== undefined && !isDue(usableNext.generation, now)) {
    if (usableNext.trustedSince === undefined)
      return facts.isNextTrusted ? { do: 'trust', trustedSince: now } : { do: 'nothing' }
    if (now >= switchesAt(usableNext, usableNext.trustedSince)) return switchTo(usableNext, now)
    return { do: 'nothing' }
  }
  // Whoever removed it wants it gone: its CA does not stay until its certificate's end.
  if (facts.isLost) return { do: 'announce', dropCurrentAt: now }
  if (isDue(current, now)) return { do: 'announce', dropCurrentAt: current.endsAt }
  return previousUntil !== undefined && previousUntil <= now ? { do: 'forget' } : { do: 'nothing' }
}

/** What to serve now, whoever has written the switch down or not. */
export function servedAt<G extends Generation>(
  { current, next }: KeptCertificates<G>,
  now: number,
): G | undefined {
  if (next === undefined || next.generation.endsAt <= now) return current
  if (current === undefined || current.endsAt <= now) return next.generation
  if (next.trustedSince === undefined || now < switchesAt(next, next.trustedSince)) return current
  return next.generation
}

/** Seconds until it is worth looking again. At least one. */
export function secondsToNextLook<G extends Generation>(kept: KeptCertificates<G>, now: number): number {
  const { current, next, previousUntil } = kept
  const due = [
    ...(current === undefined ? [] : [renewalAt(current), current.endsAt]),
    ...(next?.trustedSince === undefined ? [] : [switchesAt(next, next.trustedSince)]),
    ...(previousUntil === undefined ? [] : [previousUntil]),
  ].filter((at) => at > now)
  return Math.max(1, Math.min(longestLookSeconds, ...due.map((at) => Math.ceil(at - now))))
}

function switchTo<G extends Generation>(
  { generation, dropCurrentAt }: Announced<G>,
  now: number,
): CertificateStep {
  // At least one more delay: a replica may be a look behind with what it serves.
  return { do: 'switch', previousUntil: Math.max(dropCurrentAt, now + switchDelaySeconds(generation)) }
}

function switchesAt<G extends Generation>({ generation }: Announced<G>, trustedSince: number): number {
  return trustedSince + switchDelaySeconds(generation)
}

function isDue(generation: Generation, now: number): boolean {
  return now >= renewalAt(generation)
}

function renewalAt({ startsAt, endsAt }: Generation): number {
  return Math.ceil(endsAt - (endsAt - startsAt) / renewalPart)
}
