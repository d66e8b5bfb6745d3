// `sallyport kube`: what makes a kube-apiserver trust the broker, and what says why it does not.
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import type { Command } from 'commander'
import { kubeAuthConfig } from './kube/auth_config.ts'
import { kubeExplain } from './kube/explain.ts'
import { kubeKubeconfig } from './kube/kubeconfig.ts'
import { kubeLint } from './kube/lint.ts'
import { kubeRbac } from './kube/rbac.ts'

/** One subcommand of `sallyport kube`; each stands in a file of its own under cli/kube/. */
export type KubeSubcommand = {
  readonly examples: CommandModule['examples']
  readonly add: (command: Command, io: CommandIo, end: (code: ExitCode) => void) => void
}

/** In the order of the help. One line each; what a subcommand needs to run is loaded when it runs. */
const SUBCOMMANDS: readonly KubeSubcommand[] = [
  kubeAuthConfig,
  kubeLint,
  kubeExplain,
  kubeRbac,
  kubeKubeconfig,
]

export const kube: CommandModule = {
  name: 'kube',
  summary: 'make a kube-apiserver trust the broker, and see why it does not',
  examples: SUBCOMMANDS.flatMap(({ examples }) => examples),
  define: (command, io, end) => {
    for (const subcommand of SUBCOMMANDS) subcommand.add(command, io, end)
  },
}
