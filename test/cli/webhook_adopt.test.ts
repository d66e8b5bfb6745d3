import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { parse } from 'yaml'
import { publishedVersionOf } from '../../src/core/module/published_version.ts'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'
import { fakeApiserver } from '../support/fake_apiserver.ts'
import { aProviderJson } from '../support/a_provider.ts'
import { moduleJson } from '../support/module_changes.ts'

type Lists = Readonly<Record<string, readonly object[]>>

const good = moduleJson({ name: 'good' })
const bad = moduleJson({ name: 'bad', versions: ['1.0.0', 'main'] })

/** Only what is listed is known to the cluster. */
async function adopt(
  t: Test,
  lists: Lists,
  args: readonly string[] = [],
  files: Files = {},
): Promise<CliRun> {
  const cwd = folder(t)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
  const { kubeconfig } = await fakeApiserver(t, cwd, ({ path }) => {
    const [, resource = ''] = /\/([a-z]+)(?:\?|$)/.exec(path) ?? []
    const items = lists[resource]
    return items === undefined
      ? { status: 404, body: { kind: 'Status', message: `no ${resource} here` } }
      : { body: { metadata: {}, items } }
  })
  return runCli(['webhook', 'adopt', '--kubeconfig', kubeconfig, ...args], { cwd })
}

type Files = Readonly<Record<string, string>>

t.test('adopt says what the rules would say, before anything of ours is installed', async (t) => {
  const { code, stdout } = await adopt(t, { modules: [good, bad], versions: [] })
  t.equal(code, 0)
  t.match(
    stdout,
    '2 Modules with 4 versions in 1 namespace; no ModulePolicy; the ledger remembers 0 versions',
  )
  t.match(stdout, 'infra/bad  2 versions, immutable')
  t.match(stdout, /denied {2}WH-V7 spec\.versions\[1\]\.version: "main" is not a version/)
  t.notMatch(stdout, 'infra/good')
  t.match(stdout, '1 Module would be denied if new')
})

t.test('adopt looks at Providers, and at names that one of each would take', async (t) => {
  const lists = {
    modules: [good],
    providers: [
      aProviderJson(),
      aProviderJson({ namespace: 'other', configName: 'aws' }),
      aProviderJson({ name: 'loose', versions: ['main'] }),
    ],
    versions: [],
  }
  const { code, stdout } = await adopt(t, lists)
  t.equal(code, 0)
  t.match(stdout, '1 Module and 3 Providers with 7 versions in 2 namespaces')
  t.match(stdout, /Provider infra\/aws {2}2 versions\n {2}denied {2}WH-M10 .*belongs to "other\/aws"/)
  t.match(stdout, /Provider infra\/loose {2}1 version\n {2}denied {2}WH-V7/)
  t.match(stdout, '3 Providers would be denied if new')
})

t.test('adopt of a clean cluster says so', async (t) => {
  const { code, stdout } = await adopt(t, { modules: [good], versions: [] })
  t.equal(code, 0)
  t.match(stdout, 'Nothing that is stored would be denied if it came new.')
})

t.test('adopt tries the policies of a file in place of those of the cluster', async (t) => {
  const policy = `apiVersion: sallyport.dev/v1alpha1
kind: ModulePolicy
metadata: {name: gentle}
spec: {selector: {}, modes: {WH-V7: warn}}
`
  const lists = { modules: [bad], versions: [], modulepolicies: [] }
  const { stdout } = await adopt(t, lists, ['-f', 'gentle.yaml'], { 'gentle.yaml': policy })
  t.match(stdout, 'judged under gentle')
  t.match(stdout, /told {4}WH-V7/)
})

t.test('adopt prints a policy to begin with that denies nothing, and reads it itself', async (t) => {
  const written = {
    ...good,
    metadata: { ...Object(good['metadata']), managedFields: [{ manager: 'argocd-controller' }] },
  }
  const { code, stdout, stderr } = await adopt(t, { modules: [written, bad], versions: [] }, ['--starter'])
  t.equal(code, 0)
  t.match(parse(stdout), {
    kind: 'ModulePolicy',
    spec: {
      selector: { namespaces: ['infra'] },
      immutability: 'required',
      defaultMode: 'warn',
      identities: { gitops: { users: ['system:serviceaccount:argocd:argocd-application-controller'] } },
    },
  })
  t.match(stdout, '# it denies nothing')
  t.match(stderr, 'judged under first-look')
  const again = await adopt(t, { modules: [bad], versions: [] }, ['-f', 'p.yaml'], { 'p.yaml': stdout })
  t.match(again.stdout, /told {4}WH-V7/)
})

function storedPolicy(name: string): object {
  return { metadata: { name }, spec: { selector: {}, defaultMode: 'warn' } }
}

