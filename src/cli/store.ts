// `sallyport store`: the tables of a store in PostgreSQL, or the definitions of one in a cluster. A server makes them itself where
// its role may; here another role does.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type MigrateFlags = ConfigFlags & {
  readonly urlFile?: string
  readonly grant?: string
  readonly kubeconfig?: string
  readonly context?: string
  readonly namespace?: string
}

export const store: CommandModule = {
  name: 'store',
  summary: 'make what a shared store is kept in, or bring it up to date',
  examples: [
    {
      says: 'the tables or definitions of the store that the configuration names, where they are missing or old',
      line: 'sallyport store migrate',
    },
    {
      says: 'the same as the owner of the schema, for a server whose role makes no tables',
      line: 'sallyport store migrate --url-file owner.url --grant sallyport',
    },
    {
      says: 'the definitions of a store in a cluster, as one who may make them',
      line: 'sallyport store migrate --kubeconfig admin.kubeconfig --namespace sallyport',
    },
  ],
  define: (command, io, end) => {
    addConfigFlags(command.command('migrate').description('take the steps that the store lacks'))
      .option(
        '--url-file <file>',
        'PostgreSQL: URL of the role that makes the tables (default: that of the configuration)',
      )
      .option('--grant <role>', 'PostgreSQL: and let this role use them')
      .option(
        '--kubeconfig <file>',
        'Kubernetes: whose account makes the definitions (default: that of the configuration)',
      )
      .option('--context <name>', 'Kubernetes: context of that kubeconfig')
      .option('--namespace <name>', 'Kubernetes: where the store is (default: that of the configuration)')
      .action(async (flags: MigrateFlags) => end(await run(flags, io)))
  },
}

async function run(flags: MigrateFlags, io: CommandIo): Promise<ExitCode> {
  const { runMigrate } = await import('./store_run.ts')
  return runMigrate(flags, io)
}
