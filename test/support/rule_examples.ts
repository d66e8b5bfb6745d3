// One change that each rule speaks about, judged: what its page quotes, so that the page says what a person would read.
import { readDepot, readGroupBinding, readVersion } from '../../src/core/module/module_object.ts'
import type { VersionObject } from '../../src/core/module/module_object.ts'
import {
  readDefinition,
  readNamespace,
  readPolicyObject,
  readPublishedVersion,
} from '../../src/core/module/guarded_object.ts'
import { NO_FACTS } from '../../src/core/module/ledger.ts'
import type { LedgerFacts } from '../../src/core/module/ledger.ts'
import { judgeUnderPolicies } from '../../src/core/module/policy_choice.ts'
import type { NamedPolicy } from '../../src/core/module/policy_choice.ts'
import type { ChangeSubject } from '../../src/core/module/change.ts'
import type { KubeUser } from '../../src/core/kube/kube_user.ts'
import type { ModulePolicySpec } from '../../src/core/module/module_policy.ts'
import type { Reading } from '../../src/core/module/reading.ts'
import type { RuleId } from '../../src/core/module/rule_id.ts'
import type { Verdict } from '../../src/core/module/verdict.ts'
import {
  aModule,
  aPolicy,
  alice,
  argo,
  controller,
  moduleChange,
  NOON,
  pipeline,
  published,
  serviceAccount,
} from './module_changes.ts'
import type { ModuleEdit } from './module_changes.ts'

type RuleExample = {
  /** What somebody does: `Somebody removes version 1.0.0 from the list`. */
  readonly asks: string
  readonly verdict: Verdict
}

type Circumstances = {
  readonly user?: KubeUser
  readonly policy?: Partial<ModulePolicySpec>
  readonly facts?: Partial<LedgerFacts>
}

/** Under one policy that lists Argo CD and alice. */
function judged(subject: ChangeSubject, { user = alice, policy = {}, facts }: Circumstances = {}): Verdict {
  const human = { users: [alice.username], groups: [] }
  const spec = aPolicy({ identities: { ...aPolicy().identities, human }, ...policy })
  const policies: readonly NamedPolicy[] = [{ name: 'modules', spec }]
  return judgeUnderPolicies(subject, { user, mayDo: new Set(), atSeconds: NOON }, policies, {
    ...NO_FACTS,
    ...facts,
  })
}

function edited(
  asks: string,
  from: ModuleEdit | undefined,
  to: ModuleEdit | undefined,
  given?: Circumstances,
): RuleExample {
  const old = from === undefined ? undefined : aModule(from)
  const change = moduleChange(old, to === undefined ? undefined : aModule(to))
  return { asks, verdict: judged(change, given) }
}

function whole<T>(read: Reading<T>): T {
  if (!read.ok) throw new Error(read.denial)
  return read.value
}

type Bodies<Body> = { readonly old: Body | undefined; readonly new: Body | undefined }

function about<Body>(name: string, bodies: Bodies<Body>, namespace = 'infra') {
  const replaced = bodies.new === undefined ? 'DELETE' : 'UPDATE'
  const operation = bodies.old === undefined ? 'CREATE' : replaced
  return { operation, subResource: '', namespace, name, dryRun: false, ...bodies } as const
}

const SUM = 'pZGm1Av0IEBKARczz7exkNYsZb8LzaMrV7J32a2fFG4='

function aVersion(spec: object = {}, checksum = SUM): VersionObject {
  return whole(
    readVersion({
      metadata: { name: 'terraform-aws-vpc-1-1-0', namespace: 'infra' },
      spec: { type: 'Module', version: '1.1.0', fileName: '0190a6c4.zip', ...spec },
      status: { checksum },
    }),
  )
}

function ofVersion(
  asks: string,
  bodies: Bodies<VersionObject>,
  given: Circumstances & { readonly subResource?: 'status' } = {},
): RuleExample {
  const subject = { resource: 'versions', ...about('terraform-aws-vpc-1-1-0', bodies) } as const
  const { subResource = '', facts } = given
  return {
    asks,
    verdict: judged({ ...subject, subResource }, { ...given, facts: { module: aModule(), ...facts } }),
  }
}

const three = ['1.0.0', '1.1.0', '1.2.0']
const COMMIT = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'
const gone = new Map([['1.2.0', published({ state: 'unpublished', commit: COMMIT })]])

function aDepot(immutable: boolean) {
  return whole(
    readDepot({
      metadata: { name: 'upstream', namespace: 'infra' },
      spec: { global: { moduleConfig: { immutable } } },
    }),
  )
}

function aBinding(spec: object) {
  return whole(readGroupBinding({ metadata: { name: 'b-platform', namespace: 'infra' }, spec }))
}

