// WH-S2, S3 and S6 of what the Version repeats and what its Module says: OpenDepot compares a checksum by the one, and labels of the
// other choose the policy.
import { MUTABLE, versionManifest } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'

const USER = ['user', {}] as const
const CHECKSUM = 'qvTGHdzF6KLavt4PO0gs2a6pQ00='
const OTHER_CHECKSUM = 'AAAAAAAAAAAAAAAAAAAAAAAAAAA='
const STATUS = { synced: true, syncStatus: 'Synced', checksum: CHECKSUM }
const NOT_COMPARED = { moduleConfigRef: { provider: 'aws', fileFormat: 'zip' } }
const GOLD = { labels: { tier: 'gold' } }

function patch(fields: Json): string {
  return `kubectl patch version $M-1-0-0 -n $NS --type merge -p '${JSON.stringify(fields)}'`
}

const FORCE = patch({ spec: { forceSync: true } })
const POINT = patch({ spec: { fileName: 'other.zip' } })

/** About the Version object of 1.0.0, which does not repeat that its Module is immutable where `spec` says so. */
function version(name: string, title: string, spec: Json, more: Partial<Row> & Pick<Row, 'expect'>): Row {
  return {
    name,
    title,
    policy: 'team',
    stored: {},
    beside: [versionManifest({ name }, '1.0.0', { spec, status: STATUS })],
    actor: 'alice',
    run: FORCE,
    ...more,
  }
}

/** A Version with a label of its own beside a Module with others. */
function labelled(name: string, title: string, own: Json, more: Partial<Row> & Pick<Row, 'expect'>): Row {
  return version(
    name,
    title,
    {},
    {
      policy: 'loosening',
      beside: [versionManifest({ name }, '1.0.0', { metadata: { labels: own }, status: STATUS })],
      run: POINT,
      ...more,
    },
  )
}

function mirrored(name: string): Json {
  const metadata = { labels: { 'opendepot.defdev.io/provider': name } }
  const spec = {
    type: 'Provider',
    operatingSystem: 'linux',
    architecture: 'amd64',
    moduleConfigRef: undefined,
    providerConfigRef: { name, operatingSystems: ['linux'], architectures: ['amd64'] },
  }
  return versionManifest({ name }, '1.0.0', { metadata, spec, status: STATUS })
}

/** Called like its row. */
const PROVIDER: Json = {
  apiVersion: 'opendepot.defdev.io/v1alpha1',
  kind: 'Provider',
  spec: {
    providerConfig: { operatingSystems: ['linux'], architectures: ['amd64'] },
    versions: [{ version: '1.0.0' }],
  },
}

export const S6_ROWS: readonly Row[] = [
  version(
    's6-required',
    'WH-S6 a person has a version fetched again that only the policy calls immutable',
    NOT_COMPARED,
    { policy: 'required', stored: MUTABLE, expect: { forbidden: ['WH-S6'] }, blind: { offline: USER } },
  ),
  version(
    's6-module',
    'WH-S6 a person has a version fetched again that only its Module calls immutable',
    { moduleConfigRef: { name: 's6-module', provider: 'aws', fileFormat: 'zip' } },
    { expect: {}, blind: { vap: ['other objects', { forbidden: ['WH-S6'] }] } },
  ),
  version(
    's6-stale',
    'WH-S6 a person has a version fetched again whose Module is not immutable',
    {},
    {
      stored: MUTABLE,
      expect: { forbidden: ['WH-S6'] },
      blind: { offline: USER, vap: ['other objects', {}] },
    },
  ),
  version(
    's6-provider',
    'WH-S6 a person has a version of a Provider fetched again',
    {},
    {
      policy: 'required',
      stored: undefined,
      beside: [mirrored('s6-provider')],
      expect: { forbidden: ['WH-S6'] },
      says: /Instead: leave it to the controller/,
      blind: { offline: USER },
    },
  ),
  version(
    's2-provider',
    'WH-S2 a controller changes the checksum of a version of a Provider',
    {},
    {
      stored: undefined,
      beside: [mirrored('s2-provider')],
      actor: 'controller',
      run: `kubectl patch version $M-1-0-0 -n $NS --subresource status --type merge -p '{"status":{"checksum":"${OTHER_CHECKSUM}"}}'`,
      expect: {},
    },
  ),
  labelled(
    's3-labelled',
    'WH-S3 in mode warn, by the label of its Module',
    {},
    {
      stored: GOLD,
      expect: { warns: ['WH-S3'] },
      blind: { offline: USER },
    },
  ),
  labelled('s3-chosen', 'WH-S3 a Version has the label of a policy that only warns', GOLD.labels, {
    expect: { forbidden: ['WH-S3'] },
    blind: { offline: USER, vap: ['other objects', { warns: ['WH-S3'] }] },
  }),
  labelled(
    's3-by-label',
    'WH-S3 of a Module with a label',
    {},
    {
      policy: 'labelled',
      stored: GOLD,
      expect: { forbidden: ['WH-S3'] },
      blind: { offline: USER },
    },
  ),
  version(
    's3-excepted',
    'WH-S3 with an exception for the Module of a Version',
    {},
    {
      policy: 'excepted',
      run: POINT,
      expect: { warns: ['WH-S3'] },
      blind: { offline: USER, vap: ['exception', {}] },
    },
  ),
  version(
    's3-excepted-provider',
    'WH-S3 with an exception for the Provider of a Version',
    {},
    {
      policy: 'excepted',
      stored: undefined,
      beside: [mirrored('s3-excepted-provider'), PROVIDER],
      run: POINT,
      expect: { warns: ['WH-S3'] },
      blind: { offline: USER, vap: ['exception', {}] },
    },
  ),
]
