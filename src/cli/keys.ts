// `sallyport keys`: what an operator does with the signing keys. It works on the store that the configuration names; a
// running broker sees a revocation within two seconds, any other change within ten.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type KeysFlags = ConfigFlags & { readonly json?: boolean }

/** For the audit event. */
type KeysPerson = { readonly why?: string | undefined; readonly by?: string | undefined }

export type KeysJob =
  | { readonly job: 'list' }
  | { readonly job: 'rotate' }
  | ({ readonly job: 'revoke'; readonly kid: string; readonly flush: boolean } & KeysPerson)
  | { readonly job: 'flush' }

export const keys: CommandModule = {
  name: 'keys',
  summary: 'list, rotate and revoke the signing keys',
  examples: [
    {
      says: 'which key signs, which comes next, and until when old ones are served',
      line: 'sallyport keys list',
    },
    { says: 'publish the next key now; it signs once every cache knows it', line: 'sallyport keys rotate' },
    {
      says: 'a key leaked: out with it at once',
      line: 'sallyport keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
    },
    {
      says: 'the same, and see to it that every kube-apiserver of the configuration forgets it',
      line: 'sallyport keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs --flush',
    },
    {
      says: 'after a revocation without --flush, or when it has not reached every kube-apiserver',
      line: 'sallyport keys flush',
    },
  ],
  define: (command, io, end) => {
    const sub = (usage: string, description: string): ReturnType<typeof addConfigFlags> =>
      addConfigFlags(command.command(usage).description(description)).option('--json', 'print JSON')
    sub('list', 'show every published key').action(async (flags: KeysFlags) =>
      end(await run({ job: 'list' }, flags, io)),
    )
    sub('rotate', 'publish the next key now').action(async (flags: KeysFlags) =>
      end(await run({ job: 'rotate' }, flags, io)),
    )
    sub('revoke <kid>', 'take a key out at once')
      .option('--flush', 'make every kube-apiserver under kube.apiservers forget it; takes a minute')
      .option('--why <text>', 'reason, for the audit event')
      .option('--by <name>', 'who does this (default: the user of the shell)')
      .action(async (kid: string, flags: KeysFlags & KeysPerson & { readonly flush?: boolean }) => {
        const { flush = false, why, by } = flags
        end(await run({ job: 'revoke', kid, flush, why, by }, flags, io))
      })
    sub('flush', 'make every kube-apiserver fetch the keys anew, as after a revocation').action(
      async (flags: KeysFlags) => end(await run({ job: 'flush' }, flags, io)),
    )
  },
}

async function run(job: KeysJob, flags: KeysFlags, io: CommandIo): Promise<ExitCode> {
  const { runKeys } = await import('./keys_run.ts')
  return runKeys(job, flags, io)
}