function ofBinding(asks: string, spec: object): RuleExample {
  const bodies = { old: undefined, new: aBinding(spec) }
  const facts = { groupBindings: ['a-admins', 'b-platform', 'c-everybody'] }
  return { asks, verdict: judged({ resource: 'groupbindings', ...about('b-platform', bodies) }, { facts }) }
}

function aPolicyObject(spec: object) {
  const head = { apiVersion: 'sallyport.dev/v1alpha1', kind: 'ModulePolicy' }
  return whole(readPolicyObject({ ...head, metadata: { name: 'platform' }, spec }))
}

function ofPolicy(asks: string, bodies: Bodies<ReturnType<typeof aPolicyObject>>): RuleExample {
  const selector = { namespaces: ['shared'], labels: new Map() }
  return {
    asks,
    verdict: judged(
      { resource: 'modulepolicies', ...about('platform', bodies, '') },
      { policy: { selector } },
    ),
  }
}

const ENTRY = whole(
  readPublishedVersion({
    metadata: { name: `pv-${'0'.repeat(48)}` },
    spec: { module: { namespace: 'infra', name: 'terraform-aws-vpc' }, version: '1.0.0' },
  }),
)

export const RULE_EXAMPLES: Readonly<Record<RuleId, readonly RuleExample[]>> = {
  'WH-V1': [edited('Somebody replaces the list instead of adding to it.', {}, { versions: ['1.2.0'] })],
  'WH-V2': [
    edited(
      'A version that was unpublished is added again.',
      {},
      { versions: three },
      { facts: { published: gone } },
    ),
  ],
  'WH-V3': [edited('An entry is overwritten with the next version.', {}, { versions: ['1.0.0', '1.2.0'] })],
  'WH-V4': [edited('An entry gets a v.', {}, { versions: ['v1.0.0', '1.1.0'] })],
  'WH-V6': [
    edited('A version with build metadata is added.', {}, { versions: ['1.0.0', '1.1.0', '1.2.0+linux'] }),
  ],
  'WH-V7': [edited('A branch is added.', {}, { versions: ['1.0.0', '1.1.0', 'main'] })],
  'WH-V9': [
    edited(
      'A fix of an old version is published, under `ordering: monotonic`.',
      {},
      { versions: ['1.0.0', '1.1.0', '1.0.1'] },
      { policy: { ordering: 'monotonic' } },
    ),
  ],
  'WH-V11': [edited('The 501st version is added.', { versions: many(500) }, { versions: many(501) })],
  'WH-V12': [edited('An immutable Module gets a limit.', {}, { config: { versionHistoryLimit: 2 } })],
  'WH-V13': [
    edited(
      'The Module controller prunes.',
      { config: { versionHistoryLimit: 1 } },
      { config: { versionHistoryLimit: 1 }, versions: ['1.1.0'] },
      { user: controller },
    ),
  ],
  'WH-M1': [
    edited('A Module is created under another name than it configures.', undefined, {
      config: { name: 'vpc' },
    }),
  ],
  'WH-M2': [
    edited(
      'The Module is pointed at another repository.',
      {},
      { config: { repoUrl: 'https://github.com/acme/vpc' } },
    ),
  ],
  'WH-M4': [
    edited('`immutable: true` is left out of what is applied.', {}, { config: { immutable: undefined } }),
  ],
  'WH-M5': [
    edited('A Module is created with a format that OpenDepot does not have.', undefined, {
      config: { fileFormat: 'rar' },
    }),
  ],
  'WH-M6': [
    edited(
      'Another bucket is configured.',
      {},
      { config: { storageConfig: { s3: { bucket: 'new-modules', region: 'us-west-2' } } } },
    ),
  ],
  'WH-M7': [
    edited('A Module is created with two places to store in.', undefined, {
      config: { storageConfig: { s3: { bucket: 'a' }, gcs: { bucket: 'a' } } },
    }),
  ],
  'WH-M8': [
    edited(
      'Archives are fetched with credentials from now on.',
      {},
      { config: { githubClientConfig: { useAuthenticatedClient: true } } },
    ),
  ],
  'WH-M10': [
    edited(
      'A Module is created under a name that another namespace has.',
      undefined,
      {},
      { facts: { namesakes: ['shared/terraform-aws-vpc'] } },
    ),
  ],
  'WH-M12': [edited('The Module is deleted.', {}, undefined)],
  'WH-M13': [
    edited(
      'A Module of that name comes back.',
      undefined,
      { versions: ['1.2.0'] },
      { facts: { published: gone } },
    ),
    edited(
      'A Module is created that is there already.',
      undefined,
      {},
      { facts: { published: new Map([['1.0.0', published()]]), module: aModule() } },
    ),
  ],
  'WH-M14': [
    edited('The owner of the Module was deleted, and the garbage collector follows.', {}, undefined, {
      user: serviceAccount('kube-system', 'generic-garbage-collector'),
    }),
  ],
  'WH-M15': [
    edited(
      'The label goes by which the policy selects.',
      { labels: { team: 'platform' } },
      {},
      { policy: { selector: { namespaces: [], labels: new Map([['team', 'platform']]) } } },
    ),
    {
      asks: 'The Namespace is deleted.',
      verdict: judged(
        {
          resource: 'namespaces',
          ...about('infra', { old: whole(readNamespace({ metadata: { name: 'infra' } })), new: undefined }),
        },
        { facts: { publishedInNamespace: 12 } },
      ),
    },
    {
      asks: 'The definition of Modules is deleted.',
      verdict: judged(
        {
          resource: 'customresourcedefinitions',
          ...about(
            'modules.opendepot.defdev.io',
            { old: whole(readDefinition({ spec: {} })), new: undefined },
            '',
          ),
        },
        { facts: { publishedInCluster: 340 } },
      ),
    },
  ],
  'WH-S1': [
    ofVersion(
      'Somebody patches the status of a Version.',
      { old: aVersion(), new: aVersion({}, 'AAAA') },
      { subResource: 'status', policy: { modes: { 'WH-S2': 'audit' } } },
    ),
  ],
  'WH-S2': [
    ofVersion(
      'The Version controller fetched something else.',
      { old: aVersion(), new: aVersion({}, SUM.replace('pZ', 'qZ')) },
      { user: controller, subResource: 'status' },
    ),
  ],
  'WH-S3': [
    ofVersion('Somebody points a Version at another file.', {
      old: aVersion(),
      new: aVersion({ fileName: 'mine.zip' }),
    }),
  ],
  'WH-S4': [ofVersion('Somebody makes a Version beside its Module.', { old: undefined, new: aVersion() })],
  'WH-S5': [
    ofVersion('Somebody deletes a Version that its Module lists.', { old: aVersion(), new: undefined }),
  ],
  'WH-S6': [
    ofVersion(
      'Somebody fetches a Version again that nothing keeps.',
      { old: aVersion(), new: aVersion({ forceSync: true }) },
      { facts: { module: aModule({ config: { immutable: false } }) } },
    ),
  ],
  'WH-D1': [
    edited(
      'The Depot controller no longer finds a release.',
      {},
      { versions: ['1.1.0'] },
      { user: controller },
    ),
  ],
  'WH-D2': [
    {
      asks: 'A Depot stops making its Modules immutable.',
      verdict: judged({
        resource: 'depots',
        ...about('upstream', { old: aDepot(true), new: aDepot(false) }),
      }),
    },
  ],
  'WH-G1': [ofBinding('A condition is misspelt.', { expression: '"platform" im groups' })],
  'WH-G2': [
    ofBinding('A pattern is not closed.', { expression: '"platform" in groups', moduleResources: ['aws-['] }),
  ],
  'WH-P1': [
    edited(
      'The pipeline of another repository publishes.',
      {},
      { versions: three },
      { user: pipeline({ source: 'github.com/acme/other' }) },
    ),
    edited(
      'Its own pipeline publishes from a branch.',
      {},
      { versions: three },
      { user: pipeline({ ref: 'refs/heads/main' }) },
    ),
  ],
  'WH-P2': [
    edited(
      'A version is added without a pin, under `pins: required`.',
      {},
      { versions: three },
      { policy: { pins: 'required' }, user: argo },
    ),
  ],
  'WH-L1': [
    {
      asks: 'Somebody deletes what the ledger says.',
      verdict: judged({
        resource: 'publishedversions',
        ...about(ENTRY.meta.name, { old: ENTRY, new: undefined }, ''),
      }),
    },
  ],
  'WH-O1': [
    ofPolicy('A second policy is written for a namespace that one covers.', {
      old: undefined,
      new: aPolicyObject({ selector: {} }),
    }),
  ],
  'WH-O2': [
    ofPolicy('A policy names a rule that there is none of.', {
      old: undefined,
      new: aPolicyObject({ selector: { namespaces: ['infra'] }, modes: { 'WH-V99': 'warn' } }),
    }),
  ],
  'WH-O3': [
    ofPolicy('A policy no longer requires immutability.', {
      old: aPolicyObject({ selector: { namespaces: ['infra'] }, immutability: 'required' }),
      new: aPolicyObject({ selector: { namespaces: ['infra'] } }),
    }),
  ],
}

function many(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `1.${index}.0`)
}
