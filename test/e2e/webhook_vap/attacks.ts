// One attack for each rule that is generated, and its twin that is let through: what is stored before, and what somebody asks.
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
const CONTROLLER: Impersonated = {
  user: 'system:serviceaccount:opendepot-system:module-controller',
  groups: ['editors'],
}
const COLLECTOR: Impersonated = {
  user: 'system:serviceaccount:kube-system:generic-garbage-collector',
  groups: ['editors'],
}

const SHA = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'

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

const entries = (versions: readonly string[]): Json[] => versions.map((version) => ({ version }))

/** Over one valid Module. */
function module(config: Json = {}, versions: readonly string[] = ['1.0.0', '1.1.0'], more: Json = {}): Json {
  return {
    kind: 'Module',
    spec: { moduleConfig: { ...CONFIG, ...config }, versions: entries(versions), ...Object(more['spec']) },
    metadata: more['metadata'] ?? {},
  }
}

const aModule = (...edit: Parameters<typeof module>): readonly Stored[] => [
  { kind: 'modules', object: module(...edit) },
]
const MUTABLE = { immutable: null }
const AS_ALICE = { as: ALICE }

const create =
  (object: Json, more: Partial<Ask> = AS_ALICE, kind: Kind = 'modules'): Asked =>
  ({ path, name }) => ({
    method: 'POST',
    path: path(kind),
    body: { apiVersion: API_VERSION, ...object, metadata: { name, ...Object(object['metadata']) } },
    ...more,
  })
const merge =
  (body: Json, more: Partial<Ask> = AS_ALICE, at = ''): Asked =>
  ({ path, name }) => ({
    method: 'PATCH',
    path: `${path('modules', name)}${at}`,
    body,
    contentType: PATCH,
    ...more,
  })
const patch =
  (...body: readonly Json[]): Asked =>
  ({ path, name }) => ({
    method: 'PATCH',
    path: path('modules', name),
    body,
    contentType: JSON_PATCH,
    ...AS_ALICE,
  })
const list = (versions: readonly string[], more: Partial<Ask> = AS_ALICE): Asked =>
  merge({ spec: { versions: entries(versions) } }, more)
const config = (fields: Json, more: Partial<Ask> = AS_ALICE): Asked =>
  merge({ spec: { moduleConfig: fields } }, more)
const append = (version: Json | string): Asked =>
  patch({
    op: 'add',
    path: '/spec/versions/-',
    value: typeof version === 'string' ? { version } : version,
  })
const remove =
  (kind: Kind, as: Impersonated = ALICE): Asked =>
  ({ path, name }) => ({ method: 'DELETE', path: path(kind, name), as })
const change =
  (kind: Kind, body: Json, as: Impersonated = ALICE, at = ''): Asked =>
  ({ path, name }) => ({ method: 'PATCH', path: `${path(kind, name)}${at}`, body, contentType: PATCH, as })

