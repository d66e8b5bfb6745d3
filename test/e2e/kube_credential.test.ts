// kubectl with our exec plugin on a real kube-apiserver: what a job does, how often plugin and broker are asked for it, and
// what a person reads when it does not work.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { folder, words } from '../support/cli.ts'
import { kubeBinaries } from '../support/kube_binaries.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import type { KubectlResult } from '../support/kube_cluster.ts'
import { peerOrSkip } from '../support/peers.ts'
import { runSallyport } from '../support/sallyport_command.ts'
import { AUDIENCE, startWorld } from './kube/credential_world.ts'
import type { Job } from './kube/credential_world.ts'

const { skip } = await peerOrSkip(() => kubeBinaries())
t.setTimeout(300_000)

t.test('kubectl reads the kubeconfig, whatever its context is called', { skip }, async (t) => {
  const [name, server] = ['a: "b" #c', 'https://k8s.example.com:6443']
  const flags = words(
    `kube kubeconfig --server ${server} --broker https://broker.example.com --client-id ci`,
    '--audience kubernetes --namespace web',
  )
  const made = await runSallyport([...flags, '--name', name])
  t.match(made, { code: 0, stderr: '' })
  const file = join(folder(t), 'kubeconfig')
  writeFileSync(file, made.stdout)
  const { kubectl } = await kubeBinaries()
  const argv = ['config', 'view', '--minify', '-o', 'jsonpath={..namespace} {..server} {.contexts[0].name}']
  const shown = execFileSync(kubectl, argv, { env: { KUBECONFIG: file }, encoding: 'utf8' })
  t.equal(shown, `web ${server} ${name}`)
})

