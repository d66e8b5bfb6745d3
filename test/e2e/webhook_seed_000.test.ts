// Seed 000's push-based publishing on a real kube-apiserver with the webhook: its manifests and commands as they stand, by a
// ServiceAccount with a plain role and by the pipeline of the repository with a token of the broker.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { publishedVersionName } from '../../src/core/module/ledger.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { startKubeBroker } from '../support/kube_broker.ts'
import type { KubeBroker } from '../support/kube_broker.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster } from '../support/kube_cluster.ts'
import { githubToken, knowGitHub, serviceAccountToken, writeKubeconfig } from '../support/kube_hands.ts'
import type { GitHubJob } from '../support/kube_hands.ts'
import { startKubeWebhook } from '../support/kube_webhook.ts'
import { peerOrSkip } from '../support/peers.ts'
import { between, dedent, readSeed, withoutSeeds } from '../support/seeds.ts'
import { must } from '../support/kube_modules.ts'

t.setTimeout(300_000)
const binaries = await peerOrSkip(() => kubeBinaries())
const skip = withoutSeeds() === false ? binaries.skip : withoutSeeds()

const NAMESPACE = 'opendepot-system'
const SHA = '9f2c1d7e5b0a4c6f8e3d2b1a0c9f8e7d6c5b4a39'

/** What stands in the document. */
function partsOf(seed: string) {
  const push = between(seed, 'Push-Based Workflows', 'For day-2 operations')
  const step = (from: string, to: string): string => dedent(between(push, `${from}\n`, to))
  return {
    immutable: between(push, 'directly from your CI/CD pipeline:\n\n', '\n\nGitHub Actions Example:'),
    publish: step('- name: Publish module version\n        run: |', '\n\nThe Module controller'),
    patch: between(push, 'Using kubectl patch (quick):\n\n', '\n\nUsing kubectl apply'),
    declarative: between(push, 'versions that already exist.\n\n', '\n\nGitHub Actions Example (Append'),
    append: step('- name: Add version to existing module\n  run: |', '\n\nRemoving a version'),
  }
}

/** The forge fills its expressions in before a shell sees the step. */
function released(step: string, tag: string): string {
  return step.replaceAll('${{ github.event.release.tag_name }}', tag)
}

type Typed = { readonly code: number; readonly stderr: string; readonly warned: readonly string[] }

