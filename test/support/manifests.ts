// The manifests of deploy/kubernetes and deploy/webhook as tests read them: rendered by kubectl's own kustomize, parsed, found by kind.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')
export const MANIFESTS = join(deploy, 'kubernetes')
export const WEBHOOK_MANIFESTS = join(deploy, 'webhook')

export type Probe = {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly timeoutSeconds: number
  readonly periodSeconds: number
  readonly failureThreshold: number
}

export type Container = {
  readonly name: string
  readonly image: string
  readonly args: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value: string }[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly livenessProbe: Probe
  readonly readinessProbe: Probe
  readonly volumeMounts: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
    readonly subPath?: string
  }[]
}

export type PodSpec = {
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: {
    readonly runAsUser: number
    readonly runAsGroup: number
    readonly fsGroup: number
  }
  readonly containers: readonly Container[]
  readonly volumes: readonly {
    readonly name: string
    readonly configMap?: { readonly name: string }
    readonly secret?: { readonly secretName: string; readonly defaultMode?: number }
  }[]
}

export type Labels = Readonly<Record<string, string>>

/** A Deployment, or a StatefulSet. */
export type Workload = {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    readonly replicas: number
    readonly selector: { readonly matchLabels: Labels }
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
}

export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels }
  readonly [key: string]: unknown
}

export type RenderedObjects = {
  readonly yaml: string
  readonly objects: readonly Manifest[]
  /** The only object of the kind. */
  readonly one: (kind: string) => Manifest
}

export type Rendered = RenderedObjects & { readonly statefulSet: Workload; readonly container: Container }

export type RenderedWebhook = RenderedObjects & {
  readonly deployment: Workload
  readonly container: Container
}

const run = promisify(execFile)

/** Rejects with what kubectl says when the folder cannot be built. */
export async function kustomize(folder: string): Promise<Rendered> {
  return renderedOf(await kustomizeYaml(folder))
}

export function renderedOf(yaml: string): Rendered {
  const objects = objectsOf(yaml)
  const statefulSet: Workload = Object(objects.one('StatefulSet'))
  return { ...objects, statefulSet, container: containerOf(statefulSet) }
}

/** Of deploy/webhook. */
export async function kustomizeWebhook(folder: string): Promise<RenderedWebhook> {
  const objects = objectsOf(await kustomizeYaml(folder))
  const deployment: Workload = Object(objects.one('Deployment'))
  return { ...objects, deployment, container: containerOf(deployment) }
}

async function kustomizeYaml(folder: string): Promise<string> {
  return (await run('kubectl', ['kustomize', folder], { maxBuffer: 16 * 1024 * 1024 })).stdout
}

function objectsOf(yaml: string): RenderedObjects {
  const objects: readonly Manifest[] = parseAllDocuments(yaml).map((document) => document.toJS())
  const one = (kind: string): Manifest => {
    const [first, ...more] = objects.filter((object) => object.kind === kind)
    if (first === undefined || more.length > 0) throw new Error(`${more.length + 1} objects are ${kind}`)
    return first
  }
  return { yaml, objects, one }
}

function containerOf({ spec }: Workload): Container {
  const [container] = spec.template.spec.containers
  if (container === undefined) throw new Error('the Pod has no container')
  return container
}

/** The number behind a port's name. */
export function portNamed({ ports }: Container, name: string): number {
  const port = ports.find((each) => each.name === name)
  if (port === undefined) throw new Error(`no port is called ${name}`)
  return port.containerPort
}
