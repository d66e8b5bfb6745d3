// WH-P1: who publishes. A version comes from the pipeline of its Module's repository, run for the tag of that version; or
// from somebody whom the policy names.
import { claimOf, isFromToken, isNamespaceController } from '#core/module/actor.ts'
import { unpublishReason } from '#core/module/break_glass.ts'
import {
  configPath,
  isAnythingPublished,
  isAnyVersionHeld,
  isVersionHeld,
  kindName,
} from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { Publisher } from '#core/module/module_policy.ts'
import { PINS_ANNOTATION, readPins } from '#core/module/pins.ts'
import { listed, quoted } from '#core/module/printable.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import { exceptionFor, modeOf } from '#core/module/rule_mode.ts'
import type { Ruled } from '#core/module/rule_mode.ts'
import { foldSource, sourceOf } from '#core/module/source_of.ts'
import type { Finding } from '#core/module/verdict.ts'
import { globMatches } from '#core/policy/glob.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'
import type { Denied, Result } from '#core/result.ts'
import { storageText } from './m6_storage_moved.ts'
import { publishedVersions } from './m12_deleted.ts'

/** Without a policy the repository itself publishes, and who else does is told, not stopped. */
const OWN_REPOSITORY: Publisher = { ids: [], refs: [] }

export function publisher(subject: ListCase): readonly Finding[] {
  if (isTrusted(subject)) return []
  const { added } = subject.versions
  const touched = meddling(subject)
  if (added.length + touched.length === 0) return []
  // Once for all of them: of thousands, who asks is the same.
  const publishers = publishersOf(subject)
  const whom = quoted(subject.change.user.username)
  const meddled = refused(touched, problemOf(subject, publishers, undefined), whom)
  const published = added.flatMap(({ index, plain }) => {
    const what = `version ${plain} may not be published`
    const about = { path: `spec.versions[${index}]`, what, version: plain }
    return refused([about], problemOf(subject, publishers, plain), whom)
  })
  return [...meddled, ...published]
}

type About = { readonly path: string; readonly what: string; readonly version?: string }

/** @param whom as messages have it */
function refused(touched: readonly About[], problem: Problem | undefined, whom: string): readonly Finding[] {
  if (problem === undefined) return []
  const [why, wayOut] = problem
  return touched.map(({ what, ...about }) => {
    const message = `${what} by ${whom}: ${why}`
    return { rule: 'WH-P1', kind: 'forbidden', message, wayOut, ...about }
  })
}

/** Named by the policy for this: what it applies was reviewed, or is its own work. */
function isTrusted({ change }: ListCase): boolean {
  const { kind, isListed } = change.user
  switch (kind) {
    case 'controller':
    case 'gitops':
    // Whoever applies what is reviewed is judged when he does.
    case 'unknown':
      return true
    case 'importer':
      return change.operation === 'CREATE'
    case 'human':
      // Not the garbage collector: whoever may write an object's owners, which is no publishing, would delete by it.
      return isListed || isNamespaceController(change.user)
    case 'ci':
      return false
  }
}

/** Taking away what others published, and writing what decides where it comes from, is for whoever may publish. */
function meddling(subject: ListCase): readonly About[] {
  // Without a policy what OpenDepot lets anybody do is not worth more than what WH-V1 and the like tell of it.
  const taken = subject.policy === undefined ? [] : [...versionsTaken(subject), ...settingsTaken(subject)]
  return [...sourceTaken(subject), ...taken]
}

/** Naming another repository as one's own is publishing with a step in between. */
function sourceTaken(subject: ListCase): readonly About[] {
  const { change } = subject
  if (change.resource !== 'modules' || change.old === undefined || change.new === undefined) return []
  if (ownSource(subject) === sourceOf(change.new)) return []
  return [{ path: 'spec.moduleConfig.repoUrl', what: 'the repository of this Module may not be changed' }]
}

/** What never changes is refused to everybody, by WH-V1 and WH-M12, as long as those refuse anything. */
function versionsTaken(subject: ListCase): readonly About[] {
  const { change, versions } = subject
  const isFree = (plain: string, isRefused: boolean): boolean =>
    !(isRefused && isVersionHeld(subject, plain)) && unpublishReason(change, plain) === undefined
  if (change.operation === 'DELETE') {
    if (change.old?.meta.isTerminating === true) return []
    const isRefused = doesRefuse(subject, { rule: 'WH-M12' })
    const isAnyFree = publishedVersions(subject).some((plain) => isFree(plain, isRefused))
    return isAnyFree ? [{ path: '', what: `this ${kindName(change)} may not be deleted` }] : []
  }
  const isRemovalRefused = (version: string): boolean =>
    doesRefuse(subject, { rule: 'WH-V1', version }) && doesRefuse(subject, { rule: 'WH-V3', version })
  return versions.removed
    .filter(({ plain }) => isFree(plain, isRemovalRefused(plain)))
    .map(({ plain }) => ({
      path: 'spec.versions',
      what: `version ${readVersionIdentity(plain).ok ? plain : quoted(plain)} may not be taken away`,
      version: plain,
    }))
}

