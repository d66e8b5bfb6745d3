// The ValidatingAdmissionPolicies of the table's ModulePolicies, on a real kube-apiserver.
import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '../../src/core/claims.ts'
import { admissionPolicies } from '../../src/core/module/generate/admission_policies.ts'
import { WEBHOOK_USER } from '../support/kube_webhook.ts'
import { NAMED_POLICIES } from './offline_door.ts'
import type { World } from './module_world.ts'
import { recordedRequests } from './recorded.ts'

/** Applies what is generated of all that the rows are about, and waits until it refuses. */
export async function openVapDoor({ cluster }: Pick<World, 'cluster'>): Promise<void> {
  const all = admissionPolicies(NAMED_POLICIES, { ledgerWriters: [WEBHOOK_USER], guard: undefined })
  const items = all.filter(isAskedAbout)
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  const { code, stderr } = await cluster.kubectl(['create', '-f', '-'], { input, timeoutMs: 200_000 })
  if (code !== 0 || stderr !== '') throw new Error(`the policies are not taken: ${stderr}`)
  // Bindings are taken up in any order, so each policy is asked for itself.
  for (const policy of PROBED) await untilDenied(cluster, policy)
}

/** `policy-team modules/status` of each recorded request. A server takes a fifth of a second to compile each policy. */
const ASKED: ReadonlySet<string> = new Set(
  [...recordedRequests().values()].map((request) => {
    const { resource } = Object(request['resource'])
    const { namespace, subResource } = request
    const cover =
      namespace === 'none' || namespace === 'elsewhere' ? 'default' : `policy-${String(namespace)}`
    return `${cover} ${resource}${resource === 'versions' || subResource === undefined ? '' : '/status'}`
  }),
)

function isAskedAbout({ metadata }: JsonObject): boolean {
  const name = String(Object(metadata).name)
  const parts = /^sallyport-(.+?)-(modules|providers|versions|depots)(-status)?-(?:enforce|warn|audit)$/.exec(
    name,
  )
  if (parts === null) return true
  const [, cover = '', resource = '', isStatus] = parts
  const asked = cover.replace(/^labelled-/, 'policy-')
  return ASKED.has(`${asked} ${resource}${isStatus === undefined ? '' : '/status'}`)
}

const PROBED = [
  'none',
  'team',
  'warned',
  'required',
  'monotonic',
  'backport',
  'pinned',
  'excepted',
  'monorepo',
  'p1-warned',
]

async function untilDenied(cluster: World['cluster'], namespace: string): Promise<void> {
  const input = JSON.stringify(probeIn(namespace))
  const deadline = Date.now() + 200_000
  for (;;) {
    const { stderr } = await cluster.kubectl(['create', '--dry-run=server', '-f', '-'], { input })
    // One that is refused, and one that is told of.
    if (stderr.includes('WH-V7') && stderr.includes('WH-M4')) return
    // What it waits for is the server's own work, on the same cores.
    await sleep(500)
    if (Date.now() > deadline) throw new Error(`nothing is refused in ${namespace}: ${stderr}`)
  }
}

function probeIn(namespace: string): JsonObject {
  return {
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: { name: 'probe', namespace },
    spec: { moduleConfig: { fileFormat: 'zip' }, versions: [{ version: 'main' }] },
  }
}
