// WH-V9: a new version is above what was published, where the policy wants that.
import type { ListCase } from '#core/module/module_case.ts'
import type { Finding } from '#core/module/verdict.ts'
import { compareVersions, readVersionIdentity } from '#core/module/version_identity.ts'
import type { VersionIdentity } from '#core/module/version_identity.ts'

export function versionOrder(subject: ListCase): readonly Finding[] {
  const ordering = subject.policy?.ordering ?? 'free'
  if (ordering === 'free') return []
  const isOneLine = ordering === 'monotonic'
  const newestOf = newestByLine(everPublished(subject), isOneLine)
  return subject.versions.added.flatMap(({ index, plain, identity }) => {
    // What comes back has its place already, and WH-V2 says whether it may.
    if (subject.ledger.published.has(plain)) return []
    const newest = newestOf.get(lineOf(identity, isOneLine))
    if (newest === undefined || compareVersions(identity, newest) > 0) return []
    const where = isOneLine ? '' : ` of major ${identity.core[0]}`
    const message = `version ${plain} is below ${newest.plain}, the newest published${where} (ordering: ${ordering})`
    const wayOut = `publish a version above ${newest.plain}`
    return [
      { rule: 'WH-V9', kind: 'forbidden', path: `spec.versions[${index}]`, message, wayOut, version: plain },
    ]
  })
}

/** What was taken away counts: a lower version after it is no less surprising. Coming back itself is WH-V2's. */
function everPublished({ ledger, versions }: ListCase): readonly VersionIdentity[] {
  const gone = [...ledger.published.keys()].filter(
    (plain) => !versions.before.has(plain) && !versions.after.has(plain),
  )
  const remembered = gone.map(readVersionIdentity)
  return [...versions.before.values(), ...remembered.flatMap((read) => (read.ok ? [read.value] : []))]
}

/** Once for all that is added: of thousands, each would look through thousands. */
function newestByLine(
  published: readonly VersionIdentity[],
  isOneLine: boolean,
): ReadonlyMap<string, VersionIdentity> {
  const newest = new Map<string, VersionIdentity>()
  for (const identity of published) {
    const line = lineOf(identity, isOneLine)
    newest.set(line, newer(newest.get(line), identity))
  }
  return newest
}

function lineOf({ core }: VersionIdentity, isOneLine: boolean): string {
  return isOneLine ? '' : core[0]
}

function newer(best: VersionIdentity | undefined, next: VersionIdentity): VersionIdentity {
  return best === undefined || compareVersions(next, best) > 0 ? next : best
}
