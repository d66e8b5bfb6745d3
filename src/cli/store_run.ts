// Runs `sallyport store migrate`.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { define, migrateKube } from '#platform/store/kube_definitions.ts'
import { openKubeObjects } from '#platform/store/kube_store.ts'
import type { KubeStorePlace } from '#platform/store/kube_store.ts'
import type { PostgresAddress } from '#platform/store/postgres_pool.ts'
import { grantUse, migrate } from '#platform/store/postgres_schema.ts'
import { parsePostgresUrl, shownPlace } from '#platform/store/postgres_url.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { StoreConfig } from '../broker/config/broker_config.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { loadConfig, tellFindings } from './config_source.ts'
import type { MigrateFlags } from './store.ts'

/** PostgreSQL's plain names, which need no quotes. */
const ROLE = /^[a-z_][a-z0-9_$-]{0,62}$/

export async function runMigrate(flags: MigrateFlags, io: CommandIo): Promise<ExitCode> {
  const load = await loadConfig(flags, io)
  const { config } = load
  if (config === undefined) {
    tellFindings(load, io, false)
    return EXIT.configuration
  }
  const misplaced = misplacedFlag(flags, config.store)
  if (misplaced !== undefined) {
    io.stderr.write(`sallyport store: ${misplaced}\n`)
    return EXIT.usage
  }
  try {
    switch (config.store.type) {
      case 'memory':
      case 'sqlite':
        io.stderr.write(`sallyport store: the store is ${config.store.type}, which has no tables to make\n`)
        return EXIT.configuration
      case 'postgres':
        await migratePostgres(config.store, flags, io)
        return EXIT.ok
      case 'kubernetes':
        await migrateCluster(config.store.place, flags, io)
        return EXIT.ok
    }
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    io.stderr.write(`sallyport store: ${error.message}\n`)
    return EXIT.denied
  }
}

/** A flag that the store of the configuration has no use for, or that is none. */
function misplacedFlag(flags: MigrateFlags, { type }: StoreConfig): string | undefined {
  const { urlFile, grant, kubeconfig, context, namespace } = flags
  const isPostgres = urlFile !== undefined || grant !== undefined
  const isKubernetes = kubeconfig !== undefined || context !== undefined || namespace !== undefined
  if (isPostgres && type === 'kubernetes') return '--url-file and --grant are for PostgreSQL'
  if (isKubernetes && type === 'postgres') return '--kubeconfig, --context and --namespace are for Kubernetes'
  if (context !== undefined && kubeconfig === undefined) return '--context is one of --kubeconfig: give both'
  if (grant !== undefined && !ROLE.test(grant)) return '--grant takes the plain name of a role, in lower case'
  return undefined
}

async function migratePostgres(
  { address, schema }: Extract<StoreConfig, { type: 'postgres' }>,
  flags: MigrateFlags,
  io: CommandIo,
): Promise<void> {
  const owner = flags.urlFile === undefined ? address : ownerOf(address, resolve(io.cwd, flags.urlFile))
  const taken = await migrate(owner, schema, { create: true })
  io.stdout.write(`${shownPlace(owner)}, schema ${schema}: ${stepsText(taken)}\n`)
  if (flags.grant === undefined) return
  await grantUse(owner, schema, flags.grant)
  io.stdout.write(`${flags.grant} may use it\n`)
}

async function migrateCluster(place: KubeStorePlace, flags: MigrateFlags, io: CommandIo): Promise<void> {
  const from =
    flags.kubeconfig === undefined
      ? place.from
      : { kubeconfig: resolve(io.cwd, flags.kubeconfig), context: flags.context }
  const namespace = flags.namespace ?? place.namespace
  const objects = await openKubeObjects({ ...place, from, namespace }, io.env)
  try {
    const isDefined = await define(objects)
    const taken = await migrateKube(objects, { create: true, define: true })
    io.stdout.write(`${objects.place}: ${isDefined ? 'definitions made, ' : ''}${stepsText(taken)}\n`)
  } finally {
    objects.close()
  }
}

function stepsText(taken: readonly number[]): string {
  return taken.length === 0 ? 'up to date' : `step ${taken.join(', ')} taken`
}

/** The same database as another role: host, database and role of the file, certificates and times of the configuration. */
function ownerOf(address: PostgresAddress, file: string): PostgresAddress {
  const url = parsePostgresUrl(readText(file).replace(/\r?\n$/, ''))
  if ('problem' in url) throw new StoreFailure(`${file}: ${url.problem}\n    -> ${url.wayOut}`)
  const { host, port, database, user } = url
  return { ...address, host, port, database, user, secret: { file, holds: 'url' } }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new StoreFailure(`${file} cannot be read (${why})`, { cause })
  }
}
