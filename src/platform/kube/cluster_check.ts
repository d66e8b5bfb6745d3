// Compares an AuthenticationConfiguration with what each kube-apiserver runs: the file it has loaded, how its last
// reloads went, and whether the keys it holds are the ones that the issuers publish now. From /metrics, so the
// kubeconfig's user must be allowed to read them (ClusterRole system:monitoring).
import type { AuthenticationConfiguration } from '#core/kube/authentication_configuration.ts'
import { metricHash, readApiserverMetrics } from '#core/kube/apiserver_metrics.ts'
import type { ApiserverFacts } from '#core/kube/apiserver_metrics.ts'
import type { KubeProblem } from '#core/kube/kube_problem.ts'
import { readIssuerDocuments } from './issuer_documents.ts'
import type { IssuerDeps, IssuerDocuments } from './issuer_documents.ts'
import { openKubeClient } from './kube_client.ts'
import type { KubeClient } from './kube_client.ts'
import type { KubeClientOptions } from './kube_target.ts'

/** Every code of `compareWithCluster`, for the documentation. */
export const CLUSTER_CODES = [
  'cluster_unreachable',
  'cluster_without_file',
  'cluster_file_differs',
  'cluster_reload_failed',
  'cluster_keys_differ',
  'cluster_keys_not_fetched',
] as const

export type ClusterCheckOptions = KubeClientOptions & {
  /** Addresses of single apiservers behind the kubeconfig's; without any, the kubeconfig's own is asked. */
  readonly apiservers: readonly string[]
}

export type ClusterCheckInput = {
  /** The file byte for byte as the apiserver has it: what it hashes. `undefined` when a tool is to write it. */
  readonly bytes: Buffer | undefined
  readonly config: AuthenticationConfiguration
}

export type ClusterReport = {
  readonly fileHash: string | undefined
  readonly apiservers: readonly ApiserverReport[]
}

type ApiserverReport = {
  /** Whom the problems are about; '' when the kubeconfig names nobody. */
  readonly server: string
  readonly facts: ApiserverFacts | undefined
  readonly problems: readonly KubeProblem[]
}

export type ClusterCheckDeps = IssuerDeps & {
  /** Instead of fetching: documents that are at hand already. */
  readonly documents?: (index: number) => IssuerDocuments | undefined
}

/** Asks every address; one that does not answer is a problem of its report. Never rejects. */
export async function compareWithCluster(
  input: ClusterCheckInput,
  options: ClusterCheckOptions,
  deps: ClusterCheckDeps,
): Promise<ClusterReport> {
  const fileHash = input.bytes === undefined ? undefined : metricHash(input.bytes)
  const opened = await openKubeClient(options)
  if (!opened.ok) {
    const problem = problemOf(
      'error',
      'cluster_unreachable',
      [],
      opened.denial.message,
      'name one with --kubeconfig and --context',
    )
    return { fileHash, apiservers: [{ server: '', facts: undefined, problems: [problem] }] }
  }
  const clients =
    options.apiservers.length === 0 ? [opened.value] : options.apiservers.map((url) => opened.value.at(url))
  const bodies = await publishedKeys(input.config, deps)
  return {
    fileHash,
    apiservers: await Promise.all(
      clients.map(async (client) => reportOf(client, fileHash, input.config, bodies)),
    ),
  }
}

/** Hash of the key set that each issuer publishes now; `undefined` where it cannot be had. */
async function publishedKeys(
  { jwt }: AuthenticationConfiguration,
  deps: ClusterCheckDeps,
): Promise<readonly (string | undefined)[]> {
  return Promise.all(
    jwt.map(async ({ issuer }, index) => {
      const documents = deps.documents?.(index) ?? (await readIssuerDocuments(issuer, deps))
      return documents.kind === 'discovered' && documents.keys.ok
        ? metricHash(documents.keys.value.body)
        : undefined
    }),
  )
}

