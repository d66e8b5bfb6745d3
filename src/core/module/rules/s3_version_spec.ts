// WH-S3: a Version says what its Module says. Written by hand it can point a published version at another file.
import { isForeign } from '#core/module/actor.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import type { VersionObject } from '#core/module/module_object.ts'
import { quoted } from '#core/module/printable.ts'
import { isSameValue } from '#core/module/reading.ts'
import type { Finding } from '#core/module/verdict.ts'

const OWN_LABELS = 'opendepot.defdev.io/'

export function versionSpec({ change, plain }: VersionCase): readonly Finding[] {
  const { old: before, new: after, user } = change
  if (before === undefined || after === undefined || change.subResource !== '' || !isForeign(user)) return []
  const path = changedPart(before, after)
  if (path === undefined) return []
  const message = `version ${plain} is described by controllers, and ${quoted(user.username)} would change ${path}`
  const wayOut = 'change the Module; its controller writes the Version'
  return [{ rule: 'WH-S3', kind: 'forbidden', path, message, wayOut, version: plain }]
}

function changedPart(before: VersionObject, after: VersionObject): string | undefined {
  if (!isSameValue(before.specButForceSync, after.specButForceSync)) return 'spec'
  return isSameValue(ownLabels(before), ownLabels(after)) ? undefined : 'metadata.labels'
}

function ownLabels(version: VersionObject): Readonly<Record<string, string>> {
  return Object.fromEntries([...version.meta.labels].filter(([key]) => key.startsWith(OWN_LABELS)))
}
