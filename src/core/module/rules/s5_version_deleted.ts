// WH-S5, M14: deleting a Version deletes its archive, and nobody makes it again.
import { isController, isGarbageCollector, isNamespaceController } from '#core/module/actor.ts'
import { heldKind } from '#core/module/module_case.ts'
import { isStillListed, ownerOf } from '#core/module/version_case.ts'
import type { VersionCase } from '#core/module/version_case.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function deletedVersion(subject: VersionCase): readonly Finding[] {
  const { change, ledger, plain, policy } = subject
  if (change.operation !== 'DELETE' || change.user.kind === 'unknown') return []
  if (isNamespaceController(change.user) && ledger.isNamespaceTerminating) return []
  const isListed = isStillListed(subject)
  const isByCluster = isGarbageCollector(change.user)
  const isOwners = isController(change.user) || isByCluster
  if (isOwners && !isListed) return []
  const rule = isByCluster ? 'WH-M14' : 'WH-S5'
  // A controller that repairs what it made is told of, until the policy is strict.
  const isDenied = !isController(change.user) || policy?.immutability === 'required'
  const owner = ownerOf(subject)
  const listedNow =
    isListed && owner !== undefined ? `, while its ${owner.kind} ${quoted(owner.meta.name)} lists it` : ''
  const message = `deleting the Version ${quoted(change.name)} deletes the archive of version ${plain}${listedNow}`
  const wayOut = isDenied ? 'leave it; what its Module no longer lists, the controller takes away' : ''
  return [{ rule, kind: heldKind(isDenied), path: '', message, wayOut, version: plain }]
}
