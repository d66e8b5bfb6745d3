// WH-S1 to S6 and D2: what controllers write, and who else does.
import { createHash } from 'node:crypto'
import { MUTABLE, versionManifest } from './module_cases.ts'
import type { Json, ModuleEdit, Row } from './module_cases.ts'

const CHECKSUM = 'qvTGHdzF6KLavt4PO0gs2a6pQ00='
const OTHER_CHECKSUM = 'AAAAAAAAAAAAAAAAAAAAAAAAAAA='
const sha256Of = (text: string): string => createHash('sha256').update(text).digest('base64')
const DIGEST = `sha256:${Buffer.from(sha256Of('archive'), 'base64').toString('hex')}`
const REMEMBERED = { '1.0.0': { state: 'present', immutable: true, digest: DIGEST } } as const
const SYNCED = { synced: true, syncStatus: 'Synced' }
const REFS = { moduleVersionRefs: { '1.0.0': { name: 'x', fileName: 'f3b1.zip' } } }

function status(kind: string, name: string, fields: Json): string {
  return `kubectl patch ${kind} ${name} -n $NS --subresource status --type merge -p '${JSON.stringify({ status: fields })}'`
}

function patchVersion(fields: Json): string {
  return `kubectl patch version $M-1-0-0 -n $NS --type merge -p '${JSON.stringify(fields)}'`
}

/** About the Version object of 1.0.0. */
function version(
  name: string,
  title: string,
  more: Partial<Row> & Pick<Row, 'run' | 'expect'>,
  edit: Json = {},
): Row {
  return {
    name,
    title,
    policy: 'team',
    stored: {},
    beside: [versionManifest({ name }, '1.0.0', { status: { ...SYNCED, checksum: CHECKSUM }, ...edit })],
    actor: 'alice',
    ...more,
  }
}

const MUTABLE_VERSION = { spec: { moduleConfigRef: { provider: 'aws', fileFormat: 'zip' } } }
const STATUS = { offline: ['subresource', {}] } as const
const USER = { offline: ['user', {}] } as const
const DELETION = { offline: ['deletion', {}] } as const
const DELETE = 'kubectl delete version $M-1-0-0 -n $NS --wait=false'

function depot(edit: { readonly immutable?: boolean; readonly bucket?: string }): Json {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Depot',
    spec: {
      global: {
        storageConfig: { s3: { bucket: edit.bucket ?? 'acme-modules', region: 'us-west-2' } },
        moduleConfig: { immutable: edit.immutable ?? true },
      },
      moduleConfigs: [{ name: 'terraform-aws-rds', provider: 'aws', repoOwner: 'acme', fileFormat: 'zip' }],
    },
  }
}

function depotChange(name: string, title: string, before: Json, after: Json, expect: Row['expect']): Row {
  return {
    name,
    title,
    policy: 'team',
    beside: [before],
    actor: 'alice',
    run: 'kubectl apply -f -',
    input: { object: after },
    expect,
  }
}

const WITH_STATUS: ModuleEdit = { status: { ...SYNCED, ...REFS } }
const OTHER_FILE = { ...SYNCED, moduleVersionRefs: { '1.0.0': { name: 'x', fileName: 'other.zip' } } }

