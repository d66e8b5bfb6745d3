// The operator's log: pino to stderr, so that stdout is free for audit events and command output. Never a token.
import pino from 'pino'
import type { Logger } from 'pino'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>

export type LogOptions = {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly format: 'json' | 'text'
  /** Said in each line, where several processes write into one log. */
  readonly worker?: number
}

export function createLog({ level, format, worker }: LogOptions): Log {
  const destination = pino.destination({ dest: 2, sync: true })
  const options = {
    level,
    base: worker === undefined ? null : { worker },
    timestamp: pino.stdTimeFunctions.isoTime,
  }
  if (format === 'json') return pino(options, destination)
  return pino(options, { write: (line: string) => destination.write(asText(line)) })
}

/** A line as pino writes it; fields besides these are the caller's. */
type LogLine = {
  readonly time: string
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

/** `2026-11-21T13:45:00.000Z info listening address=127.0.0.1:8443` */
function asText(line: string): string {
  const { time, level, msg, ...fields }: LogLine = JSON.parse(line)
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${plain(value)}`)
  return `${[time, pino.levels.labels[level] ?? level, msg, ...rest].join(' ')}\n`
}

function plain(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}