async function reportOf(
  client: KubeClient,
  fileHash: string | undefined,
  config: AuthenticationConfiguration,
  published: readonly (string | undefined)[],
): Promise<ApiserverReport> {
  const { server } = client.place
  const metrics = await client.metrics()
  if (!metrics.ok) {
    const wayOut =
      metrics.denial.status === 403 || metrics.denial.status === 401
        ? 'use a kubeconfig whose user may read /metrics: bind it to the ClusterRole system:monitoring'
        : 'name an address of the apiserver that can be reached from here'
    // The report names the server.
    const message = metrics.denial.message.replace(`${server} `, '')
    const problem = problemOf('error', 'cluster_unreachable', [], message, wayOut)
    return { server, facts: undefined, problems: [problem] }
  }
  const facts = readApiserverMetrics(metrics.value)
  const issuers = config.jwt.flatMap(({ issuer }, index) =>
    keyProblems(index, issuer.url, facts, published[index]),
  )
  return { server, facts, problems: [...fileProblems(fileHash, facts), ...issuers] }
}

function fileProblems(fileHash: string | undefined, facts: ApiserverFacts): readonly KubeProblem[] {
  const { configHash, lastReload } = facts
  if (configHash === undefined)
    return [
      problemOf(
        'warning',
        'cluster_without_file',
        [],
        `it says nothing of a loaded file: it runs without --authentication-config, or is older than 1.35`,
        'start it with --authentication-config=FILE',
      ),
    ]
  const isFailing = (lastReload.failure ?? 0) > (lastReload.success ?? 0)
  const failed = problemOf(
    'error',
    'cluster_reload_failed',
    [],
    `its last attempt to take up a change failed at ${instant(lastReload.failure)}, and it keeps what it had`,
    'run sallyport kube lint --issuers on the file that lies there: what it refuses, and one issuer that does not answer, both block every change',
  )
  if (fileHash === undefined || configHash === fileHash) return isFailing ? [failed] : []
  const differs = problemOf(
    'warning',
    'cluster_file_differs',
    [],
    `it runs another file (${configHash}) than this one (${fileHash})`,
    'a change takes 10 s, and up to a minute where the file is not watched; compare byte for byte with the file on that host',
  )
  return isFailing ? [failed, differs] : [differs]
}

function keyProblems(
  index: number,
  issuer: string,
  facts: ApiserverFacts,
  published: string | undefined,
): readonly KubeProblem[] {
  const keys = ['jwt', index, 'issuer', 'url'] as const
  const held = facts.issuers.get(metricHash(issuer))
  const problems: KubeProblem[] = []
  if ((held?.lastFetch.failure ?? 0) > (held?.lastFetch.success ?? 0))
    problems.push(
      problemOf(
        'error',
        'cluster_keys_not_fetched',
        keys,
        `it could not fetch the keys of ${issuer} at ${instant(held?.lastFetch.failure)}${held?.lastFetch.success === undefined ? ', nor ever before' : `; it works with those of ${instant(held.lastFetch.success)}`}`,
        'run sallyport kube lint --issuers from where the apiserver runs',
      ),
    )
  if (held?.keySetHash !== undefined && published !== undefined && held.keySetHash !== published)
    problems.push(
      problemOf(
        'warning',
        'cluster_keys_differ',
        keys,
        `it holds keys of ${issuer} from ${instant(held.lastFetch.success)} that are not the ones published now: it still trusts keys that were taken out, until a token with a kid that it does not know makes it ask again`,
        'after a rotation nothing is to be done; after a revocation run sallyport keys revoke --flush',
      ),
    )
  return problems
}

function problemOf(
  severity: KubeProblem['severity'],
  code: (typeof CLUSTER_CODES)[number],
  keys: KubeProblem['keys'],
  message: string,
  wayOut: string,
): KubeProblem {
  return { severity, code, keys, inExpression: undefined, message, wayOut }
}

function instant(seconds: number | undefined): string {
  return seconds === undefined ? 'an unknown time' : new Date(seconds * 1000).toISOString()
}
