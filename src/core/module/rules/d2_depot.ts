// WH-D2: what a Depot says for all its Modules is taken back no more easily than in each of them.
import type { DepotChange } from '#core/module/change.ts'
import { heldKind } from '#core/module/module_case.ts'
import type { ModulePolicySpec } from '#core/module/module_policy.ts'
import type { DepotObject, ModuleConfig } from '#core/module/module_object.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'
import { storageText } from './m6_storage_moved.ts'

export function depotDefaults(
  { old: before, new: after }: DepotChange,
  policy: ModulePolicySpec | undefined,
): readonly Finding[] {
  if (before === undefined || after === undefined) return []
  return [...notImmutable(before, after), ...storageMoved(before, after, policy)]
}

function notImmutable(before: DepotObject, after: DepotObject): readonly Finding[] {
  const findings: Finding[] = []
  if (before.globalConfig?.immutable === true && after.globalConfig?.immutable !== true) {
    findings.push(takenBack('spec.global.moduleConfig.immutable', 'all its Modules'))
  }
  const next = new Map(after.modules.map((config) => [config.name, config]))
  for (const config of before.modules) {
    const becomes = next.get(config.name)
    if (!config.immutable || becomes === undefined || becomes.immutable) continue
    findings.push(takenBack('spec.moduleConfigs', quoted(config.name)))
  }
  return findings
}

function takenBack(path: string, whose: string): Finding {
  const message = `this Depot makes ${whose} immutable, and would stop doing so`
  return { rule: 'WH-D2', kind: 'forbidden', path, message, wayOut: 'leave immutable: true' }
}

function storageMoved(
  before: DepotObject,
  after: DepotObject,
  policy: ModulePolicySpec | undefined,
): readonly Finding[] {
  const saysSo = [before.globalConfig, ...before.modules].some((config) => config?.immutable === true)
  const isHeld = saysSo || policy?.immutability === 'required'
  const findings: Finding[] = []
  const was = storageText(storageOf(before))
  const becomes = storageText(storageOf(after))
  if (was !== becomes) findings.push(moved('spec.global.storageConfig', ['this Depot', was, becomes], isHeld))
  const next = new Map(after.modules.map((config) => [config.name, config]))
  for (const { name, storage } of before.modules) {
    const kept = next.get(name)
    // Without one of its own a module has the Depot's.
    if (kept === undefined || (storage === undefined && kept.storage === undefined)) continue
    const own = storageText(storage ?? storageOf(before))
    const then = storageText(kept.storage ?? storageOf(after))
    if (own !== then) findings.push(moved('spec.moduleConfigs', [quoted(name), own, then], isHeld))
  }
  return findings
}

function moved(
  path: string,
  [whose, was, becomes]: readonly [string, string, string],
  isHeld: boolean,
): Finding {
  const message = `the archives of ${whose} are in ${quoted(was)}, and would be looked for in ${quoted(becomes)}`
  const wayOut = isHeld ? 'leave the storage as it is, or start a second Depot' : ''
  return { rule: 'WH-D2', kind: heldKind(isHeld), path, message, wayOut }
}

function storageOf(depot: DepotObject): ModuleConfig['storage'] {
  return depot.globalStorage ?? depot.globalConfig?.storage
}
