// `sallyport credential`: its flags and help. kubectl's own calls do not pass here but by credential/quick.ts.
import { Option } from 'commander'
import type { Command } from 'commander'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { CREDENTIAL_FLAGS, longName } from './credential/flags.ts'
import type { GivenFlags } from './credential/flags.ts'

export const credential: CommandModule = {
  name: 'credential',
  summary: "be kubectl's exec credential plugin: the job's own token in, an ExecCredential out",
  examples: [
    {
      says: 'the kubeconfig that makes kubectl call it',
      line: 'sallyport kube kubeconfig --server https://k8s.example.com:6443 --ca-file ca.pem --broker https://broker.example.com --client-id ci --audience kubernetes >kubeconfig',
    },
    {
      says: 'what kubectl gets, without the token',
      line: 'sallyport credential --broker https://broker.example.com --client-id ci --audience kubernetes | jq .status.expirationTimestamp',
    },
  ],
  define: (command, io, end) => {
    const options = CREDENTIAL_FLAGS.map((flag) => {
      const twin = flag.twin === undefined ? '' : ` (env: ${flag.twin})`
      return { name: longName(flag), option: new Option(flag.flags, `${flag.says}${twin}`) }
    })
    // Their variables are read later, after what the kubeconfig says of the cluster.
    for (const { option } of options) command.addOption(option)
    command.action(async () => end(await run(givenOf(command, options), io)))
  },
}

function givenOf(
  command: Command,
  options: readonly { readonly name: string; readonly option: Option }[],
): GivenFlags {
  const given = new Map<string, string | true>()
  for (const { name, option } of options) {
    if (command.getOptionValueSource(option.attributeName()) !== 'cli') continue
    const value: unknown = command.getOptionValue(option.attributeName())
    given.set(name, typeof value === 'string' ? value : true)
  }
  return given
}

async function run(given: GivenFlags, io: CommandIo): Promise<ExitCode> {
  const { runCredential } = await import('./credential/quick.ts')
  return runCredential(given, io)
}
