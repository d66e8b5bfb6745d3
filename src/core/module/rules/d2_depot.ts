// WH-D2: what a Depot says for all its Modules is taken back no more easily than in each of them.
import type { DepotChange } from '#core/module/change.ts'
import { heldKind } from '#core/module/module_case.ts'
import type { DepotObject, ModuleConfig } from '#core/module/module_object.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'
import { storageText } from './m6_storage_moved.ts'

export function depotDefaults({ old: before, new: after }: DepotChange): readonly Finding[] {
  if (before === undefined || after === undefined) return []
  return [...notImmutable(before, after), ...storageMoved(before, after)]
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

function storageMoved(before: DepotObject, after: DepotObject): readonly Finding[] {
  const was = storageText(storageOf(before))
  const becomes = storageText(storageOf(after))
  if (was === becomes) return []
  const isHeld = [before.globalConfig, ...before.modules].some((config) => config?.immutable === true)
  const message = `the archives of this Depot are in ${quoted(was)}, and would be looked for in ${quoted(becomes)}`
  const wayOut = isHeld ? 'leave the storage as it is, or start a second Depot' : ''
  return [{ rule: 'WH-D2', kind: heldKind(isHeld), path: 'spec.global.storageConfig', message, wayOut }]
}

function storageOf(depot: DepotObject): ModuleConfig['storage'] {
  return depot.globalStorage ?? depot.globalConfig?.storage
}
