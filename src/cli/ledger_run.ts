// Runs `sallyport ledger`: reads what the cluster has, says it, and writes only when told to.
import { compareEntries, ledgerLine } from '#core/module/ledger_lines.ts'
import type { LedgerEntry, ModuleKey } from '#core/module/ledger.ts'
import { readPublishedEntry } from '#core/module/published_version.ts'
import type { Result } from '#core/result.ts'
import { compareVersions, readVersionIdentity } from '#core/module/version_identity.ts'
import { openKubeConnection } from '#platform/kube/kube_connection.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import type { KubeFailure } from '#platform/kube/kube_target.ts'
import { listAll } from '#platform/kube/list_all.ts'
import { PUBLISHED_VERSIONS } from '#platform/ledger/kube_ledger.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { LedgerFlags, LedgerJob, LedgerStop } from './ledger.ts'
import { runRebuild } from './ledger_rebuild_run.ts'
import { lineOf } from './ledger_text.ts'
import { printable } from './printable.ts'

export async function runLedger(job: LedgerJob, flags: LedgerFlags, io: CommandIo): Promise<ExitCode> {
  const { kubeconfig, context } = flags
  const opened = await openKubeConnection({ kubeconfig, context, env: io.env })
  if (!opened.ok) {
    return stop(
      {
        message: opened.denial.message,
        wayOut: 'name a kubeconfig that leads to the cluster with --kubeconfig',
      },
      io,
    )
  }
  try {
    const done = await runJob(job, opened.value, io)
    return done.ok ? done.value : stop(done.denial, io)
  } finally {
    opened.value.close()
  }
}

type Done = Promise<Result<ExitCode, LedgerStop>>

async function runJob(job: LedgerJob, connection: KubeConnection, io: CommandIo): Done {
  switch (job.job) {
    case 'export': {
      const entries = await readEntries(connection, io)
      if (!entries.ok) return entries
      for (const entry of entries.value.toSorted(compareEntries)) io.stdout.write(ledgerLine(entry))
      return { ok: true, value: EXIT.ok }
    }
    case 'show':
      return showModule(job, connection, io)
    case 'rebuild':
      return runRebuild(job, connection, io)
  }
}

async function showModule(
  job: Extract<LedgerJob, { job: 'show' }>,
  connection: KubeConnection,
  io: CommandIo,
): Done {
  const [namespace = '', name = '', ...rest] = job.module.split('/')
  if (namespace === '' || name === '' || rest.length > 0) {
    return stopped(
      `"${printable(job.module)}" is no NAMESPACE/NAME`,
      'write sallyport ledger show infra/terraform-aws-vpc',
    )
  }
  const module: ModuleKey = { kind: job.isProvider ? 'Provider' : 'Module', namespace, name }
  const selector = `spec.module.namespace=${namespace},spec.module.name=${name}`
  const entries = await readEntries(connection, io, `fieldSelector=${encodeURIComponent(selector)}`)
  if (!entries.ok) return entries
  const own = entries.value.filter((entry) => entry.module.kind === module.kind)
  if (own.length === 0) {
    const hint = job.isProvider ? 'leave --provider out for a Module' : 'for a Provider give --provider'
    return stopped(
      `nothing was ever published by the ${module.kind} ${namespace}/${name}`,
      `look at kubectl get publishedversions; ${hint}`,
    )
  }
  for (const entry of own.toSorted(newestFirst)) io.stdout.write(`${lineOf(entry)}\n`)
  return { ok: true, value: EXIT.ok }
}

/** Every readable entry; of the others it is told. */
async function readEntries(
  connection: KubeConnection,
  io: Pick<CommandIo, 'stderr'>,
  query?: string,
): Promise<Result<readonly LedgerEntry[], LedgerStop>> {
  const listed = await listAll(connection, PUBLISHED_VERSIONS, {
    pageSize: 500,
    ...(query === undefined ? {} : { query }),
  })
  if (!listed.ok) return { ok: false, denial: stopOf(listed.denial, 'publishedversions.sallyport.dev') }
  const entries: LedgerEntry[] = []
  for (const object of listed.value) {
    const entry = readPublishedEntry(object)
    if (entry.ok) entries.push(entry.value)
    else io.stderr.write(`sallyport ledger: an entry is passed over: ${printable(entry.denial)}\n`)
  }
  return { ok: true, value: entries }
}

/** What to do about a list that did not come. */
function stopOf({ status, message }: KubeFailure, resource: string): LedgerStop {
  if (status === 404) {
    return {
      message,
      wayOut: `the cluster does not know ${resource}: kubectl apply -k deploy/crds/sallyport`,
    }
  }
  if (status === 401 || status === 403) {
    return { message, wayOut: `use a kubeconfig whose user may list ${resource}` }
  }
  return {
    message,
    wayOut: 'see that the cluster can be reached: kubectl --kubeconfig FILE get --raw /readyz',
  }
}

function stopped(message: string, wayOut: string): Result<never, LedgerStop> {
  return { ok: false, denial: { message, wayOut } }
}

function stop({ message, wayOut }: LedgerStop, io: CommandIo): ExitCode {
  io.stderr.write(`sallyport ledger: ${printable(message)}\n    -> ${wayOut}\n`)
  return EXIT.denied
}

function newestFirst(left: LedgerEntry, right: LedgerEntry): number {
  const [a, b] = [readVersionIdentity(left.version), readVersionIdentity(right.version)]
  return a.ok && b.ok ? compareVersions(b.value, a.value) : 0
}
