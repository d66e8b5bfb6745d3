// The manifests of deploy/kubernetes as tests read them: rendered by kubectl's own kustomize, parsed, found by kind.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'

export const MANIFESTS = join(import.meta.dirname, '..', '..', 'deploy', 'kubernetes')

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

export type StatefulSet = {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    readonly replicas: number
    readonly selector: { readonly matchLabels: Labels }
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[]
  }
}

export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels }
  readonly [key: string]: unknown
}

export type Rendered = {
  readonly yaml: string
  readonly objects: readonly Manifest[]
  /** The only object of the kind. */
  readonly one: (kind: string) => Manifest
  readonly statefulSet: StatefulSet
  readonly container: Container
}

const run = promisify(execFile)

/** Rejects with what kubectl says when the folder cannot be built. */
export async function kustomize(folder: string): Promise<Rendered> {
  const { stdout } = await run('kubectl', ['kustomize', folder], { maxBuffer: 16 * 1024 * 1024 })
  return renderedOf(stdout)
}

export function renderedOf(yaml: string): Rendered {
  const objects: readonly Manifest[] = parseAllDocuments(yaml).map((document) => document.toJS())
  const one = (kind: string): Manifest => {
    const [first, ...more] = objects.filter((object) => object.kind === kind)
    if (first === undefined || more.length > 0) throw new Error(`${more.length + 1} objects are ${kind}`)
    return first
  }
  const statefulSet: StatefulSet = Object(one('StatefulSet'))
  const [container] = statefulSet.spec.template.spec.containers
  if (container === undefined) throw new Error('the Pod has no container')
  return { yaml, objects, one, statefulSet, container }
}

/** The number behind a port's name. */
export function portNamed({ ports }: Container, name: string): number {
  const port = ports.find((each) => each.name === name)
  if (port === undefined) throw new Error(`no port is called ${name}`)
  return port.containerPort
}
