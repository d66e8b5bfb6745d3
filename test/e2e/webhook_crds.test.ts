// The custom resources of deploy/crds on a real kube-apiserver: what they take, what they refuse, and how two writers of one Module
// get on with each version of its list.
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { changedPolicy, ODD_POLICIES } from '../support/odd_policies.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy')
const NAMESPACE = 'opendepot-system'

type Fields = Record<string, unknown>

t.test('the custom resources on a real kube-apiserver', { skip }, async (t) => {
  const cluster = await kubeClusterFor(t)

  const kubectl = (args: readonly string[], input = ''): Promise<KubectlResult> =>
    cluster.kubectl(args, { input })
  async function must(args: readonly string[], input = ''): Promise<KubectlResult> {
    const done = await kubectl(args, input)
    if (done.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${done.stderr}`)
    return done
  }
  const apply = (object: unknown, manager = 'test', ...more: readonly string[]): Promise<KubectlResult> =>
    kubectl(
      ['apply', '--server-side', '--validate=strict', '--field-manager', manager, ...more, '-f', '-'],
      JSON.stringify(object),
    )
  async function stored(kind: string, name: string): Promise<Fields> {
    return JSON.parse((await must(['get', kind, name, '-n', NAMESPACE, '-o', 'json'])).stdout)
  }
  const versionsOf = async (name: string): Promise<unknown> =>
    Object(await stored('module', name)).spec.versions
  /** Takes a folder of definitions and waits until they answer. */
  async function define(folder: string): Promise<KubectlResult> {
    const { stdout } = await must(['kustomize', join(DEPLOY, 'crds', folder)])
    const serverSide = ['apply', '--server-side', '--validate=strict', '--force-conflicts', '-f', '-']
    const applied = await must(serverSide, stdout)
    await must(['wait', '--for=condition=Established', '--timeout=20s', '-f', '-'], stdout)
    return applied
  }

  await t.test('takes every definition, without a warning', async (t) => {
    for (const folder of ['opendepot', 'sallyport']) t.equal((await define(folder)).stderr, '', folder)
  })

  const objects = corpus()
  const namespaces = new Set([NAMESPACE, ...(objects ?? []).map(({ object }) => namespaceOf(object))])
  for (const namespace of namespaces) await must(['create', 'namespace', namespace])

  const noCorpus =
    objects === undefined ? 'SALLYPORT_SHARED does not name the folder with corpus/opendepot' : false
  await t.test('keeps every public object of OpenDepot whole', { skip: noCorpus }, async (t) => {
    for (const { file, object } of objects ?? []) {
      const done = await apply(object, 'corpus', '-o', 'json', '--force-conflicts')
      t.same([done.code, done.stderr], [0, ''], basename(file))
      t.match(JSON.parse(done.stdout).spec, object['spec'], basename(file))
    }
  })

  await t.test('takes the example policies', async (t) => {
    for (const file of globSync(join(DEPLOY, 'examples', '*.yaml'))) {
      t.equal((await apply(parse(readFileSync(file, 'utf8')))).stderr, '', basename(file))
    }
  })

  await t.test('refuses a policy that cannot be meant', async (t) => {
    const example: unknown = parse(
      readFileSync(join(DEPLOY, 'examples', 'module_policy_gitops.yaml'), 'utf8'),
    )
    for (const [change, says] of REFUSED_POLICIES) {
      const policy = structuredClone(Object(example))
      change(policy.spec)
      t.match((await apply(policy, 'test', '--dry-run=server')).stderr, says)
    }
    for (const [title, change] of ODD_POLICIES) {
      t.not((await apply(changedPolicy(change), 'test', '--dry-run=server')).code, 0, title)
    }
    t.equal((await apply(example, 'test', '--dry-run=server')).code, 0)
  })

  await t.test('holds an entry of the ledger to what it has said', async (t) => {
    t.equal((await apply(ENTRY)).stderr, '')
    const name = ENTRY.metadata.name
    for (const [spec, says] of LEDGER_CHANGES) {
      const done = await kubectl([
        'patch',
        'publishedversion',
        name,
        '--type=merge',
        '-p',
        JSON.stringify({ spec }),
      ])
      if (says === undefined) t.same([done.code, done.stderr], [0, ''], JSON.stringify(spec))
      else t.match(done.stderr, says)
    }
    const misnamed = { ...ENTRY, metadata: { name: 'vpc-1-0-0' } }
    t.match((await apply(misnamed)).stderr, 'the name of an entry is pv- and the beginning of a SHA-256')
    const selected = [
      'get',
      'publishedversions',
      '--field-selector',
      'spec.module.namespace=opendepot-system',
    ]
    t.match((await must([...selected, '-o', 'name'])).stdout, name)
  })

  await t.test(
    'refuses one version twice, and takes an entry without a version as OpenDepot does',
    async (t) => {
      const twice = await apply(moduleNamed('twice', '1.0.0', '1.0.0'))
      t.match(twice.stderr, /duplicate|Duplicate value/)
      // By another way than apply the server itself has to look.
      const created = await kubectl(
        ['create', '-f', '-'],
        JSON.stringify(moduleNamed('twice', '1.0.0', '1.0.0')),
      )
      t.match(created.stderr, 'spec.versions[1]: Duplicate value: {"version":"1.0.0"}')
      const empty = { ...moduleNamed('empty'), spec: { moduleConfig: {}, versions: [{}] } }
      t.equal((await kubectl(['create', '-f', '-'], JSON.stringify(empty))).stderr, '')
      t.same(await versionsOf('empty'), [{ version: '' }])
    },
  )

  await t.test('two pipelines that apply on the server keep each other’s versions', async (t) => {
    t.equal((await apply(moduleNamed('merged', '1.0.0', '1.1.0'), 'ci-a')).stderr, '')
    t.equal((await apply(moduleNamed('merged', '2.0.0'), 'ci-b')).stderr, '')
    t.same(await versionsOf('merged'), [{ version: '1.0.0' }, { version: '1.1.0' }, { version: '2.0.0' }])
    t.equal((await apply(moduleNamed('merged', '1.0.0'), 'ci-a')).stderr, '')
    t.same(
      await versionsOf('merged'),
      [{ version: '1.0.0' }, { version: '2.0.0' }],
      'its own and no other is gone',
    )
  })

  await t.test('with the plain list of OpenDepot who applies last has all of it', async (t) => {
    await define('opendepot-atomic')
    const twice = JSON.stringify(moduleNamed('atomic-twice', '1.0.0', '1.0.0'))
    const taken = await until(() => kubectl(['create', '-f', '-'], twice))
    t.equal(taken.stderr, '')
    t.equal((await apply(moduleNamed('plain', '1.0.0', '1.1.0'), 'ci-a')).stderr, '')
    const second = await apply(moduleNamed('plain', '2.0.0'), 'ci-b')
    t.match(second.stderr, /conflict with "ci-a"[^]*\.spec\.versions/)
    t.equal((await apply(moduleNamed('plain', '2.0.0'), 'ci-b', '--force-conflicts')).stderr, '')
    t.same(await versionsOf('plain'), [{ version: '2.0.0' }])
  })
})

/** The server takes up a changed definition within seconds. */
async function until(attempt: () => Promise<KubectlResult>): Promise<KubectlResult> {
  const end = performance.now() + 15_000
  let last = await attempt()
  while (last.code !== 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 300))
    last = await attempt()
  }
  return last
}

/** `undefined` where it is not at hand. Objects of the group that OpenDepot had before are not ours. */
function corpus(): readonly { readonly file: string; readonly object: Fields }[] | undefined {
  const shared = process.env['SALLYPORT_SHARED'] ?? ''
  if (shared === '') return undefined
  return globSync(join(shared, 'corpus', 'opendepot', '*.yaml')).flatMap((file) =>
    parseAllDocuments(readFileSync(file, 'utf8'))
      .map((document): Fields => Object(document.toJS()))
      .filter((object) => object['apiVersion'] === 'opendepot.defdev.io/v1alpha1')
      .map((object) => ({ file, object })),
  )
}

function namespaceOf(object: Fields): string {
  return String(Object(object['metadata']).namespace)
}

function moduleNamed(name: string, ...versions: readonly string[]) {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace: NAMESPACE },
    spec: {
      moduleConfig: { name, provider: 'aws', repoOwner: 'acme', fileFormat: 'zip' },
      versions: versions.map((version) => ({ version })),
    },
  }
}

type PolicySpec = {
  selector: Fields
  publishers: Fields[]
  identities: Record<string, Fields>
  [field: string]: unknown
}

const [USER, GROUP] = ['system:serviceaccount:argocd:argocd-application-controller', 'platform-importers']

const REFUSED_POLICIES: readonly (readonly [(spec: PolicySpec) => void, string | RegExp])[] = [
  [(spec) => Reflect.deleteProperty(spec, 'selector'), 'spec.selector: Required value'],
  [(spec) => (spec.selector['namespaces'] = ['*']), /spec\.selector\.namespaces\[0\].*should match/],
  [
    (spec) => (spec.selector['namespaces'] = ['elsewhere']),
    'for Modules of the namespaces that the policy covers',
  ],
  [(spec) => (spec['immutability'] = 'sometimes'), 'supported values: "optional", "required"'],
  [(spec) => (spec['ordering'] = 'semver'), 'supported values: "free", "backport", "monotonic"'],
  [(spec) => (spec['defaultMode'] = 'deny'), 'supported values: "enforce", "warn", "audit"'],
  [(spec) => (spec['modes'] = { 'WH-P1': 'off' }), 'supported values: "enforce", "warn", "audit"'],
  [(spec) => (spec['modes'] = { P1: 'warn' }), 'a rule is called like WH-V1'],
  [(spec) => (spec['publishers'] = []), 'spec.publishers: Invalid value'],
  [
    (spec) => spec.publishers.push({ source: 'github.com/Acme/vpc' }),
    /publishers\[1\]\.source.*should match/,
  ],
  [
    (spec) => spec.publishers.push({ source: 'https://github.com/acme/vpc' }),
    /publishers\[1\]\.source.*should match/,
  ],
  [(spec) => spec.publishers.push({ refs: ['main'] }), /publishers\[1\]\.refs\[0\].*should match/],
  [(spec) => spec.publishers.push({ ids: [] }), /publishers\[1\]\.ids/],
  [(spec) => (spec.identities['human'] = { users: [USER] }), 'a user is of one kind'],
  [(spec) => (spec.identities['human'] = { groups: [GROUP] }), 'a group is of one kind'],
  [(spec) => (spec.identities['human'] = { groups: ['system:authenticated'] }), 'everybody is in that group'],
  [
    (spec) => (spec.identities['robot'] = { users: [USER] }),
    '.spec.identities.robot: field not declared in schema',
  ],
  [
    (spec) => Reflect.deleteProperty(exceptionOf(spec), 'approver'),
    'spec.exceptions[0].approver: Required value',
  ],
  [(spec) => Reflect.deleteProperty(exceptionOf(spec), 'until'), 'spec.exceptions[0].until: Required value'],
  [(spec) => (exceptionOf(spec)['until'] = 'next year'), 'spec.exceptions[0].until'],
  [
    (spec) => (exceptionOf(spec)['modules'] = ['terraform-aws-vpc']),
    /exceptions\[0\]\.modules\[0\].*should match/,
  ],
]

function exceptionOf(spec: PolicySpec): Fields {
  return Object(spec['exceptions'])[0]
}

const ENTRY = {
  apiVersion: 'sallyport.dev/v1alpha1',
  kind: 'PublishedVersion',
  metadata: { name: `pv-${'a1'.repeat(24)}` },
  spec: {
    module: { namespace: NAMESPACE, name: 'terraform-aws-vpc' },
    version: '1.0.0',
    state: 'present',
    immutable: true,
    commit: '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39',
    by: 'ci:repo:acme/terraform-aws-vpc',
  },
}

const MOVE_STANDS = 'what is said of a move is written once'
const MOVES_STAY = 'moves stay, but of more than ten the oldest'

/** That many days after the first of November. */
function aMove(day: number, edit: Fields = {}): Fields {
  const at = `2026-11-${String(day + 1).padStart(2, '0')}T12:00:00Z`
  const told = { by: 'jo', storage: 's3 bucket=modules-eu' }
  return { revision: String(100 + day), at, settings: ['storageConfig'], ...told, ...edit }
}

function moves(from: number, to: number): readonly Fields[] {
  return Array.from({ length: to - from + 1 }, (_, nth) => aMove(from + nth))
}

const FIRST = aMove(1, { reason: 'it grows', source: 'github.com/acme/vpc' })

/** In this order on one entry. `undefined`: taken. */
const LEDGER_CHANGES: readonly (readonly [Fields, string | undefined])[] = [
  [{ version: '1.0.1' }, 'an entry stays about the version that it was made for'],
  [{ module: { name: 'terraform-aws-eks' } }, 'an entry stays about the version that it was made for'],
  [{ module: { kind: 'Provider' } }, 'an entry stays about the version that it was made for'],
  [{ module: { kind: 'Module' } }, undefined],
  [{ immutable: false }, 'what was published as immutable stays that'],
  [{ commit: '0'.repeat(40) }, 'written once'],
  [{ commit: null }, 'written once'],
  [{ digest: `sha256:${'0'.repeat(64)}`, at: '2026-11-21T12:00:00Z' }, undefined],
  [{ digest: `sha256:${'1'.repeat(64)}` }, 'written once'],
  [{ at: '2026-11-22T12:00:00Z' }, 'written once'],
  [{ state: 'gone' }, 'supported values: "present", "pruned", "unpublished"'],
  [{ state: 'unpublished', removedBy: 'alice', reason: 'leaked a key' }, undefined],
  [{ state: 'present', removedBy: null, reason: null }, undefined],
  [{ moved: [aMove(1)] }, undefined],
  [{ moved: [aMove(1, { at: '2026-11-02T12:00:01Z' })] }, MOVE_STANDS],
  [{ moved: [aMove(1, { settings: ['repoUrl'] })] }, MOVE_STANDS],
  [{ moved: [aMove(1, { by: 'mallory' })] }, MOVE_STANDS],
  [{ moved: [aMove(1, { by: undefined })] }, MOVE_STANDS],
  [{ moved: [aMove(1, { storage: 's3 bucket=elsewhere' })] }, MOVE_STANDS],
  [{ moved: [aMove(1, { storage: undefined })] }, MOVE_STANDS],
  [{ moved: null }, MOVES_STAY],
  [{ moved: [aMove(2)] }, MOVES_STAY],
  [{ moved: [aMove(1, { revision: '7' })] }, MOVES_STAY],
  // What was not known may be filled in, once.
  [{ moved: [aMove(1, { reason: 'it grows', source: 'github.com/acme/vpc' })] }, undefined],
  [{ moved: [aMove(1)] }, MOVE_STANDS],
  [{ moved: [FIRST, aMove(2)] }, undefined],
  [{ moved: [aMove(2)] }, MOVES_STAY],
  [{ moved: [aMove(1, { by: 'mallory' }), aMove(2), aMove(3)] }, MOVE_STANDS],
  [{ moved: [FIRST, ...moves(2, 10)] }, undefined],
  [{ moved: [FIRST, ...moves(2, 11)] }, 'must have at most 10 items'],
  // Of ten the oldest makes room for a new one, and no other does.
  [{ moved: [FIRST, ...moves(2, 9), aMove(11)] }, MOVES_STAY],
  [{ moved: [aMove(0), ...moves(2, 10)] }, MOVES_STAY],
  [{ moved: moves(2, 11) }, undefined],
  [{ moved: [...moves(3, 11), aMove(12, { revision: '102' })] }, MOVE_STANDS],
]
