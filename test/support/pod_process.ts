// A Pod of a StatefulSet or a Deployment as a process, without a container runtime: a mount namespace with an image's files, the
// volumes at their mount paths as the kubelet lays them out, a read-only root, the user and groups of the Pod, its entry
// point and arguments. Not imitated: seccomp, cgroups, the network of a Pod (it has the machine's). Needs root.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { startChildServer } from './child_server.ts'
import type { ChildServer } from './child_server.ts'
import type { PodSpec, Workload } from './manifests.ts'

export type Files = Readonly<Record<string, string>>

export type PodImage = {
  /** Of the Dockerfile. */
  readonly entrypoint: readonly string[]
  /** Path in the image -> file or folder of this machine. */
  readonly content: Readonly<Record<string, string>>
}

export type PodParts = {
  readonly workload: Workload
  readonly image: PodImage
  readonly configMaps: Readonly<Record<string, Files>>
  readonly secrets: Readonly<Record<string, Files>>
  /** Where the apiserver is, and what the ServiceAccount's volume holds: token, ca.crt, namespace. */
  readonly cluster?: { readonly port: number; readonly account: Files }
  readonly ready: () => Promise<boolean>
}

export type PodProcess = {
  /** A new process on the same volumes, as the StatefulSet makes a new Pod; `args` in place of the container's. */
  readonly start: (args?: readonly string[]) => Promise<ChildServer>
  /** A command beside it in the same world, as `kubectl exec`: what it wrote, or an error. Variables beside the container's. */
  readonly exec: (command: readonly string[], input?: string, variables?: Files) => string
  /** What the kubelet does with a changed ConfigMap or Secret: new files beside the old ones, and one rename. */
  readonly update: (volume: string, files: Files) => void
  /** The folder on this machine behind a volume. */
  readonly folderOf: (volume: string) => string
}

const root = resolve(import.meta.dirname, '..', '..')
/** What a container runtime gives every process. */
const CONTAINER_ENV = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOSTNAME: 'sallyport-0',
  KUBERNETES_SERVICE_HOST: '10.0.0.1',
  KUBERNETES_SERVICE_PORT: '443',
}

/** What the kubelet mounts for a Pod with a ServiceAccount's token. */
const ACCOUNT_VOLUME = 'kube-api-access'
const ACCOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Files of the machine that it gives, too. */
const GIVEN = ['/etc/hosts', '/etc/resolv.conf', '/dev/null', '/dev/urandom', '/dev/random']

/** Why it cannot be done here, if it cannot. */
export function podsImpossible(): string | false {
  if (process.getuid?.() !== 0) return 'a Pod as a process needs root, to mount and to change the user'
  try {
    execFileSync('unshare', ['--mount', '--propagation', 'private', 'true'], { stdio: 'pipe' })
    return false
  } catch {
    return 'this machine lets nobody make a mount namespace'
  }
}

/** The image that deploy/Dockerfile describes, with the package of this checkout: built by esbuild in a copy. */
export function buildImage(t: Test): PodImage {
  const dockerfile = readFileSync(join(root, 'deploy', 'Dockerfile'), 'utf8')
  const entrypoint: string[] = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(dockerfile)?.[1] ?? '[]')
  const target = /^COPY --from=build \S+ \/package (\S+)$/m.exec(dockerfile)?.[1]
  const [node] = entrypoint
  if (node === undefined || target === undefined) throw new Error('the Dockerfile is not read any more')
  const copy = scratch(t, 'image')
  mkdirSync(join(copy, 'test'))
  for (const name of ['src', 'webhook', 'package.json', 'test/support']) {
    execFileSync('cp', ['-r', join(root, name), join(copy, name)])
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  execFileSync(process.execPath, [join(copy, 'test/support/build_bundle.ts')], { stdio: 'pipe' })
  const packed = join(copy, 'package')
  mkdirSync(packed, { mode: 0o755 })
  for (const name of ['dist', 'package.json']) renameSync(join(copy, name), join(packed, name))
  return { entrypoint, content: { [node]: process.execPath, [target]: packed } }
}

