// What every rule about a Version object is given.
import type { VersionChange } from './change.ts'
import type { LedgerFacts } from './ledger.ts'
import type { ModulePolicySpec } from './module_policy.ts'
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

/** Its Module is immutable, or was when it published this; a provider's binary is held by its upstream's signature. */
export function isVersionObjectHeld({ change, policy, ledger, plain }: VersionCase): boolean {
  if ((change.old ?? change.new)?.type === 'Provider') return false
  if (policy?.immutability === 'required' || ledger.module?.config.immutable === true) return true
  return change.old?.moduleConfig?.immutable === true || (ledger.published.get(plain)?.immutable ?? false)
}
