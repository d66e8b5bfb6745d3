// Which policies a change is judged under, and what two of them come to.
import t from 'tap'
import { readDepot, readVersion } from '../../src/core/module/module_object.ts'
import type { DepotObject } from '../../src/core/module/module_object.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { Asker, NamedPolicy } from '../../src/core/module/policy_choice.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import {
  aLedger,
  aModule,
  aPolicy,
  alice,
  argo,
  MUTABLE,
  moduleChange,
  NOON,
  said,
} from '../support/module_changes.ts'
import type { ModuleEdit } from '../support/module_changes.ts'

const byArgo: Asker = { user: argo, mayDo: new Set(), atSeconds: NOON }
const platform = new Map([['team', 'platform']])
const required = { immutability: 'required', modes: { 'WH-P1': 'warn' } } as const

function named(name: string, edit: Partial<ModulePolicySpec> = {}): NamedPolicy {
  return { name, spec: aPolicy(edit) }
}

/** A version is taken off a Module that does not say `immutable: true`. */
function removal(policies: readonly NamedPolicy[], edit: ModuleEdit = {}, asker: Asker = byArgo): Verdict {
  const old = aModule({ ...MUTABLE, ...edit })
  const next = aModule({ ...MUTABLE, ...edit, versions: ['1.1.0'] })
  return judgeUnderPolicies(moduleChange(old, next), asker, policies, aLedger())
}

t.test('a policy holds where it selects the namespace and the labels', async (t) => {
  const elsewhere = named('elsewhere', {
    ...required,
    selector: { namespaces: ['shared'], labels: new Map() },
  })
  const here = named('here', { ...required, selector: { namespaces: ['infra'], labels: platform } })
  t.ok(removal([elsewhere]).allowed)
  t.ok(removal([here]).allowed, 'without the label')
  t.same(said(removal([elsewhere, here], { labels: { team: 'platform' } })), [
    'WH-V1 forbidden: version 1.0.0 was published and is taken off spec.versions',
  ])
})

t.test('the labels that are stored decide, not those that the request writes', async (t) => {
  const policy = named('platform', { ...required, selector: { namespaces: [], labels: platform } })
  const old = aModule({ ...MUTABLE, labels: { team: 'platform' } })
  const next = aModule({ ...MUTABLE, versions: ['1.1.0'] })
  const verdict = judgeUnderPolicies(moduleChange(old, next), byArgo, [policy], aLedger())
  t.same(
    verdict.findings.map(({ rule }) => rule),
    ['WH-V1', 'WH-M15'],
  )
  t.ok(judgeUnderPolicies(moduleChange(old, old), byArgo, [policy], aLedger()).allowed)
})

function relabelled(policy: NamedPolicy, edit: ModuleEdit = {}): readonly string[] {
  const [old, next] = [aModule(edit), aModule({ ...edit, labels: { team: 'platform' } })]
  return said(judgeUnderPolicies(moduleChange(old, next), byArgo, [policy], aLedger()))
}

t.test(
  'WH-M15 a label does not bring what never changes under less than holds without a policy',
  async (t) => {
    const selector = { namespaces: [], labels: platform }
    const told = named('told', { selector, modes: { 'WH-V1': 'warn' } })
    t.same(relabelled(told), [
      'WH-M15 forbidden: the labels would put this Module under the policy "told", which enforces less than holds without one',
    ])
    t.same(relabelled(told, MUTABLE), [], 'what may change anyway')
    t.same(relabelled(told, { versions: [] }), [], 'nothing was published')
    t.same(relabelled(named('strict', { selector, modes: { 'WH-P1': 'warn' } })), [])
  },
)

t.test('a Version of no Module chooses no policy by its own labels', async (t) => {
  const read = readVersion({
    metadata: { name: 'vpc-9-9-9', namespace: 'infra', labels: { team: 'platform' } },
    spec: { type: 'Module', version: '9.9.9', moduleConfigRef: { name: 'nobody' } },
  })
  if (!read.ok) throw new Error(read.denial)
  const made = (selector: ModulePolicySpec['selector']): boolean => {
    const told = named('told', { selector, modes: { 'WH-S4': 'warn' } })
    const about = {
      operation: 'CREATE',
      subResource: '',
      namespace: 'infra',
      name: 'vpc-9-9-9',
      dryRun: false,
    } as const
    const subject = { resource: 'versions', ...about, old: undefined, new: read.value } as const
    return judgeUnderPolicies(subject, { ...byArgo, user: alice }, [told], aLedger()).allowed
  }
  t.notOk(made({ namespaces: ['infra'], labels: platform }))
  t.ok(made({ namespaces: ['infra'], labels: new Map() }), 'a policy for the whole namespace has its say')
})

