// A real cluster with our custom resources, and the objects of OpenDepot in it as a person would write them.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { KubeCluster, KubectlResult } from './kube_cluster.ts'

const CRDS = join(import.meta.dirname, '..', '..', 'deploy', 'crds')

/** Applies the definitions and waits until they answer. */
export async function applyDefinitions(
  cluster: KubeCluster,
  folders: readonly string[] = ['opendepot', 'sallyport'],
): Promise<void> {
  for (const folder of folders) {
    const { stdout } = await must(cluster, ['kustomize', join(CRDS, folder)])
    await must(cluster, ['apply', '--server-side', '--force-conflicts', '-f', '-'], stdout)
    await must(cluster, ['wait', '--for=condition=Established', '--timeout=20s', '-f', '-'], stdout)
  }
}

/** kubectl as the administrator; rejects with what it said when it fails. */
export async function must(
  cluster: KubeCluster,
  args: readonly string[],
  input = '',
): Promise<KubectlResult> {
  const done = await cluster.kubectl(args, { input })
  if (done.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${done.stderr}`)
  return done
}

/** The same; what it printed. */
export async function mustPrint(cluster: KubeCluster, args: readonly string[], input = ''): Promise<string> {
  return (await must(cluster, args, input)).stdout
}

/** The answer of `ask` once it has one; rejects after twenty seconds. */
export async function eventually<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  what: string,
): Promise<T> {
  const end = performance.now() + 20_000
  for (;;) {
    const answer = await ask()
    if (answer !== undefined) return answer
    if (performance.now() > end) throw new Error(`it never came to this: ${what}`)
    await pause(50)
  }
}
