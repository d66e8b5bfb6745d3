// What every rule about a Version object is given.
import type { VersionChange } from './change.ts'
import type { ModulePolicySpec } from './module_policy.ts'
import { identitiesOf } from './ledger.ts'
import type { LedgerFacts } from './ledger.ts'
import { mayListPlatform } from './listing_bounds.ts'
import type { ModuleObject, ProviderObject } from './module_object.ts'
import { quoted } from './printable.ts'
import type { Finding } from './verdict.ts'
import { readVersionIdentity } from './version_identity.ts'

export type VersionCase = {
  readonly change: VersionChange
  readonly policy: ModulePolicySpec | undefined
  readonly ledger: LedgerFacts
  /** Plain spelling; of what is no version, its text in quotes. */
  readonly plain: string
}

export type VersionRule = (subject: VersionCase) => readonly Finding[]

export function versionCase(
  change: VersionChange,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
): VersionCase {
  // As stored: what a request renames it to decides nothing.
  const text = (change.old ?? change.new)?.version ?? ''
  const identity = readVersionIdentity(text)
  return { change, policy, ledger, plain: identity.ok ? identity.value.plain : quoted(text) }
}

/** Its Module is immutable, or was when it published this; a Provider has only the policy to say so. */
export function isVersionObjectHeld({ change, policy, ledger, plain }: VersionCase): boolean {
  if (policy?.immutability === 'required') return true
  if ((change.old ?? change.new)?.type === 'Provider') return ledger.published.get(plain)?.immutable ?? false
  if (ledger.module?.config.immutable === true) return true
  return change.old?.moduleConfig?.immutable === true || (ledger.published.get(plain)?.immutable ?? false)
}

/** The Module, or the Provider, that the Version is of, as it is stored. */
export function ownerOf({ ledger }: VersionCase): ModuleObject | ProviderObject | undefined {
  return ledger.module ?? ledger.provider
}

/** Whether its owner wants it to be there. One that is being deleted, which was judged, wants nothing. */
export function isStillListed(subject: VersionCase): boolean {
  const owner = ownerOf(subject)
  if (owner === undefined || owner.meta.isTerminating || !identitiesOf(owner).has(subject.plain)) return false
  const version = subject.change.old ?? subject.change.new
  if (owner.kind === 'Module' || version === undefined) return true
  return mayListPlatform(owner, version.operatingSystem, version.architecture)
}
