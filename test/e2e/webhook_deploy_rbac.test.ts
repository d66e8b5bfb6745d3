// That the rights of deploy/webhook are the ones that the webhook uses, no more and no less: what it asks is read from the audit log of
// a real kube-apiserver, and each right is taken away once to read what /readyz says then.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { stringify } from 'yaml'
import { REPORT_NAME } from '../../src/core/module/policy_report.ts'
import { freePorts, startChildServer } from '../support/child_server.ts'
import type { ChildServer } from '../support/child_server.ts'
import { kubeClusterFor } from '../support/kube_cluster.ts'
import { WEBHOOK_MANIFESTS } from '../support/manifests.ts'
import { MAIN } from '../support/served.ts'
import { mustPrint as must } from '../support/kube_modules.ts'
import {
  WEBHOOK_NAMESPACE,
  applyWebhook,
  readiness,
  renderWebhook,
  webhookPorts,
} from '../support/webhook_pod.ts'
import type { WebhookPorts } from '../support/webhook_pod.ts'

const ACCOUNT = `system:serviceaccount:${WEBHOOK_NAMESPACE}:sallyport-webhook`
const ports = await webhookPorts()
const cluster = await kubeClusterFor(t, { auditLog: true })
const rendered = await renderWebhook(t, 'overlays/warn-first', ports)

type Rule = {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
  readonly verbs: readonly string[]
}
type Role = { readonly kind: string; readonly metadata: object; readonly rules: readonly Rule[] }
const roles: readonly Role[] = ['ClusterRole', 'Role'].map((kind) => Object(rendered.one(kind)))

function moduleNamed(name: string, versions: readonly string[]): string {
  const moduleConfig = {
    name,
    provider: 'aws',
    repoOwner: 'acme',
    repoUrl: `https://github.com/acme/${name}`,
    fileFormat: 'zip',
    immutable: true,
  }
  return JSON.stringify({
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name, namespace: 'opendepot-system' },
    spec: { moduleConfig, versions: versions.map((version) => ({ version })) },
  })
}

t.before(async () => {
  const crds = join(WEBHOOK_MANIFESTS, '../crds')
  for (const folder of ['opendepot', 'sallyport']) await must(cluster, ['apply', '-k', join(crds, folder)])
  await must(cluster, [
    'apply',
    '-f',
    join(import.meta.dirname, '../fixtures/crds/policyreports.wgpolicyk8s.io.yaml'),
  ])
  await must(cluster, ['wait', '--for=condition=Established', '--timeout=20s', 'crd', '--all'])
  for (const name of ['opendepot-system', WEBHOOK_NAMESPACE])
    await must(cluster, ['create', 'namespace', name])
  await applyWebhook(cluster, rendered, ports)
  const versions = Array.from({ length: 20 }, (_, index) => `1.${index}.0`)
  await must(cluster, ['create', '-f', '-'], moduleNamed('vpc', versions))
})

/** A process with the account's token and nothing else; `ready` when /readyz says what is waited for. */
async function startWith(listening: WebhookPorts, ready: (text: string) => boolean): Promise<ChildServer> {
  const folder = t.testdir()
  const token = (
    await must(cluster, ['-n', WEBHOOK_NAMESPACE, 'create', 'token', 'sallyport-webhook'])
  ).trim()
  const ca = Buffer.from(cluster.caPem).toString('base64')
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: cluster.url, 'certificate-authority-data': ca } }],
    users: [{ name: 'webhook', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'webhook' } }],
    'current-context': 'test',
  }
  const name = `webhook-${listening.https}`
  writeFileSync(join(folder, `${name}.kubeconfig`), stringify(kubeconfig), { mode: 0o600 })
  const config = {
    listen: {
      host: '127.0.0.1',
      port: listening.https,
      allowFrom: ['127.0.0.0/8', '::1/128'],
      tls: { selfManaged: { namespace: WEBHOOK_NAMESPACE } },
    },
    ops: { host: '127.0.0.1', port: listening.ops },
    kubeconfig: `${name}.kubeconfig`,
    scan: { interval: '1s' },
    limits: { drain: '0s' },
  }
  writeFileSync(join(folder, `${name}.yaml`), stringify(config))
  return startChildServer({
    name: 'webhook',
    command: process.execPath,
    args: [MAIN, 'serve', 'webhook', '--config', join(folder, `${name}.yaml`)],
    cwd: folder,
    env: { PATH: process.env['PATH'] },
    ready: async () => ready((await readiness(listening)).text),
    readyMs: 20_000,
  })
}

