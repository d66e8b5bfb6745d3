// Which kube-apiserver, etcd and kubectl the tests run: those of KUBEBUILDER_ASSETS where it is set (the folder that
// envtest uses), otherwise built by test/peers. kubectl is the machine's, unless that is missing or too old.
import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { etcdBinary, kubeApiserverFolder, kubectlBinary } from './peers.ts'

const run = promisify(execFile)

export type KubeVersion = '1.36.4' | '1.37.1'

export type KubeBinaries = {
  readonly etcd: string
  readonly apiserver: string
  /** `undefined` where KUBEBUILDER_ASSETS has none. */
  readonly controllerManager: string | undefined
  readonly kubectl: string
}

const recipes = { '1.36.4': 'kube-apiserver', '1.37.1': 'kube-apiserver-1.37' } as const
const usual: KubeVersion = '1.36.4'

/** The versions this run plays: 1.36.4, or what SALLYPORT_KUBE_VERSIONS names (comma between). */
export function kubeVersions(env: NodeJS.ProcessEnv = process.env): readonly KubeVersion[] {
  const named = (env['SALLYPORT_KUBE_VERSIONS'] ?? usual).split(',').map((text) => text.trim())
  return named.map((text) => {
    if (text === '1.36.4' || text === '1.37.1') return text
    throw new Error(`SALLYPORT_KUBE_VERSIONS names ${text}: 1.36.4 and 1.37.1 are known`)
  })
}

/** For a test that is not played on each: the last of `kubeVersions`. */
export function newestKubeVersion(): KubeVersion {
  return kubeVersions().at(-1) ?? usual
}

/**
 * The programs of one cluster; of the newest version of this run when none is named. KUBEBUILDER_ASSETS counts for the
 * usual version, whatever is in it, and for another one only when its kube-apiserver says so. Rejects with the reason
 * when something cannot be had.
 */
export async function kubeBinaries(
  version: KubeVersion = newestKubeVersion(),
  env: NodeJS.ProcessEnv = process.env,
): Promise<KubeBinaries> {
  const assets = env['KUBEBUILDER_ASSETS'] ?? ''
  if (assets !== '' && (version === usual || (await versionOf(join(assets, 'kube-apiserver'))) === version)) {
    return ofAssets(assets, env)
  }
  const [folder, etcd, kubectl] = await Promise.all([
    kubeApiserverFolder(recipes[version]),
    etcdBinary(),
    usableKubectl(await onPath('kubectl', env)),
  ])
  return {
    etcd,
    kubectl,
    apiserver: join(folder, 'kube-apiserver'),
    controllerManager: join(folder, 'kube-controller-manager'),
  }
}

async function ofAssets(assets: string, env: NodeJS.ProcessEnv): Promise<KubeBinaries> {
  const [etcd, apiserver, controllerManager, own] = await Promise.all(
    ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'].map((name) =>
      executable(join(assets, name)),
    ),
  )
  if (etcd === undefined || apiserver === undefined) {
    throw new Error('KUBEBUILDER_ASSETS needs etcd and kube-apiserver')
  }
  const kubectl = own ?? (await usableKubectl(await onPath('kubectl', env)))
  return { etcd, apiserver, controllerManager, kubectl }
}

/** Debian 12's 1.20 knows neither `auth whoami` nor exec plugins of v1. */
const OLDEST_KUBECTL_MINOR = 28

async function usableKubectl(found: string | undefined): Promise<string> {
  if (found === undefined) return kubectlBinary()
  const { stdout } = await run(found, ['version', '--client', '-o', 'json'])
  const minor = Number.parseInt(String(Object(JSON.parse(stdout)).clientVersion?.minor), 10)
  return minor >= OLDEST_KUBECTL_MINOR ? found : kubectlBinary()
}

/** `1.36.4` of `Kubernetes v1.36.4`. */
async function versionOf(apiserver: string): Promise<string | undefined> {
  const { stdout } = await run(apiserver, ['--version'])
  return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1]
}

async function onPath(name: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  const found = await Promise.all(folders.map((folder) => executable(join(folder, name))))
  return found.find((file) => file !== undefined)
}

async function executable(file: string): Promise<string | undefined> {
  try {
    await access(file, constants.X_OK)
    return file
  } catch {
    // Not there or not to be run: the caller says which it misses.
    return undefined
  }
}
