// Runs `sallyport ledger rebuild`: what the ledger lacks of what the cluster holds, and what cannot be brought back. It looks with
// the webhook's own eyes, so that it finds what a webhook finds when it starts.
import { epochSeconds } from '#core/clock.ts'
import { withinBound } from '#core/module/ledger_bound.ts'
import { lookForLost, LOST_FOR_GOOD } from '#core/module/ledger_feed.ts'
import type { LookStep } from '#core/module/ledger_feed.ts'
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { readLedgerLines } from '#core/module/ledger_lines.ts'
import type { Result } from '#core/result.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import { KubeLedger } from '#platform/ledger/kube_ledger.ts'
import type { Ledger } from '#platform/ledger/ledger.ts'
import { keyText } from '#platform/ledger/ledger_book.ts'
import { createLog } from '#platform/log.ts'
import { Holdings } from '../../webhook/cluster/holdings.ts'
import { EXIT } from './command.ts'
import type { CommandIo, ExitCode } from './command.ts'
import { InputFailure } from './input_failure.ts'
import type { LedgerJob, LedgerStop } from './ledger.ts'
import { savedEntries } from './ledger_saved.ts'
import { lineOf } from './ledger_text.ts'
import { printable } from './printable.ts'
import { MAX_LEDGER_BYTES } from './review/limits.ts'
import { readInput } from './secret_input.ts'
import { shownFile } from './shown_input.ts'

/** Until something is listed, or written, that could be. */
const PATIENCE_MS = 5000
const POLL_MS = 50

/** What one look found, with what a file said before it. */
type Step = LookStep & { readonly saved: number; readonly changed: number; readonly unremembered: number }
type Lost = readonly Step[]
type Done = Promise<Result<ExitCode, LedgerStop>>

export async function runRebuild(
  { isWritten, from }: Extract<LedgerJob, { job: 'rebuild' }>,
  connection: KubeConnection,
  io: CommandIo,
): Done {
  const saved = await readSaved(from, io)
  if (!saved.ok) return saved
  const log = createLog({ level: 'error', format: 'text' })
  const deps = { connection, log, now: monotonic, random: Math.random, staleAfterMs: PATIENCE_MS }
  const ledger = new KubeLedger(deps)
  const holdings = new Holdings(deps, { onPublishing: nothing, onArchived: nothing, onListed: nothing })
  ledger.start()
  holdings.start()
  try {
    const lost = await look(ledger, holdings, { saved: saved.value, atSeconds: epochSeconds(io.clock) })
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

/** Nothing where no file is named. */
async function readSaved(
  file: string | undefined,
  io: CommandIo,
): Promise<Result<readonly LedgerEntry[], LedgerStop>> {
  if (file === undefined) return { ok: true, value: [] }
  const wayOut = 'name what `sallyport ledger export` has written'
  try {
    const entries = readLedgerLines(await readInput(file, io, MAX_LEDGER_BYTES))
    return entries.ok ? entries : stopped(`${shownFile(file) ?? 'the named file'}: ${entries.denial}`, wayOut)
  } catch (error) {
    if (error instanceof InputFailure) return stopped(error.message, wayOut)
    throw error
  }
}

async function look(
  ledger: KubeLedger,
  holdings: Holdings,
  { saved: entries, atSeconds }: { readonly saved: readonly LedgerEntry[]; readonly atSeconds: number },
): Promise<Result<Lost, LedgerStop>> {
  const trouble = await settled(() => ({
    isDone: holdings.isListed && ledger.isListed,
    // Before the first answer nothing is wrong.
    why: [ledger.watch.missing(), ...holdings.missing()].find((text) => text?.includes('not listed yet: ')),
  }))
  if (trouble !== undefined) return stopped(trouble, 'use a kubeconfig whose user may list and watch it')
  const saved = savedEntries(entries, (module) => ledger.published(module))
  const sources = {
    entries: () => [...ledger.entries(), ...saved.entries],
    stored: () => holdings.publishing(),
    isStored: (module: ModuleKey) => holdings.isStored(module),
  }
  const steps = lookForLost(sources, {
    published: (module) => new Map([...ledger.published(module), ...saved.writesTo(module)]),
    digestOf: (object, plain) => holdings.digestOf(object, plain),
    isRequiredImmutable: (object) => holdings.isRequiredImmutable(object),
    unlisted: () => holdings.unlisted(atSeconds),
    // Counted below, together with what the file says.
    room: () => Infinity,
  })
  const found = new Map<string, LookStep>()
  for (const step of steps) {
    const key = keyText(step.module)
    found.set(key, together(found.get(key), step))
  }
  for (const module of saved.modules) {
    const key = keyText(module)
    if (!found.has(key)) found.set(key, { module, facts: new Map(), fresh: 0, gone: 0 })
  }
  const lost = [...found.values()].map((step) => withSaved(step, saved.writesTo(step.module), ledger))
  return { ok: true, value: lost.filter(({ facts, unremembered }) => facts.size + unremembered > 0) }
}

/** What was found in two places of one Module or Provider: what it lists, and what it left behind. */
function together(before: LookStep | undefined, { module, facts, fresh, gone }: LookStep): LookStep {
  if (before === undefined) return { module, facts, fresh, gone }
  return {
    module,
    facts: new Map([...before.facts, ...facts]),
    fresh: before.fresh + fresh,
    gone: before.gone + gone,
  }
}

function withSaved(step: LookStep, saved: ReadonlyMap<string, PublishedFacts>, ledger: Ledger): Step {
  const { module, facts, fresh, gone } = step
  const changed = facts.size - fresh - gone
  const all = new Map([...saved, ...facts])
  const { kept, unremembered } = withinBound(all, ledger.published(module), ledger.room(module))
  return { ...step, facts: kept, saved: saved.size, changed, unremembered }
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
  const found = { saved: 0, fresh: 0, objects: 0, changed: 0, gone: 0, unremembered: 0 }
  for (const { module, facts, saved, fresh, changed, gone, unremembered } of lost) {
    const { kind, namespace, name } = module
    io.stdout.write(`${printable(`${kind} ${namespace}/${name}`)}\n`)
    for (const [version, one] of facts) io.stdout.write(`  ${lineOf({ version, facts: one })}\n`)
    found.fresh += fresh
    found.objects += fresh > 0 ? 1 : 0
    found.gone += gone
    found.changed += changed
    found.saved += saved
    found.unremembered += unremembered
  }
  if (found.saved > 0) io.stdout.write(`from the file: ${found.saved}\n`)
  io.stdout.write(
    `not in the ledger: ${found.fresh} of ${found.objects} objects; changed since: ${found.changed}; gone without a trace: ${found.gone}\n`,
  )
  if (found.unremembered > 0)
    io.stdout.write(`not immutable, and more than the ledger remembers: ${found.unremembered}\n`)
  if (found.fresh > 0) io.stdout.write(`not brought back: ${LOST_FOR_GOOD}\n`)
}

function stopped(message: string, wayOut: string): Result<never, LedgerStop> {
  return { ok: false, denial: { message, wayOut } }
}
