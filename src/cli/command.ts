// What a command of the CLI is, and the table of all of them. A command's file is loaded only when it is called, so
// that `sallyport exchange --help` does not load the broker. To add one: its file exports a `CommandModule`, the table
// below gets a line.
import type { Command } from 'commander'
import type { Clock, RandomBytes } from '#core/clock.ts'
import type { ExitCode } from './exit_code.ts'

export { EXIT } from './exit_code.ts'
export type { ExitCode } from './exit_code.ts'

/** The world as a command sees it; tests pass their own. */
export type CommandIo = {
  readonly stdin: AsyncIterable<Uint8Array | string>
  readonly stdout: TextSink & { readonly isTTY?: boolean | undefined }
  readonly stderr: TextSink & { readonly isTTY?: boolean | undefined }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative file names are resolved against it. */
  readonly cwd: string
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly sleep: (milliseconds: number) => Promise<void>
}

type TextSink = { write(text: string): unknown }

export type CommandModule = {
  readonly name: string
  /** One line, lower case, no full stop. */
  readonly summary: string
  /** Shell lines with a comment each, printed below the options. */
  readonly examples: readonly Example[]
  /**
   * Adds arguments, options (with `addFlag` where an environment twin exists) and subcommands, and hands each action's
   * exit code to `end`. Called for help and completion too, so it does nothing else.
   *
   * ```ts
   * define: (command, io, end) => {
   *   command.argument('<file>').action(async (file: string) => end(await check(file, io)))
   * }
   * ```
   */
  readonly define: (command: Command, io: CommandIo, end: (code: ExitCode) => void) => void
}

export type Example = { readonly says: string; readonly line: string }

export type CommandEntry = {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<CommandModule>
  /** The way of a command that is started very often; asked first. */
  readonly loadQuick?: () => Promise<QuickRun>
}

/** Runs a command without commander. `undefined`, and nothing done, when the arguments are not the plainest. */
type QuickRun = (argv: readonly string[], io: CommandIo) => Promise<ExitCode | undefined>

/** In the order of the help. One line each: `load: async () => (await import('./keys.ts')).keys`. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'run the server',
    load: async () => (await import('./serve.ts')).serve,
  },
  {
    name: 'config',
    summary: 'check a configuration, or turn a Dex configuration into ours',
    load: async () => (await import('./config.ts')).config,
  },
  {
    name: 'exchange',
    summary: "exchange the job's own token for a short-lived token for one place",
    load: async () => (await import('./exchange.ts')).exchange,
  },
  {
    name: 'credential',
    summary: "be kubectl's exec credential plugin: the job's own token in, an ExecCredential out",
    load: async () => (await import('./credential.ts')).credential,
    loadQuick: async () => (await import('./credential/quick.ts')).runQuickly,
  },
  {
    name: 'token',
    summary: 'show what stands in a token, without verifying it',
    load: async () => (await import('./token.ts')).token,
  },
  {
    name: 'explain',
    summary: 'show step by step what a token would get, and the first step that says no',
    load: async () => (await import('./explain.ts')).explain,
  },
  {
    name: 'keys',
    summary: 'list, rotate and revoke the signing keys',
    load: async () => (await import('./keys.ts')).keys,
  },
  {
    name: 'emergency',
    summary: 'switch a client, connector or policy off, and deny tokens that were issued',
    load: async () => (await import('./emergency.ts')).emergency,
  },
  {
    name: 'store',
    summary: 'make what a shared store is kept in, or bring it up to date',
    load: async () => (await import('./store.ts')).store,
  },
  {
    name: 'kube',
    summary: 'make a kube-apiserver trust the broker, and see why it does not',
    load: async () => (await import('./kube.ts')).kube,
  },
  {
    name: 'review',
    summary: 'say before the merge what the webhook would say of a change to manifests',
    load: async () => (await import('./review.ts')).review,
  },
  {
    name: 'ledger',
    summary: 'show and export what was ever published, and make it anew after a loss',
    load: async () => (await import('./ledger.ts')).ledger,
  },
  {
    name: 'webhook',
    summary: 'keep published module versions as they are: what a cluster needs for it',
    load: async () => (await import('./webhook.ts')).webhook,
  },
  {
    name: 'hash-secret',
    summary: 'make the hash of a client secret that goes into the configuration',
    load: async () => (await import('./hash_secret.ts')).hashSecret,
  },
  {
    name: 'completion',
    summary: 'print the completion script for bash, zsh or fish',
    load: async () => (await import('./completion.ts')).completion,
  },
]

export function findCommand(name: string | undefined): CommandEntry | undefined {
  return COMMANDS.find((entry) => entry.name === name)
}
