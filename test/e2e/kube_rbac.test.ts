// auth-config and rbac on a real kube-apiserver: the broker's own configuration makes both, a token of the running broker is the user
// that both mean, and the role lets it do what a deployment needs and nothing beside it.
import t from 'tap'
import type { Test } from 'tap'
import { SECRETS } from '../support/broker_config.ts'
import { runCli } from '../support/cli.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { CLUSTER_SECRET, startKubeBroker } from '../support/kube_broker.ts'
import type { KubeBroker } from '../support/kube_broker.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubeCluster, KubectlResult } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'

t.setTimeout(300_000)
const { skip } = await peerOrSkip(() => kubeBinaries())

const REPOSITORY = 'acme-platform/terraform-aws-eks'

async function kube(broker: KubeBroker, ...args: readonly string[]): Promise<string> {
  const env = { CI_SECRET: SECRETS.ci, CLUSTER_SECRET }
  const run = await runCli(['kube', ...args], { cwd: broker.folder, env })
  if (run.code !== 0) throw new Error(run.stderr)
  return run.stdout
}

/** kubectl with a fresh token of the broker and no other credential. */
async function asJob(
  cluster: KubeCluster,
  broker: KubeBroker,
  ...args: readonly string[]
): Promise<KubectlResult> {
  const token = await broker.token()
  return cluster.kubectl([...args, '--token', token], { kubeconfig: cluster.bareKubeconfig })
}

async function asAdmin(
  cluster: KubeCluster,
  args: readonly string[],
  input?: string,
): Promise<KubectlResult> {
  const done = await cluster.kubectl(args, input === undefined ? {} : { input })
  if (done.code !== 0) throw new Error(done.stderr)
  return done
}

async function startWorld(t: Test): Promise<{ broker: KubeBroker; cluster: KubeCluster }> {
  const broker = await startKubeBroker(t)
  const cluster = await kubeClusterFor(t, { authenticationConfig: await kube(broker, 'auth-config') })
  for (const namespace of ['shop', 'other']) {
    await asAdmin(cluster, ['create', 'namespace', namespace])
    await asAdmin(cluster, ['create', 'deployment', 'blog', '--image=blog:1', '-n', namespace])
  }
  return { broker, cluster }
}

const SET_IMAGE = ['set', 'image', 'deployment/blog', 'blog=blog:2']

t.test('the file and the bindings that one configuration makes fit each other', { skip }, async (t) => {
  const { broker, cluster } = await startWorld(t)

  await t.test('a token of the broker is the user that the policy says', async (t) => {
    const whoami = await asJob(cluster, broker, 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo}')
    t.equal(whoami.code, 0, whoami.stderr)
    t.match(JSON.parse(whoami.stdout), {
      username: `ci:gitlab:${REPOSITORY}`,
      uid: '48291',
      groups: ['ci:deployers', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': [/^JTI=/],
        'sallyport.dev/repository-id': ['48291'],
        'sallyport.dev/policy': ['acme-main'],
      },
    })
  })

  await t.test('before the binding every request is a 403 and not a 401', async (t) => {
    const denied = await asJob(cluster, broker, ...SET_IMAGE, '-n', 'shop')
    t.match(denied, {
      code: 1,
      stderr: /forbidden: User "ci:gitlab:acme-platform\/terraform-aws-eks" cannot/,
    })
  })

  await t.test('the user may set the image of one deployment in one namespace', async (t) => {
    const flags = ['--policy', 'acme-main', '--claim', `project_path=${REPOSITORY}`, '--namespace', 'shop']
    await asAdmin(
      cluster,
      ['apply', '-f', '-'],
      await kube(broker, 'rbac', ...flags, '--resource-name', 'blog'),
    )
    const set = await asJob(cluster, broker, ...SET_IMAGE, '-n', 'shop')
    t.match(set, { code: 0, stdout: /image updated/ }, set.stderr)
    t.match(await asJob(cluster, broker, ...SET_IMAGE, '-n', 'other'), { code: 1, stderr: /forbidden/ })
    t.match(await asJob(cluster, broker, 'delete', 'deployment', 'blog', '-n', 'shop'), {
      code: 1,
      stderr: /forbidden/,
    })
    t.match(await asJob(cluster, broker, 'get', 'secrets', '-n', 'shop'), { code: 1, stderr: /forbidden/ })
    t.match(
      await asJob(cluster, broker, 'rollout', 'status', 'deployment/blog', '-n', 'shop', '--timeout=1s'),
      {
        stderr: /timed out|deadline/,
      },
    )
    const again = await kube(broker, 'rbac', ...flags, '--resource-name', 'blog')
    t.equal(
      (await cluster.kubectl(['diff', '-f', '-'], { input: again })).code,
      0,
      'applied twice, nothing changes',
    )
  })

  await t.test('another repository of the same name pattern is another user', async (t) => {
    await asAdmin(cluster, ['delete', 'rolebinding', 'sallyport-acme-main', '-n', 'shop'])
    const flags = [
      '--policy',
      'acme-main',
      '--claim',
      'project_path=acme-platform/other',
      '--namespace',
      'shop',
    ]
    await asAdmin(cluster, ['apply', '-f', '-'], await kube(broker, 'rbac', ...flags))
    t.match(await asJob(cluster, broker, ...SET_IMAGE, '-n', 'shop'), { code: 1, stderr: /forbidden/ })
  })

  await t.test('the group of the policy is bound where no user is named', async (t) => {
    const flags = ['--policy', 'acme-main', '--namespace', 'other']
    await asAdmin(cluster, ['apply', '-f', '-'], await kube(broker, 'rbac', ...flags))
    const set = await asJob(cluster, broker, ...SET_IMAGE, '-n', 'other')
    t.match(set, { code: 0, stdout: /image updated/ }, set.stderr)
  })

  await t.test('the cluster takes every kind of object that is printed', async (t) => {
    for (const flags of [
      ['--cluster-wide', '--resource', 'nodes,pods/log', '--verb', 'get,list'],
      ['--namespace', 'shop', '--cluster-role', 'view', '--name', 'view:acme'],
      ['--namespace', 'shop', '--resource', '*.apps,secrets', '--verb', '*', '--name', 'all'],
    ]) {
      const text = await kube(broker, 'rbac', '--policy', 'acme-main', ...flags)
      const dry = await cluster.kubectl(['apply', '--server-side', '--dry-run=server', '-f', '-'], {
        input: text,
      })
      t.equal(dry.code, 0, `${flags.join(' ')} ${dry.stderr}`)
    }
  })

  await t.test("nothing in the file concerns the administrator's certificate", async (t) => {
    const whoami = await asAdmin(cluster, ['auth', 'whoami', '-o', 'jsonpath={.status.userInfo.groups}'])
    t.match(whoami.stdout, 'system:masters')
  })
})
