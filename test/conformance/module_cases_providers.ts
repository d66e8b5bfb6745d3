// Rules about Providers, whose versions are mirrored and not published.
import { MUTABLE } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'

const PATCH = 'kubectl patch'
const USER = { offline: ['user', {}] } as const
const DELETION = { offline: ['deletion', {}] } as const

function provider(name: string, versions: readonly string[], edit: Json = {}): Json {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Provider',
    spec: {
      providerConfig: {
        name,
        namespace: 'hashicorp',
        operatingSystems: ['linux'],
        architectures: ['amd64', 'arm64'],
        storageConfig: { s3: { bucket: 'acme-providers', region: 'us-west-2' } },
        ...edit,
      },
      versions: versions.map((version) => ({ version })),
    },
  }
}

/** Of two versions, under the policy that requires immutability: a Provider cannot say it. */
function mirrored(
  name: string,
  title: string,
  run: string,
  expect: Row['expect'],
  more: Partial<Row> = {},
): Row {
  return {
    name,
    title,
    policy: 'required',
    beside: [provider(name, ['5.0.0', '5.1.0'])],
    actor: 'alice',
    run,
    expect,
    ...more,
  }
}

const TAKE_OUT = `${PATCH} provider $M -n $NS --type json -p '[{"op":"remove","path":"/spec/versions/0"}]'`
const APPEND = `${PATCH} provider $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"5.2.0"}}]'`
const UNPUBLISH = { 'sallyport.dev/unpublish': '5.0.0: it had a key in it' }

function annotated(object: Json, annotations: Json): Json {
  return { ...object, metadata: { annotations } }
}

/** amd64, arm64, linux and others that have only a number. */
function many(count: number): readonly string[] {
  return ['linux', 'amd64', 'arm64', '4', '5', '6', '7', '8', '9'].slice(0, count)
}

function numbered(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => String(index))
}

function labels(count: number): Json {
  return Object.fromEntries(numbered(count).map((text) => [`label-${text}`, 'x']))
}

function platforms(systems: number, architectures: number): string {
  const providerConfig = { operatingSystems: many(systems), architectures: many(architectures) }
  return `${PATCH} provider $M -n $NS --type merge -p '${JSON.stringify({ spec: { providerConfig } })}'`
}

