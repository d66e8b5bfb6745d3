// `serve --dex-config FILE`: an unmodified Dex configuration as this broker's, with the truth about every key of it.
// The order is that of the file's sections; everything that is wrong is said at once.
import type { Connector } from '#core/connector.ts'
import type { IssuerPreset } from '#core/issuer/preset.ts'
import { presetOf, sharedPreset } from '#core/issuer/presets.ts'
import type { Finding } from '#platform/config/finding.ts'
import type { BrokerConfig } from '../broker_config.ts'
import type { ConfigEnv, ConfigLoad } from '../config_env.ts'
import { DEFAULTS } from '../schema.ts'
import { readClients } from './clients.ts'
import type { SecretVariables } from './clients.ts'
import { readConnectors } from './connectors.ts'
import { readDexFlags } from './dex_flags.ts'
import { readGrants } from './grants.ts'
import { DEX_KEYS } from './keys.ts'
import { keyHomes, objectsOf, pathOf, readObject, sectionOf, textOf } from './read_keys.ts'
import type { DexObject } from './read_keys.ts'
import { createReporter } from './report.ts'
import type { Reporter, TruthReport } from './report.ts'
import { applyOverlay, readOverlay } from './overlay.ts'
import type { OverlayText } from './overlay.ts'
import { readKeys, readTokenTtl } from './signer.ts'
import { readStore } from './storage.ts'
import { checkSubjects } from './subject_checks.ts'
import type { IdPaths } from './subject_checks.ts'
import { unwrapDexConfig } from './unwrap.ts'
import { parseHttpUrl, urlWayOut } from './url_check.ts'
import type { DexSource } from './unwrap.ts'
import { readOpsListener, readPublicListeners, readWeb } from './web.ts'
import type { AddressFlags } from './web.ts'

export type DexLoadOptions = {
  readonly overlay?: OverlayText | undefined
  readonly flags: AddressFlags & {
    /** `memory`, `sqlite` or `sqlite:FILE` in place of Dex's storage. */
    readonly store?: string | undefined
    /** Serves what only tests want: mockCallback. */
    readonly development: boolean
  }
  /** For a configuration that is written down: how a secret that stands in the file is hashed. */
  readonly hashLiteral?: ((secret: string) => string) | undefined
}

export type DexConfigLoad = ConfigLoad & {
  /** `undefined` when no Dex configuration was found in the file. */
  readonly report: TruthReport | undefined
  readonly secretVariables: SecretVariables
}

const HOMES = keyHomes(DEX_KEYS)

/** `file` is only named in places. The configuration is `undefined` exactly if a finding is an error. */
export function loadDexConfig(
  file: string,
  text: string,
  env: ConfigEnv,
  options: DexLoadOptions,
): DexConfigLoad {
  const { source, findings } = unwrapDexConfig(file, text, env)
  const read = options.overlay === undefined ? undefined : readOverlay(options.overlay, env)
  if (source === undefined) {
    const all = [...findings, ...(read?.findings ?? [])]
    return { config: undefined, findings: all, report: undefined, secretVariables: new Map() }
  }
  const report = createReporter(source.placeOf)
  const {
    config: base,
    secretVariables,
    paths,
  } = readConfig(source, env, { ...options, overlayIssuer: read?.overlay?.issuer ?? '' }, report)
  const laid = read?.overlay === undefined ? { config: base, findings: [] } : applyOverlay(base, read.overlay)
  checkSubjects(laid.config, paths, report)
  warnUngoverned(laid.config, report)
  const all = [
    ...inFileOrder([...findings, ...report.findings()]),
    ...(read?.findings ?? []),
    ...laid.findings,
  ]
  return {
    config: all.some((finding) => finding.severity === 'error') ? undefined : laid.config,
    findings: all,
    report: { file, foundIn: source.foundIn, keys: report.verdicts() },
    secretVariables,
  }
}

function readConfig(
  source: DexSource,
  env: ConfigEnv,
  options: DexLoadOptions & { readonly overlayIssuer: string },
  report: Reporter,
): {
  readonly config: BrokerConfig
  readonly secretVariables: SecretVariables
  readonly paths: IdPaths
} {
  const { flags, hashLiteral } = options
  const dexFlags = readDexFlags(env.env)
  const root = readObject(source.data, [], DEX_KEYS, {
    report,
    env: env.env,
    expand: dexFlags.expandEnv && source.wrapping !== 'argocd',
    unknownIsError: dexFlags.disallowUnknownKeys,
    homes: HOMES,
  })
  const issuer = readIssuer(root, source, options.overlayIssuer, report)
  const store = readStore(root, flags.store, source.wrapping, { env, report })
  const grants = readGrants(root, dexFlags.clientCredentialsByDefault, report)
  const connectors = readConnectors(root, { env, issuer, development: flags.development, report })
  const { clients, audiences, secretVariables } = readClients(root, { ...env, grants, report, hashLiteral })
  const config: BrokerConfig = {
    mode: 'dex',
    issuer,
    store,
    publicListeners: readPublicListeners(root, flags, env, report),
    opsListener: readOpsListener(root, flags, source.wrapping, report),
    drainSeconds: undefined,
    web: readWeb(root, report),
    keys: readKeys(root, report),
    grants,
    connectors,
    clients,
    audiences,
    policies: [],
    tokens: { ttlSeconds: readTokenTtl(root, report) },
    limits: {
      addressRate: DEFAULTS.addressRate,
      addressBurst: DEFAULTS.addressBurst,
      clientRate: DEFAULTS.clientRate,
      clientBurst: DEFAULTS.clientBurst,
      maxConcurrentRequests: DEFAULTS.maxConcurrentRequests,
      maxWaitingSignatures: DEFAULTS.maxWaitingSignatures,
    },
    log: readLog(root, report),
    audit: { destination: DEFAULTS.audit },
    kube: { apiservers: [], reviewClients: [] },
  }
  return { config, secretVariables, paths: idPaths(root, env.env) }
}

