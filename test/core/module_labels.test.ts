// WH-V11 of labels: Kubernetes bounds each, and not how many there are.
import t from 'tap'
import type { ProviderSubject } from '../../src/core/module/change.ts'
import { readProvider } from '../../src/core/module/module_object.ts'
import type { ProviderObject } from '../../src/core/module/module_object.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { Asker } from '../../src/core/module/policy_choice.ts'
import { aProviderJson } from '../support/a_provider.ts'
import { aLedger, aModule, alice, moduleChange, NOON, said } from '../support/module_changes.ts'

const byAlice: Asker = { user: alice, mayDo: new Set(), atSeconds: NOON }

function labels(count: number): Readonly<Record<string, string>> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`label-${index}`, 'x']))
}

/** What WH-V11 says of a Module, with so many labels before and after. */
function ofModule(before: number | undefined, after: number): readonly string[] {
  const stored = before === undefined ? undefined : aModule({ labels: labels(before) })
  const change = moduleChange(stored, aModule({ labels: labels(after) }))
  return v11(said(judgeUnderPolicies(change, byAlice, [], aLedger())))
}

function ofProvider(before: number | undefined, after: number): readonly string[] {
  const subject: ProviderSubject = {
    operation: before === undefined ? 'CREATE' : 'UPDATE',
    resource: 'providers',
    subResource: '',
    namespace: 'infra',
    name: 'aws',
    old: before === undefined ? undefined : aProvider(before),
    new: aProvider(after),
    dryRun: false,
  }
  return v11(said(judgeUnderPolicies(subject, byAlice, [], aLedger())))
}

function aProvider(count: number): ProviderObject {
  const json = aProviderJson()
  const read = readProvider({ ...json, metadata: { ...Object(json['metadata']), labels: labels(count) } })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

function tooMany(count: number): readonly string[] {
  return [`WH-V11 invalid: metadata.labels would have ${count} entries, the most is 64`]
}

function v11(sentences: readonly string[]): readonly string[] {
  return sentences.filter((sentence) => sentence.startsWith('WH-V11'))
}

for (const [kind, of] of [
  ['Module', ofModule],
  ['Provider', ofProvider],
] as const) {
  t.test(`WH-V11 a ${kind} has no more than 64 labels`, async (t) => {
    t.same(of(undefined, 65), tooMany(65))
    t.same(of(undefined, 64), [])
    t.same(of(64, 65), tooMany(65))
    t.same(of(63, 64), [])
    t.same(of(100, 101), tooMany(101), 'what had too many gets no more')
    t.same(of(101, 101), [], 'what is so already is let be')
    t.same(of(101, 100), [])
  })
}
