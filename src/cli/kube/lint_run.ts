// Reads the file and prints what is wrong with it as a compiler would, each finding with its place, and at the end
// whether kube-apiserver would load it.
import { kubeVersion } from '#core/kube/kube_version.ts'
import type { KubeVersion } from '#core/kube/kube_version.ts'
import { readAuthenticationFile } from '#platform/kube/authentication_file.ts'
import type { AuthenticationSource } from '#platform/kube/authentication_file.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { InputFailure } from '../input_failure.ts'
import { readInputBytes } from '../secret_input.ts'
import { inWords, lintSource } from './lint_findings.ts'
import type { LintedSource } from './lint_findings.ts'
import { networkFindings } from './lint_network.ts'
import type { KubeLintFlags } from './lint.ts'

/** etcd's limit for a ConfigMap, in which many keep the file. */
const MAX_FILE_BYTES = 1024 * 1024

/** Exit codes: ok when it loads and nothing is wrong (warnings may be), denied, usage. Findings are the answer: stdout. */
export async function runKubeLint(file: string, flags: KubeLintFlags, io: CommandIo): Promise<ExitCode> {
  const version = kubeVersion(flags.kubernetesVersion)
  if (version === undefined) {
    io.stderr.write('error: --kubernetes-version is none of 1.30 to 1.37 (see sallyport kube lint --help)\n')
    return EXIT.usage
  }
  const usage = usageProblem(flags)
  if (usage !== undefined) {
    io.stderr.write(`error: ${usage} (see sallyport kube lint --help)\n`)
    return EXIT.usage
  }
  try {
    return await lint(file, await readInputBytes(file, io, MAX_FILE_BYTES), flags, version, io)
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`error: ${error.message}\n`)
    return EXIT.denied
  }
}

function usageProblem({ cluster, kubeconfig, context, apiserver }: KubeLintFlags): string | undefined {
  const isCluster = cluster === true
  const hasDetail = kubeconfig !== undefined || context !== undefined || apiserver !== undefined
  return hasDetail && !isCluster ? '--kubeconfig, --context and --apiserver go with --cluster' : undefined
}

async function lint(
  file: string,
  bytes: Uint8Array,
  flags: KubeLintFlags,
  version: KubeVersion,
  io: CommandIo,
): Promise<ExitCode> {
  const name = file === '-' ? 'stdin' : file
  const context = { version, serviceAccountIssuers: flags.serviceAccountIssuer ?? [] }
  const linted: LintedSource[] = []
  for (const source of readAuthenticationFile(name, bytes)) {
    linted.push(await withNetwork(lintSource(source, context), source, flags, io))
  }
  const loads = linted.every((source) => source.loads)
  io.stdout.write(
    flags.json === true ? asDocument(linted, loads) : linted.map((one) => inWords(one, name)).join(''),
  )
  const isClean = linted.every(({ findings }) => findings.every(({ severity }) => severity === 'warning'))
  return isClean ? EXIT.ok : EXIT.denied
}

async function withNetwork(
  linted: LintedSource,
  source: AuthenticationSource,
  flags: KubeLintFlags,
  io: CommandIo,
): Promise<LintedSource> {
  if (flags.issuers !== true && flags.cluster !== true) return linted
  const further = await networkFindings(linted, source, flags, io)
  return { ...linted, findings: [...linted.findings, ...further] }
}

function asDocument(linted: readonly LintedSource[], loads: boolean): string {
  const sources = linted.map((source) => ({
    foundIn: source.foundIn === '' ? undefined : source.foundIn,
    loads: source.loads,
    problems: source.findings.map(({ severity, code, path, message, wayOut, place }) => ({
      severity,
      code,
      path,
      message,
      wayOut,
      file: place?.file,
      line: place?.line,
      column: place?.column,
    })),
  }))
  return `${JSON.stringify({ loads, sources })}\n`
}