t.test('kubectl gets its tokens from the broker', { skip }, async (t) => {
  const world = await startWorld(t)
  const made = await runSallyport(
    words(`kube auth-config --config ${world.configFile} --ca-file ${world.caFile} --audience ${AUDIENCE}`),
  )
  t.match(made, { code: 0 })
  const cluster = await kubeClusterFor(t, { authenticationConfig: made.stdout })
  const role = words('create clusterrolebinding ci --clusterrole=cluster-admin --group=ci:deployers')
  t.match(await cluster.kubectl(role), { code: 0 })
  const kubeconfig = join(world.folder, 'kubeconfig')
  const flags = words(
    `kube kubeconfig --server ${cluster.url} --ca-file ${cluster.caFile} --broker ${world.issuer}`,
    `--client-id ci --client-auth federated --audience ${AUDIENCE} --namespace default`,
  )
  const printed = await runSallyport(flags)
  t.match(printed, { code: 0, stderr: '' })
  writeFileSync(kubeconfig, printed.stdout)

  const kubectl = (job: Job, line: string, file = kubeconfig, input = ''): Promise<KubectlResult> =>
    cluster.kubectl(words(line), { kubeconfig: file, env: job.env, input })
  /** The kubeconfig with its user's `exec` or its cluster's extension changed. */
  const changed = (name: string, exec: object, extension: object = {}): string => {
    const config = parse(printed.stdout)
    Object.assign(config.users[0].user.exec, exec)
    Object.assign(config.clusters[0].cluster.extensions[0].extension, extension)
    const file = join(world.folder, name)
    writeFileSync(file, stringify(config))
    return file
  }

  await t.test('many calls, one exchange', async (t) => {
    const job = world.job()
    world.count()
    const first = await kubectl(job, 'auth whoami -o json')
    t.match(first, { code: 0, stderr: '' })
    t.match(JSON.parse(first.stdout).status.userInfo, {
      username: 'ci:gitlab:48291',
      groups: ['ci:deployers', 'system:authenticated'],
    })
    t.match(await kubectl(job, 'get ns'), { code: 0, stderr: '', stdout: /kube-system/ })
    t.match(await kubectl(job, 'apply -f -', kubeconfig, CONFIG_MAP), { code: 0, stderr: '' })
    t.match(await kubectl(job, 'api-resources'), { code: 0, stderr: '' })
    const { starts, exchanges } = world.count()
    t.equal(exchanges, 1)
    t.ok(starts >= 4, 'kubectl keeps nothing from one start to the next')
  })

  await t.test('several calls at once, one exchange of a token that may be used once', async (t) => {
    const job = world.job()
    world.count()
    const runs = await Promise.all(['get ns', 'get ns', 'auth whoami'].map((line) => kubectl(job, line)))
    for (const run of runs) t.match(run, { code: 0, stderr: '' })
    t.strictSame(world.count(), { starts: 3, exchanges: 1 })
  })

  await t.test('two jobs on one home: the second is not the first', async (t) => {
    const first = world.job()
    t.match(await kubectl(first, 'get ns'), { code: 0 })
    world.count()
    t.match(await kubectl(world.job('feature', first.home), 'get ns'), { code: 1, stdout: '' })
    t.match(world.count(), { exchanges: 1 })
  })

  await t.test('a refused job reads why, and the broker is asked once', async (t) => {
    const job = world.job('feature')
    world.count()
    const run = await kubectl(job, 'get ns')
    t.match(run, { code: 1, stdout: '' })
    t.match(
      run.stderr,
      /^sallyport: denied: localhost:\d+ gave no token for "kube:local" \(.*request id .*\); /,
    )
    t.match(run.stderr, /getting credentials: exec: executable sallyport failed with exit code 1/)
    t.notMatch(run.stderr, job.token)
    const { starts, exchanges } = world.count()
    t.equal(exchanges, 1)
    // Two for a request; one that must find out first which kinds there are makes several.
    t.ok(starts >= 2, `${starts} starts`)
    t.comment(`a refused kubectl starts its plugin ${starts} times`)
  })

  await t.test('a token that the apiserver does not take is exchanged once, too', async (t) => {
    const file = changed('wrong-audience', {}, { audience: 'kube:other' })
    const job = world.job()
    world.count()
    const run = await kubectl(job, 'get ns', file)
    t.match(run, { code: 1, stdout: '', stderr: /You must be logged in to the server/ })
    const { starts, exchanges } = world.count()
    t.equal(exchanges, 1)
    t.ok(starts >= 2, 'kubectl starts the plugin anew for each 401')
  })

  await t.test('two clusters, one user, one job token: each cluster names its audience', async (t) => {
    const config = parse(printed.stdout)
    const [cluster1] = config.clusters
    const other = structuredClone(cluster1)
    other.name = 'other'
    other.cluster.extensions[0].extension.audience = 'kube:other'
    const context = { cluster: 'other', user: config.users[0].name }
    const file = join(world.folder, 'two')
    writeFileSync(
      file,
      stringify({
        ...config,
        clusters: [cluster1, other],
        contexts: [...config.contexts, { name: 'other', context }],
      }),
    )
    const job = world.job()
    world.count()
    t.match(await kubectl(job, 'get ns', file), { code: 0 })
    t.match(await kubectl(job, 'get ns --context other', file), { code: 1, stderr: /must be logged in/ })
    t.match(await kubectl(job, 'get ns', file), { code: 0 })
    t.match(world.count(), { exchanges: 2 })
  })

  await t.test(
    'the token is in no kubeconfig, process list, log of kubectl or file of the job',
    async (t) => {
      const job = world.job()
      const loud = await kubectl(job, 'get ns -v=9')
      t.equal(loud.code, 0)
      const issued = await runSallyport(['credential'], {
        env: { ...job.env, KUBERNETES_EXEC_INFO: execInfo(printed.stdout) },
      })
      const { token } = JSON.parse(issued.stdout).status
      t.match(token, /^eyJ/)
      t.notOk(loud.stderr.includes(token))
      t.notOk(readFileSync(kubeconfig, 'utf8').includes('eyJ'))
      const seen = await duringWatch(() => kubectl(job, 'get ns --watch --request-timeout=2s'))
      t.match(seen, /get.ns.--watch/)
      t.notOk(seen.includes(token) || seen.includes(job.token))
      const kept = join(job.home, '.cache', 'sallyport')
      for (const name of readdirSync(kept)) {
        const text = readFileSync(join(kept, name), 'latin1')
        t.notOk(text.includes(token) || text.includes('eyJ'))
      }
    },
  )

  await t.test('a job that outlives its token gets another where its policy says so', async (t) => {
    const long = changed('long', {}, { clientId: 'ci-long' })
    for (const [job, file, expected] of [
      [world.job('release'), long, { code: 0, stderr: '' }],
      [world.job(), kubeconfig, { code: 1, stdout: '', stderr: /^sallyport: denied: / }],
    ] as const) {
      t.match(await kubectl(job, 'get ns', file), { code: 0 })
      // As if what was kept had ended.
      rmSync(join(job.home, '.cache', 'sallyport'), { recursive: true })
      t.match(await kubectl(job, 'get ns', file), expected)
    }
  })

  await t.test('mistakes in the kubeconfig are told', async (t) => {
    const job = world.job()
    const rows: readonly (readonly [string, object, RegExp])[] = [
      [
        'absent',
        { command: 'sallyport-absent' },
        /sallyport is not on the PATH\. It exchanges the job's own token/,
      ],
      ['absent-path', { command: '/nonexistent/sallyport' }, /no such file or directory/],
      [
        'beta',
        { apiVersion: 'client.authentication.k8s.io/v1beta1' },
        /set "apiVersion: client.auth\S+\/v1" in users/,
      ],
      ['silent', { provideClusterInfo: false }, /--broker .* is missing; --audience/],
      ['flag', { args: ['credential', '--audienc', 'x'] }, /Did you mean --audience/],
      ['mode', { interactiveMode: undefined }, /interactiveMode must be specified/],
    ]
    world.count()
    for (const [name, exec, said] of rows) {
      const run = await kubectl(job, 'get ns', changed(name, exec))
      t.match(run, { code: 1, stdout: '', stderr: said }, name)
    }
    t.equal(world.count().exchanges, 0)
    const extension = changed('extension', {}, { audience: 7 })
    t.match(await kubectl(job, 'get ns', extension), { code: 1, stderr: /config\.audience: is not a text/ })
  })

  await t.test('a broker that is away is told, and asked again at the next call', async (t) => {
    const file = changed('away', {}, { broker: 'https://localhost:9' })
    const run = await kubectl(world.job(), 'get ns', file)
    t.match(run, { code: 1, stdout: '', stderr: /^sallyport: failed: localhost:9 could not be reached/ })
  })

  await t.test('the script does the same without Node', async (t) => {
    const file = join(world.folder, 'script')
    const script = await runSallyport([...flags, '--script', '--command', 'counted-script'])
    t.match(script, { code: 0, stderr: '' })
    writeFileSync(file, script.stdout)
    const job = world.job()
    const mine = join(job.home, 'mine')
    mkdirSync(mine, { mode: 0o700 })
    const caching = { ...job, env: { ...job.env, SALLYPORT_CACHE_DIR: mine } }
    world.count()
    for (const line of ['auth whoami', 'get ns', 'get ns'])
      t.match(await kubectl(caching, line, file), { code: 0, stderr: '' }, line)
    t.strictSame(world.count(), { starts: 3, exchanges: 1 })
    rmSync(mine, { recursive: true })

    const bare = world.job()
    t.match(await kubectl(bare, 'get ns', file), { code: 0 })
    const again = await kubectl(bare, 'get ns', file)
    t.match(again, { code: 1, stderr: /^sallyport: denied: / }, 'GitLab gives one token, and it is used')
    t.notOk(existsSync(join(bare.home, '.cache', 'sallyport')))
    t.match(await kubectl(world.job('feature'), 'get ns', file), {
      code: 1,
      stderr: /failed with exit code 1/,
    })
  })
})

const CONFIG_MAP = `apiVersion: v1
kind: ConfigMap
metadata: { name: from-a-job }
`

/** What kubectl would tell the plugin for the first cluster of this kubeconfig. */
function execInfo(kubeconfig: string): string {
  const { extension } = parse(kubeconfig).clusters[0].cluster.extensions[0]
  return JSON.stringify({
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    spec: { interactive: false, cluster: { config: extension } },
  })
}

/** The arguments of every process that could be seen while this ran. */
async function duringWatch(run: () => Promise<unknown>): Promise<string> {
  const seen = new Set<string>()
  const watch = setInterval(() => {
    for (const line of commandLines()) seen.add(line)
  }, 20)
  try {
    await run()
  } finally {
    clearInterval(watch)
  }
  return [...seen].join('\n')
}

function commandLines(): readonly string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
    } catch {
      // It ended meanwhile.
      return []
    }
  })
}
