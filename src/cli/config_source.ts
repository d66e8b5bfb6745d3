// Where the configuration comes from, and how it is loaded: the native file, or an unmodified Dex file with an overlay.
// serve, explain, keys and config check all ask here.
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command } from 'commander'
import type { Finding } from '#platform/config/finding.ts'
import { formatFinding } from '#platform/config/finding.ts'
import type { BrokerConfig } from '../broker/config/broker_config.ts'
import type { ConfigEnv, ConfigLoad } from '../broker/config/config_env.ts'
import type { DexConfigLoad } from '../broker/config/dex/load.ts'
import type { TruthReport } from '../broker/config/dex/report.ts'
import { modeForUs } from '#platform/config/file_privacy.ts'
import type { OwnIds } from '#platform/config/file_privacy.ts'
import type { CommandIo } from './command.ts'
import { addFlag } from './run_command.ts'
import { shownFile } from './shown_input.ts'

export type ConfigFlags = {
  readonly config?: string
  readonly dexConfig?: string
  readonly store?: string
  readonly webHttpAddr?: string
  readonly webHttpsAddr?: string
  readonly telemetryAddr?: string
  readonly development?: boolean
}

/** With the verdict on each key when it is a Dex configuration. */
export type LoadedConfig = ConfigLoad & { readonly report?: TruthReport | undefined }

type LoadIo = Pick<CommandIo, 'env' | 'cwd' | 'randomBytes'>

export const DEFAULT_CONFIG_FILE = 'sallyport.yaml'

/** Adds the flags that say which configuration is meant. */
export function addConfigFlags(command: Command): Command {
  addFlag(
    command,
    '--config <file>',
    `configuration (default ./${DEFAULT_CONFIG_FILE}); with --dex-config an overlay`,
    'SALLYPORT_CONFIG',
  )
  addFlag(command, '--dex-config <file>', 'an unmodified Dex configuration', 'SALLYPORT_DEX_CONFIG')
  addFlag(
    command,
    '--store <store>',
    'with --dex-config: memory, sqlite, sqlite:FILE, postgres:FILE (its URL), kubernetes or kubernetes:KUBECONFIG',
    'SALLYPORT_STORE',
  )
  addFlag(
    command,
    '--web-http-addr <address>',
    'with --dex-config: as in dex serve',
    'SALLYPORT_WEB_HTTP_ADDR',
  )
  addFlag(
    command,
    '--web-https-addr <address>',
    'with --dex-config: as in dex serve',
    'SALLYPORT_WEB_HTTPS_ADDR',
  )
  addFlag(
    command,
    '--telemetry-addr <address>',
    'with --dex-config: as in dex serve',
    'SALLYPORT_TELEMETRY_ADDR',
  )
  addFlag(
    command,
    '--development',
    'allow what must never run in production: the mockCallback connector',
    'SALLYPORT_DEVELOPMENT',
  )
  return command
}

/** The files that a running server watches. */
export function configFiles(flags: ConfigFlags, cwd: string): readonly string[] {
  const named =
    flags.dexConfig === undefined
      ? [flags.config ?? DEFAULT_CONFIG_FILE]
      : [flags.dexConfig, ...(flags.config === undefined ? [] : [flags.config])]
  return named.map((file) => resolve(cwd, file))
}

/** Loads what the flags mean. A file that cannot be read is a finding like any other. */
export async function loadConfig(flags: ConfigFlags, io: LoadIo): Promise<LoadedConfig> {
  if (flags.dexConfig !== undefined) return loadDexFile(flags, io)
  const [main] = configFiles(flags, io.cwd)
  if (main === undefined) throw new Error('configFiles names one file at least')
  const text = readText(main)
  if (typeof text !== 'string') return { config: undefined, findings: [text] }
  const { loadNativeConfig } = await import('../broker/config/native.ts')
  return loadNativeConfig(main, text, configEnv(main, io))
}

/** Loads a text as if it lay where --config says: relative paths start there. */
export async function loadNativeText(text: string, flags: ConfigFlags, io: LoadIo): Promise<LoadedConfig> {
  const [place = io.cwd] = configFiles(flags, io.cwd)
  const { loadNativeConfig } = await import('../broker/config/native.ts')
  return loadNativeConfig('stdin', text, configEnv(place, io))
}

/** Loads a Dex file and its overlay. `hashLiteral`: how a secret in the file is hashed when it will be written down. */
export async function loadDexFile(
  flags: ConfigFlags,
  io: LoadIo,
  hashLiteral?: (secret: string) => string,
): Promise<DexConfigLoad> {
  const [main, overlay] = configFiles(flags, io.cwd)
  if (main === undefined) throw new Error('configFiles names one file at least')
  const text = readText(main)
  const overlayText = overlay === undefined ? undefined : readText(overlay)
  const unread = [text, overlayText].filter((read) => typeof read === 'object')
  if (typeof text !== 'string' || typeof overlayText === 'object') {
    return { config: undefined, findings: unread, report: undefined, secretVariables: new Map() }
  }
  const { loadDexConfig } = await import('../broker/config/dex/load.ts')
  return loadDexConfig(main, text, configEnv(main, io), {
    ...(overlay === undefined || overlayText === undefined
      ? {}
      : { overlay: { file: overlay, text: overlayText, baseDir: dirname(overlay) } }),
    flags: { ...flags, development: flags.development === true },
    hashLiteral,
  })
}

function configEnv(file: string, io: LoadIo): ConfigEnv {
  return {
    env: io.env,
    baseDir: dirname(file),
    randomBytes: io.randomBytes,
    readFile: (path) => readFileSync(path, 'utf8'),
    fileMode,
  }
}

/** `undefined` for a file that is not there or lies where we may not look: whoever reads it says so. */
export function fileMode(path: string): number | undefined {
  // Windows answers 0666 for every file
  if (process.platform === 'win32') return undefined
  try {
    const { mode, uid, gid } = statSync(path)
    return modeForUs({ mode, uid, gid, realPath: realpathSync(path) }, ownIds())
  } catch {
    return undefined
  }
}

/** Prints every finding; notes only when `all`. Says whether the configuration can be used. */
export function tellFindings(
  load: ConfigLoad,
  io: Pick<CommandIo, 'stderr'>,
  all: boolean,
): load is ConfigLoad & { config: BrokerConfig } {
  for (const finding of load.findings) {
    if (all || finding.severity !== 'note') io.stderr.write(`${formatFinding(finding)}\n`)
  }
  return load.config !== undefined
}

function ownIds(): OwnIds {
  const primary = process.getegid?.()
  const groups = process.getgroups?.() ?? []
  return { uid: process.geteuid?.() ?? 0, groups: primary === undefined ? groups : [primary, ...groups] }
}

function readText(file: string): string | Finding {
  const finding = (message: string, wayOut: string): Finding => ({
    severity: 'error',
    code: 'config_file_unreadable',
    path: '',
    message,
    wayOut,
    place: { file: shownFile(file) ?? '[not shown: no name of a file]', line: 1, column: 1 },
  })
  if (!existsSync(file))
    return finding(
      'the file does not exist',
      'name one with --config, or run `sallyport serve` once to get a starter',
    )
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    if (code === 'EISDIR') return finding('it is a folder', 'name the file in it')
    return finding(`the file cannot be read (${code})`, 'check its permissions')
  }
}
