// What every rule about a Module is given: the change, who decides, what is remembered, and what all of them ask first.
import type { ModuleChange, ProviderChange } from './change.ts'
import type { LedgerFacts } from './ledger.ts'
import type { ModulePolicySpec } from './module_policy.ts'
import type { ModuleConfig, ModuleObject, ProviderConfig, ProviderObject } from './module_object.ts'
import { versionChanges } from './version_changes.ts'
import type { VersionChanges } from './version_changes.ts'
import type { Finding } from './verdict.ts'

/** Of rules about versions that are listed, whichever kind lists them. */
export type ListCase = {
  readonly change: ModuleChange | ProviderChange
  readonly policy: ModulePolicySpec | undefined
  readonly ledger: LedgerFacts
  readonly versions: VersionChanges
  /** What was published here never changes: the Module says so, before or after, or the policy requires it. */
  readonly isImmutable: boolean
}

export type ModuleCase = ListCase & { readonly change: ModuleChange }
export type ProviderCase = ListCase & { readonly change: ProviderChange }

export type ModuleRule = (subject: ModuleCase) => readonly Finding[]
export type ProviderRule = (subject: ProviderCase) => readonly Finding[]

export function moduleCase(
  change: ModuleChange,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
): ModuleCase {
  const saysSo = (change.old?.config.immutable ?? false) || (change.new?.config.immutable ?? false)
  const isImmutable = saysSo || policy?.immutability === 'required'
  return { change, policy, ledger, versions: versionChanges(change.old, change.new), isImmutable }
}

/** A Provider has no field that says so; a policy does. */
export function providerCase(
  change: ProviderChange,
  policy: ModulePolicySpec | undefined,
  ledger: LedgerFacts,
): ProviderCase {
  const isImmutable = policy?.immutability === 'required'
  // One version may stand in its list once for each platform.
  const versions = versionChanges(change.old, change.new, { mayDouble: true })
  return { change, policy, ledger, versions, isImmutable }
}

/** On what never changes a denial; elsewhere OpenDepot's own ways stay open, and are told about. */
export function heldKind(isHeld: boolean): 'forbidden' | 'notice' {
  return isHeld ? 'forbidden' : 'notice'
}

/** A version holds when its Module does, or when it was published while its Module did. */
export function isVersionHeld(subject: ListCase, plain: string): boolean {
  return subject.isImmutable || (subject.ledger.published.get(plain)?.immutable ?? false)
}

export function isAnyVersionHeld(subject: ListCase): boolean {
  if (subject.isImmutable) return true
  for (const facts of subject.ledger.published.values()) if (facts.immutable) return true
  return false
}

export function isAnythingPublished({ change, ledger }: ListCase): boolean {
  return (change.old?.versions.length ?? 0) > 0 || ledger.published.size > 0
}

/** `Module`, in sentences. */
export function kindName({ resource }: ListCase['change']): 'Module' | 'Provider' {
  return resource === 'modules' ? 'Module' : 'Provider'
}

/** `spec.moduleConfig` */
export function configPath({ resource }: ListCase['change']): string {
  return resource === 'modules' ? 'spec.moduleConfig' : 'spec.providerConfig'
}

/** The name that OpenDepot gives Versions and files. */
export function configName(module: ModuleObject | ProviderObject): string {
  return module.config.name === '' ? module.meta.name : module.config.name
}

/** Whether this request is what made the field what it is: created with it, or changed. */
export function isFieldTouched(
  change: ListCase['change'],
  read: (config: ModuleConfig | ProviderConfig) => unknown,
): boolean {
  if (change.new === undefined) return false
  return change.old === undefined || read(change.old.config) !== read(change.new.config)
}

/** `module vpc -n infra`, for commands; `undefined` where a name would need quoting in a shell. */
export function kubectlTarget({ name, namespace, resource }: ListCase['change']): string | undefined {
  const isPlain = [name, namespace].every((text) => /^[a-z0-9][a-z0-9.-]{0,252}$/.test(text))
  return isPlain ? `${resource === 'modules' ? 'module' : 'provider'} ${name} -n ${namespace}` : undefined
}
