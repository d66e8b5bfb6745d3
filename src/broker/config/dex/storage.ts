// Dex's storage section. What it names is Dex's live data: it is never opened. `memory` stays memory, an SQLite file
// gets a sibling of ours, in a cluster objects of our own lie beside Dex's, everything else needs `--store`.
import { privacyProblem } from '#platform/config/file_privacy.ts'
import { parsePostgresUrl } from '#platform/store/postgres_url.ts'
import type { StoreConfig } from '../broker_config.ts'
import type { ConfigEnv } from '../config_env.ts'
import { isPlainTcp, kubernetesStore, postgresStore } from '../native_store.ts'
import { STORE_DEFAULTS } from '../store_schema.ts'
import { flagOf, pathOf, sectionOf, textOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'
import type { Wrapping } from './unwrap.ts'

const KNOWN_TYPES = new Set(['memory', 'sqlite3', 'postgres', 'mysql', 'etcd', 'kubernetes'])
/** Stands in after a refusal, so that the rest of the file is read as well. */
const UNREAD: StoreConfig = { type: 'memory' }
const WAY_OUT =
  'give --store sqlite:FILE, --store postgres:FILE with its URL in the file, or --store kubernetes in a Pod (or memory, which forgets keys at each restart)'
const POSTGRES = 'postgres:'
const KUBERNETES = 'kubernetes'

type Reading = { readonly env: ConfigEnv; readonly report: Reporter }

/**
 * `flag`: `memory`, `sqlite` (beside Dex's file, or the default place), `sqlite:FILE`, `postgres:FILE`, `kubernetes` (as the
 * ServiceAccount of the Pod) or `kubernetes:KUBECONFIG`.
 */
export function readStore(
  root: DexObject,
  flag: string | undefined,
  wrapping: Wrapping,
  reading: Reading,
): StoreConfig {
  const { report } = reading
  const storage = sectionOf(root, 'storage')
  const type = textOf(storage, 'type')
  const typePath = pathOf(storage, 'type')
  if (root.values.has('storage') && !KNOWN_TYPES.has(type)) {
    report.refuse(typePath, 'storage_unknown', `unknown storage type ${JSON.stringify(type)}`, WAY_OUT)
    return UNREAD
  }
  const own = ownFile(textOf(sectionOf(storage, 'config'), 'file'))
  if (flag !== undefined && flag !== '') {
    if (type !== '') report.ignore(typePath, `--store ${flag} takes its place; Dex's data is not opened`)
    const file = pathOf(sectionOf(storage, 'config'), 'file')
    if (own !== undefined && flag !== 'sqlite') report.ignore(file, `--store ${flag} takes its place`)
    return storeOfFlag(flag, own, storage.path, reading)
  }
  switch (type) {
    case '':
      if (wrapping === 'argocd') {
        report.note(
          storage.path,
          'storage_memory',
          'Argo CD runs its Dex on memory',
          'give --store sqlite:FILE',
        )
        return { type: 'memory' }
      }
      report.refuse(storage.path, 'storage_missing', 'no storage supplied in config file', WAY_OUT)
      return UNREAD
    case 'memory': {
      const message = 'keys live in memory, as in Dex: every issued token becomes worthless at a restart'
      report.note(typePath, 'storage_memory', message, 'give --store sqlite:FILE to keep them')
      return { type: 'memory' }
    }
    case 'sqlite3':
      return sqlite(storage, own, report)
    case KUBERNETES:
      return kubernetes(storage, reading)
    default: {
      const message = `storage type ${type} holds Dex's live data, which is never opened; there is no store of ours in it`
      report.refuse(typePath, 'storage_unsupported', message, WAY_OUT)
      return UNREAD
    }
  }
}

function storeOfFlag(
  flag: string,
  own: string | undefined,
  path: DexObject['path'],
  reading: Reading,
): StoreConfig {
  if (flag === 'memory') return { type: 'memory' }
  if (flag === 'sqlite') return { type: 'sqlite', file: own ?? STORE_DEFAULTS.file }
  if (flag.startsWith('sqlite:') && flag.length > 'sqlite:'.length) {
    return { type: 'sqlite', file: flag.slice('sqlite:'.length) }
  }
  // A URL on the command line may hold a password, and every user of the machine sees it: it is not repeated.
  if (/^postgres(?:ql)?:\/\//.test(flag)) {
    const message = '--store has a URL, which every user of the machine can see'
    reading.report.refuse(
      path,
      'store_flag_malformed',
      message,
      'put the URL into a file: --store postgres:FILE',
    )
    return UNREAD
  }
  if (flag.startsWith(POSTGRES) && flag.length > POSTGRES.length)
    return postgres(flag.slice(POSTGRES.length), path, reading)
  if (flag === KUBERNETES) return kubernetesStore(podNamespace(reading.env))
  if (flag.startsWith(`${KUBERNETES}:`) && flag.length > KUBERNETES.length + 1)
    return kubernetesStore({ kubeconfig: flag.slice(KUBERNETES.length + 1) })
  reading.report.refuse(path, 'store_flag_malformed', `--store ${flag} is not understood`, WAY_OUT)
  return UNREAD
}

/** `file`: from where the command was started, as that of `sqlite:FILE`. */
function postgres(file: string, path: DexObject['path'], { env, report }: Reading): StoreConfig {
  const open = privacyProblem(file, env.fileMode?.(file))
  if (open?.isWorld === true) report.refuse(path, 'file_readable_by_others', open.message, open.wayOut)
  else if (open !== undefined) report.warn(path, 'file_readable_by_others', open.message, open.wayOut)
  let text: string
  try {
    text = env.readFile(file)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const message = `--store ${POSTGRES}${file}: cannot read it: ${why}`
    report.refuse(path, 'store_flag_malformed', message, 'see that it is there and readable')
    return UNREAD
  }
  const url = parsePostgresUrl(text.replace(/\r?\n$/, ''))
  if ('problem' in url) {
    const message = `--store ${POSTGRES}${file}: ${url.problem}`
    report.refuse(path, 'store_flag_malformed', message, url.wayOut)
    return UNREAD
  }
  const store = postgresStore(url, { file, holds: 'url' })
  if (isPlainTcp(store.address)) {
    const message =
      'passwords and signing keys go to the database in the open: whoever is on the way reads them'
    report.warn(path, 'store_plain_tcp', message, 'leave sslmode out of the URL')
  }
  return store
}

function sqlite(storage: DexObject, own: string | undefined, report: Reporter): StoreConfig {
  const path = pathOf(sectionOf(storage, 'config'), 'file')
  if (own === undefined) {
    const message = 'sqlite3 without a file: Dex keeps it in memory'
    report.refuse(path, 'storage_missing', message, 'write storage.config.file, or storage.type: memory')
    return UNREAD
  }
  report.note(path, 'storage_own_file', `Dex's file stays as it is; keys and replay marks go into ${own}`)
  return { type: 'sqlite', file: own }
}

/**
 * Where Dex keeps its own in a cluster, ours lies beside it, in objects of another kind; what Dex refuses is refused.
 * source: cmd/dex and storage/kubernetes of Dex, in reference/dex.md.
 */
function kubernetes(storage: DexObject, { env, report }: Reading): StoreConfig {
  const config = sectionOf(storage, 'config')
  const inCluster = flagOf(config, 'inCluster')
  const kubeconfig = textOf(config, 'kubeConfigFile')
  const handling = textOf(config, 'crdHandling')
  if (inCluster === (kubeconfig !== '')) {
    const message = inCluster
      ? "must not specify both 'inCluster' and 'kubeConfigFile'"
      : "must specify either 'inCluster' or 'kubeConfigFile'"
    report.refuse(config.path, 'storage_unclear', message, 'write storage.config.inCluster: true in a Pod')
    return UNREAD
  }
  if (!['', 'ensure', 'check'].includes(handling)) {
    const message = `crdHandling ${JSON.stringify(handling)} is neither ensure nor check`
    report.refuse(pathOf(config, 'crdHandling'), 'storage_unclear', message, 'leave it out: ensure')
    return UNREAD
  }
  const message =
    "Dex's objects stay as they are; keys (as they are, like Dex's, unless keys.sealingKeyFile of an overlay seals them) " +
    'and replay marks go into storeentries.sallyport.dev'
  const wayOut = "the ServiceAccount needs our Role besides Dex's: docs/operations.md"
  report.note(pathOf(storage, 'type'), 'storage_own_objects', message, wayOut)
  const definitions = handling === 'check' ? 'check' : 'ensure'
  return inCluster
    ? kubernetesStore({ ...podNamespace(env), definitions })
    : kubernetesStore({ kubeconfig, definitions })
}

/** Where it is set it says it before the ServiceAccount does, as for Dex. */
function podNamespace({ env }: ConfigEnv): { readonly namespace?: string } {
  const namespace = env['KUBERNETES_POD_NAMESPACE'] ?? ''
  return namespace === '' ? {} : { namespace }
}

function ownFile(file: string): string | undefined {
  return file === '' || file === ':memory:' ? undefined : `${file}.sallyport`
}
