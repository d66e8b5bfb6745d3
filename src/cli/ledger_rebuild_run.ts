// Runs `sallyport ledger rebuild`: what the ledger lacks of what the cluster holds, and what cannot be brought back. It looks with
// the webhook's own eyes, so that it finds what a webhook finds when it starts.
import { LOST_FOR_GOOD, rebuildLedger } from '#core/module/ledger_feed.ts'
import type { Rebuild } from '#core/module/ledger_feed.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import { KubeLedger } from '#platform/ledger/kube_ledger.ts'
import { createLog } from '#platform/log.ts'
import { Holdings } from '../../webhook/cluster/holdings.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import type { LedgerJob, LedgerStop } from './ledger.ts'
import { lineOf } from './ledger_text.ts'
import { printable } from './printable.ts'

/** Until something is listed, or written, that could be. */
const PATIENCE_MS = 5000
const POLL_MS = 50

type Done = Promise<Result<ExitCode, LedgerStop>>

export async function runRebuild(
  { isWritten }: Extract<LedgerJob, { job: 'rebuild' }>,
  connection: KubeConnection,
  io: CommandIo,
): Done {
  const log = createLog({ level: 'error', format: 'text' })
  const deps = { connection, log, now: monotonic, random: Math.random, staleAfterMs: PATIENCE_MS }
  const ledger = new KubeLedger(deps)
  const holdings = new Holdings(deps, { onPublishing: nothing, onArchived: nothing, onListed: nothing })
  ledger.start()
  holdings.start()
  try {
    const rebuild = await look(ledger, holdings)
    if (!rebuild.ok) return rebuild
    show(rebuild.value, io)
    if (rebuild.value.writes.length === 0) return { ok: true, value: EXIT.ok }
    if (isWritten) return await write(rebuild.value, ledger, io)
    io.stdout.write('nothing was written: --write does\n')
    return { ok: true, value: EXIT.ok }
  } finally {
    await Promise.all([holdings.close(), ledger.close()])
  }
}

async function look(ledger: KubeLedger, holdings: Holdings): Promise<Result<Rebuild, LedgerStop>> {
  const trouble = await settled(() => ({
    isDone: holdings.isListed && ledger.isListed,
    // Before the first answer nothing is wrong.
    why: [ledger.watch.missing(), ...holdings.missing()].find((text) => text?.includes('not listed yet: ')),
  }))
  if (trouble !== undefined) return stopped(trouble, 'use a kubeconfig whose user may list and watch it')
  const rebuild = rebuildLedger(ledger.entries(), holdings.publishing(), {
    published: (module) => ledger.published(module),
    digestOf: (object, plain) => holdings.digestOf(object, plain),
    isRequiredImmutable: (object) => holdings.isRequiredImmutable(object),
  })
  return { ok: true, value: rebuild }
}

async function write({ writes }: Rebuild, ledger: KubeLedger, io: CommandIo): Done {
  let isDone = false
  const writing = Promise.all(writes.map(({ module, facts }) => ledger.record(module, facts)))
  const failure = await Promise.race([
    writing.then(() => undefined),
    settled(() => ({ isDone, why: ledger.missing() })),
  ])
  isDone = true
  if (failure !== undefined) {
    return stopped(
      failure,
      "write as the webhook's own account: the ledger is open to its ServiceAccount alone",
    )
  }
  io.stdout.write('written\n')
  return { ok: true, value: EXIT.ok }
}

function monotonic(): number {
  return performance.now()
}

function nothing(): void {
  // What changes while it looks, the webhook sees.
}

/** What keeps it from being done for as long as it is waited for, or `undefined` when it is done. */
async function settled(
  ask: () => { readonly isDone: boolean; readonly why: string | undefined },
): Promise<string | undefined> {
  let failingSince: number | undefined
  for (;;) {
    const { isDone, why } = ask()
    if (isDone) return undefined
    failingSince = why === undefined ? undefined : (failingSince ?? performance.now())
    if (why !== undefined && performance.now() - (failingSince ?? 0) >= PATIENCE_MS) return why
    await new Promise((resolve) => void setTimeout(resolve, POLL_MS))
  }
}

function show({ writes, versions, objects, gone }: Rebuild, io: CommandIo): void {
  if (writes.length === 0) {
    io.stdout.write('the ledger has everything that is stored\n')
    return
  }
  let lines = 0
  for (const { module, facts } of writes) {
    const { kind, namespace, name } = module
    io.stdout.write(`${printable(`${kind} ${namespace}/${name}`)}\n`)
    for (const [version, one] of facts) io.stdout.write(`  ${lineOf({ version, facts: one })}\n`)
    lines += facts.size
  }
  const changed = lines - versions - gone
  io.stdout.write(
    `not in the ledger: ${versions} of ${objects} objects; changed since: ${changed}; gone without a trace: ${gone}\n`,
  )
  if (versions > 0) io.stdout.write(`not brought back: ${LOST_FOR_GOOD}\n`)
}

function stopped(message: string, wayOut: string): Result<never, LedgerStop> {
  return { ok: false, denial: { message, wayOut } }
}
