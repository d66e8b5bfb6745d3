// WH-S1: what controllers found out is written by controllers, and a synced version keeps its file.
import { isForeign } from '#core/module/actor.ts'
import type { ModuleChange, ProviderChange, VersionChange } from '#core/module/change.ts'
import type { ModuleCase } from '#core/module/module_case.ts'
import { isVersionHeld } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import type { Finding } from '#core/module/verdict.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'

export function moduleStatus(subject: ModuleCase): readonly Finding[] {
  return [...foreignStatus(subject.change), ...swappedFiles(subject)]
}

export function versionStatus({ change }: VersionCase): readonly Finding[] {
  return foreignStatus(change)
}

export function providerStatus(change: ProviderChange): readonly Finding[] {
  return foreignStatus(change)
}

function foreignStatus(change: ModuleChange | ProviderChange | VersionChange): readonly Finding[] {
  if (change.subResource !== 'status' || !isForeign(change.user)) return []
  if (isSameValue(change.old?.status, change.new?.status)) return []
  const message = `status is written by controllers, and ${quoted(change.user.username)} is none`
  const wayOut = 'leave status alone, or have the ModulePolicy list this identity under controller'
  return [{ rule: 'WH-S1', kind: 'forbidden', path: 'status', message, wayOut }]
}

function swappedFiles(subject: ModuleCase): readonly Finding[] {
  const { old: before, new: after } = subject.change
  if (subject.change.subResource !== 'status' || before === undefined || after === undefined) return []
  return [...before.fileNames].flatMap(([version, file]) => {
    const becomes = after.fileNames.get(version)
    const identity = readVersionIdentity(version)
    if (file === '' || becomes === undefined || becomes === file || !identity.ok) return []
    const { plain } = identity.value
    if (!isVersionHeld(subject, plain)) return []
    const message = `version ${plain} is served from the file ${quoted(file)}, and would be from ${quoted(becomes)}`
    const wayOut = 'keep the file that was published'
    return [
      { rule: 'WH-S1', kind: 'forbidden', path: 'status.moduleVersionRefs', message, wayOut, version: plain },
    ]
  })
}
