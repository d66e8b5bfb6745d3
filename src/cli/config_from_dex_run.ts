// Turns a Dex configuration into sallyport.yaml: the file to stdout, the truth about each key to stderr.
import { scryptSync } from 'node:crypto'
import {
  formatScrypt,
  hashGeneratedSecret,
  looksGenerated,
  saltBytes,
  scryptCost,
  scryptHashBytes,
} from '#core/secret_hash.ts'
import { explainKeyMove } from '../broker/config/dex/key_move.ts'
import type { DexConfigLoad } from '../broker/config/dex/load.ts'
import { printNativeConfig } from '../broker/config/dex/print_native.ts'
import { formatTruthReport } from '../broker/config/dex/report.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { FromDexFlags } from './config_from_dex.ts'
import { loadDexFile } from './config_source.ts'

/** Exit codes: ok, configuration when the Dex file would not be served, usage. */
export async function configFromDex(
  file: string | undefined,
  flags: FromDexFlags,
  io: CommandIo,
): Promise<ExitCode> {
  const dexConfig = file ?? flags.dexConfig
  if (dexConfig === undefined) {
    io.stderr.write('error: name the Dex configuration\n(see sallyport config from-dex --help)\n')
    return EXIT.usage
  }
  const load = await loadDexFile({ ...flags, dexConfig }, io, hashForPaper(io))
  if (flags.json === true) io.stdout.write(asDocument(load))
  else tell(load, flags.keys === true, io)
  return load.config === undefined ? EXIT.configuration : EXIT.ok
}

function tell(load: DexConfigLoad, keys: boolean, io: CommandIo): void {
  if (keys && load.config !== undefined) {
    io.stdout.write(explainKeyMove(load.config))
    return
  }
  io.stderr.write(`${formatTruthReport(load.report, load.findings)}\n`)
  io.stdout.write(printNativeConfig(load) ?? '')
}

function asDocument(load: DexConfigLoad): string {
  const document = {
    ok: load.config !== undefined,
    native: printNativeConfig(load),
    findings: load.findings,
    keys: load.report?.keys,
  }
  return `${JSON.stringify(document)}\n`
}

/** The hash will lie in a file that people commit: a secret that can be guessed gets the slow one. */
function hashForPaper(io: CommandIo): (secret: string) => string {
  return (secret) => {
    const salt = io.randomBytes(saltBytes)
    if (looksGenerated(secret)) return hashGeneratedSecret(secret, salt)
    const { ln, r, p } = scryptCost
    const hash = scryptSync(secret, salt, scryptHashBytes, { N: 2 ** ln, r, p, maxmem: 256 * 2 ** 20 })
    return formatScrypt(scryptCost, salt, hash)
  }
}
