// What the bench leaves behind: .bench/latest.json with everything, .bench/latest.md with the table for people.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './cases.ts'
import type { Machine, SignatureLimits } from './machine.ts'
import type { Measured } from './measure.ts'
import type { SoakResult } from './soak.ts'
import type { CliTimes, StartTimes } from './start_times.ts'
import type { Row } from './verdict.ts'

export type Report = {
  readonly at: string
  readonly quick: boolean
  readonly machine: Machine
  readonly limits: SignatureLimits
  readonly tokenBytes: number
  readonly rows: readonly Row[]
  readonly measured: readonly { readonly case: Case; readonly results: readonly Measured[] }[]
  readonly starts: StartTimes | undefined
  readonly cli: CliTimes | undefined
  readonly soak: SoakResult | undefined
}

export function writeReport(report: Report, folder: string): { readonly markdown: string } {
  mkdirSync(folder, { recursive: true })
  const markdown = toMarkdown(report)
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(report, undefined, 2)}\n`)
  writeFileSync(join(folder, 'latest.md'), markdown)
  return { markdown }
}

function toMarkdown(report: Report): string {
  return [
    machineLines(report),
    table(
      ['work', 'figure', 'Sallyport', 'Dex or bare Node', 'ratio', 'CPU ratio', 'goal', 'floor', ''],
      report.rows.map((row) => [
        row.title,
        row.figure,
        row.ours,
        row.theirs,
        ratioText(row.ratio),
        ratioText(row.cpuRatio),
        row.goal,
        row.floor,
        verdictText(row),
      ]),
    ),
    table(
      [
        'load',
        'c',
        'server',
        'per second',
        'p50 ms',
        'p99 ms',
        'CPU µs/request',
        'cores',
        'foreign cores',
        'RSS MiB',
      ],
      report.measured.flatMap(({ case: one, results }) =>
        results.map(({ server, median }) => [
          one.title,
          String(one.connections),
          server,
          median.perSecond.toFixed(0),
          median.p50Ms.toFixed(2),
          median.p99Ms.toFixed(2),
          median.cpuMicrosPerRequest.toFixed(0),
          median.serverCores.toFixed(2),
          median.foreignCores.toFixed(2),
          median.residentMiB.toFixed(0),
        ]),
      ),
    ),
    startLines(report),
    soakLines(report.soak),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n')
}

function ratioText(ratio: number | undefined): string {
  return ratio === undefined ? '' : ratio.toFixed(2)
}

function verdictText(row: Row): string {
  const said = { goal: 'PASS', floor: 'PASS (floor)', MISS: '**MISS**' }[row.verdict]
  return row.noisy ? `${said}, noisy` : said
}

function machineLines({ machine, limits, tokenBytes, at, quick }: Report): string {
  return [
    `${at.slice(0, 10)}: ${machine.cores} cores of ${machine.cpu}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, ${machine.go}, ${machine.wrk}${quick ? '; **quick run: one short round**' : ''}.`,
    `OpenSSL on one core: RSA-2048 signs ${thousands(limits.rsa2048.signPerSecond)}/s and verifies ${thousands(limits.rsa2048.verifyPerSecond)}/s, P-256 signs ${thousands(limits.ecdsap256.signPerSecond)}/s and verifies ${thousands(limits.ecdsap256.verifyPerSecond)}/s.`,
    `Exchange: one of 200 GitLab job tokens of ${tokenBytes} bytes (RS256) in, one token out: one verification, one signature.`,
  ].join('\n')
}

function thousands(value: number): string {
  return `${(value / 1000).toFixed(1)}k`
}

function startLines({ starts, cli }: Report): string {
  if (starts === undefined || cli === undefined) return ''
  return (
    `Ours runs as it is packed (bundled). From source, types are stripped at each start: ready after ` +
    `${starts.source.toFixed(0)} ms instead of ${starts.packed.toFixed(0)} ms (Dex ${starts.dex.toFixed(0)} ms), ` +
    `\`exchange --help\` in ${cli.source.toFixed(0)} ms instead of ${cli.packed.toFixed(0)} ms.`
  )
}

function soakLines(result: SoakResult | undefined): string {
  if (result === undefined) return ''
  const shown = result.resident.map((mib) => mib.toFixed(0))
  return `Soak: ${result.requests} exchanges in ${result.seconds.toFixed(0)} s, RSS last quarter / second quarter ${result.growth.toFixed(2)} (${result.flat ? 'flat' : '**MISS**: grows'}), MiB: ${shown.join(' ')}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  return [head, head.map(() => '---'), ...rows].map(tableLine).join('\n')
}

function tableLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}