export const S_ROWS: readonly Row[] = [
  {
    name: 's1-foreign',
    title: 'WH-S1 a person writes the status of a Module',
    policy: 'team',
    stored: {},
    actor: 'alice',
    run: status('module', '$M', SYNCED),
    expect: { forbidden: ['WH-S1'] },
    blind: STATUS,
  },
  {
    name: 's1-controller',
    title: 'WH-S1 a controller writes the status of a Module',
    policy: 'team',
    stored: {},
    actor: 'controller',
    run: status('module', '$M', { ...SYNCED, ...REFS }),
    expect: {},
  },
  {
    name: 's1-swapped',
    title: 'WH-S1 a controller swaps the file of a version',
    policy: 'team',
    stored: WITH_STATUS,
    actor: 'controller',
    run: status('module', '$M', OTHER_FILE),
    expect: { forbidden: ['WH-S1'] },
    blind: STATUS,
  },
  {
    name: 's1-swapped-mutable',
    title: 'WH-S1 a controller swaps the file of a version that is not immutable',
    policy: 'team',
    stored: { ...MUTABLE, ...WITH_STATUS },
    actor: 'controller',
    run: status('module', '$M', OTHER_FILE),
    expect: {},
  },
  {
    name: 's1-warned',
    title: 'WH-S1 in mode warn',
    policy: 'warned',
    stored: {},
    actor: 'alice',
    run: status('module', '$M', SYNCED),
    expect: { warns: ['WH-S1'] },
    blind: STATUS,
  },
  version('s1-version', 'WH-S1 a person writes the status of a Version', {
    run: status('version', '$M-1-0-0', { synced: false }),
    expect: { forbidden: ['WH-S1'] },
    blind: STATUS,
  }),
  version('s2-changed', 'WH-S2 a controller changes a checksum', {
    actor: 'controller',
    run: status('version', '$M-1-0-0', { checksum: OTHER_CHECKSUM }),
    expect: { forbidden: ['WH-S2'] },
    blind: STATUS,
  }),
  version('s2-cleared', 'WH-S2 a controller clears a checksum', {
    actor: 'controller',
    run: status('version', '$M-1-0-0', { checksum: null }),
    expect: { forbidden: ['WH-S2'] },
    blind: STATUS,
  }),
  version('s2-foreign', 'WH-S2 a person changes a checksum', {
    run: status('version', '$M-1-0-0', { checksum: OTHER_CHECKSUM }),
    expect: { forbidden: ['WH-S1', 'WH-S2'] },
    blind: STATUS,
  }),
  version(
    's2-first',
    'WH-S2 a controller writes the first checksum',
    { actor: 'controller', run: status('version', '$M-1-0-0', { checksum: CHECKSUM }), expect: {} },
    { status: SYNCED },
  ),
  version(
    's2-again',
    'WH-S2 a controller fetches something else for a Version that was made again',
    {
      ledger: REMEMBERED,
      actor: 'controller',
      run: status('version', '$M-1-0-0', { checksum: sha256Of('other') }),
      expect: { forbidden: ['WH-S2'] },
      says: /version 1\.0\.0 was published with the checksum sha256:[0-9a-f]{64}, which would become/,
      blind: { ...STATUS, vap: ['ledger', {}] },
    },
    { status: SYNCED },
  ),
  version(
    's2-again-same',
    'WH-S2 a controller fetches what the ledger remembers for a Version that was made again',
    {
      ledger: REMEMBERED,
      actor: 'controller',
      run: status('version', '$M-1-0-0', { checksum: sha256Of('archive') }),
      expect: {},
    },
    { status: SYNCED },
  ),
  version(
    's2-mutable',
    'WH-S2 a controller changes a checksum of what is not immutable',
    {
      stored: MUTABLE,
      actor: 'controller',
      run: status('version', '$M-1-0-0', { checksum: OTHER_CHECKSUM }),
      expect: {},
    },
    MUTABLE_VERSION,
  ),
  version(
    's2-module',
    'WH-S2 a controller changes a checksum of what only its Module calls immutable',
    {
      actor: 'controller',
      run: status('version', '$M-1-0-0', { checksum: OTHER_CHECKSUM }),
      expect: { forbidden: ['WH-S2'] },
      blind: { ...STATUS, vap: ['other objects', {}] },
    },
    { spec: { moduleConfigRef: { name: 's2-module', provider: 'aws', fileFormat: 'zip' } } },
  ),
  version('s2-audited', 'WH-S2 in mode audit', {
    policy: 'audited',
    actor: 'controller',
    run: status('version', '$M-1-0-0', { checksum: OTHER_CHECKSUM }),
    expect: { audits: ['WH-S2'] },
    blind: STATUS,
  }),
  version('s3-file', 'WH-S3 a person points a Version at another file', {
    run: patchVersion({ spec: { fileName: 'other.zip' } }),
    expect: { forbidden: ['WH-S3'] },
    blind: USER,
  }),
  version('s3-label', 'WH-S3 a person gives a Version to another Module', {
    run: 'kubectl label version $M-1-0-0 -n $NS --overwrite opendepot.defdev.io/module=other',
    expect: { forbidden: ['WH-S3'] },
    blind: USER,
  }),
  version('s3-own-label', 'WH-S3 a person labels a Version', {
    run: 'kubectl label version $M-1-0-0 -n $NS team=network',
    expect: {},
  }),
  version('s3-controller', 'WH-S3 a controller writes a Version', {
    actor: 'controller',
    run: patchVersion({ spec: { fileName: 'other.zip' } }),
    expect: {},
  }),
  version('s3-argo', 'WH-S3 Argo CD writes a Version', {
    actor: 'argo',
    run: patchVersion({ spec: { fileName: 'other.zip' } }),
    expect: { forbidden: ['WH-S3'] },
    blind: USER,
  }),
  {
    name: 's4-created',
    title: 'WH-S4 a person makes a Version',
    policy: 'team',
    stored: {},
    actor: 'alice',
    run: 'kubectl create -f -',
    input: { object: versionManifest({ name: 's4-created' }, '9.9.9') },
    expect: { forbidden: ['WH-S4'] },
    blind: USER,
  },
  {
    name: 's4-controller',
    title: 'WH-S4 a controller makes a Version',
    policy: 'team',
    stored: {},
    actor: 'controller',
    run: 'kubectl create -f -',
    input: { object: versionManifest({ name: 's4-controller' }, '1.0.0') },
    expect: {},
  },
  {
    name: 's4-warned',
    title: 'WH-S4 in mode warn',
    policy: 'warned',
    stored: {},
    actor: 'alice',
    run: 'kubectl create -f -',
    input: { object: versionManifest({ name: 's4-warned' }, '9.9.9') },
    expect: { warns: ['WH-S4'] },
    blind: USER,
  },
  version('s5-deleted', 'WH-S5 a person deletes a Version', {
    run: DELETE,
    expect: { forbidden: ['WH-S5'] },
    blind: DELETION,
  }),
  version('s5-controller', 'WH-S5 a controller deletes a Version that its Module lists', {
    actor: 'controller',
    run: DELETE,
    expect: { told: ['WH-S5'] },
    blind: { ...DELETION, vap: ['other objects', {}] },
  }),
  version(
    's5-strict',
    'WH-S5 a controller deletes a Version that its Module lists, where the policy is strict',
    {
      policy: 'required',
      actor: 'controller',
      run: DELETE,
      expect: { forbidden: ['WH-S5'] },
      blind: { ...DELETION, vap: ['other objects', {}] },
    },
  ),
  version('s5-unlisted', 'WH-S5 a controller deletes a Version that its Module does not list', {
    stored: { versions: ['1.1.0'] },
    actor: 'controller',
    run: DELETE,
    expect: {},
  }),
  version(
    's6-forced',
    'WH-S6 a person has a version fetched again',
    {
      stored: MUTABLE,
      run: patchVersion({ spec: { forceSync: true } }),
      expect: { forbidden: ['WH-S6'] },
      blind: USER,
    },
    MUTABLE_VERSION,
  ),
  version('s6-immutable', 'WH-S6 a person has an immutable version fetched again', {
    run: patchVersion({ spec: { forceSync: true } }),
    expect: {},
  }),
  version(
    's6-controller',
    'WH-S6 a controller has a version fetched again',
    { stored: MUTABLE, actor: 'controller', run: patchVersion({ spec: { forceSync: true } }), expect: {} },
    MUTABLE_VERSION,
  ),
  depotChange(
    'd2-immutable',
    'WH-D2 a Depot stops making its Modules immutable',
    depot({}),
    depot({ immutable: false }),
    {
      forbidden: ['WH-D2'],
    },
  ),
  depotChange('d2-storage', 'WH-D2 a Depot moves to another bucket', depot({}), depot({ bucket: 'other' }), {
    forbidden: ['WH-D2'],
  }),
  depotChange(
    'd2-mutable',
    'WH-D2 a Depot whose Modules are not immutable moves to another bucket',
    depot({ immutable: false }),
    depot({ immutable: false, bucket: 'other' }),
    { told: ['WH-D2'] },
  ),
  depotChange(
    'd2-on',
    'WH-D2 a Depot starts to make its Modules immutable',
    depot({ immutable: false }),
    depot({}),
    {},
  ),
]