/** An exception from a rule, or its mode, is no leave for everybody who may write Modules: who may publish is said elsewhere. */
function doesRefuse({ change, policy, ledger }: ListCase, ruled: Ruled): boolean {
  return modeOf(ruled.rule, policy) === 'enforce' && exceptionFor(ruled, change, policy, ledger) === undefined
}

/**
 * The same of what is configured: on what never changes, WH-M2, WH-M6 and WH-V12 refuse it to everybody, as soon as anything was
 * published.
 */
function settingsTaken(subject: ListCase): readonly About[] {
  const { change } = subject
  if (change.operation !== 'UPDATE') return []
  const isGuarded = isAnyVersionHeld(subject) && isAnythingPublished(subject)
  const fields = changedSettings(change).filter((field) => {
    const rule = GUARDS.get(field)
    return rule === undefined || !isGuarded || !doesRefuse(subject, { rule })
  })
  const settings = fields.map((field) => ({
    path: `${configPath(change)}.${field}`,
    what: `${field} of this ${kindName(change)} may not be changed`,
  }))
  if (!arePinsTouched(subject)) return settings
  const what = `the pins of this ${kindName(change)} may not be changed`
  return [...settings, { path: `metadata.annotations["${PINS_ANNOTATION}"]`, what }]
}

/** Of versions that are there already; what never changes keeps a pin that it has, by WH-P2. */
function arePinsTouched({ change, versions }: ListCase): boolean {
  if (pinsText(change.old) === pinsText(change.new)) return false
  const before = readPins(change.old)
  const after = readPins(change.new)
  if (!before.ok || !after.ok) return false
  const pinned = [...before.value.keys(), ...after.value.keys()]
  const moved = pinned.filter((plain) => before.value.get(plain) !== after.value.get(plain))
  // Nearly always all that moves is the pin of what is added, and the rest of the list is not asked.
  const added = new Set(versions.added.map(({ plain }) => plain))
  return moved.some((plain) => !added.has(plain) && versions.before.has(plain))
}

function pinsText(body: ListCase['change']['old']): string | undefined {
  return body?.meta.annotations.get(PINS_ANNOTATION)
}

/** What other rules refuse; no rule refuses `immutable` or platforms where they are added. */
export const GUARDS: ReadonlyMap<string, RuleId> = new Map([
  ['storageConfig', 'WH-M6'],
  ['versionHistoryLimit', 'WH-V12'],
  ['fileFormat', 'WH-M2'],
  ['provider', 'WH-M2'],
  ['repoOwner', 'WH-M2'],
  ['namespace', 'WH-M2'],
])

/** Neither what the source already says nor credentials, which change no content. */
function changedSettings({ old: before, new: after }: ListCase['change']): readonly string[] {
  if (before === undefined || after === undefined) return []
  const fields: string[] = []
  if (before.config.versionHistoryLimit !== after.config.versionHistoryLimit)
    fields.push('versionHistoryLimit')
  if (storageText(before.config.storage) !== storageText(after.config.storage)) fields.push('storageConfig')
  if (before.kind === 'Provider' && after.kind === 'Provider') {
    const names = ['namespace', 'operatingSystems', 'architectures'] as const
    return [...fields, ...names.filter((name) => !isSameValue(before.config[name], after.config[name]))]
  }
  if (before.kind !== 'Module' || after.kind !== 'Module') return fields
  if (before.config.immutable !== after.config.immutable) fields.push('immutable')
  if (before.config.fileFormat !== after.config.fileFormat) fields.push('fileFormat')
  if (before.config.provider !== after.config.provider) fields.push('provider')
  // OpenDepot fetches from this owner, whatever the address says.
  if (before.config.repoOwner !== after.config.repoOwner && sourceOf(before) === sourceOf(after))
    fields.push('repoOwner')
  return fields
}

/** As it is stored: what the request itself writes proves nothing. */
function ownSource({ change }: ListCase): string | undefined {
  if (change.resource !== 'modules') return undefined
  const module = change.old ?? change.new
  return module === undefined ? undefined : sourceOf(module)
}

type Problem = readonly [why: string, wayOut: string]

