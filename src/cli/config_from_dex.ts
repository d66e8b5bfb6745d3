// `sallyport config from-dex`: the flags. What it does stands in config_from_dex_run.ts.
import type { Command } from 'commander'
import type { CommandIo, ExitCode } from './command.ts'
import { addConfigFlags } from './config_source.ts'
import type { ConfigFlags } from './config_source.ts'

export type FromDexFlags = ConfigFlags & { readonly keys?: boolean; readonly json?: boolean }

export const FROM_DEX_EXAMPLES = [
  {
    says: 'the native form of a Dex configuration; what became of each key goes to stderr',
    line: 'sallyport config from-dex dex.yaml --store sqlite:data/sallyport.db > sallyport.yaml',
  },
  {
    says: 'how to move over on the same issuer URL without a token failing',
    line: 'sallyport config from-dex dex.yaml --keys',
  },
] as const

/** Adds `from-dex` below `config`. */
export function addFromDex(command: Command, io: CommandIo, end: (code: ExitCode) => void): void {
  const fromDex = command
    .command('from-dex')
    .description('print a Dex configuration as sallyport.yaml, and the truth about each key of it')
  fromDex.argument('[file]', 'Dex configuration; the same as --dex-config')
  addConfigFlags(fromDex)
    .option('--keys', 'explain how to move over on the same issuer URL')
    .option('--json', 'print {ok, native, findings, keys} as JSON')
    .action(async (file: string | undefined, flags: FromDexFlags) => end(await run(file, flags, io)))
}

async function run(file: string | undefined, flags: FromDexFlags, io: CommandIo): Promise<ExitCode> {
  const { configFromDex } = await import('./config_from_dex_run.ts')
  return configFromDex(file, flags, io)
}
