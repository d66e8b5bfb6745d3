// Who did what: requests that this replica let through, until their commit is seen. Of what a request asks, the object may become
// something else (a conflict, another webhook's denial), so a commit is matched by object, state that it began with, and what
// became of the list. Nothing here is truth; what nobody claims has no author.
import { createHash } from 'node:crypto'
import { claimOf, isFromToken } from '#core/module/actor.ts'
import type { KubeUser } from '#core/kube/kube_user.ts'
import type { Attribution, Listing } from '#core/module/ledger.ts'
import { boundedText, withBoundedConfig } from '#core/module/listing_bounds.ts'
import { movedSettings } from '#core/module/ledger_feed.ts'
import type { PublishingObject } from '#core/module/ledger_feed.ts'
import { isSameValue } from '#core/module/reading.ts'
import { cutToBytes, printable } from '#core/module/printable.ts'
import { foldSource } from '#core/module/source_of.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'
import type { VersionEntry } from '#core/module/module_object.ts'
import type { JudgedRequest } from '../judge/cluster_port.ts'

/** What is remembered of one request: no object is kept alive by it. */
export type Author = {
  readonly attribution: Attribution
  /** Plain versions that it adds, and that the ledger had then. */
  readonly known: ReadonlySet<string>
  readonly atSeconds: number
}

type Remembered = Author & {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly oldResourceVersion: string
  /** Of the versions that came and went, and of what says where they are from. */
  readonly difference: string
  readonly untilSeconds: number
}

export type Commit = {
  readonly uid: string
  readonly oldResourceVersion: string
  readonly before: PublishingObject | undefined
  readonly after: PublishingObject | undefined
}

/** A commit follows its review within the request's own timeout, which is a minute at most. */
const TTL_SECONDS = 120
/** Requests at a time, whatever they are about: 10,000 of them have about 5 MB. */
const MOST = 10_000

export class JudgedRequests {
  /** By uid of the object; oldest first. */
  readonly #requests = new Map<string, Remembered[]>()
  /** Who deleted what finalizers still hold, by uid. */
  readonly #leaving = new Map<string, Author>()
  #count = 0

  /** `published`: what the ledger has of the object, by plain version. */
  add(judged: JudgedRequest, published: ReadonlyMap<string, unknown> = NOTHING): void {
    const { subject, objectUid, oldResourceVersion, atSeconds } = judged
    if (subject.resource !== 'modules' && subject.resource !== 'providers') return
    if (subject.subResource !== '' || objectUid === '') return
    this.#expire(atSeconds)
    const changes = differenceOf(subject.old, subject.new)
    const difference = differenceText(changes, subject.old, subject.new)
    if (difference === '' && subject.operation !== 'DELETE') return
    const remembered: Remembered = {
      attribution: attributionOf(judged.user),
      known: knownOf(changes.added, published),
      atSeconds,
      operation: subject.operation,
      oldResourceVersion,
      difference,
      untilSeconds: atSeconds + TTL_SECONDS,
    }
    const known = this.#requests.get(objectUid)
    if (known === undefined) this.#requests.set(objectUid, [remembered])
    else known.push(remembered)
    this.#count += 1
  }

  /** Whoever made the list what it is. */
  authorOf({ uid, oldResourceVersion, before, after }: Commit): Author | undefined {
    const requests = this.#requests.get(uid)
    if (requests === undefined) return undefined
    const difference = differenceText(differenceOf(before, after), before, after)
    const wanted = requests.filter(
      (one) => one.oldResourceVersion === oldResourceVersion && one.difference === difference,
    )
    // Two that asked for the same of the same state: the apiserver took one of them, and nobody says which.
    return isOneAuthor(wanted) ? wanted[0] : undefined
  }

