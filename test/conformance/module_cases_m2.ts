// WH-M10 to M15: whose a name is, Modules that are deleted and come back, and labels and Namespaces that policies hang on.
import { MUTABLE, versionManifest } from './module_cases.ts'
import type { Json, Row } from './module_cases.ts'
import { SHA } from './module_actors.ts'

const CREATE = 'kubectl create -f -'
const DELETE = 'kubectl delete module $M -n $NS --wait=false'
const ALL_GONE = { annotations: { 'sallyport.dev/unpublish': '*: the product was given up' } }
const NO_FILE = ['deletion', {}] as const
const SOURCE = 'github.com/acme/'

function moduleNamed(name: string, namespace: string, versions: readonly string[]): Json {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace },
    spec: {
      moduleConfig: { name, provider: 'aws', repoOwner: 'acme', fileFormat: 'zip', immutable: true },
      versions: versions.map((version) => ({ version })),
    },
  }
}

function append(version: string): string {
  return `kubectl patch module $M -n $NS --type json -p '[{"op":"add","path":"/spec/versions/-","value":{"version":"${version}"}}]'`
}

function deleted(name: string, title: string, more: Partial<Row>): Row {
  return {
    name,
    title,
    policy: 'team',
    stored: {},
    actor: 'alice',
    run: DELETE,
    expect: { forbidden: ['WH-M12'] },
    blind: { offline: NO_FILE },
    ...more,
  }
}

function gains(name: string, title: string, more: Partial<Row>): Row {
  return {
    name,
    title: `WH-M15 ${title}`,
    policy: 'loosening',
    stored: {},
    actor: 'alice',
    run: 'kubectl label module $M -n $NS tier=gold',
    expect: {},
    ...more,
  }
}