export const PROVIDER_ROWS: readonly Row[] = [
  mirrored(
    'pr-removed',
    'WH-V1 a mirrored version is taken out',
    `${PATCH} provider $M -n $NS --type json -p '[{"op":"remove","path":"/spec/versions/0"}]'`,
    { forbidden: ['WH-V1'] },
  ),
  mirrored(
    'pr-added',
    'WH-V1 another version is mirrored',
    `${PATCH} provider $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"5.2.0"}}]'`,
    {},
  ),
  mirrored(
    'pr-optional',
    'WH-V1 a mirrored version is taken out, where nothing is required',
    `${PATCH} provider $M -n $NS --type json -p '[{"op":"remove","path":"/spec/versions/0"}]'`,
    { told: ['WH-V1'] },
    { policy: 'team' },
  ),
  mirrored(
    'pr-branch',
    'WH-V7 what is no version is mirrored',
    `${PATCH} provider $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"latest"}}]'`,
    { invalid: ['WH-V7'] },
  ),
  mirrored(
    'pr-upstream',
    'WH-M2 another upstream is mirrored',
    `${PATCH} provider $M -n $NS --type merge -p '{"spec":{"providerConfig":{"namespace":"mallory"}}}'`,
    { forbidden: ['WH-M2'] },
  ),
  mirrored(
    'pr-platform',
    'WH-M2 a platform is no longer mirrored',
    `${PATCH} provider $M -n $NS --type merge -p '{"spec":{"providerConfig":{"architectures":["amd64"]}}}'`,
    { forbidden: ['WH-M2'] },
  ),
  mirrored(
    'pr-platform-more',
    'WH-M2 another platform is mirrored',
    `${PATCH} provider $M -n $NS --type merge -p '{"spec":{"providerConfig":{"architectures":["amd64","arm64","386"]}}}'`,
    {},
  ),
  mirrored(
    'pr-deleted',
    'WH-M12 a Provider is deleted',
    'kubectl delete provider $M -n $NS --wait=false',
    { forbidden: ['WH-M12'] },
    { blind: DELETION },
  ),
  mirrored(
    'pr-nobody',
    'WH-P1 a version is mirrored by a person whom the policy does not list',
    `${PATCH} provider $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"5.2.0"}}]'`,
    { forbidden: ['WH-P1'] },
    { actor: 'mallory', blind: USER },
  ),
  mirrored(
    'pr-status',
    'WH-S1 a person writes the status of a Provider',
    `${PATCH} provider $M -n $NS --subresource status --type merge -p '{"status":{"synced":true,"syncStatus":"ok"}}'`,
    { forbidden: ['WH-S1'] },
    { blind: { offline: ['subresource', {}] } },
  ),
  mirrored(
    'pr-annotation-only',
    'WH-V1 a mirrored version is taken out with the annotation and without the verb',
    TAKE_OUT,
    { forbidden: ['WH-V1'] },
    { beside: [annotated(provider('pr-annotation-only', ['5.0.0', '5.1.0']), UNPUBLISH)] },
  ),
  mirrored(
    'pr-unpublished',
    'WH-V1 a mirrored version is taken out with the annotation and the verb on the Provider',
    TAKE_OUT,
    { told: ['WH-V1'] },
    {
      beside: [annotated(provider('pr-unpublished', ['5.0.0', '5.1.0']), UNPUBLISH)],
      actor: 'carol',
      blind: { offline: ['rights', { forbidden: ['WH-V1'] }] },
    },
  ),
  mirrored(
    'pr-migrated',
    'WH-M2 another upstream is mirrored with the annotation and the verb on the Provider',
    `${PATCH} provider $M -n $NS --type merge -p '{"metadata":{"annotations":{"sallyport.dev/migrate":"it was renamed"}},"spec":{"providerConfig":{"namespace":"acme"}}}'`,
    { told: ['WH-M2'] },
    { actor: 'carol', blind: { offline: ['rights', { forbidden: ['WH-M2'] }] } },
  ),
  mirrored(
    'pr-given-up',
    'WH-M12 a Provider is deleted with the annotation and the verb on it',
    'kubectl delete provider $M -n $NS --wait=false',
    { told: ['WH-M12'] },
    {
      beside: [
        annotated(provider('pr-given-up', ['5.0.0', '5.1.0']), {
          'sallyport.dev/unpublish': '*: nobody uses it',
        }),
      ],
      actor: 'carol',
      blind: { offline: ['rights', {}] },
    },
  ),
  mirrored(
    'pr-too-many',
    'WH-V11 a Provider gets 72 platforms',
    platforms(9, 8),
    { invalid: ['WH-V11'] },
    { says: /would make 72 platforms, the most is 64/ },
  ),
  mirrored('pr-most', 'WH-V11 a Provider gets 64 platforms', platforms(8, 8), {}),
  mirrored(
    'pr-many-before',
    'WH-V11 a Provider of 72 platforms gets a version',
    APPEND,
    {},
    {
      beside: [provider('pr-many-before', ['5.0.0'], { operatingSystems: many(9), architectures: many(8) })],
    },
  ),
  mirrored(
    'pr-systems',
    'WH-V11 a Provider has 65 operating systems and no architecture',
    'kubectl create -f -',
    { invalid: ['WH-V11'] },
    {
      beside: [],
      input: { object: provider('pr-systems', [], { operatingSystems: numbered(65), architectures: [] }) },
      says: /operatingSystems would have 65 entries, the most is 64/,
    },
  ),
  mirrored(
    'pr-systems-most',
    'WH-V11 a Provider has 64 operating systems and no architecture',
    'kubectl create -f -',
    {},
    {
      beside: [],
      input: {
        object: provider('pr-systems-most', [], { operatingSystems: numbered(64), architectures: [] }),
      },
    },
  ),
  mirrored(
    'pr-architectures',
    'WH-V11 a Provider has 65 architectures and no operating system',
    'kubectl create -f -',
    { invalid: ['WH-V11'] },
    {
      beside: [],
      input: {
        object: provider('pr-architectures', [], { operatingSystems: [], architectures: numbered(65) }),
      },
    },
  ),
  mirrored(
    'pr-labels',
    'WH-V11 a Provider has 65 labels',
    'kubectl create -f -',
    { invalid: ['WH-V11'] },
    {
      beside: [],
      input: { object: { ...provider('pr-labels', []), metadata: { labels: labels(65) } } },
      says: /metadata\.labels would have 65 entries, the most is 64/,
    },
  ),
  mirrored(
    'pr-platform-nobody',
    'WH-P1 a person whom the policy does not list has another platform mirrored',
    `${PATCH} provider $M -n $NS --type merge -p '{"spec":{"providerConfig":{"architectures":["amd64","arm64","386"]}}}'`,
    { forbidden: ['WH-P1'] },
    { actor: 'mallory', blind: USER },
  ),
  mirrored(
    'pr-upstream-nobody',
    'WH-P1 a person whom the policy does not list names another upstream, where nothing is required',
    `${PATCH} provider $M -n $NS --type merge -p '{"spec":{"providerConfig":{"namespace":"mallory"}}}'`,
    { forbidden: ['WH-P1'], told: ['WH-M2'] },
    { policy: 'team', actor: 'mallory', blind: { offline: ['user', { told: ['WH-M2'] }] } },
  ),
  {
    name: 'pr-applied',
    title: 'WH-V1 Argo CD applies a Provider with fewer versions',
    policy: 'required',
    beside: [provider('pr-applied', ['5.0.0', '5.1.0'])],
    actor: 'argo',
    run: 'kubectl apply -f -',
    input: { object: provider('pr-applied', ['5.1.0']) },
    expect: { forbidden: ['WH-V1'] },
  },
  {
    name: 'v6-plain',
    title: 'WH-V6 the version without its build metadata',
    policy: 'team',
    stored: MUTABLE,
    actor: 'alice',
    run: `${PATCH} module $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"1.2.0"}}]'`,
    expect: {},
  },
  {
    name: 'v13-adds',
    title: 'WH-V13 a controller adds to an immutable Module that has a limit',
    policy: 'team',
    stored: { config: { versionHistoryLimit: 5 } },
    actor: 'controller',
    run: `${PATCH} module $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"1.2.0"}}]'`,
    expect: {},
  },
]
