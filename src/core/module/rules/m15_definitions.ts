// WH-M15: what defines Modules, Versions and the ledger stays. A deleted definition takes every object with it without one review
// of them, and one that knows fewer fields drops those of every object that is written next.
import type { DefinitionChange } from '#core/module/change.ts'
import { GUARDED_DEFINITIONS } from '#core/module/guarded_definitions.ts'
import type { DefinitionObject, DefinitionVersion } from '#core/module/guarded_object.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { listed, quoted } from '#core/module/printable.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { Finding } from '#core/module/verdict.ts'
import { ownField } from '#core/own_field.ts'

const GUARDED: ReadonlySet<string> = new Set(GUARDED_DEFINITIONS)

const VERSION = 'v1alpha1'

export function guardedDefinition(change: DefinitionChange, facts: LedgerFacts): readonly Finding[] {
  const { old: before, new: after } = change
  if (before === undefined || before.meta.isTerminating || !GUARDED.has(change.name)) return []
  const count = facts.publishedInCluster
  if (count === 0) return []
  const depends = count === 1 ? '1 published version depends' : `${count} published versions depend`
  if (after === undefined) {
    const message = `with this definition every object of it would be deleted, and ${depends} on them`
    const wayOut = 'keep the definition; to leave Sallyport, delete its ValidatingWebhookConfiguration first'
    return [{ rule: 'WH-M15', kind: 'forbidden', path: '', message, wayOut }]
  }
  const lost = whatIsLost(before, after)
  if (lost === undefined) return []
  const message = `this definition would no longer ${lost}, and ${depends} on its objects`
  const wayOut = 'apply a definition that knows all that this one knows'
  return [{ rule: 'WH-M15', kind: 'forbidden', path: 'spec.versions', message, wayOut }]
}

/** `undefined` when everything that could be written and read still can. */
function whatIsLost(before: DefinitionObject, after: DefinitionObject): string | undefined {
  const was = servedSchema(before)
  if (was === undefined) return undefined
  const becomes = servedSchema(after)
  if (becomes === undefined) return `serve ${VERSION}`
  // Status would be written with the rest, which no rule about status sees.
  if (was.hasStatus && !becomes.hasStatus) return 'keep status apart (subresources)'
  if (after.converter !== undefined && after.converter !== before.converter)
    return before.converter === undefined
      ? 'store what is written (conversion)'
      : `be converted by ${quoted(before.converter)}`
  const fields = lostFields(was.schema, becomes.schema, '')
  if (fields.length > 0) return `know ${listed(fields.map(quoted), 3)}`
  const lists = unmergedLists(was.schema, becomes.schema, '')
  return lists.length === 0
    ? undefined
    : `keep entries apart in ${listed(lists.map(quoted), 3)} (x-kubernetes-list-type)`
}

function servedSchema({
  versions,
}: DefinitionObject): Pick<DefinitionVersion, 'hasStatus' | 'schema'> | undefined {
  const version = versions.find(({ name, served }) => name === VERSION && served)
  if (version === undefined) return undefined
  return { hasStatus: version.hasStatus, schema: fieldOf(version.schema, 'openAPIV3Schema') }
}

/** Enough to say what is wrong; a schema has thousands. */
const MAX_LOST = 8

/** Paths of fields that the first schema has and the second does not, or has with another type. */
function lostFields(was: unknown, becomes: unknown, path: string): readonly string[] {
  if (was === undefined || fieldOf(becomes, 'x-kubernetes-preserve-unknown-fields') === true) return []
  if (becomes === undefined || isOtherType(was, becomes)) return [path === '' ? 'its schema' : path]
  const nested = nestedSchemas(was, becomes, path)
  return nested.flatMap(([old, next, where]) => lostFields(old, next, where)).slice(0, MAX_LOST)
}

/** As OpenDepot's own definitions have it: an upgrade of theirs goes on, and what an applier then leaves out WH-V1 holds. */
const PLAIN_IN_OPENDEPOT = 'spec.versions'

/** Paths of lists whose entries were told apart by their keys, and are not any more, or by others. */
function unmergedLists(was: unknown, becomes: unknown, path: string): readonly string[] {
  if (was === undefined || becomes === undefined) return []
  const isLost = path !== PLAIN_IN_OPENDEPOT && !isSameMerge(was, becomes)
  const nested = nestedSchemas(was, becomes, path)
  const inner = nested.flatMap(([old, next, where]) => unmergedLists(old, next, where))
  return [...(isLost ? [path] : []), ...inner].slice(0, MAX_LOST)
}

const ATOMIC = 'atomic'

function isSameMerge(was: unknown, becomes: unknown): boolean {
  const type = fieldOf(was, 'x-kubernetes-list-type') ?? ATOMIC
  return (
    type === ATOMIC ||
    (type === fieldOf(becomes, 'x-kubernetes-list-type') &&
      isSameValue(fieldOf(was, 'x-kubernetes-list-map-keys'), fieldOf(becomes, 'x-kubernetes-list-map-keys')))
  )
}

type Pair = readonly [was: unknown, becomes: unknown, path: string]

function nestedSchemas(was: unknown, becomes: unknown, path: string): readonly Pair[] {
  const properties = fieldOf(was, 'properties')
  const names = typeof properties === 'object' && properties !== null ? Object.keys(properties) : []
  const pairs = names.map((name): Pair => [
    fieldOf(properties, name),
    fieldOf(fieldOf(becomes, 'properties'), name),
    path === '' ? name : `${path}.${name}`,
  ])
  for (const [key, suffix] of [
    ['items', '[]'],
    ['additionalProperties', '.*'],
  ] as const) {
    const inner = fieldOf(was, key)
    if (inner !== undefined) pairs.push([inner, fieldOf(becomes, key), `${path}${suffix}`])
  }
  return pairs
}

function isOtherType(was: unknown, becomes: unknown): boolean {
  const type = fieldOf(was, 'type')
  return type !== undefined && type !== fieldOf(becomes, 'type')
}

function fieldOf(value: unknown, key: string): unknown {
  return ownField(value, key) ?? undefined
}
