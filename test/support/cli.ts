// Runs a command of the CLI inside the test's own process, and a local HTTP server that plays a CI platform or a token
// endpoint. The token endpoint here is a fake: it records what it is asked and answers what the test says. The real
// broker is asked in test/e2e.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { findCommand } from '../../src/cli/command.ts'
import type { CommandIo } from '../../src/cli/command.ts'
import { runCommand } from '../../src/cli/run_command.ts'

export type CliRun = { readonly code: number; readonly stdout: string; readonly stderr: string }

export type CliWorld = {
  readonly env?: Readonly<Record<string, string>>
  readonly stdin?: string
  readonly cwd?: string
  readonly now?: number
  /** Milliseconds that the command slept, in order. */
  readonly slept?: number[]
}

/** 2026-11-21T00:00:00Z, a second at which the fixtures' tokens are valid. */
export const NOW = Date.UTC(2026, 10, 21)

export async function runCli(argv: readonly string[], world: CliWorld = {}): Promise<CliRun> {
  const out: string[] = []
  const err: string[] = []
  const io: CommandIo = {
    stdin: stdinOf(world.stdin ?? ''),
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env: world.env ?? {},
    cwd: world.cwd ?? '/nonexistent',
    clock: () => world.now ?? NOW,
    randomBytes: (length) => new Uint8Array(length).fill(7),
    sleep: async (milliseconds) => {
      world.slept?.push(milliseconds)
    },
  }
  const entry = findCommand(argv[0])
  if (entry === undefined) throw new Error(`no command ${argv[0]}`)
  const code = await runCommand(await entry.load(), argv.slice(1), io)
  return { code, stdout: out.join(''), stderr: err.join('') }
}

async function* stdinOf(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text)
}

/** A folder that is gone after the test. */
export function folder(t: Pick<Test, 'teardown'>): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-cli-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

export type Asked = {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly form: URLSearchParams
}

export type FakeAnswer = {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: unknown
  /** Cut the connection instead of answering. */
  readonly cut?: boolean
}

export type FakeServer = { readonly url: string; readonly asked: readonly Asked[] }

/** Answers in order, the last answer for ever. */
export async function fakeServer(
  t: Test,
  answers: readonly FakeAnswer[],
  tls?: { readonly cert: string; readonly key: string },
): Promise<FakeServer> {
  const asked: Asked[] = []
  const listener: RequestListener = (request, response) => {
    void answerOne(request, response, asked, answers)
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = tls === undefined ? `http://127.0.0.1:${address.port}` : `https://localhost:${address.port}`
  return { url, asked }
}

async function answerOne(
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked[],
  answers: readonly FakeAnswer[],
): Promise<void> {
  const chunks: string[] = []
  request.setEncoding('utf8')
  for await (const chunk of request) chunks.push(String(chunk))
  asked.push({
    method: request.method ?? '',
    url: request.url ?? '',
    headers: request.headers,
    form: new URLSearchParams(chunks.join('')),
  })
  const answer = answers[Math.min(asked.length, answers.length) - 1]
  if (answer === undefined || answer.cut === true) {
    request.socket.destroy()
    return
  }
  const body = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body)
  response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
  response.end(body)
}

/** A JWT in shape only: nothing signed it, which the client side does not look at. */
export function unsignedJwt(claims: Readonly<Record<string, unknown>>): string {
  return `${jsonSegment({ alg: 'RS256', kid: 'k1', typ: 'JWT' })}.${jsonSegment(claims)}.c2lnbmF0dXJl`
}

function jsonSegment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Arguments as one types them; none of them holds a blank. */
export function words(...lines: readonly string[]): readonly string[] {
  return lines.join(' ').split(' ')
}

export const GRANTED: FakeAnswer = {
  body: {
    access_token: 'issued.token.value',
    issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    token_type: 'bearer',
    expires_in: 599,
  },
}
