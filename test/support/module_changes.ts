// One valid Module and the changes to it that tests make: each test says only what is different.
import type { Test } from 'tap'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import { actorOf } from '../../src/core/module/actor.ts'
import type { BreakGlassVerb, ModuleChange } from '../../src/core/module/change.ts'
import { judgeChange } from '../../src/core/module/judge_change.ts'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { LedgerFacts, PublishedFacts } from '../../src/core/module/ledger.ts'
import { readModule } from '../../src/core/module/module_object.ts'
import type { ModuleObject } from '../../src/core/module/module_object.ts'
import type { Identities, ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import { isDenial } from '../../src/core/module/verdict_message.ts'

export type Json = { readonly [key: string]: unknown }

export type ModuleEdit = {
  readonly name?: string
  readonly versions?: readonly (string | Json)[]
  /** Over the fields of moduleConfig; `undefined` takes one away. */
  readonly config?: Json
  readonly labels?: Json
  readonly annotations?: Json
  readonly metadata?: Json
  readonly status?: Json
}

/** As it stands in seed 001: immutable, from github.com/acme/terraform-aws-vpc. */
export function aModule(edit: ModuleEdit = {}): ModuleObject {
  const read = readModule(moduleJson(edit))
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

export function moduleJson(edit: ModuleEdit = {}): Json {
  const name = edit.name ?? 'terraform-aws-vpc'
  const { labels, annotations } = edit
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace: 'infra', uid: 'u-1', labels, annotations, ...edit.metadata },
    spec: {
      moduleConfig: {
        name,
        provider: 'aws',
        repoOwner: 'acme',
        repoUrl: 'https://github.com/acme/terraform-aws-vpc',
        fileFormat: 'zip',
        immutable: true,
        storageConfig: { s3: { bucket: 'acme-modules', region: 'us-west-2' } },
        ...edit.config,
      },
      versions: (edit.versions ?? ['1.0.0', '1.1.0']).map((entry) =>
        typeof entry === 'string' ? { version: entry } : entry,
      ),
    },
    status: edit.status,
  }
}

/** The same Module without `immutable: true`. */
export const MUTABLE = { config: { immutable: undefined } } as const satisfies ModuleEdit

const TOKEN = { 'authentication.kubernetes.io/credential-id': ['JTI=5a0c'] }

export const alice: KubeUser = { username: 'alice', uid: '', groups: ['system:authenticated'], extra: {} }
export const controller: KubeUser = serviceAccount('opendepot-system', 'module-controller')
export const argo: KubeUser = serviceAccount('argocd', 'argocd-application-controller')

export function serviceAccount(namespace: string, name: string): KubeUser {
  return {
    username: `system:serviceaccount:${namespace}:${name}`,
    uid: 'sa-1',
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: TOKEN,
  }
}

/** A user of the broker: the pipeline of the Module's repository, for the tag v1.2.0. */
export function pipeline(claims: Readonly<Record<string, string | undefined>> = {}): KubeUser {
  const told = {
    source: 'github.com/acme/terraform-aws-vpc',
    'repository-id': '4711',
    ref: 'refs/tags/v1.2.0',
    sha: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39',
    ...claims,
  }
  const extra = Object.entries(told).flatMap(([key, value]) =>
    value === undefined ? [] : [[`sallyport.dev/${key}`, [value]] as const],
  )
  return {
    username: 'ci:repo:acme/terraform-aws-vpc',
    uid: '4711',
    groups: ['ci:publishers', 'system:authenticated'],
    extra: { ...TOKEN, ...Object.fromEntries(extra) },
  }
}

const NOBODY: Identities = {
  controller: { users: [], groups: [] },
  gitops: { users: [], groups: [] },
  importer: { users: [], groups: [] },
  human: { users: [], groups: [] },
}

/** Covers all, asks for nothing beyond what holds without a policy, and lists Argo CD as the GitOps agent. */
export function aPolicy(edit: Partial<ModulePolicySpec> = {}): ModulePolicySpec {
  return {
    selector: { namespaces: [], labels: new Map() },
    immutability: 'optional',
    publishers: [],
    ordering: 'free',
    pins: 'optional',
    exceptions: [],
    modes: {},
    ...edit,
    identities: { ...NOBODY, gitops: { users: [argo.username], groups: [] }, ...edit.identities },
  }
}

