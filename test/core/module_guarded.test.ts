// What Modules stand on: the ledger, the policies, their Namespaces and the definitions of their kinds.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import type { ChangeSubject } from '../../src/core/module/change.ts'
import {
  readDefinition,
  readNamespace,
  readPolicyObject,
  readPublishedVersion,
} from '../../src/core/module/guarded_object.ts'
import type { LedgerFacts } from '../../src/core/module/ledger.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import type { Reading } from '../../src/core/module/reading.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import { aLedger, aPolicy, alice, NOON, said, serviceAccount } from '../support/module_changes.ts'
import type { Json } from '../support/module_changes.ts'

const webhook = serviceAccount('sallyport', 'webhook')
const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

function whole<T>(read: Reading<T>): T {
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

type Given = {
  readonly user?: KubeUser | undefined
  readonly policies?: readonly NamedPolicy[]
  readonly facts?: Partial<LedgerFacts>
}

function judged(subject: ChangeSubject, given: Given): Verdict {
  const user = 'user' in given ? given.user : alice
  const asker = { user, mayDo: new Set<never>(), atSeconds: NOON }
  return judgeUnderPolicies(subject, asker, given.policies ?? [], aLedger(given.facts))
}

type Bodies<Body> = { readonly old: Body | undefined; readonly new: Body | undefined }

function about<Body>(name: string, bodies: Bodies<Body>) {
  const replaced = bodies.new === undefined ? 'DELETE' : 'UPDATE'
  const operation = bodies.old === undefined ? 'CREATE' : replaced
  return { operation, subResource: '', namespace: '', name, dryRun: false, ...bodies } as const
}

const named = (name: string, edit: Partial<ModulePolicySpec> = {}): NamedPolicy => ({
  name,
  spec: aPolicy(edit),
})

const ENTRY = whole(
  readPublishedVersion({
    metadata: { name: `pv-${'0'.repeat(48)}` },
    spec: {
      module: { namespace: 'infra', name: 'vpc' },
      version: '1.0.0',
      state: 'present',
      immutable: true,
    },
  }),
)

function ledgerChange(bodies: Bodies<typeof ENTRY>, given: Given = {}): Verdict {
  const subject = { resource: 'publishedversions', ...about(ENTRY.meta.name, bodies) } as const
  const facts = { ownIdentities: { users: [webhook.username], groups: [] } }
  return judged(subject, { facts, ...given })
}

t.test('WH-L1 the ledger is written by the webhook alone', async (t) => {
  for (const [bodies, done] of [
    [{ old: undefined, new: ENTRY }, 'written'],
    [{ old: ENTRY, new: ENTRY }, 'changed'],
    [{ old: ENTRY, new: undefined }, 'deleted'],
  ] as const) {
    const verdict = ledgerChange(bodies)
    t.same(said(verdict), [
      `WH-L1 forbidden: the ledger of "infra/vpc" would be ${done} by "alice"; it is kept by Sallyport's webhook alone`,
    ])
    t.notOk(verdict.allowed)
    t.same(said(ledgerChange(bodies, { user: webhook })), [], done)
    t.same(said(ledgerChange(bodies, { user: undefined })), [], 'a file says nothing of who asks')
  }
  const byGroup = { ownIdentities: { users: [], groups: ['system:serviceaccounts:sallyport'] } }
  t.same(said(ledgerChange({ old: ENTRY, new: undefined }, { user: webhook, facts: byGroup })), [])
})

t.test('WH-L1 holds whatever a policy says', async (t) => {
  const lax = named('lax', { modes: { 'WH-L1': 'audit' } })
  t.notOk(ledgerChange({ old: ENTRY, new: undefined }, { policies: [lax] }).allowed)
})

function policyObject(spec: Json, name = 'platform') {
  const object = { apiVersion: 'sallyport.dev/v1alpha1', kind: 'ModulePolicy', metadata: { name }, spec }
  return whole(readPolicyObject(object))
}

type PolicyBody = ReturnType<typeof policyObject>

function policyChange(
  old: PolicyBody | undefined,
  next: PolicyBody | undefined,
  policies: readonly NamedPolicy[] = [],
): Verdict {
  const subject = { resource: 'modulepolicies', ...about('platform', { old, new: next }) } as const
  return judged(subject, { policies })
}

const selecting = (namespaces: readonly string[], labels: Json = {}): NamedPolicy =>
  named('other', {
    selector: {
      namespaces,
      labels: new Map(Object.entries(labels).map(([key, value]) => [key, String(value)])),
    },
  })

t.test('WH-O1 two policies cover no Module together', async (t) => {
  const mine = policyObject({ selector: { namespaces: ['infra', 'shared'], matchLabels: { team: 'a' } } })
  for (const [other, where] of [
    [selecting(['shared', 'x']), 'in "shared" with "team=a"'],
    [selecting([]), 'in "infra", "shared" with "team=a"'],
    [selecting([], { tier: 'gold' }), 'in "infra", "shared" with "tier=gold", "team=a"'],
  ] as const) {
    const verdict = policyChange(undefined, mine, [other])
    t.same(said(verdict), [`WH-O1 forbidden: this policy and "other" would both cover Modules ${where}`])
    t.notOk(verdict.allowed)
  }
  t.same(said(policyChange(undefined, policyObject({ selector: {} }), [selecting([])])), [
    'WH-O1 forbidden: this policy and "other" would both cover Modules in any namespace',
  ])
  for (const apart of [selecting(['elsewhere']), selecting([], { team: 'b' })]) {
    t.same(said(policyChange(undefined, mine, [apart])), [])
  }
  t.same(said(policyChange(mine, mine, [selecting([])])), [], 'as it was before')
  t.same(said(policyChange(undefined, mine, [{ ...selecting([]), name: 'platform' }])), [], 'itself')
  const wider = policyObject({
    selector: { namespaces: ['infra', 'shared', 'x'], matchLabels: { team: 'a' } },
  })
  t.match(said(policyChange(mine, wider, [selecting(['x'])])), [/^WH-O1/])
})

t.test('WH-O1 and WH-O2 hold whatever a policy says', async (t) => {
  const lax = named('lax', { modes: { 'WH-O1': 'audit', 'WH-O2': 'audit' } })
  t.notOk(policyChange(undefined, policyObject({ selector: {} }), [lax]).allowed)
})

t.test('WH-O2 a policy that nobody can read is none', async (t) => {
  const broken = policyObject({ selector: {}, modes: { 'WH-Z9': 'warn' } })
  const verdict = policyChange(undefined, broken)
  t.same(said(verdict), [
    'WH-O2 invalid: this policy cannot be read: spec.modes is not a mapping of rules that there are',
  ])
  t.notOk(verdict.allowed)
  t.same(said(policyChange(broken, broken)), [], 'as it was before')
  t.same(said(policyChange(broken, policyObject({ selector: {} }))), [], 'mended')
})

t.test('WH-O3 a policy that holds less is told of', async (t) => {
  const strict = {
    selector: { namespaces: ['infra', 'shared'] },
    immutability: 'required',
    ordering: 'monotonic',
    pins: 'required',
    publishers: [{ source: 'github.com/acme/a' }],
  }
  const before = policyObject(strict)
  for (const [change, part] of [
    [{ immutability: 'optional' }, 'immutability'],
    [{ ordering: 'backport' }, 'ordering'],
    [{ pins: 'optional' }, 'pins'],
    [{ modes: { 'WH-V1': 'warn' } }, 'WH-V1'],
    [{ selector: { namespaces: ['infra'] } }, 'selector.namespaces'],
    [{ selector: { ...strict.selector, matchLabels: { a: 'b' } } }, 'selector.matchLabels'],
    [{ publishers: [...strict.publishers, { source: 'github.com/acme/b' }] }, 'publishers'],
    [{ publishers: undefined }, 'publishers'],
    [{ identities: { human: { users: ['jo'] } } }, 'identities'],
    [
      {
        exceptions: [
          {
            rules: ['WH-V1'],
            modules: ['infra/vpc'],
            until: '2027-01-31T00:00:00Z',
            approver: 'jo',
            reason: 'it has to go',
          },
        ],
      },
      'exceptions',
    ],
  ] as const) {
    const verdict = policyChange(before, policyObject({ ...strict, ...change }))
    t.same(said(verdict), [`WH-O3 notice: this policy holds less than it did: ${part}`])
    t.ok(verdict.allowed)
    t.same(
      said(policyChange(policyObject({ ...strict, ...change }), policyObject({ ...strict, ...change }))),
      [],
    )
  }
  const stricter = { ...strict, ordering: 'free', pins: 'optional', modes: { 'WH-V1': 'audit' } }
  t.same(said(policyChange(policyObject(stricter), policyObject(strict))), [], 'one that holds more')
  const gone = policyChange(before, undefined)
  t.ok(gone.allowed)
  t.same(said(gone), [
    'WH-O3 notice: what this policy covers is held by no policy from now on, also where immutable: true is not written',
  ])
})

function aNamespace(labels: Json = {}, metadata: Json = {}) {
  return whole(readNamespace({ metadata: { name: 'infra', labels, ...metadata } }))
}

type NamespaceBody = ReturnType<typeof aNamespace>

function namespaceChange(old: NamespaceBody, next: NamespaceBody | undefined, given: Given = {}): Verdict {
  const subject = { resource: 'namespaces', ...about('infra', { old, new: next }) } as const
  return judged(subject, { facts: { publishedInNamespace: 3 }, ...given })
}

const empty = { facts: { publishedInNamespace: 0 } }

t.test('WH-M15 a Namespace with published versions is not deleted', async (t) => {
  const verdict = namespaceChange(aNamespace(), undefined)
  t.same(said(verdict), [
    'WH-M15 forbidden: this Namespace holds 3 published versions that never change, and would be deleted with them',
  ])
  t.notOk(verdict.allowed)
  t.same(said(namespaceChange(aNamespace(), undefined, empty)), [])
  const going = aNamespace({}, { deletionTimestamp: '2026-11-21T20:00:00Z' })
  t.same(said(namespaceChange(going, undefined)), [], 'its deletion was judged')
})

t.test('WH-M15 a Namespace keeps the labels by which admission finds it', async (t) => {
  const off = aNamespace({ 'sallyport.dev/webhook': 'off' })
  const verdict = namespaceChange(aNamespace({ team: 'a' }), off)
  t.same(said(verdict), [
    'WH-M15 forbidden: this Namespace holds 3 published versions that never change, and the label "sallyport.dev/webhook" would change, which decides whether its Modules are looked at',
  ])
  t.notOk(verdict.allowed)
  t.same(said(namespaceChange(aNamespace({ team: 'a' }), aNamespace({ team: 'b' }))), [], 'another label')
  t.same(said(namespaceChange(off, off)), [], 'as it was before')
  t.same(said(namespaceChange(aNamespace(), off, empty)), [])
})

t.test('WH-M15 a Namespace is held by the mode of the policy for all of it, and by no other', async (t) => {
  const warned = { modes: { 'WH-M15': 'warn' } } as const
  const decides = (selector: ModulePolicySpec['selector']): boolean =>
    namespaceChange(aNamespace(), undefined, { policies: [named('told', { ...warned, selector })] }).allowed
  t.ok(decides({ namespaces: ['infra'], labels: new Map() }))
  t.ok(decides({ namespaces: [], labels: new Map() }))
  t.notOk(decides({ namespaces: ['infra'], labels: new Map([['team', 'a']]) }))
  t.notOk(decides({ namespaces: ['shared'], labels: new Map() }))
})

function definition(folder: string, kind: string): Json {
  return Object(parse(readFileSync(join(CRDS, folder, `${kind}.yaml`), 'utf8')))
}

function definitionChange(old: unknown, next: unknown, given: Given = {}): Verdict {
  const before = whole(readDefinition(old))
  const after = next === undefined ? undefined : whole(readDefinition(next))
  const subject = {
    resource: 'customresourcedefinitions',
    ...about(before.meta.name, { old: before, new: after }),
  } as const
  return judged(subject, { facts: { publishedInCluster: 1 }, ...given })
}

t.test('WH-M15 the definition of a kind that is held is not deleted', async (t) => {
  for (const [folder, kind] of [
    ['opendepot', 'modules'],
    ['opendepot', 'providers'],
    ['opendepot', 'versions'],
    ['sallyport', 'publishedversions'],
    ['sallyport', 'modulepolicies'],
  ] as const) {
    const verdict = definitionChange(definition(folder, kind), undefined)
    t.same(
      said(verdict),
      [
        'WH-M15 forbidden: with this definition every object of it would be deleted, and 1 published version depends on them',
      ],
      kind,
    )
    t.notOk(verdict.allowed)
    const none = { facts: { publishedInCluster: 0 } }
    t.same(said(definitionChange(definition(folder, kind), undefined, none)), [], kind)
  }
  t.same(said(definitionChange(definition('opendepot', 'groupbindings'), undefined)), [], 'holds nothing')
})

const specIn = (version: Record<string, unknown>) =>
  Object(version['schema']).openAPIV3Schema.properties.spec.properties
const wouldLose = (what: string) => [
  `WH-M15 forbidden: this definition would no longer ${what}, and 1 published version depends on its objects`,
]

t.test('WH-M15 a definition of them knows no less than it did', async (t) => {
  const before = definition('opendepot', 'modules')
  const changed = (change: (version: Record<string, unknown>) => void): unknown => {
    const after = structuredClone(before)
    change(Object(after['spec']).versions[0])
    return after
  }
  t.same(
    said(
      definitionChange(
        before,
        changed((version) => (version['served'] = false)),
      ),
    ),
    wouldLose('serve v1alpha1'),
  )
  t.same(
    said(
      definitionChange(
        before,
        changed((version) => Reflect.deleteProperty(specIn(version).moduleConfig.properties, 'immutable')),
      ),
    ),
    wouldLose('know "spec.moduleConfig.immutable"'),
  )
  t.same(
    said(
      definitionChange(
        before,
        changed((version) => Reflect.deleteProperty(specIn(version).versions.items.properties, 'version')),
      ),
    ),
    wouldLose('know "spec.versions[].version"'),
  )
  t.same(
    said(
      definitionChange(
        before,
        changed((version) => (specIn(version).moduleConfig.properties.immutable.type = 'string')),
      ),
    ),
    wouldLose('know "spec.moduleConfig.immutable"'),
  )
  t.same(
    said(
      definitionChange(
        before,
        changed((version) => (specIn(version).fresh = { type: 'string' })),
      ),
    ),
    [],
  )
  const preserved = changed((version) => {
    Object(version['schema']).openAPIV3Schema = {
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
    }
  })
  t.same(said(definitionChange(before, preserved)), [], 'one that keeps whatever is written')
  const plain = changed((version) => {
    Reflect.deleteProperty(specIn(version).versions, 'x-kubernetes-list-type')
    Reflect.deleteProperty(specIn(version).versions, 'x-kubernetes-list-map-keys')
  })
  t.same(said(definitionChange(before, plain)), [], 'the plain list')
  t.same(said(definitionChange(plain, before)), [], 'and back')
})

t.test('WH-M15 a definition of ours goes on telling the entries of a list apart', async (t) => {
  const before = definition('sallyport', 'publishedversions')
  const changed = (change: (moved: Record<string, unknown>) => void): unknown => {
    const after = structuredClone(before)
    change(specIn(Object(after['spec']).versions[0]).moved)
    return after
  }
  const lost = wouldLose('keep entries apart in "spec.moved" (x-kubernetes-list-type)')
  const atomic = changed((moved) => (moved['x-kubernetes-list-type'] = 'atomic'))
  t.same(said(definitionChange(before, atomic)), lost)
  const unsaid = changed((moved) => Reflect.deleteProperty(moved, 'x-kubernetes-list-type'))
  t.same(said(definitionChange(before, unsaid)), lost)
  const others = changed((moved) => (moved['x-kubernetes-list-map-keys'] = ['at']))
  t.same(said(definitionChange(before, others)), lost)
  t.same(said(definitionChange(atomic, before)), [], 'and back')
})

t.test('WH-M15 a definition that is converted goes on being converted by the same', async (t) => {
  const service = { namespace: 'opendepot-system', name: 'convert', path: '/convert', port: 443 }
  const by = (clientConfig: object): Record<string, unknown> => {
    const made = definition('opendepot', 'modules')
    const reviewed = { clientConfig, conversionReviewVersions: ['v1'] }
    Object(made['spec']).conversion = { strategy: 'Webhook', webhook: reviewed }
    return made
  }
  const before = by({ service, caBundle: 'b25l' })
  const lost = wouldLose('be converted by "opendepot-system/convert:443/convert"')
  for (const other of [{ name: 'evil' }, { namespace: 'evil' }, { path: '/evil' }, { port: 444 }])
    t.same(said(definitionChange(before, by({ service: { ...service, ...other } }))), lost)
  t.same(said(definitionChange(before, by({ url: 'https://evil.example/convert' }))), lost)
  t.same(
    said(definitionChange(by({ url: 'https://a.example' }), by({ url: 'https://b.example' }))),
    wouldLose('be converted by "https://a.example"'),
  )
  const { port: _port, ...usual } = service
  t.same(said(definitionChange(before, by({ service: usual, caBundle: 'dHdv' }))), [], 'a renewed CA')
  t.same(said(definitionChange(before, definition('opendepot', 'modules'))), [], 'by nobody')
})

t.test('WH-M15 a definition keeps status apart, and is not converted by somebody else', async (t) => {
  const before = definition('opendepot', 'modules')
  const open = structuredClone(before)
  Reflect.deleteProperty(Object(open['spec']).versions[0], 'subresources')
  t.same(said(definitionChange(before, open)), wouldLose('keep status apart (subresources)'))
  t.same(said(definitionChange(open, before)), [])
  const converted = structuredClone(before)
  Object(converted['spec']).conversion = { strategy: 'Webhook' }
  t.same(said(definitionChange(before, converted)), wouldLose('store what is written (conversion)'))
  t.same(said(definitionChange(converted, converted)), [], 'as it was before')
  Object(converted['spec']).conversion = { strategy: 'None' }
  t.same(said(definitionChange(before, converted)), [])
})

t.test('WH-M15 a definition is held by the mode of a policy for everything, and by no other', async (t) => {
  const warned = { modes: { 'WH-M15': 'warn' } } as const
  const decides = (selector: ModulePolicySpec['selector']): boolean => {
    const policies = [named('told', { ...warned, selector })]
    return definitionChange(definition('opendepot', 'modules'), undefined, { policies }).allowed
  }
  t.ok(decides({ namespaces: [], labels: new Map() }))
  t.notOk(decides({ namespaces: ['infra'], labels: new Map() }))
})
