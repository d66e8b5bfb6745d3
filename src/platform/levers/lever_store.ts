// Levers as they are stored. One entry each, so that the store forgets what has expired, and a stamp that is written anew
// after each change: a replica looks at the stamp twice a second, and at the rest when it is another one.
import { DENIED_KINDS, DISABLED_KINDS, MAX_LEVERS } from '#core/levers.ts'
import type { Lever, LeverName } from '#core/levers.ts'
import type { LeverFacts } from '#core/audit_event.ts'
import type { Store, StoreEntry } from '../store/store.ts'

/** What is under it belongs to this file. */
const PREFIX = 'emergency/'
const STAMP = `${PREFIX}stamp`
const LEVER = `${PREFIX}lever/`
const REVOKED = `${PREFIX}revoked/`
const EVENT = `${PREFIX}event/`

/** For so long a broker has time to write what a person did into the audit log. */
const EVENT_KEPT_MS = 30 * 24 * 60 * 60 * 1000

/** What a person did, as it waits to be written into the audit log. `at`: milliseconds since the epoch. */
export type LeverEvent = { readonly id: string; readonly at: number; readonly lever: LeverFacts }

export type StoredLevers = {
  readonly pulled: readonly Lever[]
  /** Revoked by clients; `by` is the client. */
  readonly revoked: readonly Lever[]
  readonly events: readonly StoredEvent[]
  /** Keys that this release does not know. */
  readonly unknown: readonly string[]
}

export type StoredEvent = { readonly key: string; readonly value: string; readonly event: LeverEvent }

/** As each other one in the store. Rejects with StoreFailure, as everything here. */
export async function readStamp(store: Pick<Store, 'get'>): Promise<string | undefined> {
  return store.get(STAMP)
}

/** Makes all replicas look, at the levers and at the signing keys. `stamp`: any text that was never used. */
export async function writeStamp(store: Pick<Store, 'put'>, stamp: string): Promise<void> {
  await store.put(STAMP, stamp)
}

export async function readLevers(store: Pick<Store, 'list'>): Promise<StoredLevers> {
  const found = { pulled: new Array<Lever>(), revoked: new Array<Lever>(), events: new Array<StoredEvent>() }
  const unknown: string[] = []
  for (const entry of await store.list(PREFIX)) {
    if (entry.key === STAMP) continue
    if (!sort(entry, found)) unknown.push(entry.key)
  }
  return { ...found, unknown }
}

/**
 * Pulls a lever and leaves the event; one that was pulled before is pulled anew. False, and nothing done, when there are
 * too many.
 */
export async function pullLever(store: Store, lever: Lever, event: LeverEvent): Promise<boolean> {
  const { action, kind, id, at, until, by, why } = lever
  const key = keyOf(lever)
  const others = (await store.list(LEVER)).filter((entry) => entry.key !== key)
  if (others.length >= MAX_LEVERS) return false
  await store.put(key, JSON.stringify({ action, kind, id, at, until, by, why }), until)
  await announce(store, event)
  return true
}

/** False when there is nothing to lift. A token that its client revoked is lifted as one that was denied. */
export async function liftLever(store: Store, name: LeverName, event: LeverEvent): Promise<boolean> {
  const isToken = name.action === 'deny' && name.kind === 'token'
  const keys = [keyOf(name), ...(isToken ? [`${REVOKED}${name.id}`] : [])]
  let lifted = false
  for (const key of keys) {
    const value = await store.get(key)
    if (value !== undefined) lifted = (await store.compareAndSet(key, value, undefined)) || lifted
  }
  if (lifted) await announce(store, event)
  return lifted
}

/** Leaves the event and makes all replicas look. */
export async function announce(store: Pick<Store, 'put'>, event: LeverEvent): Promise<void> {
  await store.put(`${EVENT}${event.id}`, JSON.stringify(event), event.at + EVENT_KEPT_MS)
  await writeStamp(store, event.id)
}

/** True for one replica alone, which then has to tell it. */
export async function takeEvent(store: Store, { key, value }: StoredEvent): Promise<boolean> {
  return store.compareAndSet(key, value, undefined)
}

