// A pipeline and Argo CD that both write one Module: the ways that keep what either has published, on our definition of the
// list of versions and on OpenDepot's own. The pipeline comes with a token of the broker.
import t from 'tap'
import { argocdPrograms } from '../support/argocd.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { startKubeBroker } from '../support/kube_broker.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { applicationOf, gitopsPolicy, moduleText, NAMESPACE, startArgoWorld } from './webhook_argocd/world.ts'
import type { Fields } from './webhook_argocd/world.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => Promise.all([kubeBinaries(), argocdPrograms()]))

const CREATED = ['1.0.0', '1.1.0']
const IGNORED = [{ group: 'opendepot.defdev.io', kind: 'Module', jsonPointers: ['/spec/versions'] }]

type Claims = { readonly source: string; readonly repository_id: string; readonly groups: readonly string[] }

for (const crds of ['opendepot', 'opendepot-atomic'] as const) {
  const list = crds === 'opendepot' ? 'the list of our definition' : 'the plain list of OpenDepot'
  t.test(`a pipeline and Argo CD on one Module, with ${list}`, { skip }, async (t) => {
    const broker = await startKubeBroker(t)
    const { source, repository_id: id, groups } = claimsOf(await broker.token())
    const policy = gitopsPolicy((spec) => {
      spec['publishers'] = [{ source, ids: [id], refs: ['refs/heads/main'] }]
    })
    const cluster = { authenticationConfig: await broker.generatedConfig() }
    const world = await startArgoWorld(t, { crds, policies: [policy], cluster })
    const { argo, must, push, repository, synced, failed, versionsOf } = world
    await must([
      'create',
      'rolebinding',
      'ci',
      '-n',
      NAMESPACE,
      '--clusterrole=cluster-admin',
      ...groups.map((group) => `--group=ci:${group}`),
    ])

    /** As the pipeline, whose token lasts ten minutes. */
    const token = await broker.token()
    const publish = async (
      name: string,
      version: string,
      ...how: readonly string[]
    ): Promise<KubectlResult> => {
      const kubeconfig = world.cluster.bareKubeconfig
      const apply = ['apply', '--server-side', '--field-manager=ci', '-f', '-', '--token', token]
      const entry = { metadata: { name, namespace: NAMESPACE }, spec: { versions: [{ version }] } }
      if (how.includes('apply')) {
        const input = JSON.stringify({ apiVersion: 'opendepot.defdev.io/v1alpha1', kind: 'Module', ...entry })
        return world.cluster.kubectl(apply, { kubeconfig, input })
      }
      const append = JSON.stringify([{ op: 'add', path: '/spec/versions/-', value: { version } }])
      const patch = ['patch', 'module', name, '-n', NAMESPACE, '--type=json', '-p', append, '--token', token]
      return world.cluster.kubectl(patch, { kubeconfig })
    }
    /** A Module in a folder of git, and an Application for it; both are called `name`. */
    async function managed(name: string, change: (spec: Fields) => void = () => {}): Promise<void> {
      const commit = await repository.commit(`add ${name}`, fileOf(name, CREATED))
      await must(['apply', '-f', '-'], applicationOf(name, repository.url, change))
      await synced(name, commit)
    }

    await t.test('git that does not know of the version: Argo CD fails to take it away', async (t) => {
      const name = 'terraform-aws-plain'
      await managed(name)
      t.equal((await publish(name, '2.0.0')).stderr, '')
      const shown = await argo.waitFor(name, 'fails', ({ phase }) => phase === 'Failed')
      t.comment(`the pipeline's version is not in git: ${shown.message}`)
      t.equal(shown.sync, 'OutOfSync')
      t.match(shown.message, 'denied the request: WH-V1: version 2.0.0 was published')
      t.same(await versionsOf(name), [...CREATED, '2.0.0'])
      const commit = await push(
        name,
        'what the pipeline published',
        fileOf(name, [...CREATED, '2.0.0', '2.1.0']),
      )
      await synced(name, commit)
      t.same(await versionsOf(name), [...CREATED, '2.0.0', '2.1.0'])
    })

    await t.test(
      'RespectIgnoreDifferences on the list: the pipeline publishes, and git no longer does',
      async (t) => {
        const name = 'terraform-aws-ignored'
        await managed(name, (spec) => {
          spec['ignoreDifferences'] = IGNORED
          Object(spec['syncPolicy']).syncOptions = ['RespectIgnoreDifferences=true']
        })
        t.equal((await publish(name, '2.0.0')).stderr, '')
        const config = { githubClientConfig: { useAuthenticatedClient: true } }
        const commit = await push(
          name,
          'another field, and a version',
          fileOf(name, [...CREATED, '1.2.0'], config),
        )
        t.equal((await synced(name, commit)).phase, 'Succeeded')
        const { spec } = Object(await world.module(name))
        t.equal(spec.moduleConfig.githubClientConfig.useAuthenticatedClient, true, 'git has the other fields')
        t.same(await versionsOf(name), [...CREATED, '2.0.0'])
      },
    )

    if (crds === 'opendepot') {
      await t.test('server-side apply by both: each adds, and neither loses anything', async (t) => {
        const name = 'terraform-aws-shared'
        await managed(name, serverSide)
        t.equal((await publish(name, '2.0.0', 'apply')).stderr, '')
        const commit = await push(name, 'a version from git', fileOf(name, [...CREATED, '1.2.0']))
        t.equal((await synced(name, commit)).phase, 'Succeeded')
        t.same([...(await versionsOf(name))].sort(), [...CREATED, '1.2.0', '2.0.0'])
        const later = await publish(name, '2.1.0')
        t.equal(later.stderr, '', 'also by a patch that appends')
        const again = await push(name, 'another one', fileOf(name, [...CREATED, '1.2.0', '1.3.0']))
        await synced(name, again)
        t.same([...(await versionsOf(name))].sort(), [...CREATED, '1.2.0', '1.3.0', '2.0.0', '2.1.0'])

        const bad = await push(name, 'drop a release', fileOf(name, ['1.0.0', '1.2.0', '1.3.0']))
        const shown = await failed(name, bad)
        t.comment(`server-side: ${shown.message}`)
        t.match(
          shown.message,
          /^one or more objects failed to apply, reason: admission webhook "[^"]+" denied the request: WH-V1: version 1\.1\.0 was published/,
        )
      })
    } else {
      await t.test('server-side apply by both: Argo CD forces its whole list, and is denied', async (t) => {
        const name = 'terraform-aws-shared'
        await managed(name, serverSide)
        t.match(
          (await publish(name, '2.0.0', 'apply')).stderr,
          /conflict with "argocd-controller".*\.spec\.versions/s,
        )
        t.equal((await publish(name, '2.0.0')).stderr, '')
        const shown = await argo.waitFor(name, 'fails', ({ phase }) => phase === 'Failed')
        t.match(shown.message, 'denied the request: WH-V1: version 2.0.0 was published')
        t.same(await versionsOf(name), [...CREATED, '2.0.0'])
      })
    }
  })
}

function serverSide(spec: Fields): void {
  Object(spec['syncPolicy']).syncOptions = ['ServerSideApply=true']
}

function fileOf(name: string, versions: readonly string[], config: Fields = {}): Record<string, string> {
  return { [`${name}/module.yaml`]: moduleText(name, { versions, config }) }
}

function claimsOf(token: string): Claims {
  return Object(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()))
}
