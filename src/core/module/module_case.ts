// What every rule about a Module is given: the change, who decides, what is remembered, and what all of them ask first.
import type { ModuleChange } from './change.ts'
import type { LedgerFacts } from './ledger.ts'
import type { ModulePolicySpec } from './module_policy.ts'
import type { ModuleConfig, ModuleObject } from './module_object.ts'
import { versionChanges } from './version_changes.ts'
import type { VersionChanges } from './version_changes.ts'
import type { Finding } from './verdict.ts'

export type ModuleCase = {
  readonly change: ModuleChange
  readonly policy: ModulePolicySpec | undefined
  readonly ledger: LedgerFacts
  readonly versions: VersionChanges
  /** What was published here never changes: the Module says so, before or after, or the policy requires it. */
  readonly isImmutable: boolean
}

export type ModuleRule = (subject: ModuleCase) => readonly Finding[]

export function moduleCase(
  change: ModuleChange,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
): ModuleCase {
  const saysSo = (change.old?.config.immutable ?? false) || (change.new?.config.immutable ?? false)
  const isImmutable = saysSo || policy?.immutability === 'required'
  return { change, policy, ledger, versions: versionChanges(change.old, change.new), isImmutable }
}

/** On what never changes a denial; elsewhere OpenDepot's own ways stay open, and are told about. */
export function heldKind(isHeld: boolean): 'forbidden' | 'notice' {
  return isHeld ? 'forbidden' : 'notice'
}

/** A version holds when its Module does, or when it was published while its Module did. */
export function isVersionHeld(subject: ModuleCase, plain: string): boolean {
  return subject.isImmutable || (subject.ledger.published.get(plain)?.immutable ?? false)
}

export function isAnyVersionHeld(subject: ModuleCase): boolean {
  return subject.isImmutable || [...subject.ledger.published.values()].some((facts) => facts.immutable)
}

export function isAnythingPublished({ change, ledger }: ModuleCase): boolean {
  return (change.old?.versions.length ?? 0) > 0 || ledger.published.size > 0
}

/** The name that OpenDepot gives Versions and files. */
export function configName(module: ModuleObject): string {
  return module.config.name === '' ? module.meta.name : module.config.name
}

/** Whether this request is what made the field what it is: created with it, or changed. */
export function isFieldTouched(change: ModuleChange, read: (config: ModuleConfig) => unknown): boolean {
  if (change.new === undefined) return false
  return change.old === undefined || read(change.old.config) !== read(change.new.config)
}

/** `module vpc -n infra`, for commands; `undefined` where a name would need quoting in a shell. */
export function kubectlTarget({ name, namespace }: ModuleChange): string | undefined {
  const isPlain = [name, namespace].every((text) => /^[a-z0-9][a-z0-9.-]{0,252}$/.test(text))
  return isPlain ? `module ${name} -n ${namespace}` : undefined
}
