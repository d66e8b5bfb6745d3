// What the table has in common at every door of a real kube-apiserver: rows are typed, and what kubectl prints and the audit
// log keeps is compared with what the row says.
import type { Test } from 'tap'
import { RULE_IDS } from '../../src/core/module/rule_id.ts'
import type { RuleId } from '../../src/core/module/rule_id.ts'
import type { Mode } from '../../src/core/module/verdict.ts'
import { expectedAt } from './module_cases.ts'
import type { Door, Expectation, Json, Row } from './module_cases.ts'
import { ROWS } from './module_table.ts'
import type { Typed, World } from './module_world.ts'
import { isObjectOf } from './recorded.ts'

/** kubectl is a process of a tenth of a second each. */
const AT_ONCE = 3

export type Played = { readonly row: Row; readonly typed: Typed; readonly wayOut: readonly Typed[] }

/** Types every row, and afterwards, one by one, those about objects that others need. */
export async function playRows(
  world: World,
  rows: readonly Row[],
  done: (row: Row) => void = () => {},
): Promise<readonly Played[]> {
  const played: Played[] = []
  const one = async (row: Row): Promise<void> => {
    const typed = await world.run(row, row.run)
    done(row)
    played.push({ row, typed, wayOut: await wayOutOf(world, row, typed) })
  }
  const queue = rows.filter(({ about }) => about === undefined)
  const worker = async (): Promise<void> => {
    for (let row = queue.shift(); row !== undefined; row = queue.shift()) await one(row)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  for (const row of rows) if (row.about !== undefined) await one(row)
  return played
}

/** The command that the refusal printed, as somebody would copy it. */
async function wayOutOf(world: World, row: Row, { code, stderr }: Typed): Promise<readonly Typed[]> {
  if (row.wayOut === undefined || code === 0) return []
  const [command] = /kubectl (?:patch|annotate) module [^\n']*'[^']*'/.exec(stderr) ?? []
  if (command === undefined)
    return [{ code: -1, stdout: '', stderr: `no command in: ${stderr}`, warnings: [] }]
  const typed = await world.run(row, command.replace('<reason>', 'it was asked for'))
  return row.wayOut === 'and then' ? [typed, await world.run(row, row.run)] : [typed]
}

type Judged = {
  readonly code: 0 | 403 | 422
  readonly refused: readonly RuleId[]
  /** Whether it warned or told: nobody sees which. */
  readonly warned: readonly RuleId[]
}

/** What a person sees of an expectation. */
function visible({ forbidden = [], invalid = [], warns = [], told = [] }: Expectation): Judged {
  const refused = sorted([...forbidden, ...invalid])
  const refusal = forbidden.length > 0 ? 403 : 422
  return { code: refused.length === 0 ? 0 : refusal, refused, warned: sorted([...warns, ...told]) }
}

/** kubectl's words for the answer. */
function seenBy({ code, stderr, warnings }: Typed): Judged & { readonly other: string } {
  const refusal = stderr.replaceAll(/^Warning: .*$/gm, '').trim()
  const refused = rulesIn(refusal)
  return {
    code: code === 0 ? 0 : codeOf(refusal),
    refused,
    warned: rulesIn(warnings.join('\n')),
    other: refused.length === 0 ? refusal : '',
  }
}

/** 0: neither of the two ways in which a door refuses. */
function codeOf(refusal: string): Judged['code'] {
  if (/^(?:error: )?(?:The \S+(?: "\S+")?|The request) is invalid: /m.test(refusal)) return 422
  return refusal.includes('Error from server (Forbidden): ') || refusal.includes(' is forbidden: ') ? 403 : 0
}

function rulesIn(text: string): readonly RuleId[] {
  const named = [...text.matchAll(/\b(WH-[A-Z][0-9]+)(?: \(exception approved by [^)]*\))?: /g)]
  const ids = new Set(named.map(([, id]) => id))
  return sorted(RULE_IDS.filter((rule) => ids.has(rule)))
}

function sorted<Text extends string>(texts: readonly Text[]): readonly Text[] {
  return [...new Set(texts)].sort()
}

/** Each row at one door: what is refused, by which code, what is warned of, and what the audit log has. */
export function checkPlayed(t: Test, door: Door, played: readonly Played[]): void {
  for (const { row, typed, wayOut } of played) {
    t.test(row.title, async (t) => {
      const expected = expectedAt(row, door)
      t.same(seenBy(typed), { ...visible(expected), other: '' }, row.run)
      for (const { code, stderr } of wayOut) t.equal(code, 0, `the way out: ${stderr}`)
      const isWhole = expected === row.expect
      if (row.says !== undefined && isWhole) t.match(typed.stderr, row.says)
    })
  }
}

/** What the audit log has of the time since. */
export async function eventsSince({ cluster }: World, since: Date): Promise<readonly Json[]> {
  const events = await cluster.auditEvents()
  return events.filter((event) => new Date(String(event['requestReceivedTimestamp'])) >= since)
}

/** Rules and modes of a row, as the audit log has them: by the endings of the annotations' keys. */
export function auditedOf(events: readonly Json[], row: Row): Audited {
  const about = judgedEvents(events, row)
  const values = (part: string): readonly string[] =>
    about.flatMap((event) =>
      Object.entries(Object(event['annotations']))
        .filter(([key]) => key.endsWith(`/${part}`))
        .flatMap(([, value]) => String(value).split(',')),
    )
  const rules = new Set(values('rule'))
  const modes = new Set(values('mode'))
  return {
    rules: sorted(RULE_IDS.filter((rule) => rules.has(rule))),
    modes: sorted(MODES.filter((mode) => modes.has(mode))),
  }
}

type Audited = { readonly rules: readonly RuleId[]; readonly modes: readonly Mode[] }

function judgedEvents(events: readonly Json[], row: Row): readonly Json[] {
  const about = events.filter((event) => isChangeOf(row, event))
  // What the way out asked for comes after.
  if (row.wayOut !== undefined) return about.slice(0, 1)
  if (row.about === undefined) return about
  // Rows about one object come one after the other, one request each.
  const index = ROWS.filter((other) => other.about === row.about).indexOf(row)
  return about.slice(index, index + 1)
}

function isChangeOf(row: Row, event: Json): boolean {
  const { name, namespace } = Object(event['objectRef'])
  if (event['verb'] !== 'deletecollection') {
    return CHANGES.has(String(event['verb'])) && isObjectOf(row, String(name), namespace)
  }
  const [, query] = String(event['requestURI']).split('?')
  return query !== undefined && row.run.includes(query)
}

const CHANGES: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete'])
const MODES: readonly Mode[] = ['enforce', 'warn', 'audit']

/** All rules of an expectation, and the modes in which they spoke. */
export function audited(expectation: Expectation): Audited {
  const { forbidden = [], invalid = [], warns = [], told = [], audits = [] } = expectation
  const modes: readonly (readonly [Mode, number])[] = [
    ['enforce', forbidden.length + invalid.length],
    ['warn', warns.length + told.length],
    ['audit', audits.length],
  ]
  return {
    rules: sorted([...forbidden, ...invalid, ...warns, ...told, ...audits]),
    modes: sorted(modes.filter(([, count]) => count > 0).map(([mode]) => mode)),
  }
}