/** Those of the policy that who asks is, for one ref or another; the denial is why it is none. */
function publishersOf(subject: ListCase): Result<readonly Publisher[], Problem> {
  const { change, policy } = subject
  const source = claimOf(change.user, 'source')
  if (source === undefined) return denied(nobody(policy !== undefined))
  if (!isFromToken(change.user)) {
    return denied([
      'what is said of the repository does not come from a token',
      'publish with the token of the pipeline, not by impersonation',
    ])
  }
  const publishers =
    policy === undefined || policy.publishers.length === 0 ? [OWN_REPOSITORY] : policy.publishers
  const ofSource = publishers.filter(
    (candidate) => sourceOfPublisher(subject, candidate) === foldSource(source),
  )
  if (ofSource.length === 0) return denied(wrongSource(subject, publishers, source))
  const firstId = firstIdOf(subject, foldSource(source))
  const withId = ofSource.filter((candidate) => isIdRight(subject, candidate, firstId))
  return withId.length === 0 ? denied(wrongId(subject, source, firstId)) : { ok: true, value: withId }
}

function denied(problem: Problem): Denied<Problem> {
  return { ok: false, denial: problem }
}

/** `plain`: `undefined` where no version is at stake; any ref that publishes one will do. */
function problemOf(
  subject: ListCase,
  publishers: Result<readonly Publisher[], Problem>,
  plain: string | undefined,
): Problem | undefined {
  if (!publishers.ok) return publishers.denial
  const isRefRight = publishers.value.some((candidate) => isRefOf(subject, candidate, plain))
  return isRefRight ? undefined : wrongRef(subject, publishers.value, plain)
}

function nobody(hasPolicy: boolean): Problem {
  const why = 'nothing in its credentials names a repository'
  const wayOut = hasPolicy
    ? 'publish from the pipeline of the repository, or have the ModulePolicy list this identity'
    : 'publish from the pipeline of the repository, or write a ModulePolicy that lists this identity'
  return [why, wayOut]
}

function sourceOfPublisher(subject: ListCase, candidate: Publisher): string | undefined {
  return candidate.source === undefined ? ownSource(subject) : foldSource(candidate.source)
}

function wrongSource(subject: ListCase, publishers: readonly Publisher[], source: string): Problem {
  const kind = kindName(subject.change)
  const expected = publishers.map(
    (candidate) =>
      sourceOfPublisher(subject, candidate) ?? `a repository that the ${kind} names (it names none)`,
  )
  const may = listed(expected, 3, quoted)
  return [
    `its pipeline is of ${quoted(source)}, this ${kind} is published by ${may}`,
    `run the pipeline of ${may}`,
  ]
}

/** A path that was given up can be registered by somebody else; its id cannot. */
function isIdRight({ change }: ListCase, candidate: Publisher, firstId: string | undefined): boolean {
  const id = claimOf(change.user, 'repository_id')
  if (candidate.ids.length > 0) return id !== undefined && candidate.ids.includes(id)
  return firstId === undefined || firstId === id
}

/** The id that a repository had when it first published here. */
function firstIdOf({ ledger }: ListCase, source: string): string | undefined {
  if (ledger.firstPublisher?.source === source) return ledger.firstPublisher.sourceId
  let first: string | undefined
  let firstAt = Infinity
  for (const { sourceId, publisher: other, source: own, atSeconds = Infinity } of ledger.published.values()) {
    if (sourceId === undefined || (other ?? own) !== source) continue
    if (first !== undefined && atSeconds >= firstAt) continue
    first = sourceId
    firstAt = atSeconds
  }
  return first
}

function wrongId({ change }: ListCase, source: string, firstId: string | undefined): Problem {
  const id = quoted(claimOf(change.user, 'repository_id') ?? 'no id')
  const first = firstId === undefined ? '' : `, the first publisher was ${quoted(firstId)}`
  const why = `the repository ${quoted(source)} has the id ${id}${first}`
  return [why, 'if the repository was moved on purpose, list its id under publishers in the ModulePolicy']
}

const DEFAULT_REFS = ['refs/tags/v{version}', 'refs/tags/{version}']

function refsOf(candidate: Publisher, plain: string | undefined): readonly string[] {
  const refs = candidate.refs.length > 0 ? candidate.refs : DEFAULT_REFS
  return refs.map((ref) => ref.replaceAll('{version}', plain ?? '*'))
}

function isRefOf({ change }: ListCase, candidate: Publisher, plain: string | undefined): boolean {
  const ref = claimOf(change.user, 'ref')
  return ref !== undefined && refsOf(candidate, plain).some((pattern) => globMatches(pattern, ref))
}

function wrongRef(
  { change }: ListCase,
  publishers: readonly Publisher[],
  plain: string | undefined,
): Problem {
  const refs = listed(
    publishers.flatMap((candidate) => refsOf(candidate, plain)),
    3,
    quoted,
  )
  const ref = claimOf(change.user, 'ref')
  const got = ref === undefined ? 'no ref' : quoted(ref)
  const what = plain === undefined ? 'its versions are' : 'this version is'
  return [
    `its pipeline runs for ${got}, ${what} published from ${refs}`,
    `run the pipeline for the tag of ${plain ?? 'a version'}`,
  ]
}
