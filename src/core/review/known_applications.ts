// The Applications that say how the reviewed files get into the cluster: those among the files, and those named beside them.
import { readApplication } from './argo/application.ts'
import type { KnownApplication } from './argo/coverage.ts'
import type { Pairing } from './pairing.ts'
import type { ReviewedObject } from './reviewed_object.ts'

export function knownApplications(
  pairings: readonly Pairing[],
  around: readonly ReviewedObject[],
): readonly KnownApplication[] {
  // One that goes with this change has applied the old files.
  const found = pairings.flatMap(({ before, after }) => (after.length > 0 ? after : before))
  return [...read(around, true), ...read(found, false)]
}

/** Those that applied the old files. */
export function formerApplications(
  pairings: readonly Pairing[],
  around: readonly ReviewedObject[],
): readonly KnownApplication[] {
  return [
    ...read(around, true),
    ...read(
      pairings.flatMap(({ before }) => before),
      false,
    ),
  ]
}

function read(objects: readonly ReviewedObject[], isNamed: boolean): readonly KnownApplication[] {
  return objects.flatMap((object) => {
    if (!isApplication(object)) return []
    const application = readApplication(object)
    return application.ok ? [{ application: application.value, isNamed }] : []
  })
}

export function isApplication({ resource }: ReviewedObject): boolean {
  return resource === 'applications' || resource === 'applicationsets'
}
