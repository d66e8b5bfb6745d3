// What a kube-apiserver 1.36 really sent for OpenDepot's CRD (test/fixtures/admission-reviews), judged without a policy.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { actorOf } from '../../src/core/module/actor.ts'
import type { ModuleChange } from '../../src/core/module/change.ts'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import { readModule } from '../../src/core/module/module_object.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import { aLedger, around } from '../support/module_changes.ts'

const FOLDER = new URL('../fixtures/admission-reviews/', import.meta.url)

/** The rules that refuse each; the rest is allowed. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'create-generatename.json': ['WH-M1'],
  'delete-dryrun.json': ['WH-M12'],
  'delete-orphan.json': ['WH-M12'],
  'delete.json': ['WH-M12'],
  'deletecollection-item.json': ['WH-M12'],
  'delete-with-finalizer.json': ['WH-M12'],
  'update-clientside-apply-remove.json': ['WH-V1'],
  'update-mergepatch-remove-version.json': ['WH-V1'],
  'update-ssa-force-conflict.json': ['WH-V1'],
  'update-status-subresource.json': ['WH-S1'],
}

for (const file of readdirSync(FOLDER)) {
  t.test(`${file} is ${file in REFUSED ? 'refused' : 'allowed'}`, async (t) => {
    const { request } = JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8'))
    const old = objectOf(request.oldObject)
    const next = objectOf(request.object)
    const change: ModuleChange = {
      ...around(old, next, { dryRun: request.dryRun }),
      resource: 'modules',
      subResource: request.subResource ?? '',
      namespace: request.namespace,
      old,
      new: next,
      user: actorOf({ uid: '', extra: {}, ...request.userInfo }, undefined),
    }
    t.equal(change.operation, request.operation)
    const verdict = judgeChange(change, undefined, aLedger())
    const refusing = verdict.findings.filter(({ kind, mode }) => kind !== 'notice' && mode === 'enforce')
    t.same([...new Set(refusing.map(({ rule }) => rule))], REFUSED[file] ?? [])
    t.equal(verdict.allowed, !(file in REFUSED))
  })
}

function objectOf(value: unknown): ModuleObject | undefined {
  if (value === null) return undefined
  const read = readModule(value)
  if (!read.ok) throw new Error(read.denial)
  return read.value
}
