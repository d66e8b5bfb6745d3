// `sallyport serve`: the broker, or the webhook, on the configuration that the flags name. Without any configuration a first start makes
// one, with a development certificate and a demo client, and says what to try.
import { EXIT } from './command.ts'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import { addFlag } from './run_command.ts'
import { openHangups } from './hangups.ts'
import type { ServeIo } from './hangups.ts'
import type { ServeFlags } from './serve_run.ts'

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
    {
      says: 'a process for each core, on one socket and one store',
      line: 'sallyport serve --config sallyport.yaml --workers auto',
    },
    {
      says: 'the admission webhook that guards published modules; in a Pod it needs no configuration',
      line: 'sallyport serve webhook --config sallyport-webhook.yaml',
    },
  ],
  define: (command, io, end) => {
    command.argument(
      '[part]',
      'what to serve: broker, webhook (its --config is ./sallyport-webhook.yaml by default), or all that one process is',
      'all',
    )
    addFlag(
      addConfigFlags(command),
      '--workers <count>',
      'processes that serve from one socket: a number, or auto for one each core',
      'SALLYPORT_WORKERS',
    ).action(async (part: string, flags: ServeFlags) => end(await run(part, flags, io)))
  },
}

async function run(part: string, flags: ServeFlags, io: CommandIo): Promise<ExitCode> {
  const hangups = openHangups()
  try {
    return await runPart(part, flags, { io, hangups })
  } finally {
    hangups.close()
  }
}

async function runPart(part: string, flags: ServeFlags, { io, hangups }: ServeIo): Promise<ExitCode> {
  if (part === 'webhook') {
    if (flags.workers !== undefined) {
      io.stderr.write(
        'sallyport: --workers is for the broker: the webhook scales by replicas, each with its own watches\n',
      )
      return EXIT.usage
    }
    const { runWebhookServer } = await import('./serve_webhook_run.ts')
    return runWebhookServer(flags, { io, hangups })
  }
  const { runServer } = await import('./serve_run.ts')
  return runServer(part, flags, { io, hangups })
}