function depot(immutable: boolean): DepotObject {
  const read = readDepot({
    metadata: { name: 'upstream', namespace: 'infra' },
    spec: { global: { moduleConfig: { immutable } }, moduleConfigs: [] },
  })
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

t.test('a policy for labels loosens nothing for a Depot, which may publish what has others', async (t) => {
  const about = {
    operation: 'UPDATE',
    subResource: '',
    namespace: 'infra',
    name: 'upstream',
    dryRun: false,
  } as const
  const subject = { resource: 'depots', ...about, old: depot(true), new: depot(false) } as const
  const modes = (...policies: readonly NamedPolicy[]): readonly string[] =>
    judgeUnderPolicies(subject, byArgo, policies, aLedger())
      .findings.filter(({ rule }) => rule === 'WH-D2')
      .map(({ mode }) => mode)
  const loose = (selector: ModulePolicySpec['selector']): NamedPolicy =>
    named('loose', { selector, modes: { 'WH-D2': 'warn' } })
  t.same(modes(loose({ namespaces: [], labels: platform })), ['enforce'])
  t.same(modes(loose({ namespaces: [], labels: new Map() })), ['warn'], 'one for the whole namespace does')
  const strict = named('strict', { selector: { namespaces: [], labels: platform } })
  t.same(modes(strict), ['enforce'], 'and one for labels is as strict as it says')
  const kept = { ...subject, new: depot(true) }
  const written = judgeUnderPolicies(
    { ...kept, operation: 'CREATE', old: undefined },
    byArgo,
    [strict],
    aLedger(),
  )
  t.same(said(written), [], 'whom the policy lists is not told that none lists him')
})

t.test('of two policies the stricter one decides, and each thing is said once', async (t) => {
  const told = named('told', { ...required, modes: { 'WH-V1': 'warn', 'WH-P1': 'warn' } })
  const strict = named('strict', required)
  for (const policies of [
    [told, strict],
    [strict, told],
  ]) {
    const verdict = removal(policies)
    t.notOk(verdict.allowed)
    t.same(
      verdict.findings.map(({ rule, mode }) => `${rule} ${mode}`),
      ['WH-V1 enforce'],
    )
  }
  t.ok(removal([told]).allowed)
})

t.test('who asks is somebody else under another policy', async (t) => {
  const lists = named('lists', {
    identities: { ...aPolicy().identities, human: { users: ['alice'], groups: [] } },
  })
  const strangers = named('lists-nobody')
  const add = moduleChange(aModule(), aModule({ versions: ['1.0.0', '1.1.0', '1.2.0'] }))
  const byAlice: Asker = { ...byArgo, user: alice }
  t.ok(judgeUnderPolicies(add, byAlice, [lists], aLedger()).allowed)
  t.notOk(judgeUnderPolicies(add, byAlice, [lists, strangers], aLedger()).allowed)
})

t.test('a review of files says nothing about who asks, and all about what changes', async (t) => {
  const nobody: Asker = { user: undefined, mayDo: new Set(), atSeconds: NOON }
  const strict = named('strict', required)
  const add = moduleChange(aModule(), aModule({ versions: ['1.0.0', '1.1.0', '1.2.0'] }))
  const published = judgeUnderPolicies(add, nobody, [strict], aLedger())
  t.same(said(published), [])
  t.notOk(published.annotations.has('publisher'))
  t.notOk(removal([strict], {}, nobody).allowed)
  t.same(said(judgeUnderPolicies(add, { ...nobody, user: alice }, [strict], aLedger())), [
    'WH-P1 forbidden: version 1.2.0 may not be published by "alice": nothing in its credentials names a repository',
  ])
})
