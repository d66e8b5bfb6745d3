// ARGO-19, 21: what a change of an Application, or of where files stand, means for what it applied before.
import { listed, quoted, withoutLogin } from '#core/module/printable.ts'
import type { ArgoApplication } from './application.ts'
import type { ArgoRule, ArgoSaid } from './argo_context.ts'
import { isInSources } from './coverage.ts'
import { deletesWhatGoes } from './deleting_rules.ts'

export type ChangedApplication = {
  readonly before: ArgoApplication
  readonly after: ArgoApplication
}

/** An object that is in both states of the files. */
export type StayingObject = {
  /** `Module infra/terraform-aws-vpc` */
  readonly shown: string
  /** Where it stands in each state; in several places where several files have it. */
  readonly before: readonly string[]
  readonly after: readonly string[]
  /** Its annotation says that Argo CD does not prune it. */
  readonly isKept: boolean
}

/** What Argo CD applied and no longer finds it prunes or leaves behind, though the file is still there. */
export function leaves(changed: ChangedApplication, objects: readonly StayingObject[]): readonly ArgoSaid[] {
  const applied = objects.filter(({ before }) => isCovered(before, changed.before))
  const leaving = applied.filter(({ after }) => !isCovered(after, changed.after))
  const isPruned = (object: StayingObject): boolean => !object.isKept && isPrunedIn(object, changed)
  const pruned = leaving.filter(isPruned)
  const left = leaving.filter((object) => !isPruned(object))
  const early = applied.filter((object) => isPruned(object) && isCovered(object.after, changed.after))
  return [
    ...(pruned.length === 0 ? [] : [deleted(changed.after, pruned)]),
    ...(left.length === 0 ? [] : [leftBehind(changed.after, left)]),
    ...(early.length === 0 ? [] : [deletedOnTheWay(changed.after, early)]),
  ]
}

function isCovered(places: readonly string[], application: ArgoApplication): boolean {
  return places.some((within) => isInSources(within, application))
}

/** The new commit is synced by the old Application until the new one is in the cluster. */
function isPrunedIn({ after: places }: StayingObject, { before, after }: ChangedApplication): boolean {
  return [before, after].some((state) => deletesWhatGoes(state) && !isCovered(places, state))
}

const PRUNE_LATER = 'write prune: false first, in a change of its own, and move them when that is synced'

function deleted(application: ArgoApplication, objects: readonly StayingObject[]): ArgoSaid {
  const [names, it] = [namesOf(objects), objects.length === 1 ? 'it' : 'them']
  const message = `${names} ${objects.length === 1 ? 'leaves' : 'leave'} ${nameOf(application)}, which prunes: the next sync deletes ${it} with every version that was published; where that is denied, the sync fails`
  return { rule: 'ARGO-19', severity: 'deny', path: sourcePath(application), message, wayOut: PRUNE_LATER }
}

function leftBehind(application: ArgoApplication, objects: readonly StayingObject[]): ArgoSaid {
  const isOne = objects.length === 1
  const [leave, it, stay] = isOne ? ['leaves', 'it', 'it stays'] : ['leave', 'them', 'they stay']
  const why = objects.every(({ isKept }) => isKept) ? ' (Prune=false)' : ''
  const message = `${namesOf(objects)} ${leave} ${nameOf(application)}, which does not prune ${it}${why}: ${stay} in the cluster with all versions, and no later commit arrives`
  const wayOut = 'say which Application applies them from now on, and do not sync this one with pruning'
  return { rule: 'ARGO-19', severity: 'warn', path: sourcePath(application), message, wayOut }
}

function deletedOnTheWay(application: ArgoApplication, objects: readonly StayingObject[]): ArgoSaid {
  const it = objects.length === 1 ? 'it' : 'them'
  const message = `${namesOf(objects)} moved together with what ${nameOf(application)} applies, which pruned: while the cluster still has the former Application, its sync deletes ${it} with every version`
  return { rule: 'ARGO-19', severity: 'warn', path: sourcePath(application), message, wayOut: PRUNE_LATER }
}

function namesOf(objects: readonly StayingObject[]): string {
  return listed(
    objects.map(({ shown }) => shown),
    3,
  )
}

function nameOf({ object }: ArgoApplication): string {
  return `${object.kind} ${object.name}`
}

