// Prints ValidatingAdmissionPolicies for the ModulePolicies that are named, with what is left to the webhook as a comment.
import { admissionPolicies } from '#core/module/generate/admission_policies.ts'
import { ALWAYS_LEFT, leftToTheWebhook } from '#core/module/generate/left_to_the_webhook.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import { openKubeConnection } from '#platform/kube/kube_connection.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { printable, printableLines } from '../printable.ts'
import type { GenerateVapFlags } from './generate.ts'
import { listFailure } from './list_way_out.ts'
import { printManifests } from './manifests.ts'
import { readPolicyFiles, readPolicyList } from './policy_files.ts'
import type { PolicyRead } from './policy_files.ts'
import { isObjectName, ledgerWriters, readService } from './service_flag.ts'

/** Exit codes: ok, denied for policies that cannot be read, usage. */
export async function runGenerateVap(flags: GenerateVapFlags, io: CommandIo): Promise<ExitCode> {
  const service = readService(flags.service)
  const usage = usageProblem(flags) ?? (service.ok ? undefined : service.denial)
  if (usage !== undefined || !service.ok) {
    io.stderr.write(`error: ${usage} (see sallyport webhook generate vap --help)\n`)
    return EXIT.usage
  }
  const read = await readPolicies(flags, io)
  if (read.problems.length > 0) {
    for (const problem of read.problems) io.stderr.write(`error: ${printableLines(problem)}\n`)
    return EXIT.denied
  }
  const policies = read.policies.map(({ policy }) => policy).toSorted(byName)
  const { namespace, service: name } = service.value
  const notes = leftToTheWebhook(policies)
  for (const note of notes) io.stderr.write(`note: ${note}\n`)
  const writers = ledgerWriters(flags, service.value)
  const objects = admissionPolicies(policies, {
    ledgerWriters: writers,
    guard: flags.guard
      ? {
          configuration: flags.name,
          namespace,
          service: name,
          secret: flags.secret,
          keepers: [...writers, ...(flags.keeper ?? [])],
        }
      : undefined,
  })
  io.stdout.write(
    printManifests(
      [...heading(flags), ...[...ALWAYS_LEFT, ...notes].map((note) => `Left to the webhook: ${note}`)],
      objects,
    ),
  )
  return EXIT.ok
}

function heading({ cluster, policies }: GenerateVapFlags): readonly string[] {
  const from = !policies
    ? 'for a cluster without ModulePolicies; make it anew when there is one.'
    : `from the ModulePolicies of ${cluster === true ? 'the cluster' : 'files'}; make it anew when they change.`
  return [
    `Made by \`sallyport webhook generate vap\` ${from}`,
    'kube-apiserver judges by these alone, so they hold while the webhook does not answer. No policy guards policies: who may write',
    'validatingadmissionpolicies and validatingadmissionpolicybindings is for roles to say, and the webhook guards its other half.',
  ]
}

function usageProblem(flags: GenerateVapFlags): string | undefined {
  const { file, cluster, kubeconfig, context, policies } = flags
  const sources = [file !== undefined, cluster === true, !policies].filter(Boolean).length
  if (sources === 0) return 'nothing says which policies: -f FILE, --cluster or --no-policies'
  if (sources > 1) return '-f, --cluster and --no-policies do not go together'
  if ((kubeconfig ?? context) !== undefined && cluster !== true)
    return '--kubeconfig and --context go with --cluster'
  if (!isObjectName(flags.name)) return '--name is no name of an object: lower case letters, digits, - and .'
  return isObjectName(flags.secret) ? undefined : '--secret is no name of a Secret'
}

function byName(left: NamedPolicy, right: NamedPolicy): number {
  return left.name < right.name ? -1 : 1
}

async function readPolicies(flags: GenerateVapFlags, io: CommandIo): Promise<PolicyRead> {
  if (flags.cluster === true) return readCluster(flags, io)
  return readPolicyFiles(flags.file ?? [], io)
}

const RIGHT = 'the verb list on modulepolicies of sallyport.dev'
const IF_UNKNOWN =
  'the cluster has no definition of ModulePolicy: kubectl apply -k deploy/crds/sallyport; or --no-policies for what holds without one'

async function readCluster({ kubeconfig, context }: GenerateVapFlags, io: CommandIo): Promise<PolicyRead> {
  const opened = await openKubeConnection({ kubeconfig, context, env: io.env })
  if (!opened.ok) return { policies: [], problems: [printable(opened.denial.message)] }
  try {
    const path = '/apis/sallyport.dev/v1alpha1/modulepolicies'
    const answer = await opened.value.request({ method: 'GET', path })
    if (!answer.ok) return { policies: [], problems: [listFailure(answer.denial, RIGHT, IF_UNKNOWN)] }
    const { items } = answer.value
    if (!Array.isArray(items))
      return { policies: [], problems: ['the cluster answers with no list of ModulePolicies'] }
    return readPolicyList(items)
  } finally {
    opened.value.close()
  }
}
