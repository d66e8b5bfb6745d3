// The page about what each door sees, from the conformance table: it cannot say more than was tried.
import { BLIND_REASONS, expectedAt } from './module_cases.ts'
import type { Expectation, Row } from './module_cases.ts'
import { ROWS } from './module_table.ts'

type BlindDoor = 'offline' | 'vap'

export function renderDoorsPage(): string {
  const blind = ROWS.filter(({ blind: cells }) => cells?.offline !== undefined || cells?.vap !== undefined)
  return [
    '# What each door sees',
    '<!-- Generated from the sources: npm run docs -->',
    'The same rules judge a change at three doors: the **webhook**, asked by kube-apiserver; the **policies**',
    '(`sallyport webhook generate vap`), judged by kube-apiserver itself, also while no webhook runs; and the **offline review**',
    '(`sallyport review`), before anything is merged. The webhook sees everything. The others see what is in front of them.\n',
    `${ROWS.length} commands are typed at a real kube-apiserver, once through the webhook and once through the policies, and their`,
    'objects are given to the offline review. All three say the same of each: the same rules, the same mode, the same code. The',
    `exceptions are the cells below (${count(blind, 'offline')} of the offline review, ${count(blind, 'vap')} of the policies); one that a door`,
    'turned out to see would fail the test as much as one that it missed.\n',
    '## Why a door does not see\n',
    '| reason | |',
    '|---|---|',
    ...Object.entries(BLIND_REASONS).map(([reason, sentence]) => `| ${reason} | ${sentence} |`),
    '\nWith `--user FILE` the offline review knows who asks, and then sees what it misses for that reason. What it has from',
    '`--ledger FILE` it sees as the webhook does.\n',
    '## The cells\n',
    '| rule and change | webhook | offline review | policies |',
    '|---|---|---|---|',
    ...blind.map(line),
    '',
  ].join('\n')
}

function count(rows: readonly Row[], door: BlindDoor): number {
  return rows.filter((row) => row.blind?.[door] !== undefined).length
}

function line(row: Row): string {
  return `| ${row.title.replace(/^(WH-\w+) /, '`$1` ')} | ${said(row.expect)} | ${cell(row, 'offline')} | ${cell(row, 'vap')} |`
}

function cell(row: Row, door: BlindDoor): string {
  const [reason] = row.blind?.[door] ?? []
  return reason === undefined ? 'the same' : `${said(expectedAt(row, door))} (${reason})`
}

function said({ forbidden = [], invalid = [], warns = [], told = [], audits = [] }: Expectation): string {
  const parts = [
    named('denied', [...forbidden, ...invalid]),
    named('warned', [...warns, ...told]),
    named('written down', audits),
  ].filter((text) => text !== '')
  return parts.length === 0 ? 'let through' : parts.join('; ')
}

function named(what: string, rules: readonly string[]): string {
  return rules.length === 0 ? '' : `${what}: ${rules.join(', ')}`
}
