// A cluster in memory that the webhook follows, and what stands in it.
import type { Test } from 'tap'
import { Registry } from 'prom-client'
import type { JsonObject } from '../../src/core/claims.ts'
import type { ChangeSubject } from '../../src/core/module/change.ts'
import type { LedgerFacts, PublishedFacts } from '../../src/core/module/ledger.ts'
import { readModule } from '../../src/core/module/module_object.ts'
import { PUBLISHED_VERSIONS } from '../../src/platform/ledger/kube_ledger.ts'
import { openCluster } from '../../webhook/cluster/cluster.ts'
import type { Cluster } from '../../webhook/cluster/cluster.ts'
import { memoryKube } from './memory_kube.ts'
import type { MemoryKube } from './memory_kube.ts'
import { aModule, alice, moduleJson, NOON } from './module_changes.ts'
import type { ModuleEdit } from './module_changes.ts'

export const OPENDEPOT = '/apis/opendepot.defdev.io/v1alpha1'
export const MODULES = `${OPENDEPOT}/modules`
export const PROVIDERS = `${OPENDEPOT}/providers`
export const VERSIONS = `${OPENDEPOT}/versions`
export const POLICIES = '/apis/sallyport.dev/v1alpha1/modulepolicies'
export const VPC = { kind: 'Module', namespace: 'infra', name: 'terraform-aws-vpc' } as const

type House = {
  readonly kube: MemoryKube
  readonly cluster: Cluster
  readonly told: string[]
  readonly registry: Registry
}

export async function house(t: Test, fill: (kube: MemoryKube) => void = () => undefined): Promise<House> {
  const kube = memoryKube()
  fill(kube)
  return follow(t, kube)
}

/** One more replica of the same cluster. */
export async function follow(t: Test, kube: MemoryKube): Promise<House> {
  const told: string[] = []
  const tell = (_what: unknown, text = ''): void => void told.push(text)
  const registry = new Registry()
  const cluster = await openCluster({
    connection: kube.connection,
    log: { debug: tell, info: () => undefined, warn: tell, error: tell },
    clock: () => NOON * 1000,
    registry,
    random: () => 0,
  })
  t.teardown(() => cluster.close())
  return { kube, cluster, told, registry }
}

export async function synced(t: Test, fill?: (kube: MemoryKube) => void): Promise<House> {
  const made = await house(t, fill)
  await made.cluster.synced
  t.same(made.cluster.missing(), [])
  return made
}

export function module(kube: MemoryKube, edit: ModuleEdit = {}, namespace = 'infra'): JsonObject {
  const json = JSON.parse(
    JSON.stringify(moduleJson({ ...edit, metadata: { uid: undefined, namespace, ...edit.metadata } })),
  )
  return kube.put(MODULES, json)
}

export function subjectOf(old: JsonObject | undefined, next: ModuleEdit | undefined): ChangeSubject {
  const read = old === undefined ? undefined : readModule(old)
  if (read?.ok === false) throw new Error(read.denial)
  const after = next === undefined ? undefined : aModule(next)
  const replaced = after === undefined ? 'DELETE' : 'UPDATE'
  return {
    resource: 'modules',
    subResource: '',
    operation: old === undefined ? 'CREATE' : replaced,
    namespace: 'infra',
    name: (read?.value ?? after)?.meta.name ?? '',
    old: read?.value,
    new: after,
    dryRun: false,
  }
}

export function judge(cluster: Cluster, old: JsonObject, next: ModuleEdit | undefined, user = alice): void {
  const { uid, resourceVersion } = Object(old['metadata'])
  const subject = subjectOf(old, next)
  cluster.remember({
    subject,
    user,
    oldResourceVersion: resourceVersion,
    objectUid: uid,
    atSeconds: NOON - 1,
  })
}

export function facts(cluster: Cluster, plain: string): PublishedFacts | undefined {
  return cluster.ledger.published(VPC).get(plain)
}

export const kept = (kube: MemoryKube): readonly string[] =>
  kube
    .objects(PUBLISHED_VERSIONS)
    .map(({ spec }) => `${Object(spec).version} ${Object(spec).state}`)
    .sort()

export function versionJson(
  name: string,
  version: string,
  status: JsonObject = {},
  spec: JsonObject = {},
): JsonObject {
  const config = { type: 'Module', version, moduleConfigRef: { name: 'terraform-aws-vpc' }, ...spec }
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Version',
    metadata: { name, namespace: 'infra' },
    spec: config,
    status,
  }
}

export function policyJson(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: 'sallyport.dev/v1alpha1', kind: 'ModulePolicy', metadata: { name }, spec }
}

const TWO_PLATFORMS = { operatingSystems: ['linux'], architectures: ['amd64', 'arm64'] }

export function providerJson(
  name: string,
  versions: readonly string[],
  providerConfig: JsonObject = TWO_PLATFORMS,
): JsonObject {
  const spec = {
    providerConfig,
    versions: versions.map((version) => ({ version })),
  }
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Provider',
    metadata: { name, namespace: 'infra' },
    spec,
  }
}

export function factsOf(cluster: Cluster, next: ModuleEdit): LedgerFacts {
  return cluster.factsOf(subjectOf(undefined, next))
}