const ENFORCE = JSON.stringify({ spec: { defaultMode: 'enforce' } })
const isReady = (text: string): boolean => !text.includes('[-]')

async function until(what: string, seconds: number, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) if (await holds()) return
  throw new Error(`${what}: not within ${seconds} s`)
}

async function ledgerSays(pattern: RegExp): Promise<void> {
  await until(String(pattern), 10, async () =>
    pattern.test(await must(cluster, ['get', 'publishedversions'])),
  )
}

/** `get secrets sallyport-webhook-tls`: with the name where the right is for one. */
function rightsIn(of: readonly Role[]): readonly string[] {
  return of
    .flatMap(({ rules }) => rules)
    .flatMap(({ apiGroups, resources, verbs, resourceNames = [''] }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.flatMap((verb) => resourceNames.map((name) => rightText(verb, group, resource, name))),
        ),
      ),
    )
}

function rightText(verb: string, group: string, resource: string, name: string): string {
  return [verb, group === '' ? resource : `${resource}.${group}`, name].join(' ').trim()
}

type Asked = { readonly right: string; readonly code: number }

const NAMED = new Set(['secrets', 'validatingwebhookconfigurations'])

async function asked(): Promise<readonly Asked[]> {
  return (await cluster.auditEvents()).flatMap((event) => {
    const { user, verb, objectRef, responseStatus } = Object(event)
    if (user.username !== ACCOUNT || objectRef === undefined) return []
    const { resource, apiGroup = '', name = '' } = objectRef
    const isNamed = NAMED.has(resource) && verb !== 'create'
    return [
      {
        right: rightText(verb, apiGroup, resource, isNamed ? name : ''),
        code: Number(responseStatus?.code ?? 0),
      },
    ]
  })
}

t.test('a life with all that can happen: every right is used, and nothing else is asked', async (t) => {
  const [https = 0, ops = 0] = await freePorts(2)
  // Two at once meet in the ledger, which is when an entry is read.
  const replicas = await Promise.all([startWith(ports, isReady), startWith({ https, ops }, isReady)])
  await ledgerSays(/vpc +1\.19\.0 +present/)
  // A version comes and goes.
  const patch = (list: readonly object[]): Promise<string> =>
    must(cluster, [
      '-n',
      'opendepot-system',
      'patch',
      'module',
      'vpc',
      '--type=json',
      '-p',
      JSON.stringify(list),
    ])
  await patch([{ op: 'add', path: '/spec/versions/-', value: { version: '2.0.0' } }])
  await ledgerSays(/vpc +2\.0\.0 +present/)
  const annotations = { 'sallyport.dev/unpublish': '2.0.0: it was a trial' }
  await patch([{ op: 'add', path: '/metadata/annotations', value: annotations }])
  await patch([{ op: 'remove', path: '/spec/versions/20' }])
  await ledgerSays(/vpc +2\.0\.0 +unpublished/)
  // The Secret goes, and comes.
  await must(cluster, ['-n', WEBHOOK_NAMESPACE, 'delete', 'secret', 'sallyport-webhook-tls'])
  const path = `/api/v1/namespaces/${WEBHOOK_NAMESPACE}/secrets/sallyport-webhook-tls`
  await until('the next certificate is trusted', 15, async () => {
    const { body } = await cluster.request(path)
    return body.includes('next-trusted-since')
  })
  // Reports are written, and leave with the last Module of a namespace.
  const stale = {
    apiVersion: 'wgpolicyk8s.io/v1alpha2',
    kind: 'PolicyReport',
    metadata: { name: REPORT_NAME },
  }
  await must(cluster, ['-n', 'default', 'create', '-f', '-'], JSON.stringify(stale))
  await until('one report, where Modules are', 20, async () => {
    const names = ['get', 'policyreports', '-A', '-o', 'jsonpath={.items[*].metadata.namespace}']
    return (await must(cluster, names)) === 'opendepot-system'
  })
  for (const replica of replicas) await replica.stop()

  const all = await asked()
  t.same([...new Set(all.filter(({ code }) => code === 403).map(({ right }) => right))], [])
  // Everybody who is logged in may ask who he is (system:basic-user).
  // Everybody who is logged in may ask who he is (system:basic-user).
  const used = new Set(all.map(({ right }) => right))
  used.delete('create selfsubjectreviews.authentication.k8s.io')
  // An entry is read where two replicas write it at one moment: now and then.
  used.add('get publishedversions.sallyport.dev')
  // A patch that makes its object needs this, too, and is called a patch.
  used.add('create policyreports.wgpolicyk8s.io')
  t.same([...used].toSorted(), rightsIn(roles).toSorted())
})

