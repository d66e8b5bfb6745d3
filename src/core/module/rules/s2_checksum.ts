// WH-S2: a checksum, once known, is the memory of what was published. Nobody changes it, controllers included; and a Version that
// is made again has the one that is remembered.
import { digestOfChecksum } from '#core/module/archive_digest.ts'
import { isVersionObjectHeld } from '#core/module/version_case.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function checksum(subject: VersionCase): readonly Finding[] {
  const { change, plain } = subject
  const was = change.old?.checksum ?? ''
  const becomes = change.new?.checksum ?? ''
  if (change.subResource !== 'status' || was === becomes || !isVersionObjectHeld(subject)) return []
  const known = was === '' ? rememberedOther(subject, becomes) : quoted(was)
  if (known === undefined) return []
  const what = becomes === '' ? 'would be forgotten' : `would become ${quoted(becomes)}`
  const message = `version ${plain} was published with the checksum ${known}, which ${what}`
  const wayOut = 'publish the next version; what is fetched now is not what was published'
  return [{ rule: 'WH-S2', kind: 'forbidden', path: 'status.checksum', message, wayOut, version: plain }]
}

/** Of a Module's one archive: a provider's version has one for each platform. */
function rememberedOther({ change, ledger, plain }: VersionCase, becomes: string): string | undefined {
  if (change.new?.type === 'Provider') return undefined
  const known = ledger.published.get(plain)?.digest
  return known === undefined || known === digestOfChecksum(becomes) ? undefined : known
}
