// `sallyport store`: the tables of a store in PostgreSQL. A server makes them itself where its role may; here another role does.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type MigrateFlags = ConfigFlags & { readonly urlFile?: string; readonly grant?: string }

export const store: CommandModule = {
  name: 'store',
  summary: 'make the tables of a PostgreSQL store, or bring them up to date',
  examples: [
    {
      says: 'the tables of the store that the configuration names, where they are missing or old',
      line: 'sallyport store migrate',
    },
    {
      says: 'the same as the owner of the schema, for a server whose role makes no tables',
      line: 'sallyport store migrate --url-file owner.url --grant sallyport',
    },
  ],
  define: (command, io, end) => {
    addConfigFlags(command.command('migrate').description('take the steps that the tables lack'))
      .option('--url-file <file>', 'URL of the role that makes them (default: that of the configuration)')
      .option('--grant <role>', 'and let this role use them')
      .action(async (flags: MigrateFlags) => end(await run(flags, io)))
  },
}

async function run(flags: MigrateFlags, io: CommandIo): Promise<ExitCode> {
  const { runMigrate } = await import('./store_run.ts')
  return runMigrate(flags, io)
}
