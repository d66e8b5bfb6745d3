// Makes the AuthenticationConfiguration: the configuration is read as `serve` reads it, the plan is made in core, and what
// was printed is read back and linted before anybody gets to see it.
import { planAuthConfig } from '#core/kube/auth_config_plan.ts'
import type { AuthConfigPlan, AuthConfigRequest, MergedFile, TrustedCa } from '#core/kube/auth_config_plan.ts'
import type { KubeProblem } from '#core/kube/kube_problem.ts'
import { kubeVersion } from '#core/kube/kube_version.ts'
import type { KubeVersion } from '#core/kube/kube_version.ts'
import { printAuthConfig } from '#core/kube/print_auth_config.ts'
import { everyGroup } from '#core/policy/compile_grant.ts'
import { pathText } from '#platform/config/yaml_document.ts'
import type { BrokerConfig } from '../../broker/config/broker_config.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { loadConfig, tellFindings } from '../config_source.ts'
import { InputFailure } from '../input_failure.ts'
import type { AuthConfigFlags } from './auth_config.ts'
import { planForges } from './forge_flags.ts'
import { chooseAudience, complain, isComplaint, namingOf } from './kube_audience.ts'
import type { Complaint, KubeAudience } from './kube_audience.ts'
import { lintText, readMergedFile } from './own_linter.ts'
import { developmentCa, readTrustedCa } from './trusted_ca.ts'

/** Exit codes: ok, usage, configuration for a configuration that does not load and for a file that would not pass our linter. */
export async function runAuthConfig(flags: AuthConfigFlags, io: CommandIo): Promise<ExitCode> {
  const version = kubeVersion(flags.kubernetesVersion)
  if (version === undefined) {
    const message = `--kubernetes-version ${flags.kubernetesVersion}: 1.30 to 1.37 are known`
    complain('auth-config', { message, wayOut: 'for a later release take 1.37, and lint the file' }, io)
    return EXIT.usage
  }
  const load = await loadConfig(flags, io)
  if (!tellFindings(load, io, false)) return EXIT.configuration
  try {
    const request = await requestOf(flags, version, load.config, io)
    if (!isComplaint(request)) return print(request, io)
    complain('auth-config', request, io)
    return EXIT.usage
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`sallyport: ${error.message}\n`)
    return EXIT.usage
  }
}

async function requestOf(
  flags: AuthConfigFlags,
  version: KubeVersion,
  config: BrokerConfig,
  io: CommandIo,
): Promise<AuthConfigRequest | Complaint> {
  const audience = chooseAudience(config, flags.audience)
  if (isComplaint(audience)) return audience
  const naming = namingOf(flags, audience.profile)
  if (isComplaint(naming)) return naming
  const ca = flags.caFile === undefined ? developmentCa(config) : await readTrustedCa(flags.caFile, io)
  if (ca !== undefined && isComplaint(ca)) return ca
  const forges = await planForges(flags, audience.id, io)
  if (isComplaint(forges)) return forges
  const merged: MergedFile[] = []
  for (const file of flags.merge ?? []) {
    const read = await readMergedFile(file, io)
    if (isComplaint(read)) return read
    merged.push(read)
  }
  return {
    version,
    versionText: flags.kubernetesVersion,
    broker: { ...brokerTrust(config, audience), discoveryUrl: flags.discoveryUrl, ca },
    naming,
    further: forges.map(({ planned }) => planned),
    furtherNotes: forges.flatMap(({ notes }) => notes),
    merged,
    anonymous: flags.anonymous,
  }
}

function brokerTrust(
  config: BrokerConfig,
  audience: KubeAudience,
): Omit<AuthConfigRequest['broker'], 'discoveryUrl' | 'ca'> & { readonly ca?: TrustedCa } {
  const { policies } = audience
  return {
    issuer: config.issuer,
    audience: audience.id,
    profile: audience.profile,
    maxLifetimeSeconds: audience.maxLifetimeSeconds,
    policyClaims: policies.flatMap(({ grant }) => Object.keys(grant.claims)),
    policyGroups: policies.flatMap(({ grant }) => [...everyGroup(grant)].map(({ group }) => group)),
    connectors: audience.connectors.length,
  }
}

function print(request: AuthConfigRequest, io: CommandIo): ExitCode {
  const plan = planAuthConfig(request)
  if (!plan.ok) {
    for (const problem of plan.denial) io.stderr.write(said('error', problem))
    return EXIT.configuration
  }
  const text = printAuthConfig(plan.value)
  const problems = lintText(text, request.version)
  tellNotes(plan.value, io)
  for (const problem of problems) io.stderr.write(lintSaid(problem))
  if (problems.some(({ severity }) => severity !== 'warning')) {
    io.stderr.write('error: our own linter does not pass this file, so it is not printed\n')
    return EXIT.configuration
  }
  io.stdout.write(text)
  return EXIT.ok
}

/** As kube lint says it, with the path in the file instead of a line. */
function lintSaid({ severity, code, keys, message, wayOut }: KubeProblem): string {
  const place = keys.length === 0 ? '' : `${pathText(keys)}: `
  return said(severity === 'warning' ? 'warning' : 'error', { code, message: `${place}${message}`, wayOut })
}

function tellNotes(plan: AuthConfigPlan, io: CommandIo): void {
  for (const note of plan.notes) io.stderr.write(said('warning', note))
}

function said(
  severity: 'error' | 'warning',
  { code, message, wayOut }: { readonly code: string; readonly message: string; readonly wayOut: string },
): string {
  return `${severity} ${code}: ${message}\n    -> ${wayOut}\n`
}