export const M2_ROWS: readonly Row[] = [
  {
    name: 'm10-name',
    title: 'WH-M10 a Module is created whose name another namespace has',
    policy: 'team',
    beside: [moduleNamed('m10-name', 'elsewhere', ['1.0.0'])],
    actor: 'alice',
    run: CREATE,
    input: {},
    expect: { forbidden: ['WH-M10'] },
    blind: { vap: ['other objects', {}] },
  },
  {
    name: 'm10-own-version',
    title: 'WH-M10 a version whose object would have the name of another version of the Module',
    policy: 'team',
    stored: { versions: ['1.0.0-a.b'] },
    actor: 'alice',
    run: append('1.0.0-a-b'),
    expect: { forbidden: ['WH-M10'] },
    blind: { vap: ['cost', {}] },
  },
  {
    name: 'm10-far',
    title: 'WH-M10 a version whose object would have the name of one of another Module',
    policy: 'team',
    stored: { versions: ['1.0.0-1'] },
    beside: [moduleNamed('m10-far-1', 'team', ['0.0.2'])],
    actor: 'alice',
    run: append('1.0.0-2'),
    expect: { forbidden: ['WH-M10'] },
    blind: { vap: ['other objects', {}] },
  },
  {
    name: 'm10-free',
    title: 'WH-M10 a version whose name is free',
    policy: 'team',
    stored: { versions: ['1.0.0-1'] },
    actor: 'alice',
    run: append('1.0.0-3'),
    expect: {},
  },
  deleted('m12-delete', 'WH-M12 a Module is deleted', { says: /would be deleted.*prune: false/ }),
  deleted('m12-dry-run', 'WH-M12 a Module is deleted in a dry run of the server', {
    run: `${DELETE} --dry-run=server`,
  }),
  deleted('m12-orphan', 'WH-M12 a Module is deleted, and what it owns stays', {
    run: `${DELETE} --cascade=orphan`,
  }),
  deleted('m12-force', 'WH-M12 a Module is replaced by force', {
    run: 'kubectl replace --force --wait=false -f -',
    input: { versions: ['1.0.0', '1.1.0', '1.2.0'] },
  }),
  deleted('m12-selected', 'WH-M12 Modules are deleted by their label', {
    stored: { labels: { sweep: 'm12' } },
    run: 'kubectl delete modules -n $NS -l sweep=m12 --wait=false',
  }),
  deleted('m12-collection', 'WH-M12 the collection is deleted', {
    stored: { labels: { sweep: 'raw' } },
    run: `kubectl delete --raw "/apis/opendepot.defdev.io/v1alpha1/namespaces/$NS/modules?labelSelector=sweep%3Draw"`,
  }),
  deleted('m12-argo', 'WH-M12 Argo CD prunes a Module', { actor: 'argo' }),
  deleted('m12-controller', 'WH-M12 a controller deletes a Module', { actor: 'controller' }),
  deleted('m12-none', 'WH-M12 a Module is deleted where there is no policy', {
    policy: 'none',
    actor: 'plain',
  }),
  deleted('m12-warned', 'WH-M12 in mode warn', { policy: 'warned', expect: { warns: ['WH-M12'] } }),
  deleted('m12-audited', 'WH-M12 in mode audit', { policy: 'audited', expect: { audits: ['WH-M12'] } }),
  deleted('m12-mutable', 'WH-M12 a Module that is not immutable is deleted', {
    stored: MUTABLE,
    expect: { told: ['WH-M12'] },
  }),
  {
    ...deleted('m12-empty', 'WH-M12 a Module that has published nothing is deleted', { expect: {} }),
    stored: { versions: [] },
    blind: {},
  },
  {
    ...deleted('m12-gone', 'WH-M12 a Module is deleted after the last of its versions was unpublished', {
      expect: {},
    }),
    stored: { versions: [] },
    ledger: { '1.0.0': { state: 'unpublished', immutable: true } },
    blind: {},
  },
  deleted('m12-annotation-only', 'WH-M12 with the annotation and without the verb', { stored: ALL_GONE }),
  deleted('m12-verb-only', 'WH-M12 with the verb, and the way out is the annotation', {
    actor: 'carol',
    wayOut: 'and then',
  }),
  deleted('m12-both', 'WH-M12 with the annotation and the verb', {
    stored: ALL_GONE,
    actor: 'carol',
    expect: { told: ['WH-M12'] },
    blind: { offline: ['rights', {}] },
    says: /unpublished \("the product was given up"\)/,
  }),
  deleted('m12-wildcard', 'WH-M12 with a role that has every verb, and nothing else', { actor: 'root' }),
  {
    name: 'm13-same',
    title: 'WH-M13 a Module comes back with what it was made of',
    policy: 'team',
    ledger: { '1.0.0': { state: 'unpublished', immutable: true, source: `${SOURCE}m13-same`, commit: SHA } },
    actor: 'alice',
    run: CREATE,
    input: { versions: ['1.0.0'], annotations: { 'sallyport.dev/pins': `1.0.0=${SHA}` } },
    expect: {},
  },
  {
    name: 'm13-unpinned',
    title: 'WH-M13 a Module comes back and does not say what its version is made of',
    policy: 'team',
    ledger: {
      '1.0.0': { state: 'unpublished', immutable: true, source: `${SOURCE}m13-unpinned`, commit: SHA },
    },
    actor: 'argo',
    run: 'kubectl apply -f -',
    input: { versions: ['1.0.0'] },
    expect: { forbidden: ['WH-M13'] },
    says: new RegExp(`bring it back as what it was: annotation sallyport\\.dev/pins="1\\.0\\.0=${SHA}"`),
    blind: { vap: ['ledger', {}] },
  },
  {
    name: 'm13-source',
    title: 'WH-M13 a Module comes back from another repository',
    policy: 'team',
    ledger: { '1.0.0': { state: 'unpublished', immutable: true, source: 'github.com/acme/before' } },
    actor: 'alice',
    run: CREATE,
    input: { versions: ['2.0.0'] },
    expect: { forbidden: ['WH-M13'] },
    blind: { vap: ['ledger', {}] },
  },
  {
    name: 'm13-mutable',
    title: 'WH-M13 a Module that was not immutable comes back',
    policy: 'team',
    ledger: { '1.0.0': { state: 'unpublished', immutable: false } },
    actor: 'alice',
    run: CREATE,
    input: { ...MUTABLE, versions: ['1.0.0'] },
    expect: { told: ['WH-M13', 'WH-M4'] },
    blind: { vap: ['ledger', { told: ['WH-M4'] }] },
  },
  deleted('m14-collector', 'WH-M14 the garbage collector deletes a Module', {
    actor: 'collector',
    expect: { forbidden: ['WH-M14'] },
  }),
  deleted('m14-namespaces', 'WH-M14 the namespace controller deletes a Module of a namespace that stays', {
    actor: 'namespaces',
    expect: { forbidden: ['WH-M14'] },
  }),
  {
    name: 'm14-version',
    title: 'WH-M14 the garbage collector deletes a Version that its Module lists',
    policy: 'team',
    stored: {},
    beside: [versionManifest({ name: 'm14-version' }, '1.0.0')],
    actor: 'collector',
    run: 'kubectl delete version $M-1-0-0 -n $NS --wait=false',
    expect: { forbidden: ['WH-M14'] },
    blind: { offline: NO_FILE, vap: ['other objects', {}] },
  },
  {
    name: 'm15-label',
    title: 'WH-M15 a Module loses the label by which a policy covers it',
    policy: 'labelled',
    stored: { labels: { tier: 'gold' } },
    actor: 'alice',
    run: 'kubectl label module $M -n $NS tier-',
    expect: { forbidden: ['WH-M15'] },
  },
  {
    name: 'm15-other-label',
    title: 'WH-M15 a Module loses another label',
    policy: 'labelled',
    stored: { labels: { tier: 'gold', team: 'network' } },
    actor: 'alice',
    run: 'kubectl label module $M -n $NS team-',
    expect: {},
  },
  {
    name: 'm15-gains',
    title: 'WH-M15 a Module that no policy covers gets the label of one',
    policy: 'labelled',
    stored: {},
    actor: 'alice',
    run: 'kubectl label module $M -n $NS tier=gold',
    expect: {},
  },
  gains('m15-loosened', 'an immutable Module gets the label of a policy that only warns', {
    expect: { forbidden: ['WH-M15'] },
    says: /would put this Module under the policy "loosening", which enforces less than holds without one/,
  }),
  gains('m15-loosened-mutable', 'a Module that is not immutable gets the label of a policy that only warns', {
    stored: MUTABLE,
  }),
  gains('m15-loosened-empty', 'a Module that published nothing gets the label of a policy that only warns', {
    stored: { versions: [] },
  }),
  gains('m15-excepted', 'an immutable Module gets the label of a policy that makes an exception for it', {
    policy: 'labelled',
    expect: { forbidden: ['WH-M15'] },
  }),
]
