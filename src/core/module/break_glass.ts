// Breaking the glass: an annotation that says what and why, and the verb for it. Neither alone is enough, so that a role
// with every verb does nothing by accident and an annotation in git does nothing by itself.
import type {
  BreakGlassVerb,
  ModuleChange,
  ModuleSubject,
  ProviderChange,
  ProviderSubject,
} from './change.ts'
import { quoted } from './printable.ts'
import type { Finding } from './verdict.ts'
import { readVersionIdentity } from './version_identity.ts'

type Subject = ModuleSubject | ProviderSubject

/** `1.2.0, 1.2.1: leaked a key in its examples`; `*: <reason>` is what deleting a Module needs, and good for nothing else. */
export const UNPUBLISH_ANNOTATION = 'sallyport.dev/unpublish'
/** `the bucket moved to eu-west-1`; in the request that moves, so that one from last year moves nothing. */
export const MIGRATE_ANNOTATION = 'sallyport.dev/migrate'

/** What of a change, or of a commit, has the annotations. */
type Annotated = Pick<ModuleSubject | ProviderSubject, 'operation' | 'old' | 'new'>

type UnpublishRequest = { readonly versions: ReadonlySet<string>; readonly reason: string }

/** Read once of a change: it is asked about each of its versions, and may name thousands itself. */
const requests = new WeakMap<Annotated, { readonly request: UnpublishRequest | undefined }>()

/** What the annotation asks for, whoever asks; `undefined` without one that has both parts. */
function unpublishRequest(change: Annotated): UnpublishRequest | undefined {
  const text = annotationOf(change, UNPUBLISH_ANNOTATION)
  // Nearly always.
  if (text === '') return undefined
  const known = requests.get(change)
  if (known !== undefined) return known.request
  const request = readUnpublishRequest(text)
  requests.set(change, { request })
  return request
}

function readUnpublishRequest(text: string): UnpublishRequest | undefined {
  const colon = text.indexOf(':')
  const reason = text.slice(colon + 1).trim()
  if (colon < 1 || reason === '') return undefined
  const names = text.slice(0, colon).split(',')
  return { versions: new Set(names.map(plainName).filter((name) => name !== '')), reason }
}

/** `v1.2.0` names 1.2.0. What is listed and is no version is named as it stands. */
function plainName(name: string): string {
  const identity = readVersionIdentity(name.trim())
  return identity.ok ? identity.value.plain : name.trim()
}

/** Why it moves, as its annotation says it, whoever wrote that. */
export function statedMigration(change: Annotated): string | undefined {
  const text = annotationOf(change, MIGRATE_ANNOTATION)
  if (text === change.old?.meta.annotations.get(MIGRATE_ANNOTATION)) return undefined
  const reason = text.trim()
  return reason === '' ? undefined : reason
}

/** The verbs whose SubjectAccessReview this change waits for: none, nearly always. */
export function verbsAskedFor(change: Subject): readonly BreakGlassVerb[] {
  const verbs: BreakGlassVerb[] = []
  if (unpublishRequest(change) !== undefined && isAnyEntryGone(change)) verbs.push('unpublish')
  if (statedMigration(change) !== undefined) verbs.push('migrate')
  return verbs
}

/** An annotation that was left behind asks for nothing, whoever writes the object next. */
function isAnyEntryGone({ old: before, new: after }: Subject): boolean {
  const kept = new Set(after?.versions.map(({ version }) => version))
  return before?.versions.some(({ version }) => !kept.has(version)) === true || after === undefined
}

/** Why this version may go after all, or `undefined`. */
export function unpublishReason(change: ModuleChange | ProviderChange, plain: string): string | undefined {
  return change.mayDo.has('unpublish') ? statedReason(change, plain) : undefined
}

/** Why this version goes, as its annotation says it, whoever wrote that. */
export function statedReason(change: Annotated, plain: string): string | undefined {
  const request = unpublishRequest(change)
  if (request === undefined) return undefined
  // Left behind, `*` would be a standing leave to remove anything.
  const isNamed = request.versions.has(plain) || (change.operation === 'DELETE' && request.versions.has('*'))
  return isNamed ? request.reason : undefined
}

/** The half that is missing where the annotation is there: a beginning for the way out, '' where there is nothing to add. */
export function missingVerbText(change: ModuleChange | ProviderChange, plain: string): string {
  const isAsked = change.user.kind !== 'unknown' && statedReason(change, plain) !== undefined
  if (!isAsked || change.mayDo.has('unpublish')) return ''
  return `the annotation is there, and ${quoted(change.user.username)} lacks the verb unpublish; `
}

export function migrateReason(change: ModuleChange | ProviderChange): string | undefined {
  return change.mayDo.has('migrate') ? statedMigration(change) : undefined
}

/** What a finding says of itself that is only a notice because of this. */
export function brokenBy(
  verb: BreakGlassVerb,
  reason: string | undefined,
  covers: readonly string[],
): Pick<Finding, 'broken'> {
  return reason === undefined ? {} : { broken: { verb, covers, reason } }
}

/** As the object will be; of one that goes away, as it is. */
function annotationOf(change: Pick<Annotated, 'old' | 'new'>, name: string): string {
  return (change.new ?? change.old)?.meta.annotations.get(name) ?? ''
}
