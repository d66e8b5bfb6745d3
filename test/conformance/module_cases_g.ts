// WH-G, L, O, and M15 of what Modules stand on: GroupBindings, the ledger, policies, Namespaces and definitions.
import { publishedVersionName } from '../../src/core/module/ledger.ts'
import { versionManifest } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'

const PATCH = 'kubectl patch'
const USER = { offline: ['user', {}] } as const
const DELETION = { offline: ['deletion', {}] } as const
const OTHERS = { vap: ['other objects', {}] } as const

function binding(
  name: string,
  title: string,
  spec: Json,
  expect: Row['expect'],
  more: Partial<Row> = {},
): Row {
  return {
    name,
    title,
    policy: 'team',
    actor: 'alice',
    run: 'kubectl create -f -',
    input: { object: { apiVersion: 'opendepot.defdev.io/v1alpha1', kind: 'GroupBinding', spec } },
    expect,
    ...more,
  }
}

const PLATFORM = { expression: '"platform" in groups', moduleResources: ['*'] }

function policyObject(name: string, spec: Json): Json {
  return {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'ModulePolicy',
    metadata: { name, namespace: undefined },
    spec: { selector: { namespaces: [`of-${name}`] }, ...spec },
  }
}

function policyWritten(
  name: string,
  title: string,
  spec: Json,
  expect: Row['expect'],
  more: Partial<Row> = {},
): Row {
  return {
    name,
    title,
    policy: 'team',
    actor: 'root',
    run: 'kubectl create -f -',
    input: { object: policyObject(name, spec) },
    expect,
    ...more,
  }
}

const GONE = { kind: 'Module', namespace: 'nowhere', name: 'gone' } as const
const [WRITTEN, KEPT] = ['1.0.0', '1.1.0']

function entry(version: string): Json {
  return {
    apiVersion: 'sallyport.dev/v1alpha1',
    kind: 'PublishedVersion',
    metadata: { name: publishedVersionName(GONE, version), namespace: undefined },
    spec: {
      module: GONE,
      version,
      state: 'unpublished',
      immutable: true,
    },
  }
}

/** A Module of a namespace of its own. */
function moduleIn(namespace: string, immutable: boolean, versions: readonly string[]): Json {
  const name = `of-${namespace}`
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace },
    spec: {
      moduleConfig: { name, provider: 'aws', repoOwner: 'acme', fileFormat: 'zip', immutable },
      versions: versions.map((version) => ({ version })),
    },
  }
}

const MODULES = 'modules.opendepot.defdev.io'

