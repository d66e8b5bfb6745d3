// What `kube lint` finds only by asking: the issuers of the file, and the apiservers that run it.
import { checkIssuers } from '#platform/kube/issuer_check.ts'
import type { AuthenticationSource } from '#platform/kube/authentication_file.ts'
import type { CommandIo } from '../command.ts'
import { placed } from './lint_findings.ts'
import type { LintedSource, LintFinding } from './lint_findings.ts'
import type { KubeLintFlags } from './lint.ts'

/** Empty when the document could not be read: there is nothing to ask about. */
export async function networkFindings(
  { config }: LintedSource,
  source: AuthenticationSource,
  flags: KubeLintFlags,
  io: CommandIo,
): Promise<readonly LintFinding[]> {
  if (config === undefined) return []
  const deps = { clock: io.clock }
  const issuers = flags.issuers === true ? await checkIssuers(config, deps) : []
  const findings = issuers.map((problem) => placed(problem, source))
  if (flags.cluster !== true) return findings
  const { compareWithCluster } = await import('#platform/kube/cluster_check.ts')
  const { kubeconfig, context, apiserver } = flags
  const report = await compareWithCluster(
    { bytes: source.bytes, config },
    { kubeconfig, context, env: io.env, apiservers: apiserver ?? [] },
    deps,
  )
  const told = report.apiservers.flatMap(({ server, problems }) =>
    problems.map((problem) => {
      const finding = placed(problem, source)
      return server === '' ? finding : { ...finding, message: `${server}: ${finding.message}` }
    }),
  )
  return [...findings, ...told]
}
