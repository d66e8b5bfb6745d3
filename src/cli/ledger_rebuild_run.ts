// Runs `sallyport ledger rebuild`: what the ledger lacks of what the cluster holds, and what cannot be brought back. It looks with
// the webhook's own eyes, so that it finds what a webhook finds when it starts.
import { lookForLost, LOST_FOR_GOOD } from '#core/module/ledger_feed.ts'
import type { LookStep } from '#core/module/ledger_feed.ts'
import type { ModuleKey } from '#core/module/ledger.ts'
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

type Lost = readonly LookStep[]
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
    const lost = await look(ledger, holdings)
    if (!lost.ok) return lost
    show(lost.value, io)
    if (lost.value.length === 0) return { ok: true, value: EXIT.ok }
    if (isWritten) return await write(lost.value, ledger, io)
    io.stdout.write('nothing was written: --write does\n')
    return { ok: true, value: EXIT.ok }
  } finally {
    await Promise.all([holdings.close(), ledger.close()])
  }
}

async function look(ledger: KubeLedger, holdings: Holdings): Promise<Result<Lost, LedgerStop>> {
  const trouble = await settled(() => ({
    isDone: holdings.isListed && ledger.isListed,
    // Before the first answer nothing is wrong.
    why: [ledger.watch.missing(), ...holdings.missing()].find((text) => text?.includes('not listed yet: ')),
  }))
  if (trouble !== undefined) return stopped(trouble, 'use a kubeconfig whose user may list and watch it')
  const sources = {
    entries: () => ledger.entries(),
    stored: () => holdings.publishing(),
    isStored: (module: ModuleKey) => holdings.isStored(module),
  }
  const steps = lookForLost(sources, {
    published: (module) => ledger.published(module),
    digestOf: (object, plain) => holdings.digestOf(object, plain),
    isRequiredImmutable: (object) => holdings.isRequiredImmutable(object),
  })
  return { ok: true, value: [...steps].filter(({ facts }) => facts.size > 0) }
}

async function write(lost: Lost, ledger: KubeLedger, io: CommandIo): Done {
  let isDone = false
  const writing = Promise.all(lost.map(({ module, facts }) => ledger.record(module, facts)))
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

function show(lost: Lost, io: CommandIo): void {
  if (lost.length === 0) {
    io.stdout.write('the ledger has everything that is stored\n')
    return
  }
  const found = { fresh: 0, objects: 0, changed: 0, gone: 0 }
  for (const { module, facts, fresh, gone } of lost) {
    const { kind, namespace, name } = module
    io.stdout.write(`${printable(`${kind} ${namespace}/${name}`)}\n`)
    for (const [version, one] of facts) io.stdout.write(`  ${lineOf({ version, facts: one })}\n`)
    found.fresh += fresh
    found.objects += fresh > 0 ? 1 : 0
    found.gone += gone
    found.changed += facts.size - fresh - gone
  }
  io.stdout.write(
    `not in the ledger: ${found.fresh} of ${found.objects} objects; changed since: ${found.changed}; gone without a trace: ${found.gone}\n`,
  )
  if (found.fresh > 0) io.stdout.write(`not brought back: ${LOST_FOR_GOOD}\n`)
}

function stopped(message: string, wayOut: string): Result<never, LedgerStop> {
  return { ok: false, denial: { message, wayOut } }
}
