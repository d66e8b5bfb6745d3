// `sallyport review`: what the webhook would say of a change, before it is merged. No cluster, no network.
import { Option } from 'commander'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { gather } from './repeatable.ts'

export const REVIEW_FORMATS = ['text', 'json', 'sarif', 'github', 'gitlab'] as const
export type ReviewFormat = (typeof REVIEW_FORMATS)[number]

export type ReviewFlags = {
  readonly git?: string
  readonly user?: string
  readonly ledger?: string
  readonly policy?: readonly string[]
  readonly application?: readonly string[]
  readonly may?: readonly string[]
  readonly prune?: boolean
  readonly namespace?: string
  readonly format: ReviewFormat
  readonly report?: readonly string[]
}

export const review: CommandModule = {
  name: 'review',
  summary: 'say before the merge what the webhook would say of a change to manifests',
  examples: [
    {
      says: 'what this branch does to published versions',
      line: 'sallyport review --git origin/main...HEAD -- modules policies',
    },
    {
      says: 'two folders, with what the cluster remembers and who will apply them',
      line: 'sallyport review old/ new/ --ledger ledger.jsonl --user argocd.json',
    },
    {
      says: 'beside the lines of the pull request',
      line: 'sallyport review --git "$BASE_SHA..$HEAD_SHA" --format github -- modules',
    },
  ],
  define: (command, io, end) => {
    command
      .argument(
        '[paths...]',
        'OLD and NEW: files or folders of YAML or JSON, - is stdin; with --git: PATH...',
      )
      .option('--git <range>', 'read both states from git: BASE..HEAD, or BASE...HEAD from where they parted')
      .option('--user <file>', 'who will ask the API server: kubectl auth whoami -o json')
      .option('--ledger <file>', 'what was ever published: sallyport ledger export')
      .option('--policy <file>', 'ModulePolicies of the cluster, a file or a folder; repeatable', gather)
      .option(
        '--application <file>',
        "Argo CD's Application (AppProject) that applies the files; repeatable",
        gather,
      )
      .option('--prune', 'who applies the files deletes what is gone from them')
      .option(
        '--may <verb>',
        'who applies them has this verb on the Modules (unpublish, migrate); repeatable',
        gather,
      )
      .option('-n, --namespace <name>', "of objects that name none (otherwise the Application's, or default)")
      .addOption(
        new Option('--format <format>', 'how findings are printed').choices(REVIEW_FORMATS).default('text'),
      )
      .option(
        '--report <format=file>',
        'write it to a file, too: gitlab=gl-code-quality.json; repeatable',
        gather,
      )
      .action(async (paths: readonly string[], flags: ReviewFlags) => end(await run(paths, flags, io)))
  },
}

async function run(paths: readonly string[], flags: ReviewFlags, io: CommandIo): Promise<ExitCode> {
  const { runReview } = await import('./review/run.ts')
  return runReview(paths, flags, io)
}
