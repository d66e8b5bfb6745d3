// WH-S2: a checksum, once known, is the memory of what was published. Nobody changes it, controllers included.
import { isVersionObjectHeld } from '#core/module/version_case.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function checksum(subject: VersionCase): readonly Finding[] {
  const { change, plain } = subject
  const was = change.old?.checksum ?? ''
  const becomes = change.new?.checksum ?? ''
  if (change.subResource !== 'status' || was === '' || was === becomes || !isVersionObjectHeld(subject))
    return []
  const what = becomes === '' ? 'would be forgotten' : `would become ${quoted(becomes)}`
  const message = `version ${plain} was published with the checksum ${quoted(was)}, which ${what}`
  const wayOut = 'publish the next version; what is fetched now is not what was published'
  return [{ rule: 'WH-S2', kind: 'forbidden', path: 'status.checksum', message, wayOut, version: plain }]
}
