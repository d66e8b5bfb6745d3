// WH-V6, V7: what is added is a version, since it becomes a Git ref, an object's name and part of a file's.
import type { ListCase } from '#core/module/module_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'
import { hasBuildMetadata } from '#core/module/version_identity.ts'

export function notVersions({ versions }: ListCase): readonly Finding[] {
  return versions.malformed.map(({ index, text, problem }) => ({
    rule: hasBuildMetadata(text) ? 'WH-V6' : 'WH-V7',
    kind: 'invalid',
    path: `spec.versions[${index}].version`,
    message: `${quoted(text)} is not a version: ${problem}`,
    wayOut: 'write MAJOR.MINOR.PATCH, as in 1.4.0 or 2.0.0-rc.1, and give the tag that name',
  }))
}