t.test(
  'the policy to begin with takes the place of the first look, and says whose way it is in',
  async (t) => {
    const lists = { modules: [good], versions: [] }
    const alone = await adopt(t, lists, ['--starter'])
    t.equal(parse(alone.stdout).metadata.name, 'first-look')
    t.notMatch(alone.stdout, /takes the place|WH-O1/)
    const looked = await adopt(t, { ...lists, modulepolicies: [storedPolicy('first-look')] }, ['--starter'])
    t.match(looked.stdout, '# it takes the place of the ModulePolicy "first-look" that is there.')
    const other = await adopt(t, { ...lists, modulepolicies: [storedPolicy('team')] }, ['--starter'])
    t.match(other.stdout, '# it is refused (WH-O1) beside "team", which could cover the same Modules')
  },
)

t.test('adopt that may not list says which right is needed', async (t) => {
  const cwd = folder(t)
  const body = { kind: 'Status', message: 'modules is forbidden' }
  const { kubeconfig } = await fakeApiserver(t, cwd, () => ({ status: 403, body }))
  const { code, stderr } = await runCli(['webhook', 'adopt', '--kubeconfig', kubeconfig], { cwd })
  t.equal(code, 1)
  t.match(
    stderr,
    /^error: .*403: modules is forbidden\n {4}-> whoever asks needs the verb list, in every namespace/,
  )
})

t.test('adopt of files without a policy says what it takes', async (t) => {
  const files = { 'shop.yaml': 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n' }
  const { code, stderr } = await adopt(t, { modules: [good], versions: [] }, ['-f', 'shop.yaml'], files)
  t.equal(code, 1)
  t.match(stderr, /^error: shop\.yaml: there is no ModulePolicy in it\n {4}-> -f takes ModulePolicies/)
})

t.test('the policy to begin with covers Providers, too, and who wrote only those', async (t) => {
  const provider = aProviderJson({ namespace: 'providers' })
  const managedFields = [{ manager: 'kustomize-controller' }]
  const written = { ...provider, metadata: { ...Object(provider['metadata']), managedFields } }
  const { stdout } = await adopt(t, { modules: [good], providers: [written], versions: [] }, ['--starter'])
  t.match(parse(stdout).spec, {
    selector: { namespaces: ['infra', 'providers'] },
    identities: { gitops: { users: ['system:serviceaccount:flux-system:kustomize-controller'] } },
  })
  t.match(
    stdout,
    '# immutability: required also holds Providers, which cannot say it; optional leaves those.',
  )
  const alone = await adopt(t, { modules: [], providers: [provider], versions: [] }, ['--starter'])
  t.strictSame(parse(alone.stdout).spec.selector, { namespaces: ['providers'] })
})

t.test('adopt tells of archives that are not what was published', async (t) => {
  const entry = publishedVersionOf({
    module: { kind: 'Module', namespace: 'infra', name: 'good' },
    version: '1.0.0',
    facts: { state: 'present', immutable: true, digest: `sha256:${'a'.repeat(64)}` },
  })
  const version = {
    metadata: { namespace: 'infra', name: 'good-1-0-0' },
    spec: { type: 'Module', version: '1.0.0', moduleConfigRef: { name: 'good' } },
    status: { checksum: Buffer.alloc(32).toString('base64') },
  }
  const lists = { modules: [good], versions: [version], modulepolicies: [], publishedversions: [entry] }
  const { stdout } = await adopt(t, lists)
  t.match(stdout, 'the ledger remembers 1 version')
  t.match(stdout, /denied {2}WH-S2 .*version 1\.0\.0 was published as sha256:aaaa/)
})

t.test('adopt as JSON is a list of PolicyReports', async (t) => {
  const { stdout } = await adopt(t, { modules: [good, bad], versions: [] }, ['-o', 'json'])
  t.match(JSON.parse(stdout), {
    kind: 'PolicyReportList',
    items: [{ kind: 'PolicyReport', summary: { pass: 1, fail: 1 } }],
  })
})

t.test('adopt says what it cannot use', async (t) => {
  const nothing = await adopt(t, {})
  t.equal(nothing.code, 1)
  t.match(
    nothing.stderr,
    /^error: the cluster has no opendepot\.defdev\.io\/v1alpha1: .*\n {4}-> name the cluster that has OpenDepot/,
  )
  const both = await adopt(t, { modules: [] }, ['--starter', '-f', 'x.yaml'])
  t.equal(both.code, 2)
  t.match(both.stderr, '--starter and -f do not go together')
  const format = await adopt(t, { modules: [] }, ['-o', 'xml'])
  t.equal(format.code, 2)
})
