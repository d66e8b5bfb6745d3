// GIT-1, 5, 6, 8: what could not be read or is not known. What this change brings or changes must be readable; what was so before
// is told and not held against it.
import { quoted } from '#core/module/printable.ts'
import { findingAt } from './review_finding.ts'
import type { ReviewFinding, Severity } from './review_finding.ts'
import type { Place, UnknownObject } from './reviewed_object.ts'

export type UnreadFile = {
  readonly within: string
  readonly place: Place
  /**
   * `broken`: it is there and no YAML that can be judged; `absent`: what it stands for is somewhere else; `unrendered`: it says what
   * to make of other files.
   */
  readonly kind: 'broken' | 'absent' | 'unrendered'
  /** Where this change brings it; `deny` when it may hold what the rules are about. */
  readonly ifNew: Severity
  readonly message: string
  readonly wayOut: string
  /** Equal for equal content. */
  readonly content: string
}

export type UnreadFiles = {
  readonly before: readonly UnreadFile[]
  readonly after: readonly UnreadFile[]
}

type FileFindings = {
  readonly findings: readonly ReviewFinding[]
  readonly isIncomplete: boolean
  /** Where this change brings what nobody can read and the rules may be about. */
  readonly unreadable: ReadonlySet<string>
}

export function fileFindings(
  unread: UnreadFiles,
  unknownBefore: readonly UnknownObject[],
  unknownAfter: readonly UnknownObject[],
): FileFindings {
  const known = new Set(unread.before.map(identityOf))
  const fresh = unread.after.filter((file) => !known.has(identityOf(file)))
  const old = unread.after.filter((file) => known.has(identityOf(file)))
  return {
    findings: [
      ...fresh.map((file) => unreadFinding(file, file.ifNew)),
      ...old.map((file) => unreadFinding(file, 'notice')),
      ...mended(unread),
      ...unknownFindings(unknownBefore, unknownAfter),
    ],
    isIncomplete: fresh.some(({ ifNew }) => ifNew === 'deny'),
    unreadable: new Set(
      fresh.flatMap(({ kind, ifNew, within }) => (kind === 'broken' && ifNew === 'deny' ? [within] : [])),
    ),
  }
}

/** What nobody could read is no state to compare with. */
function mended({ before, after }: UnreadFiles): readonly ReviewFinding[] {
  const unreadAfter = new Set(after.map(({ within }) => within))
  const readable = before.filter(
    ({ within, kind, ifNew }) => kind === 'broken' && ifNew === 'deny' && !unreadAfter.has(within),
  )
  return readable.map(({ place, message }) => {
    const said = {
      severity: 'warn',
      path: '',
      message: `the old state of this file could not be read (${message}), so its objects are judged as new: what the cluster holds is not known`,
      wayOut: 'give the ledger: --ledger FILE',
    } as const
    return findingAt('GIT-1', said, undefined, place)
  })
}

function identityOf({ within, content, message }: UnreadFile): string {
  return JSON.stringify([within, content, message])
}

const RULES = { broken: 'GIT-1', absent: 'GIT-5', unrendered: 'GIT-8' } as const

function unreadFinding({ kind, message, wayOut, place }: UnreadFile, severity: Severity): ReviewFinding {
  return findingAt(RULES[kind], { severity, path: '', message, wayOut }, undefined, place)
}

function unknownFindings(
  before: readonly UnknownObject[],
  after: readonly UnknownObject[],
): readonly ReviewFinding[] {
  const known = new Set(before.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`))
  return after.map(({ apiVersion, kind, place }) => {
    const severity = known.has(`${apiVersion} ${kind}`) ? 'notice' : 'warn'
    const message = `${quoted(kind)} of ${quoted(apiVersion)} is nothing that the rules know, and is not judged`
    return findingAt(
      'GIT-6',
      { severity, path: 'apiVersion', message, wayOut: 'write the version that the cluster serves' },
      undefined,
      place,
    )
  })
}
