// What the store keeps in a cluster, as objects: one StoreEntry for each key, under a name that follows from the key, and one
// ClaimSet for each claim of several keys that is under way. Pure: who asks for them is kube_objects.ts.
import { createHash } from 'node:crypto'
import { isJsonObject } from '#core/claims.ts'
import type { JsonObject, JsonValue } from '#core/claims.ts'

export const STORE_GROUP = 'sallyport.dev'
export const STORE_API = `${STORE_GROUP}/v1alpha1`

export type StoreResource = 'storeentries' | 'claimsets'

/** Seconds since the epoch after which nothing in the object counts; a number, so that a selector can compare it. */
export const EXPIRES_LABEL = 'sallyport.dev/expires'
/** The key up to its first slash, for lists of one owner. */
const OWNER_LABEL = 'sallyport.dev/owner'
/** Of keys that begin otherwise than ours do. */
const OTHER_OWNERS = 'other'

/** Which state of which object a write is about: another state, or another object of that name, is left alone. */
export type ObjectVersion = { readonly name: string; readonly uid: string; readonly resourceVersion: string }

/** `expiresAt`: milliseconds since the epoch; `undefined`: it stays. */
export type HeldValue = { readonly value: string; readonly expiresAt: number | undefined }

/** What an entry becomes if the claim of several keys that it is a part of is taken. */
type Intent = HeldValue & { readonly set: string }

export type KubeEntry = {
  readonly version: ObjectVersion
  readonly key: string
  /** `undefined`: there is an intent and nothing else yet. */
  readonly held: HeldValue | undefined
  readonly intent: Intent | undefined
  /** Drawn anew for each change: whoever lost the answer to a write finds out whether it was made. */
  readonly writer: string
}

export type SetDecision = 'open' | 'taken' | 'dropped'
export type ClaimSet = { readonly version: ObjectVersion; readonly decision: SetDecision }

/** What is written of an entry. */
export type EntryContent = Pick<KubeEntry, 'held' | 'intent' | 'writer'>

/** The same key has the same name everywhere, so whoever comes second finds it taken. */
export function entryName(key: string): string {
  return `e-${createHash('sha256').update(key).digest('hex')}`
}

/** `version`: what it replaces; `undefined`: it is new. */
export function entryObject(key: string, content: EntryContent, version?: ObjectVersion): JsonObject {
  const { held, intent, writer } = content
  const name = entryName(key)
  const values = [held, intent].filter((one) => one !== undefined)
  return {
    apiVersion: STORE_API,
    kind: 'StoreEntry',
    metadata: { name, ...replacing(version), labels: { [OWNER_LABEL]: ownerOf(key), ...expiry(values) } },
    spec: {
      key,
      writer,
      ...(held === undefined ? {} : valueFields(held)),
      ...(intent === undefined ? {} : { intent: { set: intent.set, ...valueFields(intent) } }),
    },
  }
}

/** `undefined`: it is no entry, or one under a name that is not its key's, which somebody else has made. */
export function readEntry(object: JsonObject): KubeEntry | undefined {
  const spec = object['spec']
  const version = versionOf(object)
  if (!isJsonObject(spec) || version === undefined) return undefined
  const { key, writer, intent } = spec
  if (typeof key !== 'string' || version.name !== entryName(key)) return undefined
  const wanted = isJsonObject(intent) ? readValue(intent) : undefined
  const set = isJsonObject(intent) ? textOf(intent['set']) : ''
  return {
    version,
    key,
    held: readValue(spec),
    intent: wanted === undefined ? undefined : { ...wanted, set },
    writer: textOf(writer),
  }
}

/** `expiresAt`: when the last of its claims is over; `undefined`: never. */
export function setObject(
  name: string,
  decision: SetDecision,
  expiresAt: number | undefined,
  version?: ObjectVersion,
): JsonObject {
  return {
    apiVersion: STORE_API,
    kind: 'ClaimSet',
    metadata: { name, ...replacing(version), labels: expiry([{ expiresAt }]) },
    spec: { decision },
  }
}

export function readSet(object: JsonObject): ClaimSet | undefined {
  const spec = object['spec']
  const version = versionOf(object)
  const decision = isJsonObject(spec) ? spec['decision'] : undefined
  if (version === undefined) return undefined
  return decision === 'open' || decision === 'taken' || decision === 'dropped'
    ? { version, decision }
    : undefined
}

export function versionOf(object: JsonObject): ObjectVersion | undefined {
  const { metadata } = object
  if (!isJsonObject(metadata)) return undefined
  const { name, uid, resourceVersion } = metadata
  if (typeof name !== 'string' || typeof uid !== 'string' || typeof resourceVersion !== 'string')
    return undefined
  return { name, uid, resourceVersion }
}

/** For a list of keys that begin so; `undefined`: all of them have to be looked at. */
export function ownerSelector(prefix: string): string | undefined {
  return prefix.includes('/') ? `${OWNER_LABEL}=${ownerOf(prefix)}` : undefined
}

export function isLiving(held: HeldValue | undefined, now: number): held is HeldValue {
  return held !== undefined && (held.expiresAt === undefined || held.expiresAt > now)
}

/** The later of two ends; `undefined`: one of them has none. */
export function laterEnd(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : Math.max(one, other)
}

function ownerOf(key: string): string {
  const [owner = '', ...rest] = key.split('/')
  return rest.length > 0 && /^[a-z0-9]{1,63}$/.test(owner) ? owner : OTHER_OWNERS
}

function expiry(values: readonly { readonly expiresAt: number | undefined }[]): JsonObject {
  const last = values.map(({ expiresAt }) => expiresAt).reduce(laterEnd, 0)
  return last === undefined ? {} : { [EXPIRES_LABEL]: String(Math.max(0, Math.ceil(last / 1000))) }
}

function replacing(version: ObjectVersion | undefined): JsonObject {
  return version === undefined ? {} : { uid: version.uid, resourceVersion: version.resourceVersion }
}

function valueFields({ value, expiresAt }: HeldValue): JsonObject {
  return { value, ...(expiresAt === undefined ? {} : { expiresAt }) }
}

function readValue({ value, expiresAt }: JsonObject): HeldValue | undefined {
  if (typeof value !== 'string') return undefined
  return { value, expiresAt: typeof expiresAt === 'number' ? expiresAt : undefined }
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}
