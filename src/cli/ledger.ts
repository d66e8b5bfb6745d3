// `sallyport ledger`: what was ever published, as the cluster remembers it.
import type { Command } from 'commander'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'

export type LedgerFlags = { readonly kubeconfig?: string; readonly context?: string }

/** What stops a command: one line, and what to do. */
export type LedgerStop = { readonly message: string; readonly wayOut: string }

export type LedgerJob =
  | { readonly job: 'export' }
  | { readonly job: 'show'; readonly module: string; readonly isProvider: boolean }
  | { readonly job: 'rebuild'; readonly isWritten: boolean; readonly from: string | undefined }

export const ledger: CommandModule = {
  name: 'ledger',
  summary: 'show and export what was ever published, and make it anew after a loss',
  examples: [
    {
      says: 'what became of each version of one Module: who published it, from which commit',
      line: 'sallyport ledger show infra/terraform-aws-vpc',
    },
    {
      says: 'all of it as JSON lines: a backup, and what review knows of published versions before a merge',
      line: 'sallyport ledger export >ledger.jsonl',
    },
    {
      says: 'what the ledger lacks of what is stored now; nothing is written',
      line: 'sallyport ledger rebuild',
    },
    {
      says: "the same written, as the webhook's own account, since the webhook lets nobody else",
      line: 'sallyport ledger rebuild --write --kubeconfig webhook.kubeconfig',
    },
    {
      says: 'after a loss, with what no object says: who published, and what was unpublished before the export',
      line: 'sallyport ledger rebuild --from ledger.jsonl --write --kubeconfig webhook.kubeconfig',
    },
  ],
  define: (command, io, end) => {
    const sub = (usage: string, description: string): Command =>
      command
        .command(usage)
        .description(description)
        .option('--kubeconfig <file>', "the cluster (default: kubectl's)")
        .option('--context <name>', 'which context of the kubeconfig')
    sub('export', 'print every entry, a JSON object on each line').action(async (flags: LedgerFlags) =>
      end(await run({ job: 'export' }, flags, io)),
    )
    sub('show <namespace/name>', 'show the versions of one Module')
      .option('--provider', 'of a Provider instead')
      .action(async (module: string, flags: LedgerFlags & { readonly provider?: boolean }) =>
        end(await run({ job: 'show', module, isProvider: flags.provider === true }, flags, io)),
      )
    sub('rebuild', 'show what is stored and not in the ledger, and what no rebuilding brings back')
      .option('--write', 'and write it')
      .option('--from <file>', 'an export: what it remembers and the ledger does not comes back')
      .action(async (flags: LedgerFlags & { readonly write?: boolean; readonly from?: string }) =>
        end(await run({ job: 'rebuild', isWritten: flags.write === true, from: flags.from }, flags, io)),
      )
  },
}

async function run(job: LedgerJob, flags: LedgerFlags, io: CommandIo): Promise<ExitCode> {
  const { runLedger } = await import('./ledger_run.ts')
  return runLedger(job, flags, io)
}
