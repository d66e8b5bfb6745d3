// WH-P1: who publishes. A version comes from the pipeline of its Module's repository, run for the tag of that version; or
// from somebody whom the policy names.
import { claimOf, isFromToken } from '#core/module/actor.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import type { Publisher } from '#core/module/module_policy.ts'
import { listed, quoted } from '#core/module/printable.ts'
import { foldSource, sourceOf } from '#core/module/source_of.ts'
import type { Finding } from '#core/module/verdict.ts'
import { globMatches } from '#core/policy/glob.ts'

/** Without a policy the repository itself publishes, and who else does is told, not stopped. */
const OWN_REPOSITORY: Publisher = { ids: [], refs: [] }

export function publisher(subject: ModuleCase): readonly Finding[] {
  const { change, versions } = subject
  if (isTrusted(subject)) return []
  const findings: Finding[] = versions.added.flatMap(({ index, plain }) => {
    const problem = publishingProblem(subject, plain)
    if (problem === undefined) return []
    const [why, wayOut] = problem
    const message = `version ${plain} may not be published by ${quoted(change.user.username)}: ${why}`
    return [
      { rule: 'WH-P1', kind: 'forbidden', path: `spec.versions[${index}]`, message, wayOut, version: plain },
    ]
  })
  return [...sourceTaken(subject), ...findings]
}

/** Named by the policy for this: what it applies was reviewed, or is its own work. */
function isTrusted({ change }: ModuleCase): boolean {
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
      return isListed
    case 'ci':
      return false
  }
}

/** Naming another repository as one's own is publishing with a step in between. */
function sourceTaken(subject: ModuleCase): readonly Finding[] {
  const { change } = subject
  if (change.old === undefined || change.new === undefined) return []
  const becomes = sourceOf(change.new)
  if (ownSource(subject) === becomes) return []
  const problem = publishingProblem(subject, undefined)
  if (problem === undefined) return []
  const [why, wayOut] = problem
  const message = `the repository of this Module may not be changed by ${quoted(change.user.username)}: ${why}`
  return [{ rule: 'WH-P1', kind: 'forbidden', path: 'spec.moduleConfig.repoUrl', message, wayOut }]
}

/** As it is stored: what the request itself writes proves nothing. */
function ownSource({ change }: ModuleCase): string | undefined {
  const module = change.old ?? change.new
  return module === undefined ? undefined : sourceOf(module)
}

type Problem = readonly [why: string, wayOut: string]

/** `plain`: `undefined` where no version is at stake, so any ref will do. */
function publishingProblem(subject: ModuleCase, plain: string | undefined): Problem | undefined {
  const { change, policy } = subject
  const source = claimOf(change.user, 'source')
  if (source === undefined) return nobody(policy !== undefined)
  if (!isFromToken(change.user)) {
    return [
      'what is said of the repository does not come from a token',
      'publish with the token of the pipeline, not by impersonation',
    ]
  }
  const publishers =
    policy === undefined || policy.publishers.length === 0 ? [OWN_REPOSITORY] : policy.publishers
  const ofSource = publishers.filter(
    (candidate) => sourceOfPublisher(subject, candidate) === foldSource(source),
  )
  if (ofSource.length === 0) return wrongSource(subject, publishers, source)
  const withId = ofSource.filter((candidate) => isIdRight(subject, candidate, foldSource(source)))
  if (withId.length === 0) return wrongId(subject, source)
  const isRefRight = plain === undefined || withId.some((candidate) => isRefOf(subject, candidate, plain))
  return isRefRight ? undefined : wrongRef(subject, withId, plain)
}

function nobody(hasPolicy: boolean): Problem {
  const why = 'nothing in its credentials names a repository'
  const wayOut = hasPolicy
    ? 'publish from the pipeline of the repository, or have the ModulePolicy list this identity'
    : 'publish from the pipeline of the repository, or write a ModulePolicy that lists this identity'
  return [why, wayOut]
}

function sourceOfPublisher(subject: ModuleCase, candidate: Publisher): string | undefined {
  return candidate.source === undefined ? ownSource(subject) : foldSource(candidate.source)
}

function wrongSource(subject: ModuleCase, publishers: readonly Publisher[], source: string): Problem {
  const expected = publishers.map(
    (candidate) =>
      sourceOfPublisher(subject, candidate) ?? 'a repository that the Module names (it names none)',
  )
  const may = listed(expected.map(quoted), 3)
  return [
    `its pipeline is of ${quoted(source)}, this Module is published by ${may}`,
    `run the pipeline of ${may}`,
  ]
}

/** A path that was given up can be registered by somebody else; its id cannot. */
function isIdRight({ change, ledger }: ModuleCase, candidate: Publisher, source: string): boolean {
  const id = claimOf(change.user, 'repository_id')
  if (candidate.ids.length > 0) return id !== undefined && candidate.ids.includes(id)
  const first = ledger.firstPublisher
  return first === undefined || first.source !== source || first.sourceId === id
}

function wrongId({ change, ledger }: ModuleCase, source: string): Problem {
  const id = quoted(claimOf(change.user, 'repository_id') ?? 'no id')
  const first =
    ledger.firstPublisher === undefined
      ? ''
      : `, the first publisher was ${quoted(ledger.firstPublisher.sourceId)}`
  const why = `the repository ${quoted(source)} has the id ${id}${first}`
  return [why, 'if the repository was moved on purpose, list its id under publishers in the ModulePolicy']
}

const DEFAULT_REFS = ['refs/tags/v{version}', 'refs/tags/{version}']

function refsOf(candidate: Publisher, plain: string): readonly string[] {
  const refs = candidate.refs.length > 0 ? candidate.refs : DEFAULT_REFS
  return refs.map((ref) => ref.replaceAll('{version}', plain))
}

function isRefOf({ change }: ModuleCase, candidate: Publisher, plain: string): boolean {
  const ref = claimOf(change.user, 'ref')
  return ref !== undefined && refsOf(candidate, plain).some((pattern) => globMatches(pattern, ref))
}

function wrongRef({ change }: ModuleCase, publishers: readonly Publisher[], plain: string): Problem {
  const refs = listed(publishers.flatMap((candidate) => refsOf(candidate, plain)).map(quoted), 3)
  const ref = claimOf(change.user, 'ref')
  const got = ref === undefined ? 'no ref' : quoted(ref)
  return [
    `its pipeline runs for ${got}, this version is published from ${refs}`,
    `run the pipeline for the tag of ${plain}`,
  ]
}
