// What an attack on generated policies is made of: what is stored before, and what somebody asks.
import type { Ask, Impersonated } from '../../support/kube_asker.ts'

export type Json = Readonly<Record<string, unknown>>

export type Attack = {
  /** Of the object, and of the row. */
  readonly name: string
  /** What the sentence begins with. */
  readonly rule: string
  readonly status: 403 | 422
  /** Whatever is there before the policies are. */
  readonly stored?: readonly Stored[]
  readonly attack: Asked
  readonly twin: Asked
  /** In a namespace whose policy requires immutable and pinned Modules, of those with the label tier=gold. */
  readonly strict?: true
}

type Kind = 'modules' | 'providers' | 'versions' | 'depots'
type Stored = { readonly kind: Kind; readonly object: Json; readonly status?: Json }
type Asked = (place: Place) => Ask
export type Place = { readonly path: (kind: Kind, name?: string) => string; readonly name: string }

export const API_VERSION = 'opendepot.defdev.io/v1alpha1'
const PATCH = 'application/merge-patch+json'
const JSON_PATCH = 'application/json-patch+json'

export const ALICE: Impersonated = { user: 'alice', groups: ['platform', 'system:masters'] }
export const MALLORY: Impersonated = { user: 'mallory', groups: ['editors'] }
export const CONTROLLER: Impersonated = {
  user: 'system:serviceaccount:opendepot-system:module-controller',
  groups: ['editors'],
}
export const COLLECTOR: Impersonated = {
  user: 'system:serviceaccount:kube-system:generic-garbage-collector',
  groups: ['editors'],
}

export const SHA = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'

/** As the broker's token says it, on the way that only tokens come. */
export function pipeline(more: Readonly<Record<string, string>> = {}): Impersonated {
  return {
    user: 'ci:repo:acme/vpc',
    groups: ['editors'],
    extra: {
      'authentication.kubernetes.io/credential-id': 'JTI=1',
      'sallyport.dev/source': 'github.com/acme/vpc',
      'sallyport.dev/ref': 'refs/tags/v1.2.0',
      'sallyport.dev/sha': SHA,
      ...more,
    },
  }
}

const CONFIG = {
  provider: 'aws',
  repoOwner: 'acme',
  repoUrl: 'https://github.com/Acme/vpc.git',
  fileFormat: 'zip',
  immutable: true,
  storageConfig: { s3: { bucket: 'modules', region: 'us-west-2' } },
}

export const entries = (versions: readonly string[]): Json[] => versions.map((version) => ({ version }))

/** Over one valid Module. */
export function module(
  config: Json = {},
  versions: readonly string[] = ['1.0.0', '1.1.0'],
  more: Json = {},
): Json {
  return {
    kind: 'Module',
    spec: { moduleConfig: { ...CONFIG, ...config }, versions: entries(versions), ...Object(more['spec']) },
    metadata: more['metadata'] ?? {},
  }
}

export const aModule = (...edit: Parameters<typeof module>): readonly Stored[] => [
  { kind: 'modules', object: module(...edit) },
]
export const MUTABLE = { immutable: null }
export const AS_ALICE = { as: ALICE }

export const create =
  (object: Json, more: Partial<Ask> = AS_ALICE, kind: Kind = 'modules'): Asked =>
  ({ path, name }) => ({
    method: 'POST',
    path: path(kind),
    body: { apiVersion: API_VERSION, ...object, metadata: { name, ...Object(object['metadata']) } },
    ...more,
  })
export const merge =
  (body: Json, more: Partial<Ask> = AS_ALICE, at = ''): Asked =>
  ({ path, name }) => ({
    method: 'PATCH',
    path: `${path('modules', name)}${at}`,
    body,
    contentType: PATCH,
    ...more,
  })
export const patch =
  (...body: readonly Json[]): Asked =>
  ({ path, name }) => ({
    method: 'PATCH',
    path: path('modules', name),
    body,
    contentType: JSON_PATCH,
    ...AS_ALICE,
  })
export const list = (versions: readonly string[], more: Partial<Ask> = AS_ALICE): Asked =>
  merge({ spec: { versions: entries(versions) } }, more)
export const config = (fields: Json, more: Partial<Ask> = AS_ALICE): Asked =>
  merge({ spec: { moduleConfig: fields } }, more)
export const append = (version: Json | string): Asked =>
  patch({
    op: 'add',
    path: '/spec/versions/-',
    value: typeof version === 'string' ? { version } : version,
  })
export const remove =
  (kind: Kind, as: Impersonated = ALICE): Asked =>
  ({ path, name }) => ({ method: 'DELETE', path: path(kind, name), as })
export const change =
  (kind: Kind, body: Json, as: Impersonated = ALICE, at = ''): Asked =>
  ({ path, name }) => ({ method: 'PATCH', path: `${path(kind, name)}${at}`, body, contentType: PATCH, as })

export const VERSION: Json = {
  kind: 'Version',
  metadata: { labels: { 'opendepot.defdev.io/module': 'vpc' } },
  spec: {
    type: 'Module',
    version: '1.0.0',
    fileName: 'a.zip',
    forceSync: false,
    moduleConfigRef: { name: 'vpc', immutable: true },
  },
}
export const SYNCED = { synced: true, syncStatus: 'ok' }
export const aVersion = (object: Json = VERSION): readonly Stored[] => [
  { kind: 'versions', object, status: { ...SYNCED, checksum: 'YWJj' } },
]
export const PROVIDER = {
  kind: 'Provider',
  spec: {
    providerConfig: { name: null, operatingSystems: ['linux', 'darwin'], architectures: ['amd64'] },
    versions: entries(['1.0.0', '1.1.0']),
  },
}
export const DEPOT = {
  kind: 'Depot',
  spec: {
    global: {
      moduleConfig: { immutable: true },
      storageConfig: { s3: { bucket: 'modules', region: 'us-west-2' } },
    },
    moduleConfigs: [{ name: 'vpc', immutable: true }, { name: 'dns' }],
  },
}
export const PINS = (text: string): Json => ({ annotations: { 'sallyport.dev/pins': text } })
export const OTHER_SHA = SHA.replace('9', '8')

export function numbered(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `1.${Math.floor(index / 10)}.${index % 10}`)
}
