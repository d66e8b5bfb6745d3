// WH-P1 of what decides where versions come from, and of what others published: who may change or take it; and WH-P2 of a pin that
// nobody can read.
import { SHA } from './module_actors.ts'
import { MUTABLE } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'

const TAKE_OUT = `kubectl patch module $M -n $NS --type json -p '[{"op":"remove","path":"/spec/versions/0"}]'`
const DELETE = 'kubectl delete module $M -n $NS --wait=false'
const APPLY = 'kubectl apply -f -'

function config(fields: Json): string {
  return `kubectl patch module $M -n $NS --type merge -p '${JSON.stringify({ spec: { moduleConfig: fields } })}'`
}

/** By a person whom the policy does not list. Without who asks, a review of files says what is left when WH-P1 goes. */
function meddles(name: string, title: string, run: string, more: Partial<Row> = {}): Row {
  const { expect = { forbidden: ['WH-P1'] } } = more
  const { forbidden, ...rest } = expect
  return {
    name,
    title: `WH-P1 ${title}`,
    policy: 'team',
    stored: {},
    actor: 'mallory',
    run,
    expect: { ...(forbidden === undefined ? {} : { forbidden }), ...rest },
    blind: { offline: ['user', rest] },
    ...more,
  }
}

function depot(bucket: string): Json {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Depot',
    spec: {
      global: { storageConfig: { s3: { bucket, region: 'us-west-2' } } },
      moduleConfigs: [{ name: 'terraform-aws-rds', provider: 'aws', repoOwner: 'acme', fileFormat: 'zip' }],
    },
  }
}

function depotWritten(name: string, title: string, more: Partial<Row>): Row {
  return meddles(name, title, 'kubectl create -f -', {
    stored: undefined,
    input: { object: depot('acme-modules') },
    ...more,
  })
}

