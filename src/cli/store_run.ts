// Runs `sallyport store migrate`.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { PostgresAddress } from '#platform/store/postgres_pool.ts'
import { grantUse, migrate } from '#platform/store/postgres_schema.ts'
import { parsePostgresUrl, shownPlace } from '#platform/store/postgres_url.ts'
import { StoreFailure } from '#platform/store/store.ts'
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
  if (config.store.type !== 'postgres') {
    io.stderr.write(`sallyport store: the store is ${config.store.type}, which has no tables to make\n`)
    return EXIT.configuration
  }
  if (flags.grant !== undefined && !ROLE.test(flags.grant)) {
    io.stderr.write('sallyport store: --grant takes the plain name of a role, in lower case\n')
    return EXIT.usage
  }
  const { address, schema } = config.store
  try {
    const owner = flags.urlFile === undefined ? address : ownerOf(address, resolve(io.cwd, flags.urlFile))
    const taken = await migrate(owner, schema, { create: true })
    const steps = taken.length === 0 ? 'up to date' : `step ${taken.join(', ')} taken`
    io.stdout.write(`${shownPlace(owner)}, schema ${schema}: ${steps}\n`)
    if (flags.grant !== undefined) {
      await grantUse(owner, schema, flags.grant)
      io.stdout.write(`${flags.grant} may use it\n`)
    }
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof StoreFailure)) throw error
    io.stderr.write(`sallyport store: ${error.message}\n`)
    return EXIT.denied
  }
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