  /** Its deletion was committed, and something holds it. */
  isLeaving(uid: string): void {
    const author = this.#deletionOf(uid)
    if (author === undefined) return
    if (this.#leaving.size >= MOST) this.#leaving.clear()
    this.#leaving.set(uid, author)
  }

  /** Whoever deleted what is gone now. */
  removerOf(uid: string): Author | undefined {
    const author = this.#leaving.get(uid) ?? this.#deletionOf(uid)
    this.#leaving.delete(uid)
    this.#count -= this.#requests.get(uid)?.length ?? 0
    this.#requests.delete(uid)
    return author
  }

  #deletionOf(uid: string): Author | undefined {
    const deletions = (this.#requests.get(uid) ?? []).filter(({ operation }) => operation === 'DELETE')
    return isOneAuthor(deletions) ? deletions[0] : undefined
  }

  /** Whole objects at a time, from the oldest on: the order of the map is that of its first requests. */
  #expire(nowSeconds: number): void {
    for (const [uid, list] of this.#requests) {
      const isOver = this.#count >= MOST
      const isOldestLiving = (list[0]?.untilSeconds ?? 0) > nowSeconds
      if (isOldestLiving && !isOver) return
      const kept = isOver ? [] : list.filter(({ untilSeconds }) => untilSeconds > nowSeconds)
      this.#count -= list.length - kept.length
      if (kept.length === 0) this.#requests.delete(uid)
      else this.#requests.set(uid, kept)
    }
  }
}

/** Whether all say the same of who it was: one name alone may run for two repositories, or two commits. */
function isOneAuthor(authors: readonly Author[]): boolean {
  const [first] = authors
  return (
    first !== undefined && authors.every(({ attribution }) => isSameValue(attribution, first.attribution))
  )
}

type Difference = { readonly added: readonly string[]; readonly removed: readonly string[] }

/** By text: of a very large request what both lists have is not here, and spellings are as they were sent. */
function differenceOf(before: Listed, after: Listed): Difference {
  const [was, becomes] = [before?.versions ?? [], after?.versions ?? []]
  // Nearly always all of the one is the beginning of the other.
  let same = 0
  while (same < was.length && was[same]?.version === becomes[same]?.version) same += 1
  const [old, next] = [textsOf(was.slice(same)), textsOf(becomes.slice(same))]
  return {
    added: [...next].filter((text) => !old.has(text)),
    removed: [...old].filter((text) => !next.has(text)),
  }
}

/** `+1.1.0`, `-1.0.0`, `~repoUrl https://...`, sorted, a line each; of many their hash, so that no request is remembered with megabytes. */
function differenceText(
  { added, removed }: Difference,
  before: PublishingObject | undefined,
  after: PublishingObject | undefined,
): string {
  // What is asked is read whole, and what is committed comes from a watch.
  const moved =
    before === undefined || after === undefined
      ? []
      : movedSettings(withBoundedConfig(before), withBoundedConfig(after))
  const lines = [
    ...added.map((one) => `+${one}`),
    ...removed.map((one) => `-${one}`),
    ...moved.map(({ field, becomes }) => `~${field} ${becomes}`),
  ]
  const text = lines.sort().join('\n')
  return text.length <= MAX_DIFFERENCE ? text : createHash('sha256').update(text).digest('base64')
}

const MAX_DIFFERENCE = 256

const NOTHING: ReadonlyMap<string, unknown> = new Map()
const NONE: ReadonlySet<string> = new Set()

function knownOf(added: readonly string[], published: ReadonlyMap<string, unknown>): ReadonlySet<string> {
  const known = added.flatMap((text) => {
    const identity = readVersionIdentity(text)
    return identity.ok && published.has(identity.value.plain) ? [identity.value.plain] : []
  })
  // Nearly always: what is published is new.
  return known.length === 0 ? NONE : new Set(known)
}

type Listed = Pick<Listing, 'versions'> | undefined

function textsOf(entries: readonly VersionEntry[]): ReadonlySet<string> {
  return new Set(entries.map(({ version }) => boundedText(version)))
}

/** As the PublishedVersion's schema has them. */
const MAX_NAME = 512
const MAX_ID = 128
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

/** `publisher` stands here for every pipeline; whose repository is the Module's own, the feeder knows. */
function attributionOf(user: KubeUser): Attribution {
  const by = cutToBytes(printable(user.username), MAX_NAME)
  const claimed = isFromToken(user) ? claimOf(user, 'source') : undefined
  if (claimed === undefined || claimed.length > MAX_NAME) return by === '' ? {} : { by }
  const id = claimOf(user, 'repository_id')
  const commit = claimOf(user, 'sha')?.toLowerCase()
  return {
    ...(by === '' ? {} : { by }),
    publisher: foldSource(claimed),
    ...(id === undefined || id.length > MAX_ID ? {} : { sourceId: id }),
    ...(commit === undefined || !COMMIT.test(commit) ? {} : { commit }),
  }
}
