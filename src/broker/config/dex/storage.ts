// Dex's storage section. What it names is Dex's live data: it is never opened. `memory` stays memory, an SQLite file
// gets a sibling of ours, everything else needs `--store`.
import type { StoreConfig } from '../broker_config.ts'
import { DEFAULTS } from '../schema.ts'
import { pathOf, sectionOf, textOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import type { Reporter } from './report.ts'
import type { Wrapping } from './unwrap.ts'

const KNOWN_TYPES = new Set(['memory', 'sqlite3', 'postgres', 'mysql', 'etcd', 'kubernetes'])
/** Stands in after a refusal, so that the rest of the file is read as well. */
const UNREAD: StoreConfig = { type: 'memory' }
const WAY_OUT = 'give --store sqlite:FILE (or --store memory, which forgets keys at each restart)'

/** `flag`: `memory`, `sqlite` (beside Dex's file, or the default place) or `sqlite:FILE`. */
export function readStore(
  root: DexObject,
  flag: string | undefined,
  wrapping: Wrapping,
  report: Reporter,
): StoreConfig {
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
    return storeOfFlag(flag, own, storage.path, report)
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
  report: Reporter,
): StoreConfig {
  if (flag === 'memory') return { type: 'memory' }
  if (flag === 'sqlite') return { type: 'sqlite', file: own ?? DEFAULTS.storeFile }
  if (flag.startsWith('sqlite:') && flag.length > 'sqlite:'.length) {
    return { type: 'sqlite', file: flag.slice('sqlite:'.length) }
  }
  report.refuse(path, 'store_flag_malformed', `--store ${flag} is not understood`, WAY_OUT)
  return UNREAD
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

function ownFile(file: string): string | undefined {
  return file === '' || file === ':memory:' ? undefined : `${file}.sallyport`
}
