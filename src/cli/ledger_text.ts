// An entry of the ledger as a person reads it.
import { timeOfSeconds } from '#core/date_time.ts'
import type { LedgerEntry, PublishedFacts } from '#core/module/ledger.ts'
import type { Move } from '#core/module/moved.ts'
import { printable } from './printable.ts'

/** `1.1.0  present  immutable  2026-11-21T12:00:00Z  by ci:repo:acme/vpc  commit 9f2c...`. */
export function lineOf({ version, facts }: Pick<LedgerEntry, 'version' | 'facts'>): string {
  return [version, facts.state, facts.immutable ? 'immutable' : 'mutable', ...toldOf(facts)]
    .map(printable)
    .join('  ')
}

function toldOf(facts: PublishedFacts): readonly string[] {
  const { atSeconds, by, publisher, commit, digest, removedBy, removedAtSeconds, reason } = facts
  return [
    atSeconds === undefined ? '' : timeOfSeconds(atSeconds),
    by === undefined ? '' : `by ${by}`,
    publisher === undefined ? '' : `of ${publisher}`,
    commit === undefined ? '' : `commit ${commit}`,
    digest ?? '',
    removedBy === undefined ? '' : `taken away by ${removedBy}`,
    removedAtSeconds === undefined ? '' : `at ${timeOfSeconds(removedAtSeconds)}`,
    reason === undefined ? '' : `because: ${reason}`,
    ...(facts.moved ?? []).map(moveText),
  ].filter((text) => text !== '')
}

function moveText({ atSeconds, by, reason, settings, source, storage }: Move): string {
  return [
    `moved ${timeOfSeconds(atSeconds)}`,
    by === undefined ? '' : `by ${by}`,
    `(${settings.join(', ')})`,
    source === undefined ? '' : `to ${source}`,
    storage === undefined ? '' : `to ${storage}`,
    reason === undefined ? '' : `because: ${reason}`,
  ]
    .filter((text) => text !== '')
    .join(' ')
}
