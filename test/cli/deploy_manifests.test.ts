// What stands in several files of deploy/ and has to agree: ports, selectors, mounts and the configurations. Read as they
// lie there, without kubectl; what kustomize and a real kube-apiserver make of them is test/e2e/kube_deploy.test.ts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { loadNativeConfig } from '../../src/broker/config/native.ts'
import { MANIFESTS, portNamed } from '../support/manifests.ts'
import type { Labels, Workload } from '../support/manifests.ts'

const read = (file: string): string => readFileSync(join(MANIFESTS, file), 'utf8')
const statefulSet: Workload = parse(read('base/stateful_set.yaml'))
const { template, selector } = statefulSet.spec
const [container] = template.spec.containers
if (container === undefined) throw new Error('the Pod has no container')

/** What the Secrets of the guide hold. */
const SECRETS: Readonly<Record<string, string>> = {
  '/run/secrets/sallyport/sealing-key': `${'A'.repeat(43)}=`,
  '/run/secrets/sallyport/nightly': 'dGhpcyBpcyBub3QgYSBzZWNyZXQ4NzY1NDMy',
  '/run/secrets/sallyport-tls/tls.crt': '',
  '/run/secrets/sallyport-tls/tls.key': '',
}

for (const folder of ['base', 'overlays/example']) {
  const file = `${folder}/sallyport.yaml`
  const { config, findings } = loadNativeConfig('/etc/sallyport/sallyport.yaml', read(file), {
    env: {},
    readFile: (path) => {
      const text = SECRETS[path]
      if (text === undefined) throw new Error(`${path} is in no Secret of the guide`)
      return text
    },
    fileMode: () => 0o100400,
    baseDir: '/etc/sallyport',
    randomBytes: (length) => new Uint8Array(length),
  })

  t.test(`${file} loads without a warning`, async (t) => {
    t.same(
      findings.filter(({ severity }) => severity !== 'note'),
      [],
    )
  })

  t.test(`${file} listens where the Pod says, and keeps everything below a mount`, async (t) => {
    t.equal(config?.publicListeners[0]?.port, portNamed(container, 'https'))
    t.equal(config?.opsListener?.port, portNamed(container, 'ops'))
    for (const listener of [...(config?.publicListeners ?? []), config?.opsListener])
      t.equal(listener?.host, '0.0.0.0', 'the loopback would answer no probe')
    const { publicListeners = [], store, keys } = config ?? {}
    const { certFile = '', keyFile = '' } = publicListeners[0]?.tls ?? {}
    for (const path of [certFile, keyFile, keys?.sealingKeyFile ?? ''])
      t.equal(mountOf(path)?.readOnly, true, path)
    if (store?.type !== 'sqlite') throw new Error('the store is SQLite')
    t.equal(mountOf(store.file)?.name, statefulSet.spec.volumeClaimTemplates?.[0]?.metadata.name)
  })
}

function mountOf(path: string): (typeof mounts)[number] | undefined {
  return mounts.find(({ mountPath }) => path.startsWith(`${mountPath}/`))
}

const mounts = container.volumeMounts

t.test('nothing is mounted by subPath, which never changes again', async (t) => {
  t.same(
    mounts.filter(({ subPath }) => subPath !== undefined),
    [],
  )
})

t.test(
  "Node's permissions are the mounts: all to read, the writable one to write, no programs",
  async (t) => {
    const flags = container.env?.find(({ name }) => name === 'NODE_OPTIONS')?.value.split(' ') ?? []
    const allowed = (flag: string): readonly string[] =>
      flags.flatMap((each) => (each.startsWith(`${flag}=`) ? [each.slice(flag.length + 1)] : []))
    const reads = allowed('--allow-fs-read')
    for (const { mountPath } of mounts)
      t.ok(
        reads.some((path) => mountPath === path || mountPath.startsWith(`${path}/`)),
        mountPath,
      )
    for (const path of reads)
      t.ok(path === '/opt/sallyport' || mounts.some(({ mountPath }) => mountPath.startsWith(path)), path)
    t.same(
      allowed('--allow-fs-write'),
      mounts.filter(({ readOnly }) => readOnly !== true).map(({ mountPath }) => mountPath),
    )
    t.same(
      flags.filter((flag) => !flag.startsWith('--allow-fs-')),
      ['--permission', '--allow-worker', '--disable-warning=PERM0006'],
    )
  },
)

t.test('probes ask named ports of the ops listener for paths that it has', async (t) => {
  for (const { httpGet } of [container.livenessProbe, container.readinessProbe]) {
    t.equal(httpGet.port, 'ops')
    t.match(readFileSync(join(MANIFESTS, '../../src/platform/http/ops_app.ts'), 'utf8'), `'${httpGet.path}'`)
  }
})

t.test('everything that selects the Pod selects its labels', async (t) => {
  const { labels } = template.metadata
  const selectors: Readonly<Record<string, Labels>> = {
    StatefulSet: selector.matchLabels,
    PodDisruptionBudget: parse(read('base/pod_disruption_budget.yaml')).spec.selector.matchLabels,
    NetworkPolicy: parse(read('base/network_policy.yaml')).spec.podSelector.matchLabels,
    PodMonitor: parse(read('components/pod-monitor/pod_monitor.yaml')).spec.selector.matchLabels,
  }
  for (const [kind, wanted] of Object.entries(selectors)) t.same(wanted, labels, kind)
  const service: { spec: { selector: Labels } } = parse(read('base/service.yaml'))
  t.same(service.spec.selector, { ...labels, 'apps.kubernetes.io/pod-index': '0' })
})

t.test('the release of the manifests is the one of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(join(MANIFESTS, '../../package.json'), 'utf8'))
  for (const folder of ['base', 'overlays/example'])
    t.equal(parse(read(`${folder}/kustomization.yaml`)).images[0].newTag, version, folder)
})
