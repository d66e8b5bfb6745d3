// The ledger in the store: where there is no cluster. An entry is one value, written with compare-and-set, so that processes
// that share a store lose nothing of each other's.
import { setTimeout as pause } from 'node:timers/promises'
import { isSameFacts, mergedFacts } from '#core/module/ledger.ts'
import type { LedgerEntry, ModuleKey, PublishedFacts } from '#core/module/ledger.ts'
import { withinBound } from '#core/module/ledger_bound.ts'
import { ledgerLine, readLedgerLines } from '#core/module/ledger_lines.ts'
import type { Log } from '#platform/log.ts'
import { StoreFailure } from '#platform/store/store.ts'
import type { Store } from '#platform/store/store.ts'
import { UNREMEMBERED } from './ledger.ts'
import type { Ledger, LedgerWriteResult } from './ledger.ts'
import { keyText, LedgerBook } from './ledger_book.ts'

export type StoreLedgerOptions = {
  readonly store: Store
  readonly log: Log
  readonly onWrite?: (result: LedgerWriteResult) => void
  /** So many versions found no room. */
  readonly onUnremembered?: (versions: number) => void
}

/** Also what others have written since it was opened, once asked for. */
export type StoreLedger = Ledger & { readonly refresh: () => Promise<void> }

/** `isNew`: it was not known here, so what the store says became of it stands. */
type Wanted = { readonly module: ModuleKey; readonly version: string; readonly isNew: boolean }

const PREFIX = 'ledger/'
const RETRY_MS = 1000

/** Reads every entry. Rejects with StoreFailure when the store cannot be read. */
export async function openStoreLedger(options: StoreLedgerOptions): Promise<StoreLedger> {
  const ledger = new LedgerInStore(options)
  await ledger.refresh()
  return ledger
}

class LedgerInStore implements StoreLedger {
  readonly #options: StoreLedgerOptions
  readonly #book = new LedgerBook()
  readonly #closing = new AbortController()
  /** Entries whose write has failed -> why. */
  readonly #failing = new Map<string, string>()
  #tail: Promise<void> = Promise.resolve()

  constructor(options: StoreLedgerOptions) {
    this.#options = options
  }

  async refresh(): Promise<void> {
    for (const { key, value } of await this.#options.store.list(PREFIX)) {
      const entry = this.#read(key, value)
      if (entry !== undefined) this.#book.set(entry)
    }
  }

  published(module: ModuleKey): ReadonlyMap<string, PublishedFacts> {
    return this.#book.published(module)
  }

  room(module: ModuleKey): number {
    return this.#book.room(module)
  }

  entries(): Iterable<LedgerEntry> {
    return this.#book.entries()
  }

  missing(): string | undefined {
    const [why] = this.#failing.values()
    return why === undefined ? undefined : `ledger: ${this.#failing.size} entries are not kept yet: ${why}`
  }

  async record(module: ModuleKey, writes: ReadonlyMap<string, PublishedFacts>): Promise<void> {
    const known = this.#book.published(module)
    const { kept, unremembered } = withinBound(writes, known, this.room(module))
    if (unremembered > 0) {
      this.#options.log.warn({ ...module, versions: unremembered }, UNREMEMBERED)
      this.#options.onUnremembered?.(unremembered)
    }
    const news = [...kept].map(([version, facts]) => ({
      module,
      version,
      facts,
      isNew: !known.has(version),
    }))
    for (const entry of news) this.#book.set(entry)
    // One after the other, so that what was recorded later is written later.
    const before = this.#tail
    const written = (async () => {
      await before
      for (const { version, isNew } of news) await this.#keep(module, version, isNew)
    })()
    this.#tail = written
    return written
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#tail
  }

  async #keep(module: ModuleKey, version: string, isNew: boolean): Promise<void> {
    const key = `${PREFIX}${keyText(module)}/${version}`
    while (!this.#closing.signal.aborted) {
      try {
        this.#told(await this.#write(key, { module, version, isNew }))
        this.#failing.delete(key)
        return
      } catch (error) {
        if (!(error instanceof StoreFailure)) throw error
        const { message: why } = error
        if (this.#failing.size === 0) this.#options.log.warn({ why }, 'the ledger cannot be written')
        this.#failing.set(key, why)
        this.#told('failed')
        await pause(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
      }
    }
  }

  async #write(key: string, { module, version, isNew }: Wanted): Promise<LedgerWriteResult> {
    const { store } = this.#options
    for (;;) {
      const text = await store.get(key)
      const stored = text === undefined ? undefined : this.#read(key, text)?.facts
      const wanted = this.#book.published(module).get(version)
      if (wanted === undefined) throw new Error('what is written was recorded')
      const facts =
        stored === undefined
          ? wanted
          : mergedFacts(stored, isNew ? { ...wanted, state: stored.state } : wanted)
      const isDone = stored !== undefined && isSameFacts(stored, facts)
      if (isDone || (await store.compareAndSet(key, text, ledgerLine({ module, version, facts })))) {
        // What was recorded meanwhile is written next.
        if (this.#book.published(module).get(version) === wanted) this.#book.set({ module, version, facts })
        if (isDone) return 'unchanged'
        return stored === undefined ? 'created' : 'updated'
      }
      this.#told('conflict')
    }
  }

  #read(key: string, text: string): LedgerEntry | undefined {
    const read = readLedgerLines(text)
    const [entry] = read.ok ? read.value : []
    if (entry !== undefined) return entry
    this.#options.log.warn(
      { key, why: read.ok ? 'it is empty' : read.denial },
      'an entry of the ledger cannot be read',
    )
    return undefined
  }

  #told(result: LedgerWriteResult): void {
    this.#options.onWrite?.(result)
  }
}