export function aLedger(edit: Partial<LedgerFacts> = {}): LedgerFacts {
  return { ...NO_FACTS, ...edit }
}

export function published(edit: Partial<PublishedFacts> = {}): PublishedFacts {
  return { state: 'present', immutable: true, ...edit }
}

export type Circumstances = {
  readonly user?: KubeUser
  /** Without: one that lists Argo CD; `undefined`: none at all. */
  readonly policy?: ModulePolicySpec | undefined
  readonly ledger?: Partial<LedgerFacts>
  readonly mayDo?: readonly BreakGlassVerb[]
  readonly dryRun?: boolean
  readonly atSeconds?: number
}

export const NOON = 1_800_000_000

/** CREATE without `old`, DELETE without `next`. */
export function moduleChange(
  old: ModuleObject | undefined,
  next: ModuleObject | undefined,
  given: Circumstances = {},
): ModuleChange {
  return {
    resource: 'modules',
    subResource: '',
    old,
    new: next,
    ...around(old, next, given),
  }
}

/** What every change has, whatever it is of. */
export function around(
  old: Pick<ModuleObject, 'meta'> | undefined,
  next: Pick<ModuleObject, 'meta'> | undefined,
  given: Circumstances,
): Omit<ModuleChange, 'resource' | 'subResource' | 'old' | 'new'> {
  const replaced = next === undefined ? 'DELETE' : 'UPDATE'
  return {
    operation: old === undefined ? 'CREATE' : replaced,
    namespace: 'infra',
    name: (old ?? next)?.meta.name ?? '',
    dryRun: given.dryRun ?? false,
    user: actorOf(given.user ?? argo, given.policy?.identities),
    mayDo: new Set(given.mayDo),
    atSeconds: given.atSeconds ?? NOON,
  }
}

/** What the rules say of one Module becoming another: Argo CD asks, under a policy that lists it. */
export function judged(
  old: ModuleObject | undefined,
  next: ModuleObject | undefined,
  given: Circumstances = {},
): Verdict {
  const policy = 'policy' in given ? given.policy : aPolicy()
  return judgeChange(moduleChange(old, next, { ...given, policy }), policy, aLedger(given.ledger))
}

/** `WH-V1 forbidden: version ...` of each finding. */
export function said(verdict: Verdict): readonly string[] {
  return verdict.findings.map(({ rule, kind, message }) => `${rule} ${kind}: ${message}`)
}

export type Row = {
  /** Begins with the id of the rule: `WH-V1 a version is taken off the list`. */
  readonly title: string
  readonly from?: ModuleEdit
  readonly to?: ModuleEdit
  readonly given?: Circumstances
  /** All that is said, refusals, notices and records. */
  readonly says: readonly string[]
  /** The nearest thing that is let through, without a word or with these. */
  readonly twin: {
    readonly from?: ModuleEdit
    readonly to?: ModuleEdit
    readonly given?: Circumstances
    readonly says?: readonly string[]
  }
}

/** One test a row: refused for exactly the reasons named, and its twin allowed. */
export function checkRows(t: Test, rows: readonly Row[]): void {
  for (const row of rows) {
    t.test(row.title, async (t) => {
      const denied = judgedRow(row)
      t.same(said(denied), row.says)
      t.notOk(denied.allowed)
      t.ok(
        denied.findings.filter(isDenial).every(({ wayOut }) => wayOut !== ''),
        'each refusal has a way out',
      )
      const accepted = judgedRow(row.twin)
      t.same(said(accepted), row.twin.says ?? [])
      t.ok(accepted.allowed)
    })
  }
}

function judgedRow({ from, to, given }: Pick<Row, 'from' | 'to' | 'given'>): Verdict {
  const old = from === undefined ? undefined : aModule(from)
  return judged(old, to === undefined ? undefined : aModule(to), given)
}