export const P1_ROWS: readonly Row[] = [
  meddles(
    'p1-owner',
    'the owner that OpenDepot fetches from, before anything is published',
    config({ repoOwner: 'mallory' }),
    { stored: { versions: [] }, says: /repoOwner of this Module may not be changed by "mallory"/ },
  ),
  meddles(
    'p1-owner-mutable',
    'the owner that OpenDepot fetches from, where nothing is immutable',
    config({ repoOwner: 'mallory' }),
    { stored: MUTABLE, expect: { forbidden: ['WH-P1'], told: ['WH-M2'] } },
  ),
  meddles(
    'p1-storage',
    'the storage of an immutable Module, before anything is published',
    config({ storageConfig: { s3: { bucket: 'somebody-elses' } } }),
    { stored: { versions: [] } },
  ),
  meddles(
    'p1-excepted-storage',
    'an exception lets the storage of an immutable Module change, before anything is published',
    config({ storageConfig: { s3: { bucket: 'somebody-elses' } } }),
    {
      policy: 'excepted',
      stored: { versions: [] },
      expect: { warns: ['WH-P1'] },
      blind: { offline: ['user', {}], vap: ['exception', {}] },
    },
  ),
  meddles(
    'p1-format',
    'the format of an immutable Module, before anything is published',
    config({ fileFormat: 'tar' }),
    { stored: { versions: [] } },
  ),
  meddles('p1-immutable', 'a Module is made immutable', config({ immutable: true }), { stored: MUTABLE }),
  meddles(
    'p1-pins',
    'a stored version gets a pin',
    `kubectl annotate module $M -n $NS sallyport.dev/pins=1.0.0=${SHA}`,
    { says: /the pins of this Module may not be changed by "mallory"/ },
  ),
  meddles(
    'p1-pins-later',
    'a version that is not there yet gets a pin',
    `kubectl annotate module $M -n $NS sallyport.dev/pins=9.0.0=${SHA}`,
    { expect: {}, blind: {} },
  ),
  meddles(
    'p1-pins-spelled',
    'a pin is written another way',
    `kubectl annotate module $M -n $NS --overwrite sallyport.dev/pins=v1.0.0=${SHA.toUpperCase()}`,
    {
      stored: { annotations: { 'sallyport.dev/pins': `1.0.0=${SHA}` } },
      expect: {},
      blind: {},
    },
  ),
  meddles('p1-taken', 'a version of a Module that is not immutable is taken out', TAKE_OUT, {
    stored: MUTABLE,
    expect: { forbidden: ['WH-P1'], told: ['WH-V1'] },
  }),
  meddles(
    'p1-warned-taken',
    'a version of a Module that is not immutable is taken out, where the policy only warns',
    TAKE_OUT,
    {
      policy: 'p1-warned',
      stored: MUTABLE,
      expect: { warns: ['WH-P1'], told: ['WH-V1'] },
      blind: { offline: ['user', { told: ['WH-V1'] }] },
    },
  ),
  meddles(
    'p1-taken-named',
    'a version of a Module that is not immutable is taken out, with the annotation and without the verb',
    TAKE_OUT,
    {
      stored: { ...MUTABLE, annotations: { 'sallyport.dev/unpublish': '1.0.0: a leak' } },
      expect: { forbidden: ['WH-P1'], told: ['WH-V1'] },
    },
  ),
  meddles(
    'p1-taken-glass',
    'a version of a Module that is not immutable is taken out, with the annotation and the verb',
    TAKE_OUT,
    {
      stored: { ...MUTABLE, annotations: { 'sallyport.dev/unpublish': '1.0.0: a leak' } },
      actor: 'dave',
      expect: { told: ['WH-V1'] },
      blind: { vap: ['audit', { told: ['WH-V1'], audits: ['WH-P1'] }] },
    },
  ),
  meddles('p1-deleted', 'a Module that is not immutable is deleted', DELETE, {
    stored: MUTABLE,
    expect: { forbidden: ['WH-P1'], told: ['WH-M12'] },
    blind: { offline: ['deletion', {}] },
  }),
  meddles(
    'p1-deleted-glass',
    'a Module that is not immutable is deleted, with the annotation and the verb',
    DELETE,
    {
      stored: { ...MUTABLE, annotations: { 'sallyport.dev/unpublish': '1.0.0, 1.1.0: a leak' } },
      actor: 'dave',
      expect: { told: ['WH-M12'] },
      blind: { offline: ['rights', {}], vap: ['audit', { told: ['WH-M12'], audits: ['WH-P1'] }] },
    },
  ),
  depotWritten('p1-depot', 'a person whom the policy does not list writes a Depot', {}),
  depotWritten('p1-depot-listed', 'a person whom the policy lists writes a Depot', {
    actor: 'alice',
    expect: {},
    blind: {},
  }),
  depotWritten('p1-depot-excepted', 'a Depot is called like a Module whose publisher is excepted', {
    policy: 'excepted',
  }),
  depotWritten('p1-depot-none', 'without a policy a ServiceAccount that writes a Depot is told', {
    policy: 'none',
    actor: 'plain',
    expect: { warns: ['WH-P1'] },
    blind: { offline: ['user', {}] },
  }),
  meddles('p1-depot-storage', 'a person whom the policy does not list moves a Depot', APPLY, {
    stored: undefined,
    beside: [depot('acme-modules')],
    input: { object: depot('somebody-elses') },
    expect: { forbidden: ['WH-P1'], told: ['WH-D2'] },
  }),
  {
    name: 'p2-unreadable-again',
    title: 'WH-P2 a pin that is no commit is written another way',
    policy: 'team',
    stored: { annotations: { 'sallyport.dev/pins': '1.0.0=main' } },
    actor: 'alice',
    run: `kubectl annotate module $M -n $NS --overwrite 'sallyport.dev/pins=1.0.0=main '`,
    expect: { invalid: ['WH-P2'] },
  },
]