const VERSION: Json = {
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
const SYNCED = { synced: true, syncStatus: 'ok' }
const aVersion = (object: Json = VERSION): readonly Stored[] => [
  { kind: 'versions', object, status: { ...SYNCED, checksum: 'YWJj' } },
]
const PROVIDER = {
  kind: 'Provider',
  spec: {
    providerConfig: { name: null, operatingSystems: ['linux', 'darwin'], architectures: ['amd64'] },
    versions: entries(['1.0.0', '1.1.0']),
  },
}
const DEPOT = {
  kind: 'Depot',
  spec: {
    global: {
      moduleConfig: { immutable: true },
      storageConfig: { s3: { bucket: 'modules', region: 'us-west-2' } },
    },
    moduleConfigs: [{ name: 'vpc', immutable: true }, { name: 'dns' }],
  },
}
const PINS = (text: string): Json => ({ annotations: { 'sallyport.dev/pins': text } })
const OTHER_SHA = SHA.replace('9', '8')

export const ATTACKS: readonly Attack[] = [
  {
    name: 'v1',
    rule: 'WH-V1',
    status: 403,
    stored: aModule(),
    attack: list(['1.1.0']),
    twin: list(['1.1.0', '1.0.0']),
  },
  {
    name: 'v1-many',
    rule: 'WH-V1',
    status: 403,
    stored: aModule(),
    attack: list(['1.1.0', '1.2.0', '1.3.0']),
    twin: list(['1.0.0', '1.1.0', '1.2.0', '1.3.0']),
  },
  {
    name: 'v3',
    rule: 'WH-V3',
    status: 403,
    stored: aModule(),
    attack: patch({ op: 'replace', path: '/spec/versions/1', value: { version: '1.2.0' } }),
    twin: append('1.2.0'),
  },
  {
    name: 'v13',
    rule: 'WH-V13',
    status: 403,
    stored: aModule({ versionHistoryLimit: 1 }),
    attack: list(['1.1.0'], { as: CONTROLLER }),
    twin: list(['1.0.0', '1.1.0', '1.2.0'], { as: CONTROLLER }),
  },
  {
    name: 'd1',
    rule: 'WH-D1',
    status: 403,
    stored: aModule(),
    attack: list(['1.1.0'], { as: CONTROLLER }),
    twin: list(['1.0.0', '1.1.0', '1.2.0'], { as: CONTROLLER }),
  },
  {
    name: 'v4-spelling',
    rule: 'WH-V4',
    status: 403,
    stored: aModule(),
    attack: list(['v1.0.0', '1.1.0']),
    twin: list(['v1.0.0', '1.1.0'], { as: CONTROLLER }),
  },
  {
    name: 'v4-twice',
    rule: 'WH-V4',
    status: 422,
    stored: aModule(),
    attack: append('v1.1.0'),
    twin: append('v1.2.0'),
  },
  {
    name: 'v4-fields',
    rule: 'WH-V4',
    status: 422,
    stored: aModule(),
    attack: append({ version: '1.2.0', name: 'other' }),
    twin: append({ version: '1.2.0' }),
  },
  {
    name: 'v6',
    rule: 'WH-V6',
    status: 422,
    stored: aModule(),
    attack: append('1.2.0+build.1'),
    twin: append('1.2.0-build.1'),
  },
  ...['1.2', 'main', 'refs/tags/v1.2.0', '1.02.0', '1.2.0-01', '', `1.2.0-${'a'.repeat(64)}`].map(
    (text, index): Attack => ({
      name: `v7-${index}`,
      rule: 'WH-V7',
      status: 422,
      stored: aModule(),
      attack: append(text),
      twin: append('1.2.0-rc.1'),
    }),
  ),
  {
    name: 'v9',
    rule: 'WH-V9',
    status: 403,
    stored: aModule({}, ['1.0.0', '2.0.0-rc.1']),
    attack: append('2.0.0-beta.11'),
    twin: append('2.0.0'),
  },
  {
    name: 'v11',
    rule: 'WH-V11',
    status: 422,
    stored: aModule({}, []),
    attack: list(numbered(501)),
    twin: list(numbered(500)),
  },
  {
    name: 'v12-prunes',
    rule: 'WH-V12',
    status: 422,
    stored: aModule(),
    attack: config({ versionHistoryLimit: 2 }),
    twin: config({ versionHistoryLimit: 0 }),
  },
  {
    name: 'v12-crashes',
    rule: 'WH-V12',
    status: 422,
    stored: aModule(MUTABLE),
    attack: config({ versionHistoryLimit: 3 }),
    twin: config({ versionHistoryLimit: 2 }),
  },
  {
    name: 'm1',
    rule: 'WH-M1',
    status: 422,
    attack: create(module({ name: 'other' })),
    twin: create(module({ name: 'm1' })),
  },
  ...[
    ['provider', 'gcp'],
    ['repoOwner', 'evil'],
    ['repoUrl', 'https://github.com/evil/vpc'],
    ['fileFormat', 'tar'],
  ].map(([field = '', value]): Attack => ({
    name: `m2-${field.toLowerCase()}`,
    rule: 'WH-M2',
    status: 403,
    stored: aModule(),
    attack: config({ [field]: value }),
    twin: config({ githubClientConfig: { useAuthenticatedClient: true } }),
  })),
  {
    name: 'm2-platform',
    rule: 'WH-M2',
    status: 403,
    strict: true,
    stored: [{ kind: 'providers', object: { ...PROVIDER, metadata: { labels: { tier: 'gold' } } } }],
    attack: change('providers', { spec: { providerConfig: { operatingSystems: ['linux'] } } }),
    twin: change('providers', {
      spec: { providerConfig: { operatingSystems: ['linux', 'darwin', 'windows'] } },
    }),
  },
  {
    name: 'm4',
    rule: 'WH-M4',
    status: 403,
    stored: aModule(),
    attack: config({ immutable: false }),
    twin: config({ immutable: true }),
  },
  {
    name: 'm4-required',
    rule: 'WH-M4',
    status: 422,
    strict: true,
    attack: create(module(MUTABLE, [], { metadata: { labels: { tier: 'gold' } } })),
    twin: create(module({}, [], { metadata: { labels: { tier: 'gold' } } })),
  },
  ...[undefined, 'rar'].map((fileFormat, index): Attack => ({
    name: `m5-${index}`,
    rule: 'WH-M5',
    status: 422,
    attack: create(module({ fileFormat })),
    twin: create(module({ fileFormat: 'tar' })),
  })),
  {
    name: 'm6',
    rule: 'WH-M6',
    status: 403,
    stored: aModule(),
    attack: config({ storageConfig: { s3: { bucket: 'other' } } }),
    twin: config({ storageConfig: { presign: { enabled: true } } }),
  },
  ...[
    { s3: { bucket: 'a', region: 'b' }, gcs: { bucket: 'c' } },
    { fileSystem: { directoryPath: '' } },
    { fileSystem: { directoryPath: '/data/../etc' } },
    { s3: { bucket: 'a', region: 'b', key: '..\\x' } },
  ].map((storageConfig, index): Attack => ({
    name: `m7-${index}`,
    rule: 'WH-M7',
    status: 422,
    attack: create(module({ storageConfig })),
    twin: create(module({ storageConfig: { fileSystem: { directoryPath: '/data/..x' } } })),
  })),
  {
    name: 'm12',
    rule: 'WH-M12',
    status: 403,
    stored: aModule(),
    attack: remove('modules'),
    twin: merge({ metadata: { labels: { a: 'b' } } }),
  },
  {
    name: 'm14',
    rule: 'WH-M14',
    status: 403,
    stored: aModule(),
    attack: remove('modules', COLLECTOR),
    twin: merge({ metadata: { labels: { a: 'b' } } }, { as: COLLECTOR }),
  },
  {
    name: 'm15',
    rule: 'WH-M15',
    status: 403,
    strict: true,
    stored: aModule({}, ['1.0.0'], { metadata: { labels: { tier: 'gold', a: 'b' } } }),
    attack: merge({ metadata: { labels: { tier: null } } }),
    twin: merge({ metadata: { labels: { a: null } } }),
  },
  {
    name: 's1-module',
    rule: 'WH-S1',
    status: 403,
    stored: aModule(),
    attack: change('modules', { status: SYNCED }, ALICE, '/status'),
    twin: change('modules', { status: SYNCED }, CONTROLLER, '/status'),
  },
  {
    name: 's1-files',
    rule: 'WH-S1',
    status: 403,
    stored: [
      {
        kind: 'modules',
        object: module(),
        status: { ...SYNCED, moduleVersionRefs: { '1.0.0': { fileName: 'a.zip' } } },
      },
    ],
    attack: change(
      'modules',
      { status: { moduleVersionRefs: { '1.0.0': { fileName: 'b.zip' } } } },
      CONTROLLER,
      '/status',
    ),
    twin: change(
      'modules',
      { status: { moduleVersionRefs: { '1.1.0': { fileName: 'b.zip' } } } },
      CONTROLLER,
      '/status',
    ),
  },
  {
    name: 's1-version',
    rule: 'WH-S1',
    status: 403,
    stored: aVersion(),
    attack: change('versions', { status: { synced: false } }, ALICE, '/status'),
    twin: change('versions', { status: { synced: false } }, CONTROLLER, '/status'),
  },
  {
    name: 's2',
    rule: 'WH-S2',
    status: 403,
    stored: aVersion(),
    attack: change('versions', { status: { checksum: 'ZGVm' } }, CONTROLLER, '/status'),
    twin: change('versions', { status: { archiveSizeBytes: 3 } }, CONTROLLER, '/status'),
  },
  {
    name: 's3',
    rule: 'WH-S3',
    status: 403,
    stored: aVersion(),
    attack: change('versions', { spec: { fileName: 'b.zip' } }),
    twin: change('versions', { spec: { fileName: 'b.zip' } }, CONTROLLER),
  },
  {
    name: 's3-label',
    rule: 'WH-S3',
    status: 403,
    stored: aVersion(),
    attack: change('versions', { metadata: { labels: { 'opendepot.defdev.io/module': 'other' } } }),
    twin: change('versions', { metadata: { labels: { mine: 'x' } } }),
  },
  {
    name: 's4',
    rule: 'WH-S4',
    status: 403,
    attack: create(VERSION, AS_ALICE, 'versions'),
    twin: create(VERSION, { as: CONTROLLER }, 'versions'),
  },
  {
    name: 's5',
    rule: 'WH-S5',
    status: 403,
    stored: aVersion(),
    attack: remove('versions'),
    twin: remove('versions', CONTROLLER),
  },
  {
    name: 's6',
    rule: 'WH-S6',
    status: 403,
    stored: aVersion({ ...VERSION, spec: { ...Object(VERSION['spec']), moduleConfigRef: { name: 'vpc' } } }),
    attack: change('versions', { spec: { forceSync: true } }),
    twin: change('versions', { spec: { forceSync: true } }, CONTROLLER),
  },
  {
    name: 'd2',
    rule: 'WH-D2',
    status: 403,
    stored: [{ kind: 'depots', object: DEPOT }],
    attack: change('depots', { spec: { global: { moduleConfig: { immutable: null } } } }),
    twin: change('depots', { spec: { pollingIntervalMinutes: 5 } }),
  },
  {
    name: 'd2-one',
    rule: 'WH-D2',
    status: 403,
    stored: [{ kind: 'depots', object: DEPOT }],
    attack: change('depots', { spec: { moduleConfigs: [{ name: 'vpc' }, { name: 'dns' }] } }),
    twin: change('depots', { spec: { moduleConfigs: [{ name: 'dns' }] } }),
  },
  {
    name: 'd2-storage',
    rule: 'WH-D2',
    status: 403,
    stored: [{ kind: 'depots', object: DEPOT }],
    attack: change('depots', { spec: { global: { storageConfig: { s3: { bucket: 'other' } } } } }),
    twin: change('depots', { spec: { global: { storageConfig: { presign: { enabled: true } } } } }),
  },
  {
    name: 'p1-depot',
    rule: 'WH-P1',
    status: 403,
    attack: create(DEPOT, { as: MALLORY }, 'depots'),
    twin: create(DEPOT, AS_ALICE, 'depots'),
  },
  {
    name: 'p1-nobody',
    rule: 'WH-P1',
    status: 403,
    stored: aModule(),
    attack: list(['1.0.0', '1.1.0', '1.2.0'], { as: MALLORY }),
    twin: list(['1.0.0', '1.1.0', '1.2.0'], { as: pipeline() }),
  },
  ...[
    ['sallyport.dev/source', 'github.com/evil/vpc'],
    ['sallyport.dev/ref', 'refs/tags/v1.3.0'],
    ['sallyport.dev/ref', 'refs/heads/v1.2.0'],
    ['authentication.kubernetes.io/credential-id', 'X509SHA256=aa'],
  ].map(([key = '', value = ''], index): Attack => ({
    name: `p1-${index}`,
    rule: 'WH-P1',
    status: 403,
    stored: aModule(),
    attack: list(['1.0.0', '1.1.0', '1.2.0'], { as: pipeline({ [key]: value }) }),
    twin: list(['1.0.0', '1.1.0', 'v1.2.0'], { as: pipeline({ 'sallyport.dev/ref': 'refs/tags/1.2.0' }) }),
  })),
  {
    name: 'p1-free',
    rule: 'WH-P1',
    status: 403,
    stored: aModule(MUTABLE),
    attack: list(['1.1.0'], { as: MALLORY }),
    twin: list(['1.1.0'], { as: pipeline() }),
  },
  {
    name: 'p2-other',
    rule: 'WH-P2',
    status: 403,
    stored: aModule(),
    attack: merge(
      { metadata: PINS(`1.2.0=${OTHER_SHA}`), spec: { versions: entries(['1.0.0', '1.1.0', '1.2.0']) } },
      { as: pipeline() },
    ),
    twin: merge(
      {
        metadata: PINS(`v1.2.0=${SHA.toUpperCase()}`),
        spec: { versions: entries(['1.0.0', '1.1.0', '1.2.0']) },
      },
      { as: pipeline() },
    ),
  },
  {
    name: 'p2-moved',
    rule: 'WH-P2',
    status: 403,
    stored: aModule({}, undefined, { metadata: PINS(`1.0.0=${SHA}`) }),
    attack: merge({ metadata: PINS(`1.0.0=${OTHER_SHA}`) }),
    twin: merge({ metadata: PINS(`1.1.0=${OTHER_SHA}, 1.0.0=${SHA}`) }),
  },
  ...['1.0.0', `1.0.0=${SHA} 1.0.0=${SHA}`, '1.0.0=abc', `1.0=${SHA}`].map((text, index): Attack => ({
    name: `p2-bad-${index}`,
    rule: 'WH-P2',
    status: 422,
    stored: aModule(),
    attack: merge({ metadata: PINS(text) }),
    twin: merge({ metadata: PINS(`1.0.0=${SHA}\n1.1.0=sha256:${'a'.repeat(64)}`) }),
  })),
  {
    name: 'p2-missing',
    rule: 'WH-P2',
    status: 403,
    strict: true,
    stored: aModule({}, ['1.0.0'], { metadata: { labels: { tier: 'gold' } } }),
    attack: list(['1.0.0', '1.1.0']),
    twin: merge({ metadata: PINS(`1.1.0=${SHA}`), spec: { versions: entries(['1.0.0', '1.1.0']) } }),
  },
]

export function numbered(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `1.${Math.floor(index / 10)}.${index % 10}`)
}
