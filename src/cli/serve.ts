// `sallyport serve`: the broker on the configuration that the flags name. Without any configuration a first start makes
// one, with a development certificate and a demo client, and says what to try.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import type { ConfigFlags } from './config_source.ts'
import { addConfigFlags } from './config_source.ts'

export const serve: CommandModule = {
  name: 'serve',
  summary: 'run the server',
  examples: [
    {
      says: 'a first look: makes sallyport.yaml, a certificate and keys where there are none',
      line: 'sallyport serve',
    },
    {
      says: 'the Dex configuration that you have, unmodified',
      line: 'sallyport serve --dex-config /etc/dex/config.yaml --store sqlite',
    },
    {
      says: 'the same with policies beside it',
      line: 'sallyport serve --dex-config dex.yaml --config overlay.yaml',
    },
  ],
  define: (command, io, end) => {
    command.argument('[part]', 'what to serve: broker, or all that there is', 'all')
    addConfigFlags(command).action(async (part: string, flags: ConfigFlags) =>
      end(await run(part, flags, io)),
    )
  },
}

async function run(part: string, flags: ConfigFlags, io: CommandIo): Promise<ExitCode> {
  const { runServer } = await import('./serve_run.ts')
  return runServer(part, flags, io)
}
