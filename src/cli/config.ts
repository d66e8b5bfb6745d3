// `sallyport config`: what a configuration means, before it is served.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addFromDex, FROM_DEX_EXAMPLES } from './config_from_dex.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type ConfigCheckFlags = ConfigFlags & { readonly json?: boolean }

export const config: CommandModule = {
  name: 'config',
  summary: 'check a configuration, or turn a Dex configuration into ours',
  examples: [
    {
      says: 'every problem at once, with its place and the way out',
      line: 'sallyport config check sallyport.yaml',
    },
    {
      says: "the same of the webhook's file",
      line: 'sallyport config check sallyport-webhook.yaml',
    },
    {
      says: 'what becomes of each key of a Dex configuration',
      line: 'sallyport config check --dex-config dex.yaml --config overlay.yaml',
    },
    {
      says: 'a new file against the secrets of a running Pod, before it is applied',
      line: 'kubectl exec -i sallyport-0 -- $SALLYPORT config check - --config /etc/sallyport/sallyport.yaml < sallyport.yaml',
    },
    ...FROM_DEX_EXAMPLES,
  ],
  define: (command, io, end) => {
    const check = command
      .command('check')
      .description('load a configuration as serve does, and say what is wrong')
    check.argument(
      '[file]',
      "configuration, the broker's or the webhook's; the same as --config, or - for one that shall lie there",
    )
    addConfigFlags(check)
      .option('--json', 'print {ok, findings, keys} as JSON')
      .action(async (file: string | undefined, flags: ConfigCheckFlags) =>
        end(await runCheck(file, flags, io)),
      )
    addFromDex(command, io, end)
  },
}

async function runCheck(file: string | undefined, flags: ConfigCheckFlags, io: CommandIo): Promise<ExitCode> {
  const { checkConfig } = await import('./config_check_run.ts')
  return checkConfig(file, flags, io)
}
