// `sallyport webhook`: what is written into a cluster so that published versions stay published.
import type { Command } from 'commander'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { webhookAdopt } from './webhook/adopt.ts'
import { webhookGenerate } from './webhook/generate.ts'

/** One subcommand of `sallyport webhook`; each stands in a file of its own under cli/webhook/. */
export type WebhookSubcommand = {
  readonly examples: CommandModule['examples']
  readonly add: (command: Command, io: CommandIo, end: (code: ExitCode) => void) => void
}

/** In the order of the help. One line each; what a subcommand needs to run is loaded when it runs. */
const SUBCOMMANDS: readonly WebhookSubcommand[] = [webhookGenerate, webhookAdopt]

export const webhook: CommandModule = {
  name: 'webhook',
  summary: 'keep published module versions as they are: what a cluster needs for it',
  examples: SUBCOMMANDS.flatMap(({ examples }) => examples),
  define: (command, io, end) => {
    for (const subcommand of SUBCOMMANDS) subcommand.add(command, io, end)
  },
}
