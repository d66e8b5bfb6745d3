// A load at a fixed rate, whatever the server makes of it: wrk sends the next request when an answer is there, and so asks less of
// a server that is slow. Runs as a process of its own, so that two loads do not wait for one another:
//   node paced_load.ts '{"port":1,"path":"/token","bodies":"FILE","basic":"...","perSecond":100,"seconds":1,"connections":32}'
// prints one line of JSON. A request that finds no free connection waits for one, and that time counts.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { promisify } from 'node:util'

export type PacedLoad = {
  readonly port: number
  readonly path: string
  /** File with one form body a line. */
  readonly bodies: string
  /** `id:secret` in base64. */
  readonly basic: string
  readonly perSecond: number
  readonly seconds: number
  readonly connections: number
}

export type PacedResult = {
  /** Sent or waiting for a connection, in all. */
  readonly offered: number
  /** HTTP status -> answers. */
  readonly answers: Readonly<Record<string, number>>
  /** Milliseconds of answers with status 200, or of all where there is none; from when the request was due to be sent. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Connections that the server closed. */
  readonly closed: number
}

/** Runs it in a process of its own. */
export async function paced(load: PacedLoad): Promise<PacedResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, JSON.stringify(load)])
  const result: PacedResult = JSON.parse(stdout)
  return result
}

/** What is still under way at the end gets so long. */
const DRAIN_MS = 5000

type Waiting = { readonly request: string; readonly dueMs: number }

async function run(load: PacedLoad): Promise<PacedResult> {
  const requests = readFileSync(load.bodies, 'utf8')
    .split('\n')
    .filter((body) => body !== '')
    .map((body) => requestOf(load, body))
  const times: { readonly status: string; readonly ms: number }[] = []
  const answers: Record<string, number> = {}
  const queue: Waiting[] = []
  const free: Line[] = []
  let closed = 0
  let offered = 0

  const dispatch = (): void => {
    while (queue.length > 0 && free.length > 0) {
      const line = free.pop()
      const next = queue.shift()
      if (line !== undefined && next !== undefined) line.send(next)
    }
  }
  const lines = await Promise.all(
    Array.from({ length: load.connections }, () =>
      openLine(load.port, {
        answered(line, status, dueMs) {
          answers[status] = (answers[status] ?? 0) + 1
          times.push({ status, ms: performance.now() - dueMs })
          free.push(line)
          dispatch()
        },
        closed() {
          closed += 1
        },
      }),
    ),
  )
  free.push(...lines)

  const began = performance.now()
  const total = Math.round(load.perSecond * load.seconds)
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const now = performance.now()
      const due = Math.min(total, Math.floor(((now - began) / 1000) * load.perSecond))
      for (; offered < due; offered += 1)
        queue.push({ request: requests[offered % requests.length] ?? '', dueMs: now })
      dispatch()
      if (offered < total) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  const deadline = performance.now() + DRAIN_MS
  while (times.length < offered && performance.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 5))
  for (const line of lines) line.end()

  const good = times.filter(({ status }) => status === '200')
  const sorted = Float64Array.from(good.length > 0 ? good : times, ({ ms }) => ms).sort()
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  return { offered, answers, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), closed }
}

function requestOf({ path, basic }: PacedLoad, body: string): string {
  return [
    `POST ${path} HTTP/1.1`,
    'Host: broker.example.test',
    `Authorization: Basic ${basic}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n')
}

type Line = { readonly send: (next: Waiting) => void; readonly end: () => void }
type Events = {
  readonly answered: (line: Line, status: string, dueMs: number) => void
  readonly closed: () => void
}

/** One connection with one request under way at a time. */
async function openLine(port: number, events: Events): Promise<Line> {
  const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  let dueMs = 0
  let text = ''
  let isEnding = false
  const line: Line = {
    send(next) {
      ;({ dueMs } = next)
      socket.write(next.request, 'latin1')
    },
    end() {
      isEnding = true
      socket.destroy()
    },
  }
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    text = text === '' ? chunk : text + chunk
    const head = text.indexOf('\r\n\r\n')
    if (head === -1) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0)
    if (text.length < head + 4 + length) return
    const status = text.slice(9, 12)
    text = ''
    events.answered(line, status, dueMs)
  })
  // A reset is a connection that the server closed; `close` follows and counts it.
  socket.on('error', () => {})
  socket.once('close', () => {
    if (!isEnding) events.closed()
  })
  return line
}

if (import.meta.main) {
  const load: PacedLoad = JSON.parse(process.argv[2] ?? '{}')
  console.log(JSON.stringify(await run(load)))
}
