// WH-V4: a kept version is written another way, twice, or with more than `version`. It is the same version, but OpenDepot
// compares entries as texts: it deletes the Version and fetches it again.
import { heldKind, isVersionHeld } from '#core/module/module_case.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function rewrittenVersions(subject: ModuleCase): readonly Finding[] {
  return [...otherSpelling(subject), ...twice(subject), ...otherFields(subject)]
}

function otherSpelling(subject: ModuleCase): readonly Finding[] {
  const { change, versions } = subject
  // Depots write 1.2.0 and a controller that prunes writes v1.2.0: theirs are let through, and told.
  const isController = change.user.kind === 'controller'
  return versions.rewritten.flatMap(({ index, plain, was }) => {
    if (was.version === change.new?.versions[index]?.version) return []
    const isHeld = isVersionHeld(subject, plain) && !isController
    const message = `version ${plain} is stored as ${quoted(was.version)} and would be written another way`
    const wayOut = isHeld ? `write ${quoted(was.version)}` : ''
    return [
      {
        rule: 'WH-V4',
        kind: heldKind(isHeld),
        path: `spec.versions[${index}].version`,
        message,
        wayOut,
        version: plain,
      },
    ]
  })
}

function twice({ versions }: ModuleCase): readonly Finding[] {
  return versions.doubled.map(({ index, plain }) => ({
    rule: 'WH-V4',
    kind: 'invalid',
    path: `spec.versions[${index}].version`,
    message: `version ${quoted(plain)} is listed twice`,
    wayOut: 'list it once; v1.2.0 and 1.2.0 are one version',
    version: plain,
  }))
}

function otherFields({ change, versions }: ModuleCase): readonly Finding[] {
  const added = versions.added.map(({ index, plain }) => ({ index, plain, had: NONE }))
  const rewritten = versions.rewritten.map(({ index, plain, was }) => ({
    index,
    plain,
    had: was.otherFields ?? NONE,
  }))
  return [...added, ...rewritten].flatMap(({ index, plain, had }) => {
    const fields = change.new?.versions[index]?.otherFields ?? NONE
    const known = new Set(had)
    const extra = fields.find((field) => !known.has(field))
    if (extra === undefined) return []
    const message = `the entry of version ${plain} has the field ${quoted(extra)}; OpenDepot deletes a Version whose entry says more than version`
    const wayOut = 'write only version; a pinned commit goes into the annotation sallyport.dev/pins'
    return [
      { rule: 'WH-V4', kind: 'invalid', path: `spec.versions[${index}]`, message, wayOut, version: plain },
    ]
  })
}

const NONE: readonly string[] = []