function idPaths(root: DexObject, env: ConfigEnv['env']): IdPaths {
  const connectors = objectsOf(root, 'connectors').map(
    (entry) => [textOf(entry, 'id'), pathOf(entry, 'id')] as const,
  )
  const clients = objectsOf(root, 'staticClients').map((entry) => {
    const variable = textOf(entry, 'idEnv')
    if (variable === '') return [textOf(entry, 'id'), pathOf(entry, 'id')] as const
    return [env[variable] ?? '', pathOf(entry, 'idEnv')] as const
  })
  return { connectors: new Map(connectors), clients: new Map(clients) }
}

/** Dex's rule, "who is verified may ask", stays for a connector that no policy names. Said at each start. */
function warnUngoverned(config: BrokerConfig, report: Reporter): void {
  for (const [index, connector] of config.connectors.entries()) {
    const { id } = connector
    if (connector.kind !== 'issuer' || connector.needsPolicy) continue
    const proof =
      connector.gitlabApi === undefined
        ? `every token that ${connector.issuer} issues with \`aud\` ${connector.audiences.join(' or ')} is accepted`
        : `every access token of ${connector.gitlabApi.baseUrl} is accepted`
    const wayOut = `add a policy for ${id} in the overlay (--config) that pins who may come`
    const known = strangersOf(connector)
    if (known === undefined) {
      report.warn(['connectors', index], 'connector_without_policy', `${proof}, whoever it speaks of`, wayOut)
      continue
    }
    const message = `any repository or job on ${connector.issuer} that asks for this audience (${connector.audiences.join(' or ')}) is accepted, strangers' ones, too`
    const typed = `${wayOut}, and write connectors.${id}.type: ${known.name} there`
    report.warn(['connectors', index], 'connector_open_to_strangers', message, typed)
  }
}

/** The kind of an issuer at which strangers' jobs can ask for a token that this connector takes. */
function strangersOf({ issuer, preset, gitlabApi }: Connector): IssuerPreset | undefined {
  if (gitlabApi !== undefined) return undefined
  return sharedPreset(issuer) ?? (presetOf(preset).fixedAudience === undefined ? undefined : presetOf(preset))
}

function readIssuer(root: DexObject, source: DexSource, overlayIssuer: string, report: Reporter): string {
  const issuer = textOf(root, 'issuer')
  const path = pathOf(root, 'issuer')
  if (issuer === '' && overlayIssuer !== '') return overlayIssuer
  if (issuer !== '' && overlayIssuer !== '') {
    const message = 'the overlay names an issuer, too; that of the Dex configuration counts'
    report.warn(path, 'overlay_issuer_unused', message, 'remove it from the overlay')
  }
  if (issuer === '' && source.argoCdUrl !== undefined) {
    const made = `${source.argoCdUrl.replace(/\/$/, '')}/api/dex`
    report.note(path, 'argocd_issuer', `Argo CD makes the issuer from its url: ${made}`)
    return made
  }
  if (issuer === '') {
    const wayOut = 'write issuer:, the URL that clients reach this broker by'
    report.refuse(path, 'issuer_missing', 'no issuer specified in config file', wayOut)
    return ''
  }
  const url = parseHttpUrl(issuer)
  if (url === undefined || url.search !== '' || url.hash !== '') {
    const message = `${JSON.stringify(issuer)} is not an http or https URL without query and fragment`
    report.refuse(path, 'url_malformed', message, urlWayOut(issuer, false))
  }
  return issuer
}

function readLog(root: DexObject, report: Reporter): BrokerConfig['log'] {
  const logger = sectionOf(root, 'logger')
  const [level, format] = [textOf(logger, 'level').toLowerCase(), textOf(logger, 'format').toLowerCase()]
  const levels = ['debug', 'info', 'warn', 'error'] as const
  const known = levels.find((name) => name === level)
  if (level !== '' && known === undefined) {
    const message = `slog: level string ${JSON.stringify(textOf(logger, 'level'))}: unknown name`
    report.refuse(pathOf(logger, 'level'), 'log_level', message, `write ${levels.join(', ')}`)
  }
  if (format !== '' && format !== 'json' && format !== 'text') {
    const message = `log format is not one of the supported values (json, text): ${textOf(logger, 'format')}`
    report.refuse(pathOf(logger, 'format'), 'log_format', message, 'write json or text')
  }
  return { level: known ?? 'info', format: format === 'json' ? 'json' : 'text' }
}

function inFileOrder(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted((left, right) => (left.place?.line ?? 0) - (right.place?.line ?? 0))
}
