// `sallyport kube auth-config`: the AuthenticationConfiguration that makes a kube-apiserver trust the broker.
import { Option } from 'commander'
import type { AnonymousChoice } from '#core/kube/anonymous_plan.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import type { KubeSubcommand } from '../kube.ts'
import { addNamingFlags, collect } from './naming_flags.ts'
import type { NamingFlags } from './naming_flags.ts'

export type AuthConfigFlags = NamingFlags & {
  readonly kubernetesVersion: string
  readonly discoveryUrl?: string
  readonly caFile?: string
  readonly merge?: readonly string[]
  readonly anonymous?: AnonymousChoice
  readonly gitlab?: string
  readonly gitlabProject?: readonly string[]
  readonly gitlabNamespace?: readonly string[]
  readonly gitlabCaFile?: string
  readonly gitlabPrefix?: string
  readonly forgejo?: string
  readonly forgejoRepository?: readonly string[]
  readonly forgejoCaFile?: string
  readonly forgejoPrefix?: string
  readonly forgeAudience?: string
}

const ANONYMOUS_CHOICES = ['none', 'health', 'kubeadm'] as const satisfies readonly AnonymousChoice[]

export const kubeAuthConfig: KubeSubcommand = {
  examples: [
    {
      says: 'the file of --authentication-config, made from the configuration of the broker',
      line: 'sallyport kube auth-config > authentication.yaml',
    },
    {
      says: 'an unmodified Dex configuration, a cluster of 1.32, and the issuers that its file has already',
      line: 'sallyport kube auth-config --dex-config dex.yaml --audience kubernetes --kubernetes-version 1.32 --merge old.yaml',
    },
    {
      says: 'beside the broker a Forgejo whose jobs come straight, pinned by the id of a repository',
      line: 'sallyport kube auth-config --forgejo https://git.example.com --forgejo-repository 456',
    },
  ],
  add: (parent, io, end) => {
    const command = parent
      .command('auth-config')
      .description(
        "print the AuthenticationConfiguration that makes a kube-apiserver trust the broker's tokens",
      )
    addNamingFlags(command)
      .option('--kubernetes-version <version>', 'of the apiserver: 1.30 to 1.37', '1.36')
      .option('--discovery-url <url>', 'where the apiserver fetches the discovery document instead')
      .option(
        '--ca-file <file>',
        "CA of the broker's certificate (default: the development CA, where it is in use)",
      )
      .option(
        '--merge <file>',
        'further issuers: an AuthenticationConfiguration that exists, repeatable',
        collect,
      )
      .addOption(
        new Option(
          '--anonymous <who>',
          'what may be asked without a credential; read its comment first',
        ).choices(ANONYMOUS_CHOICES),
      )
      .option('--gitlab <url>', 'trust this GitLab, too, without the broker')
      .option('--gitlab-project <id>', 'project that may come, repeatable', collect)
      .option('--gitlab-namespace <id>', 'namespace whose projects may come, repeatable', collect)
      .option('--gitlab-ca-file <file>', "CA of GitLab's certificate")
      .option('--gitlab-prefix <prefix>', 'what stands before its user names (default: gitlab:)')
      .option('--forgejo <url>', 'trust this Forgejo, too, without the broker')
      .option(
        '--forgejo-repository <id>',
        'repository that may come: its id, or owner/name (Forgejo 15), repeatable',
        collect,
      )
      .option('--forgejo-ca-file <file>', "CA of Forgejo's certificate")
      .option('--forgejo-prefix <prefix>', 'what stands before its user names (default: forgejo:)')
      .option('--forge-audience <id>', 'what jobs ask GitLab or Forgejo for (default: the audience)')
      .action(async (flags: AuthConfigFlags) => end(await run(flags, io)))
  },
}

async function run(flags: AuthConfigFlags, io: CommandIo): Promise<ExitCode> {
  const { runAuthConfig } = await import('./auth_config_run.ts')
  return runAuthConfig(flags, io)
}
