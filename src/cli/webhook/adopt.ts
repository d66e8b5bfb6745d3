// `sallyport webhook adopt`: what the rules would say of what a cluster already holds, before anything of ours is installed.
import type { WebhookSubcommand } from '../webhook.ts'
import { gather } from '../repeatable.ts'

export type AdoptFlags = {
  readonly file?: readonly string[]
  readonly starter?: boolean
  readonly kubeconfig?: string
  readonly context?: string
  readonly output: string
}

export const webhookAdopt: WebhookSubcommand = {
  examples: [
    {
      says: 'what the rules would say of the Modules and Providers of a cluster; nothing is written',
      line: 'sallyport webhook adopt',
    },
    {
      says: 'a policy to begin with, made from what is there; it denies nothing',
      line: 'sallyport webhook adopt --starter > policy.yaml',
    },
    { says: 'the same under that policy', line: 'sallyport webhook adopt -f policy.yaml' },
  ],
  add: (parent, io, end) => {
    parent
      .command('adopt')
      .description('show what the rules would say of what a cluster already holds; writes nothing')
      .option(
        '-f, --file <file>',
        'ModulePolicies to try in place of those of the cluster: a file, a folder, or -; repeatable',
        gather,
      )
      .option('--starter', 'print a ModulePolicy to begin with, and the rest on stderr')
      .option('-o, --output <format>', 'text or json', 'text')
      .option('--kubeconfig <file>', 'how to reach the cluster')
      .option('--context <name>', 'which context of the kubeconfig')
      .action(async (flags: AdoptFlags) => {
        const { runAdopt } = await import('./adopt_run.ts')
        end(await runAdopt(flags, io))
      })
  },
}
