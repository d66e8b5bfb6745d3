// Loads the configuration with the loader that serve uses (the webhook's file with that of `serve webhook`) and prints everything that
// it found.
import { readFileSync } from 'node:fs'
import { formatFinding } from '#platform/config/finding.ts'
import { formatTruthReport } from '../broker/config/dex/report.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { ConfigCheckFlags } from './config.ts'
import type { WebhookCheck } from './config_check_webhook.ts'
import { configFiles, loadConfig, loadNativeText } from './config_source.ts'
import type { LoadedConfig } from './config_source.ts'
import { InputFailure } from './input_failure.ts'
import { readInput } from './secret_input.ts'

/** etcd's limit for a ConfigMap, in which a configuration often lies. */
const MAX_STDIN_BYTES = 1024 * 1024

const NOT_SERVED = 'This configuration would not be served.'

/** Exit codes: ok when it could be served, configuration when not, usage. Findings are the answer, so stdout has them. */
export async function checkConfig(
  file: string | undefined,
  flags: ConfigCheckFlags,
  io: CommandIo,
): Promise<ExitCode> {
  const usage = usageProblem(file, flags)
  if (usage !== undefined) {
    io.stderr.write(`error: ${usage}\n(see sallyport config check --help)\n`)
    return EXIT.usage
  }
  try {
    const text = file === '-' ? await readInput('-', io, MAX_STDIN_BYTES) : undefined
    const webhook = await checkAsWebhook(file, flags, text, io)
    if (webhook !== undefined) {
      io.stdout.write(flags.json === true ? webhookDocument(webhook) : webhookWords(webhook))
      return webhook.summary === undefined ? EXIT.configuration : EXIT.ok
    }
    const load = await loadNamed(file, flags, text, io)
    io.stdout.write(flags.json === true ? asDocument(load) : inWords(load))
    return load.config === undefined ? EXIT.configuration : EXIT.ok
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`error: ${error.message}\n`)
    return EXIT.denied
  }
}

function usageProblem(file: string | undefined, flags: ConfigCheckFlags): string | undefined {
  if (file === '-') {
    const isDex = flags.dexConfig !== undefined
    return isDex ? 'standard input is a sallyport.yaml: name the overlay of --dex-config' : undefined
  }
  const isTwice = file !== undefined && flags.config !== undefined && flags.config !== file
  return isTwice ? 'the file is named twice, as argument and by --config' : undefined
}

/** `undefined`: it is the broker's, or cannot be read, which the broker's loader says. */
async function checkAsWebhook(
  file: string | undefined,
  flags: ConfigCheckFlags,
  stdin: string | undefined,
  io: CommandIo,
): Promise<WebhookCheck | undefined> {
  if (flags.dexConfig !== undefined) return undefined
  const named = stdin === undefined && file !== undefined ? { ...flags, config: file } : flags
  const [place] = configFiles(named, io.cwd)
  const text = stdin ?? (place === undefined ? undefined : readIfThere(place))
  if (place === undefined || text === undefined) return undefined
  const { checkWebhookConfig } = await import('./config_check_webhook.ts')
  return checkWebhookConfig(text, place, stdin === undefined ? place : 'stdin')
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // Whoever reads it next says why not.
    return undefined
  }
}

function webhookDocument({ findings, summary }: WebhookCheck): string {
  return `${JSON.stringify({ ok: summary !== undefined, findings })}\n`
}

function webhookWords({ findings, summary }: WebhookCheck): string {
  return `${[...findings.map(formatFinding), summary ?? NOT_SERVED].join('\n')}\n`
}

async function loadNamed(
  file: string | undefined,
  flags: ConfigCheckFlags,
  stdin: string | undefined,
  io: CommandIo,
): Promise<LoadedConfig> {
  if (stdin !== undefined) return loadNativeText(stdin, flags, io)
  return loadConfig(file === undefined ? flags : { ...flags, config: file }, io)
}

function asDocument(load: LoadedConfig): string {
  const { findings, report } = load
  return `${JSON.stringify({ ok: load.config !== undefined, findings, keys: report?.keys })}\n`
}

function inWords(load: LoadedConfig): string {
  const verdict = load.config === undefined ? NOT_SERVED : summaryOf(load.config)
  if (load.report !== undefined) return `${formatTruthReport(load.report, load.findings)}\n${verdict}\n`
  return `${[...load.findings.map(formatFinding), verdict].join('\n')}\n`
}

function summaryOf(config: NonNullable<LoadedConfig['config']>): string {
  const parts = [
    count(config.connectors, 'connector', 'connectors'),
    count(config.clients, 'client', 'clients'),
    count(config.audiences, 'audience', 'audiences'),
    count(config.policies, 'policy', 'policies'),
  ]
  return `OK: ${config.issuer} with ${parts.join(', ')}.`
}

function count(list: readonly unknown[], one: string, many: string): string {
  return `${list.length} ${list.length === 1 ? one : many}`
}
