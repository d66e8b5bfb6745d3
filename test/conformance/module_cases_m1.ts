// WH-M1 to M9: what a Module says of itself, when it is made and after it has published.
import { MUTABLE } from './module_cases.ts'
import type { Json, ModuleEdit, Row } from './module_cases.ts'

const CREATE = 'kubectl create -f -'
const S3 = { bucket: 'acme-modules', region: 'us-west-2' }

function patchConfig(config: Json): string {
  return `kubectl patch module $M -n $NS --type merge -p '${JSON.stringify({ spec: { moduleConfig: config } })}'`
}

/** The reason in the request that moves. */
function migrate(config: Json): string {
  const metadata = { annotations: { 'sallyport.dev/migrate': 'the organisation was renamed' } }
  return `kubectl patch module $M -n $NS --type merge -p '${JSON.stringify({ metadata, spec: { moduleConfig: config } })}'`
}

function created(name: string, title: string, input: ModuleEdit, expect: Row['expect']): Row {
  return { name, title, policy: 'team', actor: 'alice', run: CREATE, input, expect }
}

function patched(
  name: string,
  title: string,
  config: Json,
  expect: Row['expect'],
  stored: ModuleEdit = {},
): Row {
  return { name, title, policy: 'team', stored, actor: 'alice', run: patchConfig(config), expect }
}

const MOVED_BUCKET = { storageConfig: { s3: { bucket: 'somebody-elses' } } }