export function createPod(t: Test, parts: PodParts): PodProcess {
  const { template, volumeClaimTemplates = [] } = parts.workload.spec
  const { spec } = template
  const [container] = spec.containers
  if (container === undefined) throw new Error('the Pod has no container')
  const volumes = scratch(t, 'volumes')
  const folderOf = (volume: string): string => join(volumes, volume)
  for (const volume of spec.volumes) mkdirSync(folderOf(volume.name), { mode: 0o755 })
  for (const volume of volumeClaimTemplates) makeClaim(folderOf(volume.metadata.name), spec)
  const update = (volume: string, files: Files): void => project(folderOf(volume), volume, files, spec)
  for (const { name, configMap, secret } of spec.volumes) {
    update(name, filesOf(parts, configMap?.name, secret?.secretName))
  }
  const { cluster } = parts
  if (cluster !== undefined) {
    mkdirSync(folderOf(ACCOUNT_VOLUME), { mode: 0o755 })
    update(ACCOUNT_VOLUME, cluster.account)
  }
  const env = {
    ...CONTAINER_ENV,
    ...(cluster !== undefined && {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(cluster.port),
    }),
    ...Object.fromEntries((container.env ?? []).map((each) => [each.name, each.value])),
  }
  const mounts: readonly Mount[] = [
    ...Object.entries(parts.image.content).map(([target, source]) => ({ source, target, isReadOnly: true })),
    ...GIVEN.filter(existsSync).map((path) => ({ source: path, target: path, isReadOnly: false })),
    ...container.volumeMounts.map((mount) => ({
      source: folderOf(mount.name),
      target: mount.mountPath,
      isReadOnly: mount.readOnly === true,
    })),
    ...(cluster === undefined
      ? []
      : [{ source: folderOf(ACCOUNT_VOLUME), target: ACCOUNT_PATH, isReadOnly: true }]),
  ]
  const script = (command: readonly string[], variables: Files = {}): readonly string[] => {
    const body = podScript(spec, mounts, { ...env, ...variables }, command)
    return ['--mount', '--propagation', 'private', 'sh', '-c', body, 'pod', scratch(t, 'root')]
  }
  return {
    folderOf,
    update,
    exec: (command, input = '', variables = {}) =>
      execFileSync('unshare', script(command, variables), { encoding: 'utf8', input, stdio: 'pipe' }),
    start: async (args = container.args) => {
      const server = await startChildServer({
        name: 'the Pod',
        command: 'unshare',
        args: script([...parts.image.entrypoint, ...args]),
        cwd: '/',
        ready: parts.ready,
        graceMs: spec.terminationGracePeriodSeconds * 1000,
      })
      t.teardown(() => server.stop())
      return server
    },
  }
}

function filesOf(parts: PodParts, configMap: string | undefined, secret: string | undefined): Files {
  const files =
    configMap === undefined
      ? secret === undefined
        ? undefined
        : parts.secrets[secret]
      : parts.configMaps[configMap]
  if (files === undefined) throw new Error(`nothing is called ${configMap ?? secret}`)
  return files
}

/** A volume of a claim as the kubelet hands it over: of root, writable for fsGroup, new files of that group. */
function makeClaim(folder: string, { securityContext }: PodSpec): void {
  mkdirSync(folder)
  chownSync(folder, 0, securityContext.fsGroup)
  chmodSync(folder, 0o2775)
}

let generation = 0

/** The kubelet's atomic writer: `sallyport.yaml -> ..data/sallyport.yaml`, `..data -> ..<generation>`. */
function project(folder: string, volume: string, files: Files, { securityContext, volumes }: PodSpec): void {
  generation += 1
  const secret = volumes.find(({ name }) => name === volume)?.secret
  // fsGroup: the group of every file, which may read it (the kubelet adds 0440).
  const mode = (secret?.defaultMode ?? 0o644) | 0o440
  // As the kubelet names it: by the time, and a number at the end.
  const name = `..2026_11_05_08_30_00.${generation}`
  mkdirSync(join(folder, name), { mode: 0o755 })
  for (const [file, text] of Object.entries(files)) {
    const path = join(folder, name, file)
    writeFileSync(path, text)
    chownSync(path, 0, securityContext.fsGroup)
    chmodSync(path, mode)
    if (!existsSync(join(folder, file))) symlinkSync(`..data/${file}`, join(folder, file))
  }
  const data = join(folder, '..data')
  const old = existsSync(data) ? readlinkSync(data) : undefined
  symlinkSync(name, `${data}_tmp`)
  renameSync(`${data}_tmp`, data)
  if (old !== undefined) rmSync(join(folder, old), { recursive: true })
}

type Mount = { readonly source: string; readonly target: string; readonly isReadOnly: boolean }

/** Run by `sh -c` in a mount namespace of its own; `$1` is an empty folder that becomes the root. */
function podScript(spec: PodSpec, mounts: readonly Mount[], env: Files, command: readonly string[]): string {
  const { runAsUser, runAsGroup, fsGroup } = spec.securityContext
  const variables = Object.entries(env).map(([name, value]) => quote(`${name}=${value}`))
  return [
    'set -eu',
    'mount -t tmpfs -o mode=0755 pod "$1"',
    ...systemLibraries(),
    'mkdir "$1/proc" "$1/tmp" && mount -t proc proc "$1/proc"',
    ...mounts.flatMap(bind),
    'mount -o remount,ro "$1"',
    // env -i: tap gives every process of a test more than a container has.
    `exec env -i ${variables.join(' ')} setpriv --no-new-privs \\`,
    `  chroot --userspec=${runAsUser}:${runAsGroup} --groups=${fsGroup} "$1" ${command.map(quote).join(' ')}`,
  ].join('\n')
}

/** The C library that Node needs, where this machine has it: what a base image brings. */
function systemLibraries(): readonly string[] {
  return ['/usr/lib', '/usr/lib64', '/lib', '/lib64'].flatMap((path) => {
    if (!existsSync(path)) return []
    if (lstatSync(path).isSymbolicLink()) return [`ln -s ${quote(readlinkSync(path))} "$1${path}"`]
    return bind({ source: path, target: path, isReadOnly: true })
  })
}

function bind({ source, target, isReadOnly }: Mount): readonly string[] {
  const place = `"$1"${quote(target)}`
  const make = lstatSync(source).isDirectory()
    ? `mkdir -p ${place}`
    : `mkdir -p "$(dirname ${place})" && : >${place}`
  return [
    make,
    `mount --bind ${quote(source)} ${place}`,
    ...(isReadOnly ? [`mount -o remount,bind,ro ${place}`] : []),
  ]
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function scratch(t: Test, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `sallyport-pod-${name}-`))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