/** It could not be told: the next one may. */
export async function returnEvent(store: Store, { key, value, event }: StoredEvent): Promise<void> {
  await store.put(key, value, event.at + EVENT_KEPT_MS)
}

/** A token that its client revoked: without an event of a person, and under a bound of its own. */
export async function writeRevoked(store: Store, lever: Lever, stamp: string): Promise<void> {
  const { id, at, until, by, why } = lever
  await store.put(`${REVOKED}${id}`, JSON.stringify({ at, until, by, why }), until)
  await writeStamp(store, stamp)
}

type Found = { readonly pulled: Lever[]; readonly revoked: Lever[]; readonly events: StoredEvent[] }

function sort({ key, value }: StoreEntry, { pulled, revoked, events }: Found): boolean {
  if (key.startsWith(REVOKED)) {
    revoked.push({ action: 'deny', kind: 'token', id: key.slice(REVOKED.length), ...restOf(value) })
    return true
  }
  if (key.startsWith(EVENT)) {
    const event = eventOf(value)
    if (event !== undefined) events.push({ key, value, event })
    return event !== undefined
  }
  const name = key.startsWith(LEVER) ? nameOf(key.slice(LEVER.length)) : undefined
  if (name !== undefined) pulled.push({ ...name, ...restOf(value) })
  return name !== undefined
}

function keyOf({ action, kind, id }: LeverName): string {
  return `${LEVER}${action}/${kind}/${id}`
}

function nameOf(path: string): LeverName | undefined {
  const [action = '', kind = '', ...rest] = path.split('/')
  const id = rest.join('/')
  if (id === '') return undefined
  return leverName(action, kind, id)
}

/** `undefined`: there is no such lever. */
export function leverName(action: string, kind: string, id: string): LeverName | undefined {
  const disabled = DISABLED_KINDS.find((known) => known === kind)
  const denied = DENIED_KINDS.find((known) => known === kind)
  if (action === 'disable' && disabled !== undefined) return { action, kind: disabled, id }
  if (action === 'deny' && denied !== undefined) return { action, kind: denied, id }
  return undefined
}

type Rest = Pick<Lever, 'at' | 'until' | 'by' | 'why'>

/** What is pulled is in the key: an entry that is damaged is obeyed, and denies whatever was issued whenever. */
function restOf(value: string): Rest {
  const { at, until, by, why } = objectOf(value)
  return {
    at: typeof at === 'number' ? at : Number.MAX_SAFE_INTEGER,
    until: typeof until === 'number' ? until : undefined,
    by: typeof by === 'string' ? by : '',
    why: typeof why === 'string' ? why : '',
  }
}

function eventOf(value: string): LeverEvent | undefined {
  const { id, at, lever } = objectOf(value)
  if (typeof id !== 'string' || typeof at !== 'number') return undefined
  const facts = factsOf(lever)
  return facts === undefined ? undefined : { id, at, lever: facts }
}

const DID: readonly LeverFacts['did'][] = ['disabled', 'denied', 'revoked', 'lifted']
const ACTIONS: readonly LeverFacts['action'][] = ['disable', 'deny', 'revoke']
const KINDS: readonly LeverFacts['kind'][] = ['client', 'connector', 'policy', 'token', 'key']

function factsOf(value: unknown): LeverFacts | undefined {
  const facts: Readonly<Record<string, unknown>> = Object(value)
  const did = DID.find((known) => known === facts['did'])
  const action = ACTIONS.find((known) => known === facts['action'])
  const kind = KINDS.find((known) => known === facts['kind'])
  const { id, by, why, until } = facts
  if (did === undefined || action === undefined || kind === undefined) return undefined
  if (typeof id !== 'string' || typeof by !== 'string' || typeof why !== 'string') return undefined
  return { did, action, kind, id, ...(typeof until === 'string' ? { until } : {}), by, why }
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text))
  } catch {
    // Damaged: every member is missing, which each reader decides about.
    return {}
  }
}
