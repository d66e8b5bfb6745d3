// `sallyport emergency`: what an operator switches off in a hurry, and turns on again. It works on the store that the
// configuration names; all running brokers obey within two seconds.
import { InvalidArgumentError } from 'commander'
import { DENIED_KINDS, DISABLED_KINDS } from '#core/levers.ts'
import type { CommandIo, CommandModule, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type EmergencyFlags = ConfigFlags & {
  readonly why?: string
  readonly by?: string
  readonly unknown?: boolean
  readonly json?: boolean
}

export type EmergencyJob =
  | { readonly job: 'list' }
  | {
      readonly job: 'pull' | 'lift'
      readonly action: 'disable' | 'deny'
      readonly kind: string
      readonly id: string
    }

const KINDS = { disable: DISABLED_KINDS.join(', '), deny: DENIED_KINDS.join(', ') } as const

export const emergency: CommandModule = {
  name: 'emergency',
  summary: 'switch a client, connector or policy off, and deny tokens that were issued',
  examples: [
    {
      says: 'a secret leaked: no more tokens for this client, whoever asks',
      line: 'sallyport emergency disable client ci --why INC-42',
    },
    {
      says: 'and those that it has are refused by userinfo, introspection and token review',
      line: 'sallyport emergency deny client ci --why INC-42',
    },
    {
      says: 'an issuer was taken over: its tokens buy nothing, and it is not asked any more',
      line: 'sallyport emergency disable connector gitlab',
    },
    { says: 'a policy lets too much in', line: 'sallyport emergency disable policy acme-main' },
    {
      says: 'one token, by the jti that stands in the audit event of its issue',
      line: 'sallyport emergency deny token 1f6a3c2e-8f0d-4a53-9f53-0d8f1d6f7c11',
    },
    { says: 'what is pulled, since when, by whom and why', line: 'sallyport emergency list' },
    { says: 'it is over', line: 'sallyport emergency lift disable client ci' },
    {
      says: 'kube-apiserver verifies by itself: only a revoked key reaches it',
      line: 'sallyport keys revoke NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs --flush',
    },
  ],
  define: (command, io, end) => {
    const sub = (usage: string, description: string): ReturnType<typeof addConfigFlags> =>
      addConfigFlags(command.command(usage).description(description)).option('--json', 'print JSON')
    const people = (usage: string, description: string): ReturnType<typeof addConfigFlags> =>
      sub(usage, description)
        .option('--why <text>', 'reason, for the list and the audit event')
        .option('--by <name>', 'who does this (default: the user of the shell)')
    for (const [action, description] of [
      ['disable', 'refuse what is asked from now on'],
      ['deny', 'refuse tokens that were issued until now, where we are asked about them'],
    ] as const) {
      people(action, description)
        .argument('<kind>', KINDS[action])
        .argument('<id>', action === 'deny' ? 'its id in the configuration; of a token its jti' : 'its id')
        .option('--unknown', 'also when the configuration here does not have it')
        .action(async (kind: string, id: string, flags: EmergencyFlags) =>
          end(await run({ job: 'pull', action, kind, id }, flags, io)),
        )
    }
    people('lift', 'undo one of these')
      .argument('<action>', 'disable or deny, as it was pulled', actionOf)
      .argument('<kind>', 'as it was pulled')
      .argument('<id>', 'as it was pulled')
      .action(async (action: 'disable' | 'deny', kind: string, id: string, flags: EmergencyFlags) =>
        end(await run({ job: 'lift', action, kind, id }, flags, io)),
      )
    sub('list', 'show what is switched off and denied').action(async (flags: EmergencyFlags) =>
      end(await run({ job: 'list' }, flags, io)),
    )
  },
}

function actionOf(value: string): 'disable' | 'deny' {
  if (value === 'disable' || value === 'deny') return value
  throw new InvalidArgumentError('write disable or deny')
}

async function run(job: EmergencyJob, flags: EmergencyFlags, io: CommandIo): Promise<ExitCode> {
  const { runEmergency } = await import('./emergency_run.ts')
  return runEmergency(job, flags, io)
}
