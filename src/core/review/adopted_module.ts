// A Module whose file is new while the ledger says that it is in the cluster: moving to GitOps is no creation.
import type { ChangeSubject } from '#core/module/change.ts'
import type { PublishedFacts } from '#core/module/ledger.ts'
import { sourceOf } from '#core/module/source_of.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'

/** The change that the API server would see, as far as the ledger knows it; `undefined` when it knows of no such Module. */
export function knownToLedger(
  subject: ChangeSubject,
  published: ReadonlyMap<string, PublishedFacts>,
): ChangeSubject | undefined {
  if (subject.resource !== 'modules' || subject.operation !== 'CREATE' || subject.new === undefined)
    return undefined
  const present = [...published].filter(([, { state }]) => state === 'present')
  const source = sourceOf(subject.new)
  const isOther = [...published.values()].some(
    (facts) => facts.source !== undefined && facts.source !== source,
  )
  // From another repository it is another Module, whatever it is called.
  if (present.length === 0 || isOther) return undefined
  const spelled = new Map(subject.new.versions.map((entry) => [plainOf(entry.version), entry]))
  const versions = present.map(([plain]) => spelled.get(plain) ?? { version: plain })
  return { ...subject, operation: 'UPDATE', old: { ...subject.new, versions } }
}

function plainOf(text: string): string {
  const identity = readVersionIdentity(text)
  return identity.ok ? identity.value.plain : text
}