/** Where what it applies is not among the reviewed files. */
export function leavesFolder({ before, after }: ChangedApplication): readonly ArgoSaid[] {
  const stays = new Set(after.sources.flatMap(({ folder, madeBy }) => (madeBy === '' ? [folder] : [])))
  const left = before.sources.filter(({ folder, madeBy }) => madeBy === '' && !stays.has(folder))
  if (left.length === 0) return []
  const folders = listed(
    left.map(({ folder }) => quoted(folder === '' ? '.' : folder)),
    3,
  )
  const isDeleting = deletesWhatGoes(before) || deletesWhatGoes(after)
  return [
    {
      rule: 'ARGO-19',
      severity: 'warn',
      path: sourcePath(after),
      message: `it no longer applies ${folders}: ${isDeleting ? 'Modules of there that are not where it looks now are deleted with every version' : 'Modules of there stay as they are, and no later commit of theirs arrives'}`,
      wayOut: isDeleting ? PRUNE_FIRST : 'say which Application applies them from now on',
    },
  ]
}

const PRUNE_FIRST = 'write prune: false first, in a change of its own'

function sourcePath({ sources: [first], prefix }: ArgoApplication): string {
  return first === undefined ? `${prefix}spec` : first.path
}

/** By the names of files: which of them a pattern takes is not followed. */
export function leavesOut({ before, after }: ChangedApplication): readonly ArgoSaid[] {
  const applied = before.sources.filter(({ madeBy }) => madeBy === '')
  const folders = new Set(applied.map(({ folder }) => folder))
  const known = new Set(applied.flatMap((source) => PATTERNS.map((field) => patternKey(source, field))))
  const stays = after.sources.filter(({ madeBy, folder }) => madeBy === '' && folders.has(folder))
  const changed = stays.flatMap((source) =>
    PATTERNS.filter((field) => source[field] !== '' && !known.has(patternKey(source, field))).map(
      (field) => ({ path: `${source.path}.directory.${field}`, pattern: source[field] }),
    ),
  )
  const [first] = changed
  if (first === undefined) return []
  const patterns = listed(
    changed.map(({ pattern }) => quoted(pattern)),
    3,
  )
  const isDeleting = deletesWhatGoes(before) || deletesWhatGoes(after)
  return [
    {
      rule: 'ARGO-19',
      severity: 'warn',
      path: first.path,
      message: `other files are applied from now on (${patterns}), and which ones is not followed here: Modules of files that are left out ${isDeleting ? 'are deleted with every version' : 'stay as they are, and no later commit of theirs arrives'}`,
      wayOut: isDeleting ? PRUNE_FIRST : 'say which Application applies them from now on',
    },
  ]
}

const PATTERNS = ['include', 'exclude'] as const

function patternKey(source: ArgoApplication['sources'][number], field: (typeof PATTERNS)[number]): string {
  return JSON.stringify([field, source.folder, source[field]])
}

/** What it applied is in the former cluster. */
export function movesCluster({ before, after }: ChangedApplication): readonly ArgoSaid[] {
  if (before.cluster === after.cluster) return []
  return [
    {
      rule: 'ARGO-19',
      severity: 'warn',
      path: `${after.prefix}spec.destination`,
      message:
        'from now on it applies to another cluster: what is published stays in the former one, and no later commit arrives there; this review compares with one cluster',
      wayOut: 'give the other cluster an Application of its own, and review what that one finds there',
    },
  ]
}

/** Of what comes from elsewhere from now on the review sees nothing. */
export function takesOther({ before, after }: ChangedApplication): readonly ArgoSaid[] {
  const known = new Set(before.sources.map(keyOf))
  const others = new Map(
    after.sources.filter((source) => !known.has(keyOf(source))).map((source) => [keyOf(source), source]),
  )
  const [first] = others.values()
  if (first === undefined) return []
  const isSameRepository = before.sources.some(({ repository }) => repository === first.repository)
  const come = listed(
    [...others.values()].map(
      ({ repository, revision }) => `${quoted(withoutLogin(repository))} at ${quoted(revision)}`,
    ),
    3,
  )
  return [
    {
      rule: 'ARGO-21',
      severity: 'warn',
      path: `${first.path}.${isSameRepository ? 'targetRevision' : 'repoURL'}`,
      message: `from now on it applies ${come}, of which this review sees nothing: versions may be other ones there, or missing`,
      wayOut: 'review that content against what is applied now: sallyport review OLD NEW',
    },
  ]
}

function keyOf({ repository, revision }: ArgoApplication['sources'][number]): string {
  return JSON.stringify([repository, revision])
}

export const hydrates: ArgoRule = ({ application }) => {
  const { isHydrated, prefix } = application
  if (!isHydrated) return []
  return [
    {
      rule: 'ARGO-21',
      severity: 'warn',
      path: `${prefix}spec.sourceHydrator`,
      message:
        'Argo CD writes what it makes of these files to a branch of its own and applies that: what else is committed there arrives without this review',
      wayOut: 'let nobody but the hydrator push to that branch, or review it, too',
    },
  ]
}
