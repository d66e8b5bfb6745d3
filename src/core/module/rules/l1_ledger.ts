// WH-L1: the ledger says what was published. Whoever could write it could publish again what it remembers.
import type { PublishedVersionChange } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { isNamed } from '#core/module/actor.ts'
import { quoted } from '#core/module/printable.ts'
import type { Finding } from '#core/module/verdict.ts'

export function ledgerEntry(change: PublishedVersionChange, facts: LedgerFacts): readonly Finding[] {
  const { user, operation } = change
  if (user.kind === 'unknown' || isNamed(user, facts.ownIdentities)) return []
  const entry = change.old ?? change.new
  const about = entry === undefined ? '' : ` of ${quoted(`${entry.module.namespace}/${entry.module.name}`)}`
  const done = { CREATE: 'written', UPDATE: 'changed', DELETE: 'deleted' }[operation]
  const message = `the ledger${about} would be ${done} by ${quoted(user.username)}; it is kept by Sallyport's webhook alone`
  const wayOut = 'publish and unpublish through the Module; the ledger follows'
  return [{ rule: 'WH-L1', kind: 'forbidden', path: '', message, wayOut }]
}
