// `sallyport kube rbac`: Role and RoleBinding for whoever a policy lets in.
import type { CommandIo, ExitCode } from '../command.ts'
import type { KubeSubcommand } from '../kube.ts'
import { addNamingFlags, collect } from './naming_flags.ts'
import type { NamingFlags } from './naming_flags.ts'

export type RbacFlags = NamingFlags & {
  readonly policy?: string
  readonly user?: string | true
  readonly group?: string | true
  readonly claim?: readonly string[]
  readonly namespace?: string
  readonly clusterWide?: boolean
  readonly clusterRole?: string
  readonly resource?: readonly string[]
  readonly resourceName?: readonly string[]
  readonly verb?: readonly string[]
  readonly name?: string
}

export const kubeRbac: KubeSubcommand = {
  examples: [
    {
      says: 'what kubectl set image needs in one namespace, for the jobs that a policy lets in',
      line: 'sallyport kube rbac --policy deploy --namespace shop | kubectl apply -f -',
    },
    {
      says: 'another role, for one of the repositories that the policy lets in',
      line: 'sallyport kube rbac --policy deploy --claim project_path=acme/shop --namespace shop --cluster-role edit',
    },
  ],
  add: (parent, io, end) => {
    const command = parent
      .command('rbac')
      .description('print Role and RoleBinding for whoever a policy lets in')
    addNamingFlags(command)
      .option('--policy <name>', 'policy of the configuration')
      .option('--user [name]', 'bind the user (default where it is one name); a name needs no --policy')
      .option('--group [name]', 'bind a group that the policy gives; a name needs no --policy')
      .option('--claim <name=value>', 'a claim that the user name holds and no pin says, repeatable', collect)
      .option('--namespace <name>', 'where the role holds')
      .option('--cluster-wide', 'ClusterRoleBinding: the role holds everywhere')
      .option('--cluster-role <name>', 'bind this role instead of making one')
      .option(
        '--resource <resource.group>',
        'what the role is for (default: deployments.apps), repeatable',
        list,
      )
      .option('--resource-name <name>', 'these objects alone, repeatable', list)
      .option('--verb <verb>', 'what it may do (default: get,list,watch,patch), repeatable', list)
      .option('--name <name>', 'name of the objects (default: sallyport- and the policy)')
      .action(async (flags: RbacFlags) => end(await run(flags, io)))
  },
}

/** As kubectl takes them: repeated, or parted by commas. */
function list(value: string, before: readonly string[] | undefined): readonly string[] {
  return value.split(',').reduce<readonly string[]>((all, one) => collect(one.trim(), all), before ?? [])
}

async function run(flags: RbacFlags, io: CommandIo): Promise<ExitCode> {
  const { runRbac } = await import('./rbac_run.ts')
  return runRbac(flags, io)
}