export const M1_ROWS: readonly Row[] = [
  created(
    'm1-other',
    'WH-M1 a Module is created whose moduleConfig has another name',
    { config: { name: 'terraform-aws-eks' } },
    { invalid: ['WH-M1'] },
  ),
  created('m1-own', 'WH-M1 a Module is created under its own name', {}, {}),
  created(
    'm1-none',
    'WH-M1 a Module is created whose moduleConfig has no name',
    { config: { name: undefined } },
    {},
  ),
  {
    ...created(
      'm1-warned',
      'WH-M1 in mode warn',
      { config: { name: 'terraform-aws-eks' } },
      { warns: ['WH-M1'] },
    ),
    policy: 'warned',
  },
  patched(
    'm2-name',
    'WH-M2 the name that Versions and files have',
    { name: 'other' },
    { forbidden: ['WH-M2'], invalid: ['WH-M1'] },
  ),
  patched('m2-provider', 'WH-M2 the provider', { provider: 'azurerm' }, { forbidden: ['WH-M2'] }),
  patched(
    'm2-owner',
    'WH-M2 the owner of the repository',
    { repoOwner: 'mallory' },
    { forbidden: ['WH-M2'] },
  ),
  patched(
    'm2-url',
    'WH-M2 the address of the repository',
    { repoUrl: 'https://github.com/mallory/vpc' },
    { forbidden: ['WH-M2'] },
  ),
  patched('m2-format', 'WH-M2 the format of the archives', { fileFormat: 'tar' }, { forbidden: ['WH-M2'] }),
  patched(
    'm2-mutable',
    'WH-M2 the owner, where nothing is immutable',
    { repoOwner: 'acme-labs' },
    { told: ['WH-M2'] },
    MUTABLE,
  ),
  patched(
    'm2-unpublished',
    'WH-M2 the owner, before anything is published',
    { repoOwner: 'acme-labs' },
    {},
    { versions: [] },
  ),
  {
    ...patched('m2-audited', 'WH-M2 in mode audit', { provider: 'azurerm' }, { audits: ['WH-M2'] }),
    policy: 'audited',
  },
  {
    ...patched('m2-migrated', 'WH-M2 with the annotation and the verb', {}, { told: ['WH-M2'] }),
    actor: 'carol',
    run: migrate({ repoOwner: 'acme-labs' }),
    says: /migrated \("the organisation was renamed"\)/,
    blind: { offline: ['rights', { forbidden: ['WH-M2'] }] },
  },
  {
    ...patched(
      'm2-annotation-only',
      'WH-M2 with the annotation and without the verb',
      {},
      { forbidden: ['WH-M2'] },
    ),
    run: migrate({ repoOwner: 'acme-labs' }),
  },
  {
    ...patched(
      'm2-verb-only',
      'WH-M2 with the verb and without the annotation',
      { repoOwner: 'acme-labs' },
      { forbidden: ['WH-M2'] },
    ),
    actor: 'carol',
  },
  {
    ...patched(
      'm2-stale',
      'WH-M2 with the verb and an annotation from last time',
      { repoOwner: 'acme-labs' },
      { forbidden: ['WH-M2'] },
    ),
    stored: { annotations: { 'sallyport.dev/migrate': 'the organisation was renamed' } },
    actor: 'carol',
  },
  {
    ...patched(
      'm2-wildcard',
      'WH-M2 with a role that has every verb, and nothing else',
      { repoOwner: 'acme-labs' },
      { forbidden: ['WH-M2'] },
    ),
    actor: 'root',
  },
  {
    ...patched('m2-argo', 'WH-M2 Argo CD applies another owner', {}, { forbidden: ['WH-M2'] }),
    actor: 'argo',
    run: 'kubectl apply -f -',
    input: { config: { repoOwner: 'acme-labs' } },
  },
  patched('m4-off', 'WH-M4 immutable is switched off', { immutable: false }, { forbidden: ['WH-M4'] }),
  patched('m4-gone', 'WH-M4 immutable is taken away', { immutable: null }, { forbidden: ['WH-M4'] }),
  patched('m4-on', 'WH-M4 immutable is switched on', { immutable: true }, {}, MUTABLE),
  {
    ...patched(
      'm4-applied',
      'WH-M4 a manifest that does not say immutable is applied over one that did',
      {},
      { forbidden: ['WH-M4'] },
    ),
    run: 'kubectl apply -f -',
    input: MUTABLE,
  },
  {
    ...patched('m4-warned', 'WH-M4 in mode warn', { immutable: false }, { warns: ['WH-M4'] }),
    policy: 'warned',
  },
  created('m4-created', 'WH-M4 a Module is created that does not say immutable', MUTABLE, {
    told: ['WH-M4'],
  }),
  {
    ...created(
      'm4-required',
      'WH-M4 a Module is created that does not say immutable, where the policy requires it',
      MUTABLE,
      { invalid: ['WH-M4'] },
    ),
    policy: 'required',
  },
  {
    ...created(
      'm4-required-said',
      'WH-M4 a Module is created that says immutable, where the policy requires it',
      {},
      {},
    ),
    policy: 'required',
  },
  created(
    'm5-missing',
    'WH-M5 a Module is created without a file format',
    { config: { fileFormat: undefined } },
    { invalid: ['WH-M5'] },
  ),
  created(
    'm5-other',
    'WH-M5 a Module is created with a file format that there is not',
    { config: { fileFormat: 'rar' } },
    { invalid: ['WH-M5'] },
  ),
  created('m5-tar', 'WH-M5 a Module is created as tar', { config: { fileFormat: 'tar' } }, {}),
  patched('m6-bucket', 'WH-M6 another bucket', MOVED_BUCKET, { forbidden: ['WH-M6'] }),
  patched(
    'm6-key',
    'WH-M6 another prefix in the bucket',
    { storageConfig: { s3: { key: 'other/' } } },
    { forbidden: ['WH-M6'] },
  ),
  patched(
    'm6-backend',
    'WH-M6 another kind of storage',
    { storageConfig: { s3: null, gcs: { bucket: 'acme-modules' } } },
    { forbidden: ['WH-M6'] },
  ),
  patched(
    'm6-mutable',
    'WH-M6 another bucket, where nothing is immutable',
    MOVED_BUCKET,
    { told: ['WH-M6'] },
    MUTABLE,
  ),
  patched(
    'm6-spelled',
    'WH-M6 a bucket that is called like two fields becomes the two',
    { storageConfig: { s3: { bucket: 'acme-modules', key: 'a' } } },
    { forbidden: ['WH-M6'] },
    { config: { storageConfig: { s3: { bucket: 'acme-modules key=a', region: 'us-west-2' } } } },
  ),
  {
    ...patched('m6-migrated', 'WH-M6 with the annotation and the verb', {}, { told: ['WH-M6'] }),
    actor: 'carol',
    run: migrate(MOVED_BUCKET),
    blind: { offline: ['rights', { forbidden: ['WH-M6'] }] },
  },
  {
    ...patched('m6-wildcard', 'WH-M6 with a role that has every verb, and nothing else', MOVED_BUCKET, {
      forbidden: ['WH-M6'],
    }),
    actor: 'root',
  },
  {
    ...patched('m6-warned', 'WH-M6 in mode warn', MOVED_BUCKET, { warns: ['WH-M6'] }),
    policy: 'warned',
  },
  created(
    'm7-two',
    'WH-M7 a Module is created with two kinds of storage',
    { config: { storageConfig: { s3: S3, gcs: { bucket: 'other' } } } },
    { invalid: ['WH-M7'] },
  ),
  created(
    'm7-no-directory',
    'WH-M7 a Module is created whose file system has no directory',
    { config: { storageConfig: { fileSystem: {} } } },
    { invalid: ['WH-M7'] },
  ),
  created(
    'm7-up',
    'WH-M7 a Module is created whose path goes up',
    { config: { storageConfig: { fileSystem: { directoryPath: '/data/../etc' } } } },
    { invalid: ['WH-M7'] },
  ),
  created(
    'm7-up-key',
    'WH-M7 a Module is created whose prefix goes up',
    { config: { storageConfig: { s3: { ...S3, key: '../other' } } } },
    { invalid: ['WH-M7'] },
  ),
  created(
    'm7-dots',
    'WH-M7 a Module is created whose path only looks as if it went up',
    { config: { storageConfig: { fileSystem: { directoryPath: '/data/..modules' } } } },
    {},
  ),
  {
    ...patched(
      'm8-presign',
      'WH-M8 how archives are handed out',
      { storageConfig: { presign: { enabled: true } } },
      { audits: ['WH-M8'] },
    ),
  },
  {
    ...patched(
      'm8-client',
      'WH-M8 with which client archives are fetched',
      { githubClientConfig: { useAuthenticatedClient: true } },
      { audits: ['WH-M8'] },
    ),
  },
  {
    ...patched('m9-sync', 'WH-M9 a Module is synced by force', {}, {}),
    run: `kubectl patch module $M -n $NS --type merge -p '{"spec":{"forceSync":true}}'`,
  },
]