export const G_ROWS: readonly Row[] = [
  binding(
    'g1-broken',
    'WH-G1 a GroupBinding whose condition does not compile',
    { ...PLATFORM, expression: '"platform" in group' },
    { invalid: ['WH-G1'] },
    {
      says: /does not compile at column \d+/,
      blind: { vap: ['language', {}] },
    },
  ),
  binding('g1-whole', 'WH-G1 a GroupBinding whose condition compiles', PLATFORM, {}),
  binding(
    'g2-open',
    'WH-G2 a GroupBinding whose pattern is none',
    { ...PLATFORM, moduleResources: ['vpc-[a'] },
    { invalid: ['WH-G2'] },
    {
      blind: { vap: ['language', {}] },
    },
  ),
  binding(
    'g2-provider',
    'WH-G2 a GroupBinding with a pattern of Providers',
    { ...PLATFORM, providerResources: ['aws-*'] },
    { told: ['WH-G2'] },
    {
      blind: { vap: ['language', {}] },
    },
  ),
  {
    name: 'l1-written',
    title: 'WH-L1 a person writes the ledger',
    policy: 'team',
    about: publishedVersionName(GONE, WRITTEN),
    actor: 'root',
    run: 'kubectl create -f -',
    input: { object: entry(WRITTEN) },
    expect: { forbidden: ['WH-L1'] },
    blind: USER,
  },
  {
    name: 'l1-deleted',
    title: 'WH-L1 a person deletes from the ledger',
    policy: 'team',
    beside: [entry(KEPT)],
    about: publishedVersionName(GONE, KEPT),
    actor: 'root',
    run: `kubectl delete publishedversion ${publishedVersionName(GONE, KEPT)}`,
    expect: { forbidden: ['WH-L1'] },
    blind: DELETION,
  },
  {
    name: 'l1-read',
    title: 'WH-L1 a person labels a Module, and not the ledger',
    policy: 'team',
    stored: {},
    actor: 'root',
    run: 'kubectl label module $M -n $NS team=network',
    expect: {},
  },
  policyWritten(
    'o1-overlap',
    'WH-O1 a policy covers what another covers',
    { selector: { namespaces: ['team', 'of-o1'] } },
    { forbidden: ['WH-O1'] },
    {
      about: 'o1-overlap',
      blind: OTHERS,
    },
  ),
  policyWritten('o1-apart', 'WH-O1 a policy covers what no other covers', {}, {}, { about: 'o1-apart' }),
  policyWritten(
    'o2-unreadable',
    'WH-O2 a policy names a rule that there is not',
    { modes: { 'WH-V5': 'warn' } },
    { invalid: ['WH-O2'] },
    {
      about: 'o2-unreadable',
      blind: { vap: ['other objects', {}] },
    },
  ),
  policyWritten(
    'o2-readable',
    'WH-O2 a policy names a rule that there is',
    { modes: { 'WH-V9': 'warn' } },
    {},
    { about: 'o2-readable' },
  ),
  policyWritten(
    'o3-loosened',
    'WH-O3 a policy holds less than it did',
    {},
    { told: ['WH-O3'] },
    {
      about: 'o3-loosened',
      beside: [policyObject('o3-loosened', { immutability: 'required' })],
      run: `${PATCH} modulepolicy $M --type merge -p '{"spec":{"immutability":"optional"}}'`,
      blind: { vap: ['other objects', {}] },
    },
  ),
  policyWritten(
    'o3-tightened',
    'WH-O3 a policy holds more than it did',
    {},
    {},
    {
      about: 'o3-tightened',
      beside: [policyObject('o3-tightened', {})],
      run: `${PATCH} modulepolicy $M --type merge -p '{"spec":{"immutability":"required"}}'`,
    },
  ),
  policyWritten(
    'o3-deleted',
    'WH-O3 a policy is deleted',
    {},
    { told: ['WH-O3'] },
    {
      about: 'o3-deleted',
      beside: [policyObject('o3-deleted', { immutability: 'required' })],
      run: 'kubectl delete modulepolicy $M',
      blind: { ...DELETION, vap: ['other objects', {}] },
    },
  ),
  {
    name: 'm15-namespace',
    title: 'WH-M15 a Namespace with published versions is deleted',
    policy: 'team',
    beside: [moduleIn('doomed', true, ['1.0.0'])],
    about: 'doomed',
    actor: 'root',
    run: 'kubectl delete namespace doomed --wait=false',
    expect: { forbidden: ['WH-M15'] },
    blind: { ...DELETION, ...OTHERS },
  },
  {
    name: 'm15-relabelled',
    title: 'WH-M15 a Namespace with published versions loses a label of ours',
    policy: 'team',
    beside: [moduleIn('relabelled', true, ['1.0.0'])],
    about: 'relabelled',
    actor: 'root',
    run: 'kubectl label namespace relabelled sallyport.dev/ignore=true',
    expect: { forbidden: ['WH-M15'] },
    blind: OTHERS,
  },
  {
    name: 'm15-labelled',
    title: 'WH-M15 a Namespace with published versions gets a label of somebody else',
    policy: 'team',
    beside: [moduleIn('labelled-else', true, ['1.0.0'])],
    about: 'labelled-else',
    actor: 'root',
    run: 'kubectl label namespace labelled-else team=network',
    expect: {},
  },
  {
    name: 'm14-emptied',
    title: 'WH-M14 a Namespace goes with Modules that are not immutable',
    policy: 'team',
    beside: [moduleIn('hollow', false, ['1.0.0'])],
    about: 'hollow',
    actor: 'root',
    run: 'kubectl delete namespace hollow --timeout=45s',
    expect: {},
  },
  {
    name: 'm14-unlisted',
    title: 'WH-M14 the garbage collector deletes a Version that no Module lists',
    policy: 'team',
    stored: { versions: ['1.1.0'] },
    beside: [versionManifest({ name: 'm14-unlisted' }, '1.0.0')],
    actor: 'collector',
    run: 'kubectl delete version $M-1-0-0 -n $NS --wait=false',
    expect: {},
  },
  {
    name: 'm15-definition-narrowed',
    ledger: { '1.0.0': { state: 'present', immutable: true } },
    title: 'WH-M15 the definition of Modules stops being served',
    policy: 'team',
    about: MODULES,
    actor: 'root',
    run: `${PATCH} crd ${MODULES} --type json -p '[{"op":"replace","path":"/spec/versions/0/served","value":false}]' --dry-run=server`,
    expect: { forbidden: ['WH-M15'] },
    blind: OTHERS,
  },
  {
    name: 'm15-definition-labelled',
    title: 'WH-M15 the definition of Modules is labelled',
    policy: 'team',
    about: MODULES,
    actor: 'root',
    run: `kubectl label crd ${MODULES} team=network --dry-run=server`,
    expect: {},
  },
  {
    name: 'm15-definition-deleted',
    ledger: { '1.0.0': { state: 'present', immutable: true } },
    title: 'WH-M15 the definition of Modules is deleted',
    policy: 'team',
    about: MODULES,
    actor: 'root',
    run: `kubectl delete crd ${MODULES} --wait=false --dry-run=server`,
    expect: { forbidden: ['WH-M15'] },
    blind: { ...DELETION, ...OTHERS },
  },
]