/** Runs a step as a forge does, with the kubeconfig that the job was given. */
async function typed(cluster: KubeCluster, kubeconfig: string, step: string, input = ''): Promise<Typed> {
  const env = {
    PATH: `${dirname(cluster.kubectlFile)}:${process.env['PATH'] ?? ''}`,
    HOME: join(cluster.folder, 'home'),
    KUBECONFIG: kubeconfig,
  }
  const child = spawn('bash', ['-e', '-c', step], { env, stdio: ['pipe', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  const warned = [...stderr.matchAll(/^Warning: (WH-[A-Z]\d+)/gm)].map(([, rule = '']) => rule)
  return { code: Number(code), stderr, warned: [...new Set(warned)].sort() }
}

const PUBLISHER = [
  ['create', 'namespace', 'ci'],
  ['create', 'serviceaccount', 'publisher', '-n', 'ci'],
  [
    'create',
    'role',
    'publisher',
    '-n',
    NAMESPACE,
    '--verb=get,list,create,update,patch',
    '--resource=modules.opendepot.defdev.io',
  ],
  [
    'create',
    'rolebinding',
    'publisher',
    '-n',
    NAMESPACE,
    '--role=publisher',
    '--serviceaccount=ci:publisher',
  ],
  ['create', 'rolebinding', 'pipelines', '-n', NAMESPACE, '--role=publisher', '--group=ci:publishers'],
]

async function versionsOf(cluster: KubeCluster, module: string): Promise<readonly string[]> {
  const path = 'jsonpath={.spec.versions[*].version}'
  const { stdout } = await must(cluster, ['get', 'module', module, '-n', NAMESPACE, '-o', path])
  return stdout.split(' ')
}

/** The ledger follows what was committed a moment later. */
async function rememberedAs(
  cluster: KubeCluster,
  module: string,
  version: string,
  state: string,
): Promise<void> {
  const name = publishedVersionName({ kind: 'Module', namespace: NAMESPACE, name: module }, version)
  const deadline = Date.now() + 20_000
  let stdout = ''
  while (stdout !== state) {
    if (Date.now() > deadline) throw new Error(`${module} ${version} is remembered as "${stdout}"`)
    ;({ stdout } = await cluster.kubectl(['get', 'publishedversion', name, '-o', 'jsonpath={.spec.state}']))
    await sleep(50)
  }
}

/** The kubeconfig of the repository's pipeline, running for a tag. */
async function pipelineOf(
  { cluster, broker }: Place,
  repository: string,
  tag: string,
  more: Partial<GitHubJob> = {},
): Promise<string> {
  const job = { repository, repositoryId: '739500857', ref: `refs/tags/${tag}`, sha: SHA, ...more }
  const name = `${repository}-${tag}`.replaceAll('/', '-')
  return writeKubeconfig(cluster, name, { token: await githubToken(broker, job) })
}

type Place = { readonly cluster: KubeCluster; readonly broker: KubeBroker; readonly plain: string }

async function openPlace(t: Test): Promise<Place> {
  const broker = await startKubeBroker(t, { change: knowGitHub })
  const cluster = await kubeClusterFor(t, { authenticationConfig: await broker.generatedConfig() })
  const webhook = await startKubeWebhook({ cluster })
  t.teardown(() => webhook.stop())
  for (const step of PUBLISHER) await must(cluster, step)
  const token = await serviceAccountToken(cluster, 'ci', 'publisher')
  return { cluster, broker, plain: writeKubeconfig(cluster, 'plain', { token }) }
}

const APPLY = 'kubectl apply -f -'
const EKS = 'terraform-aws-modules/terraform-aws-eks'
const MINE = 'my-org/terraform-aws-my-module'

t.test("seed 000's push-based publishing", { skip, timeout: 300_000 }, async (t) => {
  const seed = partsOf(readSeed('000-opendepot-ci-cd-pipelines.md'))
  const place = await openPlace(t)
  const { cluster, plain } = place

  await t.test('the Module that says immutable: true', async (t) => {
    const made = await typed(cluster, plain, APPLY, seed.immutable)
    t.match(made, { code: 0, warned: ['WH-P1'] }, 'is made by a plain role, which is told of')

    const patched = await typed(cluster, plain, seed.patch)
    t.match(patched, { code: 0, warned: ['WH-P1'] }, 'gets a version by kubectl patch')
    t.same(await versionsOf(cluster, 'terraform-aws-eks'), ['21.10.1', '21.11.0', '21.12.0', '21.13.0'])

    const declared = await typed(cluster, plain, APPLY, seed.declarative)
    t.match(declared.stderr, /Forbidden.*WH-M4: this Module is immutable and would stop being so/s)
    const kept = seed.declarative.replace('fileFormat: zip\n', 'fileFormat: zip\n    immutable: true\n')
    t.match(await typed(cluster, plain, APPLY, kept), { code: 0, warned: [] }, 'is applied with all versions')

    const less = kept.replace('    - version: "21.11.0"\n', '')
    const removed = await typed(cluster, plain, APPLY, less)
    t.match(
      removed.stderr,
      /Error from server \(Forbidden\).*WH-V1: version 21\.11\.0 was published by .*publisher/s,
    )
    t.equal(removed.code, 1)
    t.same(await versionsOf(cluster, 'terraform-aws-eks'), ['21.10.1', '21.11.0', '21.12.0', '21.13.0'])
  })

  await t.test('the Module that does not say so', async (t) => {
    const first = await pipelineOf(place, MINE, 'v1.0.0')
    const made = await typed(cluster, first, released(seed.publish, 'v1.0.0'))
    t.match(made, { code: 0, warned: ['WH-M4'] }, 'is made by the pipeline of its repository')
    const added = await typed(
      cluster,
      await pipelineOf(place, MINE, 'v1.1.0'),
      released(seed.append, 'v1.1.0'),
    )
    t.match(added, { code: 0, warned: [], stderr: '' }, 'gets a version from the pipeline of its tag')
    t.same(await versionsOf(cluster, 'my-module'), ['v1.0.0', 'v1.1.0'])

    const again = await pipelineOf(place, MINE, 'v1.2.0')
    const published = await typed(cluster, again, released(seed.publish, 'v1.2.0'))
    t.match(published, { code: 0 })
    t.same(published.warned, ['WH-V1'], 'loses what the manifest does not list, and is told')
    t.same(await versionsOf(cluster, 'my-module'), ['v1.2.0'])
    for (const version of ['1.0.0', '1.1.0']) await rememberedAs(cluster, 'my-module', version, 'unpublished')
    await rememberedAs(cluster, 'my-module', '1.2.0', 'present')

    const back = await typed(
      cluster,
      await pipelineOf(place, MINE, 'v1.1.0'),
      released(seed.append, 'v1.1.0'),
    )
    t.match(back, { code: 0, warned: ['WH-V2'] }, 'gets it back, and whoever does it is told')
    await rememberedAs(cluster, 'my-module', '1.1.0', 'present')
  })

  await t.test('removing an entry and re-applying works where nothing is immutable', async (t) => {
    const manifest = seed.declarative.replaceAll('terraform-aws-eks', 'terraform-aws-iam')
    t.match(await typed(cluster, plain, APPLY, manifest), { code: 0 })
    const less = manifest.replace('    - version: "21.11.0"\n', '')
    t.not(less, manifest)
    t.match(await typed(cluster, plain, APPLY, less), { code: 0, warned: ['WH-V1'] })
    t.same(await versionsOf(cluster, 'terraform-aws-iam'), ['21.10.1', '21.12.0', '21.13.0'])
    await rememberedAs(cluster, 'terraform-aws-iam', '21.11.0', 'unpublished')
  })

  await t.test('under a policy the pipeline of the repository publishes, and nobody else', async (t) => {
    await must(cluster, ['apply', '-f', '-'], JSON.stringify(POLICY))
    const append = seed.patch.replace('21.13.0', '21.14.0')
    await eventuallyDenied(cluster, plain, `${append} --dry-run=server`)
    t.match((await typed(cluster, plain, append)).stderr, /WH-P1: version 21\.14\.0 may not be published/)
    const branch = await pipelineOf(place, EKS, 'main', { ref: 'refs/heads/main' })
    t.match(
      (await typed(cluster, branch, append)).stderr,
      /WH-P1: .*its pipeline runs for "refs\/heads\/main"/,
    )
    const other = await pipelineOf(place, MINE, 'v21.14.0')
    t.match((await typed(cluster, other, append)).stderr, /WH-P1: .*its pipeline is of "github\.com\/my-org/)
    const own = await pipelineOf(place, EKS, 'v21.14.0')
    t.match(await typed(cluster, own, append), { code: 0, stderr: '' })
    t.ok((await versionsOf(cluster, 'terraform-aws-eks')).includes('21.14.0'))
  })
})

const POLICY = {
  apiVersion: 'sallyport.dev/v1alpha1',
  kind: 'ModulePolicy',
  metadata: { name: 'pipelines' },
  spec: { selector: { namespaces: [NAMESPACE] } },
}

/** The webhook hears of a policy a moment after it is written. */
async function eventuallyDenied(cluster: KubeCluster, kubeconfig: string, step: string): Promise<void> {
  const deadline = Date.now() + 20_000
  while ((await typed(cluster, kubeconfig, step)).code === 0) {
    if (Date.now() > deadline) throw new Error('the policy never comes to hold')
  }
}