/** What /readyz has to name when a resource of a rule is taken away. */
const NOTICED: Readonly<Record<string, RegExp>> = {
  modules: /watches.*modules.*(403|forbidden)/,
  versions: /watches.*versions.*(403|forbidden)/,
  providers: /watches.*providers.*(403|forbidden)/,
  groupbindings: /watches.*groupbindings.*(403|forbidden)/,
  modulepolicies: /watches.*modulepolicies.*(403|forbidden)/,
  publishedversions: /watches.*publishedversions.*(403|forbidden)/,
  namespaces: /watches.*namespaces.*(403|forbidden)/,
  validatingwebhookconfigurations: /certificate.*validatingwebhookconfigurations.*(403|forbidden)/,
  secrets: /certificate.*secrets.*(403|forbidden)/,
}
/** Nothing is missing before somebody breaks the glass, or a scan reports. */
const NOTICED_IN_USE = ['subjectaccessreviews', 'policyreports']

const apply = ['apply', '--server-side', '--force-conflicts', '-f', '-']

/** The role without one resource of one rule. */
function without(role: Role, lost: Rule, resource: string): Role {
  const rules = role.rules.map((rule) =>
    rule === lost ? { ...rule, resources: rule.resources.filter((each) => each !== resource) } : rule,
  )
  return { ...role, rules: rules.filter(({ resources }) => resources.length > 0) }
}

t.test('the tests below take every right away', async (t) => {
  const resources = roles.flatMap(({ rules }) => rules).flatMap((rule) => rule.resources)
  t.same([...new Set(resources)].toSorted(), [...Object.keys(NOTICED), ...NOTICED_IN_USE].toSorted())
})

const losses = roles.flatMap((role) =>
  role.rules.flatMap((rule) => rule.resources.map((resource) => ({ role, rule, resource }))),
)

for (const { role, rule, resource } of losses) {
  const says = NOTICED[resource]
  if (says === undefined) continue
  t.test(`without ${rule.verbs.join(', ')} on ${resource} it is not ready, and says so`, async (t) => {
    await must(cluster, apply, JSON.stringify(without(role, rule, resource)))
    // Nothing of an earlier life: what is there need not be made.
    await must(cluster, ['-n', WEBHOOK_NAMESPACE, 'delete', 'secret', '--all'])
    const replica = await startWith(ports, (text) => says.test(text))
    const { status, text } = await readiness(ports)
    t.equal(status, 503)
    t.match(text, says)
    await replica.stop()
    await must(cluster, apply, JSON.stringify(role))
  })
}

t.test('without the question after verbs nobody breaks the glass, and the log says why', async (t) => {
  const loss = losses.find(({ resource }) => resource === 'subjectaccessreviews')
  if (loss === undefined) throw new Error('no such right')
  await must(cluster, ['patch', 'modulepolicy', 'first-look', '--type=merge', '-p', ENFORCE])
  const replica = await startWith(ports, isReady)
  const breakGlass = () =>
    cluster.kubectl([
      '-n',
      'opendepot-system',
      'patch',
      'module',
      'vpc',
      '--dry-run=server',
      '--type=json',
      '-p',
      JSON.stringify([
        { op: 'add', path: '/metadata/annotations', value: { 'sallyport.dev/unpublish': '1.19.0: a trial' } },
        { op: 'remove', path: '/spec/versions/19' },
      ]),
    ])
  await until('enforced and granted', 10, async () => (await breakGlass()).stderr.startsWith('Warning: '))
  t.equal((await breakGlass()).code, 0)
  await must(cluster, apply, JSON.stringify(without(loss.role, loss.rule, loss.resource)))
  await until('not granted', 10, async () => (await breakGlass()).code !== 0)
  t.match(replica.logs(), /subjectaccessreviews.*(403|forbidden)/)
  await replica.stop()
})
