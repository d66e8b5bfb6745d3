// One entry of the ledger as the custom resource PublishedVersion (deploy/crds/sallyport/publishedversions.yaml) and back.
import type { JsonObject } from '#core/claims.ts'
import { secondsOfTime, timeOfSeconds } from '#core/date_time.ts'
import { publishedVersionName } from './ledger.ts'
import type { LedgerEntry, ModuleKey, PublishedFacts, PublishedState } from './ledger.ts'
import { MOST_MOVES } from './moved.ts'
import type { Move } from './moved.ts'
import { deny, ok, reading } from './reading.ts'
import type { FieldReader, Reading } from './reading.ts'
import { readVersionIdentity } from './version_identity.ts'

const PUBLISHED_VERSION_API = 'sallyport.dev/v1alpha1'

/** The object that says it. Times have whole seconds. */
export function publishedVersionOf({ module, version, facts }: LedgerEntry): JsonObject {
  return {
    apiVersion: PUBLISHED_VERSION_API,
    kind: 'PublishedVersion',
    metadata: { name: publishedVersionName(module, version) },
    spec: { module, version, ...factFields(facts) },
  }
}

/** Refuses what is not under its own name: whoever made it meant something else, and two could say two things. */
export function readPublishedEntry(value: unknown): Reading<LedgerEntry> {
  const read = reading(value, (root) => {
    const spec = root.mapping('spec')
    const name = root.mapping('metadata').text('name')
    return { name, entry: readEntry(readKey(spec.mapping('module')), spec) }
  })
  if (!read.ok) return read
  const { name, entry } = read.value
  if (!entry.ok) return entry
  const own = publishedVersionName(entry.value.module, entry.value.version)
  return name === own ? entry : deny(`it is called ${name} and must be called ${own}`)
}

/** Without absent ones, times as texts. Also the fields of a line of `sallyport ledger export`. */
export function factFields(facts: PublishedFacts): JsonObject {
  const { state, immutable, source, publisher, sourceId, commit, digest, by, removedBy, reason } = facts
  const texts = { source, publisher, sourceId, commit, digest, by, at: timeText(facts.atSeconds) }
  const gone = { removedBy, removedAt: timeText(facts.removedAtSeconds), reason }
  const present = Object.entries({ ...texts, ...gone }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  const moved = facts.moved === undefined ? {} : { moved: facts.moved.map(moveFields) }
  return { state, immutable, ...Object.fromEntries(present), ...moved }
}

function moveFields({ revision, atSeconds, by, reason, settings, source, storage }: Move): JsonObject {
  const told = Object.entries({ by, reason, source, storage }).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  return { revision, at: timeOfSeconds(atSeconds), settings: [...settings], ...Object.fromEntries(told) }
}

function timeText(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : timeOfSeconds(seconds)
}

/** Key and facts from the fields of a spec, or of a line: in both they are the same. */
export function readEntry(module: Reading<ModuleKey>, fields: FieldReader): Reading<LedgerEntry> {
  if (!module.ok) return module
  const version = readVersionIdentity(fields.text('version'))
  if (!version.ok) return deny(`version: ${version.denial}`)
  const facts = readFacts(fields)
  return facts.ok ? ok({ module: module.value, version: version.value.plain, facts: facts.value }) : facts
}

export function readKey(fields: FieldReader): Reading<ModuleKey> {
  const kind = fields.text('kind')
  const namespace = fields.text('namespace')
  const name = fields.text('name')
  if (kind !== '' && kind !== 'Module' && kind !== 'Provider')
    return deny('kind is neither Module nor Provider')
  if (namespace === '' || name === '') return deny('namespace or name is missing')
  if (`${namespace}${name}`.includes('/')) return deny('namespace or name has a slash')
  return ok({ kind: kind === '' ? 'Module' : kind, namespace, name })
}

const STATES: readonly PublishedState[] = ['present', 'pruned', 'unpublished']
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
const DIGEST = /^sha256:[0-9a-f]{64}$/

function readFacts(fields: FieldReader): Reading<PublishedFacts> {
  const state = STATES.find((one) => one === fields.text('state'))
  if (state === undefined) return deny('state is none of present, pruned and unpublished')
  const texts = ['source', 'publisher', 'sourceId', 'commit', 'digest', 'by', 'removedBy', 'reason'] as const
  const told = texts.map((name) => [name, fields.text(name)] as const).filter(([, text]) => text !== '')
  const { commit, digest, ...rest }: Partial<Record<(typeof texts)[number], string>> =
    Object.fromEntries(told)
  if (commit !== undefined && !COMMIT.test(commit)) return deny('commit is no whole commit id')
  if (digest !== undefined && !DIGEST.test(digest)) return deny('digest is no sha256:<64 hex digits>')
  const atSeconds = readTime(fields, 'at')
  const removedAtSeconds = readTime(fields, 'removedAt')
  if (!atSeconds.ok) return atSeconds
  if (!removedAtSeconds.ok) return removedAtSeconds
  const moved = readMoves(fields)
  if (!moved.ok) return moved
  return ok({
    state,
    immutable: fields.flag('immutable'),
    ...rest,
    ...(commit === undefined ? {} : { commit }),
    ...(digest === undefined ? {} : { digest }),
    ...(atSeconds.value === undefined ? {} : { atSeconds: atSeconds.value }),
    ...(removedAtSeconds.value === undefined ? {} : { removedAtSeconds: removedAtSeconds.value }),
    ...(moved.value.length === 0 ? {} : { moved: moved.value }),
  })
}

function readMoves(fields: FieldReader): Reading<readonly Move[]> {
  const moves: Move[] = []
  for (const move of fields.mappings('moved')) {
    const revision = move.text('revision')
    const at = readTime(move, 'at')
    if (!at.ok) return deny(`moved: ${at.denial}`)
    if (revision === '' || at.value === undefined) return deny('moved: revision or at is missing')
    const told = (['by', 'reason', 'source', 'storage'] as const)
      .map((name) => [name, move.text(name)] as const)
      .filter(([, text]) => text !== '')
    const settings = move.textList('settings')
    moves.push({ revision, atSeconds: at.value, settings, ...Object.fromEntries(told) })
  }
  return moves.length > MOST_MOVES ? deny(`moved has more than ${MOST_MOVES}`) : ok(moves)
}

function readTime(fields: FieldReader, name: string): Reading<number | undefined> {
  const text = fields.text(name)
  if (text === '') return ok(undefined)
  const seconds = secondsOfTime(text)
  return seconds === undefined ? deny(`${name} is no time like 2027-01-31T00:00:00Z`) : ok(seconds)
}
